"""The inversion task in the report: per source of pictures, which space reconstructs best, and which one stays editable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.codes import Space
from bench.records import Record
from leaderboards.folder import Cell, Results
from leaderboards.headlines import readings
from leaderboards.pages.inversion_plot import plot
from leaderboards.ranking import Entry, Reading
from leaderboards.sections import markdown
from leaderboards.tables import Board
from leaderboards.vocabulary import ARROWS, SKIPPED, entry, label, number, record_text
from metrics.statistics import replicates_needed, significantly_better

TASK = "inversion"
# Titles of columns by metric: of pictures, then of edits and codes.
RECONSTRUCTION = {
    "perceptual": "perceptual distance", "identity": "identity", "attribute_error": "attribute error, sigma", "mse": "MSE",
    "psnr": "PSNR, dB", "ssim": "SSIM",
}  # fmt: skip
CODES = {
    "editability_excess": "excess leakage", "editability_ratio": "effect ratio", "code_distance": "distance of the code",
    "w_norm": "w norm", "p_norm": "p norm",
}  # fmt: skip
SPACES = tuple(map(str, Space))
Rows = Mapping[Entry, Mapping[str, Record]]  # of one source: a record of each metric
SOURCES = {"generated": "pictures of the generator itself", "real": "pictures of the domain"}


def page(results: Results, generator: str, board: Board | None) -> tuple[str, dict[str, bytes]]:
    """Markdown and plots of one generator: a part for each source, in the suite's order."""
    cells = {one: group[0] for one, group in results.groups(TASK, generator).items()}
    records = [r for r in results.records if (r.task, r.generator) == (TASK, generator)]
    found = readings(results, TASK, generator)
    parts, files = [_method_notes(cells)], {}
    for source in dict.fromkeys(r.target for r in records if r.target):
        mine = [r for r in records if r.target == source and not r.attribute]
        text, picture = _source(results, source, generator, mine, cells, found)
        parts.append(text)
        files |= picture
    return "\n\n".join(part for part in parts if part), files


def _source(
    results: Results, source: str, generator: str, records: Sequence[Record], cells: Mapping[Entry, Cell], found: Mapping
) -> tuple[str, dict[str, bytes]]:
    title = f"### {source[0].upper()}{source[1:]}: {SOURCES.get(source, 'pictures')}"
    by_entry: dict[Entry, dict[str, Record]] = {one: {} for one in in_order(cells)}
    for record in records:
        if entry(record) in by_entry:
            by_entry[entry(record)][record.metric] = record
    measured = {one: table for one, table in by_entry.items() if any(r.status != "skipped" for r in table.values())}
    if not measured:
        reasons = sorted({r.reason for r in records if r.reason})
        return f"{title}\n\nNot measured: {'; '.join(reasons)}.", {}
    n = sorted({r.n for r in records if r.metric == "mse" and r.n})
    failed = max((r.n_failed for r in records), default=0)
    lines = [
        title,
        f"n = {' to '.join(map(str, n))} pictures, the same for every entry. {_failures(failed)}",
        _table(measured, cells, RECONSTRUCTION, source),
        _reconstructs(source, measured, cells, found),
        _table(measured, cells, CODES, source),
        _edits(source, measured, cells, found),
    ]
    for sheet in results.run["pictures"]:
        if (sheet["task"], sheet["generator"], sheet["target"]) == (TASK, generator, source):
            lines.append(f"**{sheet['caption']}**{sheet['note']}.")
            lines.append(f"![{sheet['caption']} on {generator}]({sheet['path']})")
    path = f"plots/{TASK}-{generator}-{source}.png"
    picture = plot([(short(one, cells), table) for one, table in measured.items()])
    if picture:
        lines.append(f"![{source}: reconstruction against editability]({path})")
    return "\n\n".join(line for line in lines if line), {path: picture} if picture else {}


def _failures(count: int) -> str:
    if not count:
        return "The judges could read every one."
    return f"Up to {count} could not be read by a judge: originals are left out, reconstructions count as the worst."


def _method_notes(cells: Mapping[Entry, Cell]) -> str:
    """The options that rows do not show, and which guide the fits looked through."""
    rest = sorted({f"{one[0]} ({_rest(one)})" for one in cells if _rest(one)})
    guides = sorted({str(row["perceptual guide"]) for c in cells.values() for row in c.tables.get("inversion", ())})
    lines = [f"Options beside the space: {'; '.join(rest)}." if rest else ""]
    lines.append(f"Perceptual loss of the optimisation: {'; '.join(guides)}." if guides else "")
    return " ".join(line for line in lines if line)


def _rest(one: Entry) -> str:
    return ", ".join(part for part in one[1].split(",") if part and not part.startswith("space="))


def in_order(cells: Mapping[Entry, Cell]) -> list[Entry]:
    """Baselines, then the others, each by space in the order of the field (z, w, w+, s, ...)."""
    place = {space: i for i, space in enumerate(SPACES)}
    key = lambda one: (cells[one].card["approach"] != "baseline", place.get(_space(cells[one]), len(place)), one)  # noqa: E731
    return sorted(cells, key=key)


def _space(cell: Cell) -> str:
    return str(cell.facts.get("space") or cell.card["space"])


def short(one: Entry, cells: Mapping[Entry, Cell]) -> str:
    """'optimise w+' where no other entry of that method has this space, else the whole label."""
    same = [other for other in cells if other[0] == one[0] and _space(cells[other]) == _space(cells[one])]
    return f"{one[0]} {_space(cells[one])}" if len(same) == 1 else label(one)


def _table(rows: Rows, cells: Mapping[Entry, Cell], columns: Mapping[str, str], source: str) -> str:
    """Space by metric with intervals; the column's head names its judge and which way is better."""
    heads, shown = [], []
    for metric, title in columns.items():
        mine = [table[metric] for table in rows.values() if metric in table]
        if any(r.status != "skipped" for r in mine):
            judge = next((r.judge for r in mine if r.judge), "")
            heads.append(" ".join(filter(None, (title, ARROWS[mine[0].higher_is_better], judge))))
            shown.append(metric)
    timed = columns is RECONSTRUCTION
    body = []
    for one, table in rows.items():
        cell = cells[one]
        seconds = [number(cell.facts.get("seconds", {}).get(source))] if timed else []
        body.append([_space(cell), short(one, cells), *(record_text(table.get(metric), SKIPPED) for metric in shown), *seconds])
    return markdown(["space", "entry", *heads, *(["s a picture"] if timed else [])], body) if shown else ""


def _reconstructs(source: str, rows: Rows, cells: Mapping[Entry, Cell], found: Mapping) -> str:
    lines = []
    for metric in ("perceptual", "identity"):
        answer = best_of(_asked(source, metric, rows, cells, found), lambda one: short(one, cells))
        if answer:
            lines.append(f"Which space reconstructs best by {RECONSTRUCTION[metric]}? {answer}")
    return "\n\n".join(lines)


def _edits(source: str, rows: Rows, cells: Mapping[Entry, Cell], found: Mapping) -> str:
    metric = "editability_excess"
    leaks = _against(metric, 0.0, ("leak more for their effect", "leak less"), rows, cells)
    answers = _against("editability_ratio", 1.0, ("answer more strongly", "answer more weakly"), rows, cells)
    if not leaks:
        return ""
    lines = [
        "*excess leakage*: leakage per effect of inverted codes less that of sampled codes, under one linear edit of each target "
        "in the code's own space, at the strength where the guide sees its effect on sampled codes; 0 where inverted codes edit "
        "like samples. *effect ratio*: their effect over that of sampled codes. *distance of the code*: 1 is the limit beyond "
        "which one sample in a thousand lies; *w norm* is 1 and *p norm* about 1 for samples.",
        f"Which stays editable? Edits of inverted codes, against sampled ones: {leaks}. To the same step of the edit: {answers}.",
    ]
    answer = best_of(_asked(source, metric, rows, cells, found), lambda one: short(one, cells))
    if answer:
        lines.append(f"Which space stays most editable? {answer} A code that forgets its picture edits well: see both tables.")
    return "\n\n".join(lines)


def _against(metric: str, same: float, words: tuple[str, str], rows: Rows, cells: Mapping[Entry, Cell]) -> str:
    """Which entries' intervals lie above and below what sampled codes have, and which hold it: 'leak more: s; cannot tell: w'."""
    found: dict[str, list[str]] = {word: [] for word in (*words, "cannot tell")}
    for one, table in rows.items():
        record = table.get(metric)
        if record is not None and record.ci_low is not None and record.ci_high is not None:
            found[beside(record.ci_low, record.ci_high, same, words)].append(short(one, cells))
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in found.items() if names)


def beside(low: float, high: float, same: float, words: tuple[str, str]) -> str:
    """What an interval says: the first word above `same`, the second below it, 'cannot tell' where it holds it."""
    return words[0] if low > same else words[1] if high < same else "cannot tell"


def _asked(source: str, metric: str, rows: Rows, cells: Mapping[Entry, Cell], found: Mapping) -> dict[Entry, Reading]:
    """The readings of one headline for every entry that is no baseline."""
    among = [one for one in rows if cells[one].card["approach"] != "baseline"]
    return {one: found[one][source, "", metric] for one in among if (source, "", metric) in found.get(one, {})}


def best_of(asked: Mapping[Entry, Reading], name) -> str:
    """Who wins by the paired bootstrap, Holm-corrected over all pairs, in words; empty for fewer than two entries."""
    entries = list(asked)
    if len(entries) < 2:
        return ""
    up = asked[entries[0]].higher_is_better
    points = np.array([asked[one].value for one in entries])
    sampled = np.stack([asked[one].replicates for one in entries], 1)
    better = significantly_better(sampled, higher_is_better=up)
    # An entry is called better only where its own value is, too.
    better &= (points[:, None] > points) if up else (points[:, None] < points)
    winner = next((i for i in range(len(entries)) if all(better[i, j] for j in range(len(entries)) if j != i)), None)
    if winner is not None:
        return f"**{name(entries[winner])}**: better than every other by the paired test (Holm over all pairs)."
    pairs = len(entries) * (len(entries) - 1) // 2
    if len(sampled) < replicates_needed(pairs):
        return f"Cannot tell: {len(sampled)} replicates are too few for {pairs} comparisons."
    beaten = better.any(0)
    order = np.argsort(-points if up else points, kind="stable")
    lead = [name(entries[i]) for i in order if not beaten[i]]
    behind = [name(entries[i]) for i in order if beaten[i]]
    text = f"Cannot tell: the paired test does not separate {', '.join(lead)}"
    return f"{text}; beaten by at least one other: {', '.join(behind)}." if behind else f"{text}."
