"""The text task in the report: does the picture follow the prompt, what else changes, prompt by prompt, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.records import Record
from leaderboards.folder import Cell, Results
from leaderboards.headlines import task_settings
from leaderboards.ranking import Entry
from leaderboards.sections import markdown, n_of
from leaderboards.tables import Board
from leaderboards.vocabulary import ARROWS, SKIPPED, entry, number, order, record_text, short, spelled_out

TASK = "text"
# Metric -> title and explanation; those read at the headline effect, in the order of the page.
PARTS = {
    "directional_similarity": (
        "Does the picture follow the prompt?",
        "Cosine of the step between unedited and edited picture and the step from the opposite prompt to the one asked for, in "
        "the eyes of the judge of texts. Mean over the wordings of a side.",
    ),
    "leakage": ("What else changes?", "Mean |change| over the other judged attributes."),
    "identity": ("Identity", "Cosine of identity before and after."),
    "clip_score_gain": (
        "CLIPScore",
        "By how much the picture's score with the prompt rises (2.5 times the cosine). It rises with anything that text-image "
        "networks like: it is no headline.",
    ),
}
SUMMARY = "summary"
BY = {
    "prompt": "by the prompt",
    "name": "by the attribute's name",
    "component": "through the component assigned to the attribute",
}
Side = tuple[str, str]
Table = Mapping[tuple[Entry, str, str, str, str], Record]  # by entry, target, sign, metric, point


def page(results: Results, generator: str, board: Board | None) -> tuple[str, dict[str, bytes]]:
    """Markdown of one generator; this page draws no plots."""
    cells = {one: group[0] for one, group in results.groups(TASK, generator).items()}
    mine = [r for r in results.records if (r.task, r.generator) == (TASK, generator) and r.target]
    table = {(entry(r), r.target, r.sign, r.metric, r.point): r for r in mine}
    sides = list(dict.fromkeys((r.target, r.sign) for r in mine if r.metric == "reach"))
    entries, settings = order(cells), task_settings(results, TASK)
    point = f"effect_{(settings.get('effects') or [0.5])[0]:g}"
    lines = [_intro(cells, entries, settings, mine, point)]
    for metric, (title, words) in PARTS.items():
        lines += _part(title, words, metric, point, entries, sides, table)
    words = "The largest mean judged effect on the attribute named, within the plausible range, capped at 1 sigma."
    lines += _part("How far does it get?", words, "reach", SUMMARY, entries, sides, table)
    lines += _prompts(cells, entries, sides, table, point)
    lines += _seconds(entries, sides, table)
    lines += _strips(results, generator)
    return "\n\n".join(line for line in lines if line), {}


def _intro(
    cells: Mapping[Entry, Cell], entries: Sequence[Entry], settings: Mapping[str, Any], records: Sequence[Record], point: str
) -> str:
    effect = point.removeprefix("effect_")
    n = n_of(r for r in records if r.metric == "directional_similarity" and r.point == point)
    groups: dict[str, list[str]] = {}
    for one in entries:
        groups.setdefault(str(cells[one].facts.get("asked_by", "")), []).append(short(one, entries))
    asked = "; ".join(f"{', '.join(names)} {BY.get(way, way)}" for way, names in groups.items())
    unknown = sorted({word for one in entries for some in cells[one].facts.get("unknown_words", {}).values() for word in some})
    lines = [
        f"Each target is asked for both ways in words, in every wording that the suite gives, n = {n} edits a side over all "
        f"wordings. The guide of attributes places the strengths; everything is read where the judged effect on the attribute "
        f"that the prompt names is {effect} sigma. Asked: {asked}.",
        spelled_out(entries, "In the tables"),
        f"The judge of texts does not know: {', '.join(unknown)}." if unknown else "",
    ]
    return " ".join(filter(None, lines))


def _part(
    title: str, words: str, metric: str, point: str, entries: Sequence[Entry], sides: Sequence[Side], table: Table
) -> list[str]:
    """A row a side, a column an entry."""
    found = [r for (_, _, _, name, at), r in table.items() if (name, at) == (metric, point) and r.status == "ok"]
    if not found:
        return []
    first = found[0]
    unit = ", sigma" if first.unit == "sigma" else ""
    note = " ".join(filter(None, (ARROWS[first.higher_is_better], first.judge))) + unit
    rows = [
        [_side(target, sign), *(record_text(table.get((one, target, sign, metric, point)), SKIPPED) for one in entries)]
        for target, sign in sides
    ]
    return [f"### {title}", words, markdown([f"asked ({note})", *(short(one, entries) for one in entries)], rows)]


def _prompts(cells: Mapping[Entry, Cell], entries: Sequence[Entry], sides: Sequence[Side], table: Table, point: str) -> list[str]:
    """Every wording of the sides that have several: directional similarity, leakage, reach of each entry."""
    rows = []
    for target, sign in sides:
        facts = next((cells[one].facts for one in entries if "prompts" in cells[one].facts), {"prompts": {}})
        asked = facts["prompts"].get(f"{target}/{sign}", [])
        for i, prompt in enumerate(asked) if len(asked) > 1 else ():
            row = []
            for one in entries:
                places = [("directional_similarity", f"{point} prompt {i}"), ("leakage", f"{point} prompt {i}")]
                places.append(("reach", f"{SUMMARY} prompt {i}"))
                read = [table.get((one, target, sign, *place)) for place in places]
                row.append(" / ".join(_short_cell(r) for r in read))
            rows.append([_side(target, sign), prompt["text"] + (" (own)" if i == 0 else ""), *row])
    if not rows:
        return []
    words = (
        "Directional similarity / leakage / reach of every wording where a side has several; *own* is the domain's prompt. n of "
        "a wording is that of its side over the number of wordings; intervals are in `results.csv`."
    )
    return ["### Wording by wording", words, markdown(["asked", "prompt", *(short(one, entries) for one in entries)], rows)]


def _seconds(entries: Sequence[Entry], sides: Sequence[Side], table: Table) -> list[str]:
    rows = []
    for one in entries:
        found = [table.get((one, *side, "seconds_per_edit", SUMMARY)) for side in sides]
        known = [r for r in found if r is not None and r.seconds is not None]
        if known:
            rows.append([short(one, entries), number(sum(r.seconds for r in known) / len(known)), sum(r.n for r in known)])
    if not rows:
        return []
    words = "Time of one edit of one code, without the synthesis of its picture; work that is done anew for every code is in it."
    return ["### Seconds per edit", words, markdown(["entry", "seconds ↓", "codes edited"], rows, right=(1, 2))]


def _strips(results: Results, generator: str) -> list[str]:
    sheets = [one for one in results.run["pictures"] if (one["task"], one["generator"]) == (TASK, generator)]
    if not sheets:
        return []
    lines = [
        "### Pictures",
        "The first ids of the stream, not chosen. 0: unedited; − and +: toward the attribute's own prompts, at the strengths "
        "that the guide placed. White: not asked.",
    ]
    for sheet in sheets:
        lines += [f"**{sheet['caption']}**", f"![edits by text of {sheet['caption']} on {generator}]({sheet['path']})"]
    return lines


def _side(target: str, sign: str) -> str:
    return f"{target} {'−' if sign == '-' else sign}"


def _short_cell(record: Record | None) -> str:
    if record is None or record.status == "skipped":
        return "–"
    return number(record.value) if record.status == "ok" else record.status
