"""Every claim that a results folder has the records for, decided. One place decides all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from leaderboards.claims.model import CHANGE_OF, HELD, Claim, Constant, Paper, Select
from leaderboards.claims.readings import Source
from leaderboards.claims.selectors import Pair, pairs, places
from leaderboards.claims.values import Values
from leaderboards.claims.verdicts import TIME_MARGIN, Asked, Comparison, compare, compare_points, outlasting
from leaderboards.ranking import Entry, Reading

# Between the targets of a sequence, in the names of questions.
THEN = ">"


@dataclass(frozen=True)
class Decision:
    """A claim of a paper, decided by one pair of entries. right: None stands for the claim's constant.

    generators: the left and the right side's, mostly the same.

    outlasts: whether what holds or fails stays so when all lines that were decided together are corrected for one another; None
    where nothing was decided, or without replicates.
    """

    paper: Paper
    claim: Claim
    generators: tuple[str, str]
    left: Entry
    right: Entry | None
    metrics: tuple[str, str]  # left's and right's, in full
    judges: tuple[str, ...]
    n: tuple[int, ...]
    seconds: bool
    result: Comparison
    outlasts: bool | None = None


def evaluate(source: Source, papers: Iterable[Paper]) -> list[Decision]:
    """Decisions in the order of the papers, their claims, and the folder's generators."""
    out = []
    for paper in papers:
        for claim in paper.claims:
            for generators in places(claim.select, source.results.generators) if claim.select else ():
                out += _decide(source, paper, claim, generators)
    stay = outlasting([one.result.p for one in out])
    stay = [None if one.result.verdict == "undecided" else kept for one, kept in zip(out, stay, strict=True)]
    return [replace(one, outlasts=kept) for one, kept in zip(out, stay, strict=True)]


def _decide(source: Source, paper: Paper, claim: Claim, generators: tuple[str, str]) -> Iterator[Decision]:
    chosen = claim.select
    mine, theirs = generators
    cards, others = source.cards(chosen.task, mine), None if mine == theirs else source.cards(chosen.task, theirs)
    for pair in pairs(chosen, cards, others):
        for metric in _metrics(chosen, cards[pair[0]]):
            left, right = _sides(source, chosen, generators, pair, metric)
            result = _compared(chosen, left, right)
            if result:
                names = (left.metric, right.metric)
                judges, n = (tuple(sorted({*getattr(left, key), *getattr(right, key)})) for key in ("judges", "n"))
                yield Decision(paper, claim, generators, *pair, names, judges, n, left.seconds, result)


def _metrics(chosen: Select, card: Mapping[str, Any]) -> Iterator[str]:
    """The metrics of a claim ('' where the sides name their own); 'change of held' for every attribute that the left holds."""
    for metric in chosen.metrics or ("",):
        held = metric == f"{CHANGE_OF}{HELD}"
        yield from (f"{CHANGE_OF}{attribute}" for attribute in card["hold"]) if held else (metric,)


def _sides(source: Source, chosen: Select, generators: tuple[str, str], pair: Pair, metric: str) -> tuple[Values, Values]:
    """Both sides' values on the questions asked; a constant answers every question of the left side."""
    entry, other = pair
    mine, theirs = generators
    left = _asked(source.values(chosen.task, mine, entry, chosen.left.metric or metric), chosen, chosen.left.target)
    if isinstance(chosen.right, Constant):
        value = chosen.right.value
        same = {q: Reading(value, np.full_like(r.replicates, value), r.higher_is_better) for q, r in left.readings.items()}
        return left, Values(same, {q: (value,) for q in left.points}, left.metric, seconds=left.seconds)
    right = _asked(source.values(chosen.task, theirs, other, chosen.right.metric or metric), chosen, chosen.right.target)
    return (_reached(left), _reached(right)) if (mine, entry) == (theirs, other) else (left, right)


def _reached(values: Values) -> Values:
    """An entry beside itself is asked what its edits are like, not whether they reach: what is not reached takes no side."""
    kept = {q: one for q, one in values.readings.items() if np.isfinite(one.value)}
    filled = {
        q: one._replace(replicates=np.where(np.isfinite(one.replicates), one.replicates, one.value)) for q, one in kept.items()
    }
    return values._replace(readings=filled)


def _asked(values: Values, chosen: Select, target: str | None) -> Values:
    """The questions that a claim is about. A side's own target is left out of their names: two targets can be compared."""

    def wanted(asked: Asked) -> bool:
        edits = asked[0].count(THEN) + 1
        many = edits > 1 if chosen.sequence == "any" else edits == chosen.sequence
        named = asked[0] == target if target else chosen.targets is None or asked[0] in chosen.targets
        return many and named and (chosen.signs is None or asked[1] in chosen.signs)

    def kept(table: Mapping[Asked, Any]) -> dict[Asked, Any]:
        return {("" if target else asked[0], asked[1]): one for asked, one in table.items() if wanted(asked)}

    return values._replace(readings=kept(values.readings), points=kept(values.points), ends=kept(values.ends))


def _compared(chosen: Select, left: Values, right: Values) -> Comparison | None:
    how = {"tolerance": chosen.tolerance, "times": chosen.times}
    if left.readings and right.readings:
        return compare(left.readings, right.readings, chosen.relation, **how)
    margin = TIME_MARGIN if left.seconds else 1.0
    return compare_points(left.points, right.points, chosen.relation, margin=margin, ends=(left.ends, right.ends), **how)
