"""Parts of the report that are tables of facts: what was compared, what is missing and why, what it cost."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from bench.records import Record
from leaderboards.folder import Results
from leaderboards.headlines import task_settings
from leaderboards.ranking import Entry
from leaderboards.vocabulary import EFFECT, HEADLINES, entry, label, order


def markdown(header: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[int] = ()) -> str:
    """A Markdown table; cells lose line breaks and pipes. right: columns set flush right."""
    clean = lambda cell: re.sub(r"\s+", " ", str(cell)).replace("|", "\\|") or " "  # noqa: E731
    lines = ["| " + " | ".join(clean(c) for c in header) + " |"]
    lines.append("| " + " | ".join("---:" if i in right else "---" for i in range(len(header))) + " |")
    lines += ["| " + " | ".join(clean(c) for c in row) + " |" for row in rows]
    return "\n".join(lines)


def n_of(records: Iterable[Record]) -> str:
    """'64', or '60 to 64' where it differs."""
    found = sorted({r.n for r in records if r.status == "ok" and r.n})
    return "0" if not found else str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def generators(results: Results) -> str:
    seen: dict[str, dict] = {}
    for record in results.records:
        seen.setdefault(record.generator, {"sha": record.generator_sha, "domain": record.domain})
    hashes = {(h["generator"], h["task"]): h["hash"] for h in results.run["protocol_hashes"]}
    rows = []
    for name in results.generators:
        one = seen.get(name, {"sha": "", "domain": ""})
        mine = [f"{task}: `{value[:12]}`" for (g, task), value in sorted(hashes.items()) if g == name]
        rows.append([name, one["domain"], f"`{one['sha'][:12]}`" if one["sha"] else "–", ", ".join(mine) or "–"])
    return markdown(["generator", "domain", "fingerprint", "protocol hash"], rows)


def judges(results: Results) -> str:
    found: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in results.records:
        if record.judge:
            found[record.judge, record.judge_sha].append(record)
    rows = [
        [
            judge,
            f"`{sha[:12]}`" if sha else "–",
            ", ".join(sorted({r.metric for r in records})),
            n_of(r for r in records if r.target),
        ]
        for (judge, sha), records in sorted(found.items())
    ]
    return markdown(["judge (or guide)", "fingerprint", "metrics", "n"], rows) if rows else "No judge was asked."


def protocol(results: Results) -> str:
    rows = []
    for task in results.tasks:
        for key, value in task_settings(results, task).items():
            shown = ", ".join(map(str, value)) if isinstance(value, list) else "all" if value is None else value
            rows.append([task, key, shown])
    rows += [["all", key, results.run["suite"][key]] for key in ("bank", "budget", "fit_seeds", "seed")]
    return markdown(["task", "setting", "value"], rows)


def missing(results: Results) -> str:
    """Cells that left nothing, then questions that could not be asked; entries with one reason share a row."""
    unsaid = "no reason was given"
    whole = [cell for cell in results.cells if cell.status != "ok"]
    lost = {(cell.task, cell.generator, cell.entry) for cell in whole}
    found: dict[tuple[str, ...], dict[str, None]] = defaultdict(dict)
    for cell in whole:
        found[cell.task, cell.generator, cell.status, "all", cell.reason or unsaid][label(cell.entry)] = None
    asked: dict[tuple, set[str]] = defaultdict(set)
    for r in results.records:
        if r.status in ("skipped", "error") and (r.task, r.generator, entry(r)) not in lost:
            what = f"{r.target} {'−' if r.sign == '-' else r.sign}".strip() or r.metric or "all"
            asked[r.task, r.generator, r.status, r.reason or unsaid, label(entry(r))].add(what)
    for (task, generator, status, reason, one), what in sorted(asked.items()):
        found[task, generator, status, ", ".join(sorted(what)), reason][one] = None
    if not found:
        return "Nothing was skipped and nothing failed."
    rows = [[task, g, ", ".join(entries), what, status, reason] for (task, g, status, what, reason), entries in found.items()]
    return markdown(["task", "generator", "entries", "what", "status", "reason"], rows)


def unreached(results: Results) -> str:
    found: dict[tuple[str, str, Entry, str], set[str]] = defaultdict(set)
    for r in results.records:
        if r.status == "unreached" and r.target and r.metric in (EFFECT, *HEADLINES):
            found[r.task, r.generator, entry(r), r.point].add(f"{r.target} {'−' if r.sign == '-' else r.sign}".strip())
    if not found:
        return "Every entry reached every effect."
    place = {one: i for i, one in enumerate(order(key[2] for key in found))}
    rows = []
    for (task, g, one, point), what in sorted(found.items(), key=lambda item: (*item[0][:2], place[item[0][2]], item[0][3])):
        effect = f"{point.removeprefix('effect_')} sigma" if point.startswith("effect_") else point
        rows.append([task, g, label(one), effect, ", ".join(sorted(what))])
    return "Effects that were not reached within the plausible range:\n\n" + markdown(
        ["task", "generator", "entry", "effect", "targets"], rows
    )


def time_text(run: dict[str, Any]) -> str:
    total = run["total_seconds"]
    return (
        f"{total:.1f} s in all, {100 * run['network_share']:.0f} % of it inside networks and fits. What came from the store cost "
        "this run nothing."
    )


def environment(found: dict[str, Any]) -> str:
    rest = {k: v for k, v in found.items() if k != "command"}
    command = found.get("command")
    shown = " ".join(command) if isinstance(command, list) else command
    lines = [f"```sh\n{shown}\n```\n"] if shown else []
    flat = lambda v: ", ".join(f"{k} {x}" for k, x in sorted(v.items())) if isinstance(v, dict) else v  # noqa: E731
    return "\n".join([*lines, markdown(["what", "value"], [[k, flat(v)] for k, v in sorted(rest.items())])])
