"""README.md of a results folder: what was compared, tables, plots, pictures, claims, gaps and costs, from the files beside it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import jinja2

from bench.records import Record
from leaderboards import across, sections
from leaderboards.claims import Decision, papers
from leaderboards.claims import text as claims
from leaderboards.folder import Results
from leaderboards.ranking import BOUNDS, Entry
from leaderboards.sections import markdown, n_of
from leaderboards.tables import Board
from leaderboards.vocabulary import ARROWS, CHANGE, EFFECT, HEADLINES, entry, label, number, record_text, title, with_interval
from metrics.fit_coverage import coverage_note

CURVES = ("leakage", "identity")


def render(
    results: Results,
    boards: dict[str, dict[str, Board | None]],
    decisions: Sequence[Decision],
    pages: dict[tuple[str, str], str],
    plots: dict[str, bytes],
    wide: Sequence[str],
    costs: str = "",
    fit_times: str = "",
) -> str:
    """The report's text.

    boards: task -> generator -> leaderboard. pages: (task, generator) -> the task's own parts (leaderboards.pages). plots: the
    picture files that exist, by relative path. costs: what methods cost. fit_times: how fits grow with their samples, where that
    was measured.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("leaderboards"), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        autoescape=False, keep_trailing_newline=True,
    )  # fmt: skip
    run = results.run
    tasks = [
        {
            "name": task,
            "curve_words": " and ".join(title(m) for m in CURVES),
            "boards": [_board(results, task, g, board, pages.get((task, g), ""), plots) for g, board in by_generator.items()],
        }
        for task, by_generator in boards.items()
    ]
    over = {r.ci_over for r in results.records if r.ci_over}
    text = environment.get_template("report.md.j2").render(
        suite=run["suite"], tasks=tasks, edits="editing" in boards, change_metric=CHANGE,
        fits_note=_fits_note(over, run["suite"]["fit_seeds"]),
        tables={
            "generators": sections.generators(results), "judges": sections.judges(results),
            "protocol": sections.protocol(results), "missing": sections.missing(results),
            "unreached": sections.unreached(results), "costs": costs,
            "fit_times": fit_times, "environment": sections.environment(run["environment"]),
        },
        by_generators=across.methods_by_generators(boards),
        by_spaces=across.spaces_by_metrics(results, boards),
        claims=claims.sections(decisions), claims_summary=claims.summary(papers(), decisions), time_plot="plots/time.png",
        time_text=sections.time_text(run),
        wide_files=", ".join(f"`{name}`" for name in wide) or "there are no wide tables beside",
    )  # fmt: skip
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def _fits_note(over: set[str], fits: int) -> str:
    """How the sentence about intervals ends: over fits too, and what so few of them can hold. over: what was resampled."""
    if fits < 2 or not any(one.endswith("+fits") for one in over):
        return "; with one fit of each method they say nothing of other fits"
    return f" and fits. {coverage_note(fits).rstrip('.')}"


def headline_records(results: Results, task: str, generator: str) -> list[Record]:
    """Headline numbers of one (target, sign); means over all of them are left to the ranking."""
    return [r for r in results.records if r.headline and r.target and (r.task, r.generator) == (task, generator)]


def headline_names(results: Results, task: str) -> list[str]:
    """The headlines of a task, in the order of the vocabulary, others after."""
    found = {r.metric for r in results.records if r.headline and r.task == task}
    return [h for h in HEADLINES if h in found] + sorted(found - set(HEADLINES))


def _column(metric: str, records: Sequence[Record]) -> str:
    """'leakage ↓ attributes[heads-attributes]': a headline's column says which way is better and who judged."""
    mine = [r for r in records if r.metric == metric]
    ways = {r.higher_is_better for r in mine}
    judges = sorted({r.judge for r in mine if r.judge})
    return " ".join(filter(None, (title(metric), ARROWS[ways.pop()] if len(ways) == 1 else "", ", ".join(judges))))


def _board(
    results: Results, task: str, generator: str, board: Board | None, page: str, plots: dict[str, bytes]
) -> dict[str, Any]:
    """What the template says of one generator: the ranking, then the editing task's parts or the task's own page."""
    ranking = {"table": "", "notes": "", "forest": ""}
    edits = {"tradeoff": "", "heat": "", "strips": [], "targets": [], "assignment": ""}
    if board is not None:
        records, metrics = headline_records(results, task, generator), headline_names(results, task)
        ranking["table"] = _ranked(board, metrics, records)
        ranking["notes"] = _board_notes(board, metrics, records)
        ranking["forest"] = _plot(task, generator, "ranking", plots)
        if task == "editing":
            edits |= _edits(results, task, generator, board, plots)
    return {"generator": generator, "page": page, **ranking, **edits}


def _plot(task: str, generator: str, kind: str, plots: dict[str, bytes]) -> str:
    """The path of a plot, '' where there is none."""
    path = f"plots/{task}-{generator}-{kind}.png"
    return path if path in plots else ""


def _edits(results: Results, task: str, generator: str, board: Board, plots: dict[str, bytes]) -> dict[str, Any]:
    records, metrics = headline_records(results, task, generator), headline_names(results, task)
    mine = [r for r in results.records if (r.task, r.generator) == (task, generator)]
    points = sorted({r.point for r in records if r.point.startswith("effect_")})
    effect = points[0].removeprefix("effect_") if points else ""
    judge_of = lambda metric: ", ".join(sorted({r.judge for r in mine if r.metric == metric and r.judge})) or "none"  # noqa: E731
    pictures = [one for one in results.run["pictures"] if (one["task"], one["generator"]) == (task, generator)]
    return {
        "effect": effect, "n": n_of(records), "heat_judge": judge_of(CHANGE),
        "tradeoff": _plot(task, generator, "tradeoff", plots), "heat": _plot(task, generator, "rescoring", plots),
        "curve_judges": "; ".join(f"{title(m)}: {judge_of(m)}" for m in (EFFECT, *CURVES)),
        "strips": pictures, "strip_note": next((one["note"] for one in pictures if one.get("note")), ""),
        "targets": _targets(results, board, metrics, records),
        "target_notes": f"Read at {effect} sigma, reach anywhere up to the edge. n is the number of test codes; n failed are "
        "those among them that a judge could not read, which count as the worst value. An infinite end of an interval: more than "
        "2.5 % of the replicates do not reach the effect.",
        "assignment": _assignment(results, task, generator),
    }  # fmt: skip


def _ranked(board: Board, metrics: Sequence[str], records: Sequence[Record]) -> str:
    rows = []
    for row in board.rows:
        cells = [row.rank, _name(row.entry), with_interval(row.mean_rank, row.rank_low, row.rank_high)]
        for metric in metrics:
            mean = row.means[metric]
            text = with_interval(mean.value, mean.low, mean.high)
            cells.append(f"**{text}**" if board.best.get(metric) == row.entry else text)
        rows.append([*cells, f"{row.unreached} of {row.asked}"])
    return markdown(["rank", "entry", "average rank", *(_column(m, records) for m in metrics), "unreached"], rows, right=(0,))


def _name(one: Entry) -> str:
    return f"{label(one)} *({BOUNDS[one[0]]})*" if one[0] in BOUNDS else label(one)


def _board_notes(board: Board, metrics: Sequence[str], records: Sequence[Record]) -> str:
    ranking = board.ranking
    overall = board.best[""]
    pairs = len(ranking.entries) * (len(ranking.entries) - 1) // 2
    lines = [
        "*rank* is 1 + the number of entries that are significantly better (paired bootstrap of the average rank, "
        f"{ranking.replicates} replicates, step-down over all {pairs} pairs after Romano and Wolf): equal ranks cannot be told "
        "apart. *average rank* is "
        f"over {len(ranking.questions)} questions (target, sign, headline); unreached effects tie last in theirs. Headline "
        "columns average over the (target, sign) that an entry reaches: read them beside *unreached*, which counts the others. "
        f"n = {n_of(records)} codes behind each reading."
    ]
    lines.append(
        f"Best of the methods, by the corrected paired test against every other method: **{label(overall)}**."
        if overall
        else "No method is significantly better than every other method."
    )
    bold = [f"{label(board.best[m])} on {title(m)}" for m in metrics if board.best.get(m)]
    if bold:
        lines.append(f"Bold: best of the methods on that headline by the same test ({'; '.join(bold)}).")
    return "\n\n".join(lines)


def _targets(results: Results, board: Board, metrics: Sequence[str], records: Sequence[Record]) -> list[dict[str, str]]:
    found: dict[tuple, dict[str, Record]] = defaultdict(dict)
    for record in records:
        found[record.target, entry(record), record.sign][record.metric] = record
    names = list(dict.fromkeys(t for task in results.run["suite"]["tasks"].values() for t in task.get("targets", ())))
    targets = [t for t in names if any(key[0] == t for key in found)] + sorted({key[0] for key in found} - set(names))
    out = []
    for target in targets:
        rows = []
        for one in (row.entry for row in board.rows):
            for sign in ("+", "-", ""):
                mine = found.get((target, one, sign))
                if mine:
                    failed = max(r.n_failed for r in mine.values())
                    values = [record_text(mine.get(metric)) for metric in metrics]
                    rows.append([label(one), {"+": "+", "-": "−", "": ""}[sign], *values, n_of(mine.values()), failed])
        header = ["entry", "sign", *(_column(m, records) for m in metrics), "n", "n failed"]
        out.append({"target": target, "table": markdown(header, rows)})
    return out


def _assignment(results: Results, task: str, generator: str) -> str:
    rows = []
    for cell in results.cells:
        if (cell.task, cell.generator) != (task, generator):
            continue
        for target, one in ((cell.facts.get("assignment") or {}).get("targets") or {}).items():
            runner = one["runner_up"]
            other = "–" if runner is None else f"{runner} ({number(one['runner_up_confidence'])})"
            way = "+" if one["sign"] > 0 else "−"
            confidence, effect = number(one["confidence"]), number(one["effect"])
            rows.append([label(cell.entry), cell.card["fit_seed"], target, f"{way}{one['component']}", confidence, effect, other])
    if not rows:
        return ""
    return markdown(["method", "fit", "target", "component", "confidence", "effect, sigma", "runner-up (confidence)"], rows)
