"""Many comparisons: Holm's correction, ranks within groups, mean ranks with intervals, and who is significantly better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from metrics.replicates import interval, replicate_difference


def holm(pvalues: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979): reject those at most alpha, family-wise error alpha.

    With the i-th smallest of m (from 0): the running maximum of (m - i) p_(i), capped at 1. With B replicates no p lies below
    2 / (B + 1), so that m comparisons can be significant only where B >= 2 m / alpha - 1: see replicates_needed.
    """
    p = np.asarray(pvalues, np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise ValueError("p-values must be a vector of numbers between 0 and 1")
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, steps)
    return adjusted


def replicates_needed(comparisons: int, alpha: float = 0.05) -> int:
    """The fewest replicates with which a comparison among so many can come out significant after Holm's correction."""
    return max(1, int(np.ceil(2 * comparisons / alpha - 1 - 1e-9)))


def ranks(values: np.ndarray, higher_is_better: bool) -> np.ndarray:
    """Ranks along the last axis, 1 is best; ties share their mean rank, so that all unreached (infinite) entries tie last.

    NaN marks an entry that took no part (a method that cannot run here): it gets NaN and leaves the others' ranks alone. What ran
    and failed or did not reach must not be NaN but its worst value.
    """
    values = np.asarray(values, np.float64)
    return rankdata(-values if higher_is_better else values, axis=-1, nan_policy="omit")


def mean_rank(groups: Sequence[np.ndarray], higher_is_better: Sequence[bool]) -> np.ndarray:
    """Mean over groups of the rank within each: groups of [..., E], one per (target, sign, headline) -> [..., E].

    With [E] the point, with [B, E] the replicates of the joint bootstrap. The mean is over the groups that an entry took part in
    (NaN where none).
    """
    if not groups:
        raise ValueError("there is nothing to rank")
    stacked = np.stack([ranks(one, up) for one, up in zip(groups, higher_is_better, strict=True)])
    took_part = ~np.isnan(stacked)
    count = took_part.sum(0)
    total = np.where(took_part, stacked, 0.0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


class MeanRank(NamedTuple):
    """Mean rank of each entry, [E], and the ends of its interval; NaN where an entry took part in no group."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def mean_rank_interval(
    points: Sequence[np.ndarray], replicates: Sequence[np.ndarray], higher_is_better: Sequence[bool], level: float = 0.95
) -> MeanRank:
    """Mean rank over groups with its interval from the joint bootstrap.

    points: groups of [E]; replicates: the same groups of [B, E], whose row b is one resample shared by all groups and entries;
    1 is best, ties share their mean rank. An entry that takes no part in a group is NaN in its point and in every replicate.
    Raises ValueError where the two do not fit.
    """
    if len(points) != len(replicates):
        raise ValueError(f"replicates holds {len(replicates)} groups, points {len(points)}")
    for i, (point, rows) in enumerate(zip(points, replicates, strict=True)):
        absent = np.isnan(np.asarray(rows, np.float64))
        if np.ndim(rows) != 2 or absent.shape[1:] != np.shape(point) or not np.all(absent == np.isnan(point)):
            raise ValueError(f"replicates of group {i} must be [B, E], NaN where its point is and nowhere else")
    value = mean_rank(points, higher_is_better)
    rows = mean_rank(replicates, higher_is_better)
    low, high = np.full(value.shape, np.nan), np.full(value.shape, np.nan)
    ranked = ~np.isnan(value)
    if ranked.any():
        low[ranked], high[ranked] = interval(rows[:, ranked], level)
    return MeanRank(value, low, high)


def significantly_better(replicates: np.ndarray, higher_is_better: bool, alpha: float = 0.05) -> np.ndarray:
    """Which entry beats which, [E, E] bool: [i, j] where i is better than j after Holm over all pairs. replicates: [B, E]."""
    n = replicates.shape[1]
    better = np.zeros((n, n), bool)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    if not pairs:
        return better
    tests = [replicate_difference(replicates[:, i], replicates[:, j]) for i, j in pairs]
    for (i, j), test, p in zip(pairs, tests, holm([t.p for t in tests]), strict=True):
        if p <= alpha and test.diff != 0:
            first = (test.diff > 0) == higher_is_better
            better[(i, j) if first else (j, i)] = True
    return better


def printed_rank(better: np.ndarray) -> np.ndarray:
    """1 + the number of entries significantly better, int64 [E]; better: [E, E] of significantly_better."""
    return 1 + np.asarray(better).sum(0).astype(np.int64)
