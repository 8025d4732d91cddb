"""Reading at equal judged effect: where does the mean curve of the target's change reach a level, and what is everything else
there?

Strengths [S] rise from 0; a curve's first column is the unchanged code, with effect exactly 0. Curves are means over codes in
each bootstrap replicate, [B, S], so that the strength that reaches the level is itself uncertain and is found again in every
replicate. A strength that is never reached is NaN; what is read there becomes the worst value (see read_at_level), it is never
left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from metrics.statistics import weighted_mean


def mean_curve(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over codes in every replicate: values [n, S], weights [B, n] -> [B, S].

    Raises ValueError for NaN values: a sample that a judge could not read is given its worst value first.
    """
    if values.ndim != 2 or weights.shape[1:] != values.shape[:1]:
        raise ValueError(f"values [n, S] and weights [B, n] do not fit: {values.shape}, {weights.shape}")
    return weighted_mean(values, weights)


def isotonic(curves: np.ndarray) -> np.ndarray:
    """The non-decreasing curves through zero that lie nearest in least squares, [B, S] -> [B, S].

    Column 0 is the unchanged code: it must be 0 and stays 0, which is a pool-adjacent-violators fit of the other columns clipped
    below at 0 (a bound commutes with the pooling). The fit is written as its min-max formula, max_{j<=i} min_{k>=i} mean(j..k)
    (Robertson, Wright and Dykstra 1988, theorem 1.4.4), which needs no loop over replicates.
    """
    curves = np.asarray(curves, np.float64)
    if curves.ndim != 2 or np.isnan(curves).any() or np.any(curves[:, :1] != 0):
        raise ValueError("isotonic curves are [B, S] without NaN and start at effect 0")
    rest = curves[:, 1:]
    n = rest.shape[1]
    sums = np.concatenate([np.zeros((len(curves), 1)), np.cumsum(rest, 1)], 1)
    fit = np.full_like(rest, -np.inf)
    for start in range(n):
        means = (sums[:, start + 1 :] - sums[:, start : start + 1]) / np.arange(1, n - start + 1)
        later = np.minimum.accumulate(means[:, ::-1], 1)[:, ::-1]  # the least mean of blocks from `start` to i or beyond
        fit[:, start:] = np.maximum(fit[:, start:], later)
    # Rounding in the sums may leave neighbours of one pool out of order by an ulp.
    return np.concatenate([np.zeros((len(curves), 1)), np.maximum.accumulate(np.maximum(fit, 0.0), 1)], 1)


def crossing(strengths: np.ndarray, curves: np.ndarray, level: float) -> np.ndarray:
    """The first strength at which each curve reaches the level, by linear interpolation, [B]; NaN where it never does.

    strengths [S] rise from 0; curves [B, S] start at 0; level > 0. A curve that touches the level at a grid strength reaches it
    there.
    """
    strengths = _rising(strengths)
    curves = np.asarray(curves, np.float64)
    if not level > 0 or np.any(curves[:, 0] >= level):
        raise ValueError("the level must lie above the curve's start")
    above = curves >= level
    after = np.argmax(above, 1)  # the first True; 0 where there is none, which the mask below turns into NaN
    reached = above[np.arange(len(curves)), after]
    after = np.where(reached, after, 1)
    row = np.arange(len(curves))
    y0, y1 = curves[row, after - 1], curves[row, after]
    x0, x1 = strengths[after - 1], strengths[after]
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x0 + (level - y0) / (y1 - y0) * (x1 - x0)
    return np.where(reached, np.where(y1 == level, x1, at), np.nan)


def read_at(strengths: np.ndarray, curves: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The value of each curve [B, S] at its own strength at [B], by linear interpolation, [B]; NaN where `at` is NaN.

    Raises ValueError for a strength outside the grid: nothing is extrapolated.
    """
    strengths = _rising(strengths)
    curves, at = np.asarray(curves, np.float64), np.asarray(at, np.float64)
    known = ~np.isnan(at)
    inside = np.where(known, at, strengths[0])
    if np.any((inside < strengths[0]) | (inside > strengths[-1])):
        raise ValueError("cannot read a curve outside its strengths")
    after = np.clip(np.searchsorted(strengths, inside, side="left"), 1, len(strengths) - 1)
    x0, x1 = strengths[after - 1], strengths[after]
    row = np.arange(len(curves))
    y0, y1 = curves[row, after - 1], curves[row, after]
    share = (inside - x0) / (x1 - x0)
    with np.errstate(invalid="ignore"):  # a curve may be infinite at one end: 0 * inf is masked by the exact ends
        between = y0 * (1 - share) + y1 * share
    value = np.where(share == 1, y1, np.where(share == 0, y0, between))
    return np.where(known, value, np.nan)


def reach(curves: np.ndarray, cap: float = 1.0) -> np.ndarray:
    """The largest effect of each (isotonic) curve within its strengths, capped, [B, S] -> [B], in sigma, range [0, cap]."""
    return np.clip(np.max(curves, 1), 0.0, cap)


@dataclass(frozen=True)
class Reading:
    """What was read at a level of effect. strength [B], NaN where unreached; values: metric -> [B], the worst where unreached."""

    level: float
    strength: np.ndarray
    values: dict[str, np.ndarray]

    @property
    def reached(self) -> np.ndarray:
        """Which replicates reach the level, bool [B]."""
        return ~np.isnan(self.strength)


def read_at_level(
    strengths: np.ndarray,
    effect: np.ndarray,
    others: Mapping[str, np.ndarray],
    level: float,
    worst: Mapping[str, float],
) -> Reading:
    """Read other mean curves where the mean effect first reaches the level, in every replicate.

    effect: [B, S] mean curves of the target's change in sigma, the way asked, not yet isotonic. others: metric -> [B, S].
    worst: metric -> what an unreached replicate counts as (statistics.worst_value for headlines).
    """
    strength = crossing(strengths, isotonic(effect), level)
    read = {name: read_at(strengths, curves, strength) for name, curves in others.items()}
    values = {name: np.where(np.isnan(strength), worst[name], value) for name, value in read.items()}
    return Reading(level, strength, values)


def _rising(strengths: np.ndarray) -> np.ndarray:
    strengths = np.asarray(strengths, np.float64)
    if strengths.ndim != 1 or len(strengths) < 2 or strengths[0] != 0 or np.any(np.diff(strengths) <= 0):
        raise ValueError("strengths must rise from 0")
    return strengths
