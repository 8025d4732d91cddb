"""From measured values to a verdict: does the metric move, monotonically, the way it should? Needs no network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench.tasks.validity.settings import LEAST, STANDARDISED
from metrics.effects import monotonicity
from metrics.statistics import bootstrap_weights, interval, small_sample_level, subtract, weighted_mean

# Spearman's rho of severity and metric that counts as monotone.
MONOTONE = 0.7
# A change below this share of a metric's own size is rounding.
ROUNDING = 1e-6

SEES, MISLED, BLIND, UNEVEN = "sees it", "misled", "blind", "uneven"
VERDICTS = (SEES, MISLED, BLIND, UNEVEN)
WANTED = {"worse": SEES, "better": MISLED, "unchanged": BLIND, "blind": BLIND}


class Span(NamedTuple):
    """A number and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Reading(NamedTuple):
    """One metric under one fault, in the metric's own unit, turned so that + is worse, but for `start`.

    rho: Spearman's correlation of severity and metric. changes: from severity 0 to each other one. start: at severity 0. noise:
    half the width of start's interval, what other codes would have changed, but no less than rounding. rows: 'rho', 'change' (to
    severity 1) and 'start' as [1 + B], the point, then its bootstrap replicates.
    """

    rho: Span
    changes: tuple[Span, ...]
    start: Span
    noise: float
    rows: dict[str, np.ndarray]

    @property
    def change(self) -> Span:
        """From severity 0 to 1."""
        return self.changes[-1]


def read(values: np.ndarray, severities: tuple[float, ...], worse: int, *, replicates: int, seed: int) -> Reading:
    """Read values [units, severities]; worse: +1 where more is worse, -1 where less is.

    Units (codes, or blocks or draws of them) are resampled together over all severities. A value may be infinite (an effect that
    was not reached), not NaN.
    """
    units = len(values)
    weights = np.concatenate([np.ones((1, units)), bootstrap_weights(np.arange(units), replicates, seed)])
    curves = weighted_mean(values, weights)
    level = small_sample_level(0.95, units, exponential=True)

    def span(rows: np.ndarray) -> Span:
        low, high = interval(rows[1:], level)
        return Span(float(rows[0]), float(low), float(high))

    turned = worse * curves
    steps = [subtract(turned[:, i], turned[:, 0]) for i in range(1, turned.shape[1])]
    rows = {"rho": _rho(severities, turned), "change": steps[-1], "start": curves[:, 0]}
    start = span(rows["start"])
    size = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    noise = max((start.high - start.low) / 2, ROUNDING * float(size))
    return Reading(span(rows["rho"]), tuple(span(step) for step in steps), start, noise, rows)


def _rho(severities: tuple[float, ...], curves: np.ndarray) -> np.ndarray:
    ranked = np.where(np.isinf(curves), np.sign(curves) * np.finfo(np.float64).max, curves)  # ranks need finite values
    return monotonicity(severities, ranked)


def verdict(one: Reading, unit: str) -> str:
    """What a metric in this unit makes of a fault.

    A severity moves it where the interval of the change leaves out 0 and the change is larger than `noise` and, in a standardised
    unit, than LEAST. sees it: severity 1 moves it toward worse, and it is monotone (|rho| of at least MONOTONE). misled: the same
    toward better. blind: no severity moves it. uneven: some severity does, but not in step with the fault.
    """
    least = max(one.noise, LEAST if unit in STANDARDISED else 0.0)
    moved = [(each.low > 0 or each.high < 0) and abs(each.value) > least for each in one.changes]
    if not any(moved):
        return BLIND
    rho, change = one.rho.value, one.change.value
    if moved[-1] and abs(rho) >= MONOTONE and (rho > 0) == (change > 0):
        return SEES if rho > 0 else MISLED
    return UNEVEN


def as_expected(word: str, found: str) -> bool:
    """Whether a verdict is what the expectation's word says."""
    return WANTED[word] == found
