"""The statistics of a comparison: the difference of two numbers, its interval, and how surprising it would be without a change.

Differences are NEW minus OLD. A number that is not reached is +-inf, the worst there is; two of them are equal.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.stats import norm, t

from metrics.replicates import subtract
from metrics.statistics import interval, replicates_needed

LEVEL = 0.95
# A test needs this many replicates that could be read on both sides, as a share of all.
READABLE = 0.9
# More replicates than this are not drawn for one entry, however many comparisons there are.
MOST_REPLICATES = 100_000


class Difference(NamedTuple):
    """NEW - OLD: the point, its 95 % interval and the two-sided p of 'no difference'; None where it cannot be told.

    floor: no replicate lies on the other side and some are infinite, so that p is the smallest that so many replicates can give.
    """

    diff: float | None
    low: float | None
    high: float | None
    p: float | None
    floor: bool = False


UNKNOWN = Difference(None, None, None, None)


def paired(
    old: np.ndarray, new: np.ndarray, point_old: float, point_new: float, codes: int, fits: np.ndarray | None = None
) -> Difference:
    """From shared replicates [B] of both numbers. codes: test codes behind them. fits: [F] differences of the points of each fit.

    The interval is the percentile interval of the differences. p: where all of them are finite, that of Student's t with
    codes - 1 degrees of freedom for the point over their standard deviation, which is widened by sqrt((codes + 1) / (codes - 1)):
    with Exp(1) weights the replicates of a mean of n values have the variance s^2 / (n + 1), s^2 dividing by n, where the mean
    itself has s^2 / (n - 1). Counting replicates alone could not go below 2 / (B + 1), which no correction for hundreds of
    numbers leaves significant. It is not below what counting says where any replicate lies on the other side (Davison and
    Hinkley 1997, section 4.2), and is what counting says where some are infinite.

    Several fits: resampling F of them shows (F - 1) / F of their variance, and few degrees of freedom. The missing part is added
    from `fits`, the degrees of freedom are Satterthwaite's, and the interval is no narrower than Student's with both. Where a
    change moves every fit alike nothing is lost by that.

    NaN (a number without better and worse that a replicate does not reach) is left out; UNKNOWN where too much is.
    """
    readable = ~(np.isnan(old) | np.isnan(new))
    if np.isnan(point_old) or np.isnan(point_new) or readable.mean() < READABLE:
        return UNKNOWN
    differences = subtract(new[readable], old[readable])
    low, high = (float(end) for end in interval(differences, LEVEL))
    diff = float(subtract(np.float64(point_new), np.float64(point_old)))
    count = len(differences)
    other = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    counted = min(1.0, 2 * (1 + other) / (count + 1))
    if diff == 0:
        return Difference(diff, low, high, 1.0)
    if not np.isfinite(differences).all() or not math.isfinite(diff):
        # A point on one side and its replicates on the other do not make a difference.
        agrees = (diff > 0) == ((differences > 0).sum() >= (differences < 0).sum())
        return Difference(diff, low, high, counted if agrees else 1.0, floor=agrees and other == 0)
    if codes < 2:
        return Difference(diff, low, high, 1.0)
    error, freedom = _error(differences, codes, fits)
    tail = 2 * float(t.sf(abs(diff) / error, freedom)) if error > 0 else 0.0
    if fits is not None and len(fits) > 1:
        half = float(t.ppf((1 + LEVEL) / 2, freedom)) * error
        low, high = min(low, diff - half), max(high, diff + half)
    return Difference(diff, low, high, max(tail, counted) if other else tail)


def _error(differences: np.ndarray, codes: int, fits: np.ndarray | None) -> tuple[float, float]:
    """Standard error of a difference and its degrees of freedom, see `paired`."""
    variance = float(differences.var()) * (codes + 1) / (codes - 1)
    if fits is None or len(fits) < 2 or not np.isfinite(fits).all():
        return math.sqrt(variance), codes - 1
    of_fits = float(np.var(fits, ddof=1)) / len(fits)
    variance += of_fits / len(fits)
    if variance == 0:
        return 0.0, codes - 1
    # What the variance holds beside that of fits is of codes.
    of_codes = max(0.0, variance - of_fits)
    freedom = (of_fits + of_codes) ** 2 / (of_fits**2 / (len(fits) - 1) + of_codes**2 / (codes - 1))
    return math.sqrt(variance), freedom


def unpaired(
    old: tuple[float, float | None, float | None], new: tuple[float, float | None, float | None], codes: int = 0
) -> Difference:
    """From two finite numbers (value, low, high) with their 95 % intervals, as if they were independent.

    Interval: the ends' distances joined by squares (Zou and Donner 2008), which keeps lopsided intervals lopsided. Where the runs
    share test codes it is wider than need be: it errs towards 'cannot tell'. p: of Student's t with codes - 1 degrees of freedom
    (a normal where the number of codes is not known, 0), for the standard error that the distance of the end towards zero stands
    for, widened as in `paired`. Only the difference where a number has no interval.
    """
    (a, a_low, a_high), (b, b_low, b_high) = old, new
    diff = b - a
    if None in (a_low, a_high, b_low, b_high):
        return Difference(diff, None, None, None)
    down = math.hypot(_length(b - b_low), _length(a_high - a))
    up = math.hypot(_length(b_high - b), _length(a - a_low))
    error = (down if diff > 0 else up) / float(norm.ppf((1 + LEVEL) / 2))
    if math.isinf(error) or diff == 0 or codes == 1:
        p = 1.0
    elif error == 0:
        p = 0.0
    elif codes:
        p = 2 * float(t.sf(abs(diff) / (error * math.sqrt((codes + 1) / (codes - 1))), codes - 1))
    else:
        p = 2 * float(norm.sf(abs(diff) / error))
    return Difference(diff, diff - down, diff + up, p)


def enough_replicates(comparisons: int, alpha: float) -> int:
    """How many replicates let one of so many comparisons come out by counting, within the limit."""
    return min(MOST_REPLICATES, replicates_needed(comparisons, alpha))


def _length(value: float) -> float:
    """The distance of an end; an end on the wrong side of its point, by rounding, is none."""
    return max(0.0, value)
