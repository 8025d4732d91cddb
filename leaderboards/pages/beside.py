"""What the editing task measures beside its headlines: where the picture changed, whether edits can be taken back or swapped."""

from __future__ import annotations

from collections.abc import Sequence

from bench.records import Record
from leaderboards.folder import Results
from leaderboards.ranking import Entry
from leaderboards.sections import markdown, n_of
from leaderboards.vocabulary import entry, label, number, order, record_text

TASK = "editing"
BY_CONSTRUCTION = "by construction"


def beside(results: Results, generator: str) -> str:
    """Markdown of one generator; empty where nothing of it was measured."""
    mine = [r for r in results.records if (r.task, r.generator) == (TASK, generator)]
    return "\n\n".join(part for part in (_where(mine), _undone(mine), _swapped(mine)) if part)


def _where(records: Sequence[Record]) -> str:
    """Locality at the headline effect, an entry a row and a question a column."""
    points = sorted({r.point for r in records if r.headline and r.point.startswith("effect_")})
    found = [r for r in records if r.metric in ("locality", "region_share") and r.point in points[:1]]
    if not found:
        return ""
    asked = list(dict.fromkeys((r.target, r.sign) for r in found))
    table = {(r.metric, entry(r), r.target, r.sign): r for r in found}
    even = []
    for target, sign in asked:
        areas = [r.value for r in found if (r.metric, r.target, r.sign) == ("region_share", target, sign) and r.value is not None]
        even.append(f"{number(min(areas))} to {number(max(areas))}" if areas else "–")
    rows = [
        [label(one), *(record_text(table.get(("locality", one, *question))) for question in asked)] for one in _entries(found)
    ]
    rows.append(["*a change spread evenly*", *even])
    judges = ", ".join(sorted({r.judge for r in found}))
    effect = points[0].removeprefix("effect_")
    return (
        "### Where the picture changed\n\n"
        f"Share of the change that lies in the regions which the target may change, read at {effect} sigma; judge: {judges}; n = "
        f"{n_of([r for r in found if r.n])} codes. The last row is the share of the picture that the regions cover. What is put "
        "on half transparent (glasses, a beard) may not be seen as a region yet, in either picture.\n\n"
        + markdown(["entry", *(_question(*one) for one in asked)], rows)
    )


def _undone(records: Sequence[Record]) -> str:
    return _ratios(
        [r for r in records if r.metric == "reversibility"],
        "### Edits taken back",
        "Perceptual distance to the original of an edit that was undone, over that of the edit: 0 where nothing is left of it",
    )


def _swapped(records: Sequence[Record]) -> str:
    return _ratios(
        [r for r in records if r.metric == "order_consistency"],
        "### Order of edits",
        "Perceptual distance between a sequence and its reverse, over that of the sequence: 0 where the order does not matter",
    )


def _ratios(found: Sequence[Record], heading: str, words: str) -> str:
    """A table of the entries of which it is a finding, and the names of those of which it is true by construction."""
    if not found:
        return ""
    given = {one for one in _entries(found) if all(BY_CONSTRUCTION in r.reason for r in found if entry(r) == one)}
    asked = list(dict.fromkeys((r.target, r.sign) for r in found if entry(r) not in given))
    table = {(entry(r), r.target, r.sign): r for r in found}
    told = [one for one in _entries(found) if one not in given]
    judges = ", ".join(sorted({r.judge for r in found}))
    parts = [f"{heading}\n\n{words}; judge: {judges}; n = {n_of(found)} codes."]
    if given:
        parts.append(f"0 by construction, and no finding: {', '.join(label(one) for one in _entries(found) if one in given)}.")
    if told:
        rows = [[label(one), *(record_text(table.get((one, *question))) for question in asked)] for one in told]
        parts.append(markdown(["entry", *(_question(*one) for one in asked)], rows))
    return "\n\n".join(parts)


def _entries(records: Sequence[Record]) -> list[Entry]:
    return order({entry(r) for r in records})


def _question(target: str, sign: str) -> str:
    return f"{target} {'−' if sign == '-' else sign}".strip()
