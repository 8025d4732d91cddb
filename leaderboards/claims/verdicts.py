"""The statistics of claims: two sides on the same questions, with replicates or without, into a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import false_discovery_control

from leaderboards.claims.model import Tolerance
from leaderboards.ranking import Reading
from metrics.statistics import interval, replicate_difference

Verdict = Literal["holds", "fails", "undecided"]
Relation = Literal["greater", "less", "equal_within"]
Asked = tuple[str, str]  # target, sign
Ends = Sequence[tuple[float, float]]  # the 95 % interval of each point

# Times within this factor of each other tell nothing: they differ that much from run to run.
TIME_MARGIN = 1.5
# Of the verdicts that outlast the correction for many, the share that may be false on average.
FALSE_SHARE = 0.05


@dataclass(frozen=True)
class Comparison:
    """What the numbers say.

    share: of the questions, the share that left wins (a tie counts half, an unreached side is the worst there is), with its
    paired 95 % interval over codes; the verdict is whether that interval lies above or below one half. difference: left minus
    right, mean over the `both` questions that both reach. by_reach: the verdict comes from what only one side reaches; where
    both do, it is not so. p: two-sided, of a share of one half. Ends of the share, and p, are None where there are no replicates:
    then every question, and every fit, has to agree.
    """

    questions: int
    share: float
    share_low: float | None
    share_high: float | None
    both: int
    difference: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    by_reach: bool = False
    p: float | None = None


def wins(left: np.ndarray, right: np.ndarray, relation: Relation, tolerance: Tolerance | None) -> np.ndarray:
    """1 where the relation is so, 0 where it is not, one half for a tie; arrays of one shape, infinities among them.

    equal_within: two that do not reach tie, one that does not is not equal to one that does.
    """
    same = left == right
    if relation == "equal_within":
        bound = np.full(right.shape, tolerance.absolute) if tolerance.relative is None else tolerance.relative * np.abs(right)
        lost = np.isinf(left) | np.isinf(right)
        with np.errstate(invalid="ignore"):
            near = np.abs(left - right) <= bound
        return np.where(lost, 0.5 * same, near.astype(float))
    return ((left > right) if relation == "greater" else (left < right)) + 0.5 * same


def compare(
    left: Mapping[Asked, Reading],
    right: Mapping[Asked, Reading],
    relation: Relation,
    *,
    tolerance: Tolerance | None = None,
    times: float = 1.0,
) -> Comparison | None:
    """Readings with replicates that belong together row by row; None where no question was asked of both."""
    shared = sorted(left.keys() & right.keys())
    if not shared:
        return None
    points = np.array([[left[q].value, times * right[q].value] for q in shared])
    a = np.stack([left[q].replicates for q in shared])
    b = times * np.stack([right[q].replicates for q in shared])
    won = wins(points[:, 0], points[:, 1], relation, tolerance)
    shares = wins(a, b, relation, tolerance).mean(0)
    share_low, share_high = map(float, interval(shares))
    both = np.isfinite(points).all(1)
    difference = low = high = None
    if both.any():
        difference = float((points[both, 0] - points[both, 1]).mean())
        # The point stands in where a replicate does not reach what the point does: the same questions throughout.
        ours, theirs = (np.where(np.isfinite(x[both]), x[both], points[both, i : i + 1]) for i, x in enumerate((a, b)))
        low, high = (float(end) for end in interval((ours - theirs).mean(0)))
    verdict: Verdict = "undecided"
    # Where nobody reaches anything there is nothing to tell apart.
    if np.isfinite(points).any():
        verdict = "holds" if share_low > 0.5 else "fails" if share_high < 0.5 else "undecided"
    among = float(won[both].mean()) if both.any() else 0.5
    by_reach = (verdict == "holds" and among <= 0.5) or (verdict == "fails" and among >= 0.5)
    p = replicate_difference(shares, np.full_like(shares, 0.5)).p
    return Comparison(
        len(shared), float(won.mean()), share_low, share_high, int(both.sum()), difference, low, high, verdict, by_reach, p
    )


def compare_points(
    left: Mapping[Asked, Sequence[float]],
    right: Mapping[Asked, Sequence[float]],
    relation: Relation,
    *,
    tolerance: Tolerance | None = None,
    times: float = 1.0,
    margin: float = 1.0,
    ends: tuple[Mapping[Asked, Ends], Mapping[Asked, Ends]] = ({}, {}),
) -> Comparison | None:
    """Values without replicates, one a fit. A question is won where it is so for every fit of left against every fit of right.

    A verdict asks that all questions are won, or all are lost: there are no replicates to rest on. margin: what lies within this
    factor is a tie (positive values). ends: left's and right's intervals, where fits bring some; then a question is won only
    where it is so wherever in them the two lie, and the difference has ends that are as far apart. None where no question was
    asked of both.
    """
    shared = sorted(left.keys() & right.keys())
    if not shared:
        return None
    won, differences = [], []
    for question in shared:
        a, b = _spans(left, ends[0], question), times * _spans(right, ends[1], question)
        # The values; and each side's lower end against the other's upper one.
        grids = [np.meshgrid(a[i], b[j]) for i, j in ((0, 0), (1, 2), (2, 1))]
        outcome = np.stack([wins(x, y, relation, tolerance) for x, y in grids])
        if margin > 1:
            x, y = grids[0]
            outcome = np.where(np.maximum(x, y) <= margin * np.minimum(x, y), 0.5, outcome)
        won.append(1.0 if (outcome == 1).all() else 0.0 if (outcome == 0).all() else 0.5)
        differences.append([float((x - y).mean()) for x, y in grids])
    verdict: Verdict = "holds" if min(won) == 1 else "fails" if max(won) == 0 else "undecided"
    value, low, high = (float(one) for one in np.mean(differences, 0))
    span = (low, high) if any(question in each for question in shared for each in ends) else (None, None)
    return Comparison(len(shared), float(np.mean(won)), None, None, len(shared), value, *span, verdict)


def _spans(side: Mapping[Asked, Sequence[float]], ends: Mapping[Asked, Ends], question: Asked) -> np.ndarray:
    """The points of a question and the ends of their intervals, [3, fits]; where there are none, the points."""
    points = np.asarray(side[question], float)
    return np.stack([points, *(np.asarray(ends[question], float).T if question in ends else (points, points))])


def outlasting(p: Sequence[float | None]) -> list[bool | None]:
    """Which of many comparisons stay significant when they are corrected for one another; None for those without p.

    Benjamini and Hochberg 1995: of those that stay, at most FALSE_SHARE are false on average.
    """
    known = [one for one in p if one is not None]
    if not known:
        return [None] * len(p)
    adjusted = iter(false_discovery_control(known))
    return [None if one is None else bool(next(adjusted) <= FALSE_SHARE) for one in p]
