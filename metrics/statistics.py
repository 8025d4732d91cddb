"""Uncertainty of what per-sample values say: bootstrap, paired differences, crossed fits and codes, subsampling.

Every function takes a seed and gives an Estimate: the point and the ends of its 95 % interval (or another level). What works on
replicates that many numbers share (metrics.replicates) and on many comparisons (metrics.ranks) is handed on from here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm, t

from bench.streams import stream_rng
from metrics.ranks import (
    MeanRank,
    holm,
    mean_rank,
    mean_rank_interval,
    printed_rank,
    ranks,
    replicates_needed,
    significantly_better,
)
from metrics.replicates import (
    PairedDifference,
    bootstrap_weights,
    fit_weights,
    interval,
    over_fits,
    over_fits_widened,
    replicate_difference,
    small_sample_level,
    subtract,
    weighted_mean,
    weighted_u_statistic,
    worst_value,
)

__all__ = [
    "Estimate",
    "MeanRank",
    "PairedDifference",
    "bootstrap",
    "bootstrap_replicates",
    "bootstrap_weights",
    "coverage_with_fits",
    "crossed_bootstrap",
    "fit_weights",
    "holm",
    "interval",
    "mean_rank",
    "mean_rank_interval",
    "over_fits",
    "over_fits_widened",
    "paired_difference",
    "printed_rank",
    "ranks",
    "replicate_difference",
    "replicates_needed",
    "significantly_better",
    "small_sample_level",
    "subsampling_interval",
    "weighted_mean",
    "weighted_u_statistic",
    "worst_value",
]

# Numbers of one block of resampled values: bounds memory and, being fixed, leaves the draws the same everywhere.
_BLOCK = 1 << 20


class Estimate(NamedTuple):
    """A point and the ends of its interval; floats, or arrays of the statistic's shape."""

    value: Any
    low: Any
    high: Any


def bootstrap(
    statistic: Callable[..., Any], *arrays: ArrayLike, seed: int, replicates: int = 2000, level: float = 0.95
) -> Estimate:
    """The statistic of per-sample arrays with its percentile bootstrap interval, expanded for small samples.

    statistic(*arrays) -> number or array. arrays: one row a sample, [N, ...] each, rows of one index belonging together: they are
    drawn together, with replacement (Efron 1979). The percentiles are those of small_sample_level, so that a mean of few samples
    is covered as often as said; where samples are many it is the plain percentile interval. A statistic that takes `axis` (such
    as np.mean) is called once for many replicates where every array is a vector. For several methods on one set of samples use
    paired_difference; for a statistic that is biased by repeated rows (FID, KID) subsampling_interval or kid_interval.

    Raises ValueError for fewer than two samples, arrays of different lengths, NaN, and a statistic that gives NaN.
    """
    checked = _rows(arrays)
    value = np.asarray(statistic(*checked), np.float64)
    drawn = bootstrap_replicates(statistic, *checked, seed=seed, replicates=replicates)
    return _estimate(value, *interval(drawn, small_sample_level(level, len(checked[0]))))


def bootstrap_replicates(statistic: Callable[..., Any], *arrays: ArrayLike, seed: int, replicates: int = 2000) -> np.ndarray:
    """The statistic of every resample, [B, ...], float64; see bootstrap. The draws depend on (seed, N) alone."""
    checked = _rows(arrays)
    if replicates < 1:
        raise ValueError(f"replicates is {replicates}: at least one is needed")
    n = len(checked[0])
    rng = stream_rng("bootstrap", seed, n)
    at_once = all(one.ndim == 1 for one in checked) and _takes_axis(statistic)
    parts, block = [], max(1, _BLOCK // n)
    for start in range(0, replicates, block):
        rows = rng.integers(n, size=(min(block, replicates - start), n))
        if at_once:
            parts.append(np.asarray(statistic(*(one[rows] for one in checked), axis=-1), np.float64))
        else:
            parts.append(np.stack([np.asarray(statistic(*(one[row] for one in checked)), np.float64) for row in rows]))
    return np.concatenate(parts)


def paired_difference(a: ArrayLike, b: ArrayLike, *, seed: int, replicates: int = 2000, level: float = 0.95) -> PairedDifference:
    """Mean of a - b over samples that both have, [N] each: (diff, low, high, p), p two-sided of 'no difference'.

    Resampled are the differences, so that what a sample adds to both falls out. The interval is that of bootstrap; p comes from
    the share of replicates beyond 0 (as in replicate_difference), widened for small samples as the interval is. Two infinite
    values of one sign (both failed) differ by 0. Swapping a and b turns the signs round. p is never below about 2 / (B + 1): see
    replicates_needed before Holm's correction. Raises ValueError for vectors of different lengths, fewer than two samples, NaN.
    """
    first, second = (_vector(one, name) for one, name in ((a, "a"), (b, "b")))
    if len(first) != len(second):
        raise ValueError(f"b has {len(second)} samples, a has {len(first)}: a paired comparison needs the same ones")
    difference = subtract(first, second)
    drawn = bootstrap_replicates(np.mean, difference, seed=seed, replicates=replicates)
    n = len(difference)
    raw = replicate_difference(drawn, np.zeros_like(drawn), level=small_sample_level(level, n))
    p = float(2 * t.cdf(norm.ppf(raw.p / 2) * np.sqrt((n - 1) / n), n - 1))
    return PairedDifference(float(difference.mean()), raw.low, raw.high, min(1.0, max(p, raw.p)))


def crossed_bootstrap(
    values: ArrayLike, *, seed: int, replicates: int = 2000, level: float = 0.95, ids: np.ndarray | None = None
) -> Estimate:
    """Mean of values [F, N] over fits and codes, where every fit is measured on the same codes.

    A replicate draws codes (weights of bootstrap_weights, shared by all fits and, for one seed, by all methods) times fits
    (counts of fit_weights, widened for few fits: over_fits_widened). With one fit it is over codes alone and says nothing of what
    another fit would give. Crossed resampling counts the scatter of single cells too often; the percentiles are moved by what the
    variance components of the two-way table say (crossed_level). For two methods give the difference of their values.

    ids: the codes' numbers, 0 to N - 1 by default. 95 % intervals cover (1,000 simulations each, normal effects of fits,
    codes and cells in seven mixtures) 94 to 96 % with twenty fits and with five, 89 to 95 % with three, 74 to 94 % with two:
    see coverage_with_fits. Raises ValueError where values are not
    [F, N >= 2] or hold NaN; infinite values (unreached) are allowed and widen.
    """
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < 2 or np.isnan(table).any():
        raise ValueError(f"values must be [fits, codes >= 2] without NaN, not of shape {table.shape}")
    codes = bootstrap_weights(np.arange(table.shape[1]) if ids is None else ids, replicates, seed)
    drawn = over_fits_widened(weighted_mean(table.T, codes).T, fit_weights(len(table), replicates, seed), level)
    return _estimate(np.asarray(table.mean()), *interval(drawn, crossed_level(table, drawn, level)))


def crossed_level(values: np.ndarray, replicates: np.ndarray, level: float) -> float:
    """The level to ask of the percentile interval of crossed replicates [B] of values [F, N] so that it holds `level`.

    The variance of the grand mean is v_F + v_C - v_E, with v_F that of the fits' means over F, v_C that of the codes' means
    over N and v_E the residual's over F N (two-way random effects; Owen 2007, 'The pigeonhole bootstrap', on what crossed
    resampling gives instead). Its degrees of freedom are Satterthwaite's. Infinite values leave the level as it is.
    """
    fits, codes = values.shape
    if fits == 1:
        return small_sample_level(level, codes, exponential=True)
    if not np.isfinite(values).all():
        return level
    by_fit, by_code = values.mean(1), values.mean(0)
    residual = values - by_fit[:, None] - by_code + values.mean()
    v_fit, v_code = by_fit.var(ddof=1) / fits, by_code.var(ddof=1) / codes
    spread = np.var(replicates)
    if not min(v_fit + v_code, spread) > (1e-12 * np.abs(values).max()) ** 2:
        return level  # nothing varies but rounding
    v_cell = np.square(residual).sum() / ((fits - 1) * (codes - 1)) / (fits * codes)
    # Either component holds the residual once: the total cannot lie below the larger of them.
    total = max(v_fit + v_code - v_cell, v_fit, v_code)
    freedom = (v_fit + v_code) ** 2 / (v_fit**2 / (fits - 1) + v_code**2 / (codes - 1))
    wanted = 2 * norm.cdf(t.ppf((1 + level) / 2, freedom) * np.sqrt(total / spread)) - 1
    return float(np.clip(wanted, level / 2, 1 - 1e-12))


def coverage_with_fits(
    fits: int, *, fit_share: float = 1.0, codes: int = 64, simulations: int = 1000, replicates: int = 400, seed: int = 0
) -> float:
    """How often crossed_bootstrap's 95 % interval covers the truth with so many fits, by simulation with normal effects.

    fit_share: the share of the variance of the grand mean that comes from fits, in [0, 1]; codes carry the rest. For what the
    records of tasks hold, which are not widened for few fits, see metrics.fit_coverage.
    """
    if fits < 2 or codes < 2 or not 0 <= fit_share <= 1:
        raise ValueError("fits and codes must be at least 2, fit_share between 0 and 1")
    rng = stream_rng("coverage-with-fits", seed, fits)
    inside = 0
    for i in range(simulations):
        fit = rng.normal(scale=np.sqrt(fit_share * fits), size=(fits, 1))
        code = rng.normal(scale=np.sqrt((1 - fit_share) * codes), size=codes)
        found = crossed_bootstrap(fit + code, seed=seed + i, replicates=replicates)
        inside += found.low <= 0 <= found.high
    return inside / simulations


def subsampling_interval(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    seed: int,
    share: float = 0.5,
    replicates: int = 200,
    level: float = 0.95,
) -> Estimate:
    """Interval of a statistic of whole sets that repeated rows would bias, such as FID: from subsets without replacement.

    statistic(*arrays) -> number; arrays: [N_i, ...], independent sets (lengths may differ). Every replicate draws the same
    share of each. Subsets of m of n rows scatter about the whole set's value with variance (1/m - 1/n) against the wanted 1/n,
    and about their own mean, which is off by their own bias (FID of fewer pictures is larger): low and high are the point plus
    the quantiles of (replicate - mean of replicates) sqrt(m / (n - m)) (Politis, Romano and Wolf 1999; half samples: Shao and
    Wu 1989). What is covered is the statistic's expectation at these sizes, its bias included, not its limit. Raises ValueError
    where a set has fewer than four rows, for NaN, and for a share outside (0, 1).
    """
    checked = [_rows([one], f"array {i}")[0] for i, one in enumerate(arrays)]
    if not checked:
        raise ValueError("there is no array to draw from")
    sizes = [len(one) for one in checked]
    if min(sizes) < 4:
        raise ValueError(f"a set of {min(sizes)} rows cannot be subsampled: four are needed")
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1, not {share}")
    take = [min(max(2, round(share * n)), n - 1) for n in sizes]
    value = float(statistic(*checked))
    rng = stream_rng("subsampling", seed, *sizes)
    drawn = np.array(
        [
            float(statistic(*(one[rng.choice(len(one), m, replace=False)] for one, m in zip(checked, take, strict=True))))
            for _ in range(replicates)
        ]
    )
    low, high = interval(drawn - drawn.mean(), level)
    scale = np.sqrt(take[0] / (sizes[0] - take[0]))
    return Estimate(value, value + scale * float(low), value + scale * float(high))


def _estimate(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> Estimate:
    if np.ndim(value):
        return Estimate(value, low, high)
    return Estimate(float(value), float(low), float(high))


def _takes_axis(statistic: Callable[..., Any]) -> bool:
    try:
        return "axis" in inspect.signature(statistic).parameters
    except (TypeError, ValueError):
        return False


def _rows(arrays: Any, name: str | None = None) -> list[np.ndarray]:
    checked = []
    for i, one in enumerate(arrays):
        label = name or f"array {i}"
        array = np.asarray(one.detach().cpu() if hasattr(one, "detach") else one)
        if array.ndim < 1 or len(array) < 2:
            raise ValueError(f"{label} has the shape {array.shape}: at least two samples, one a row, are needed")
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{label} must hold numbers, not {array.dtype}")
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise ValueError(f"{label} holds NaN: give what failed its worst value first")
        checked.append(array)
    if not checked:
        raise ValueError("there is no array to draw from")
    if len({len(one) for one in checked}) > 1:
        raise ValueError(f"the arrays have different lengths: {[len(one) for one in checked]}")
    return checked


def _vector(values: ArrayLike, name: str) -> np.ndarray:
    array = _rows([values], name)[0].astype(np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one value a sample, not of shape {array.shape}")
    return array
