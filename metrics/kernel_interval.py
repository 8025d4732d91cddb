"""The interval of a KID where both sets are samples: variance of the U-statistic in closed form, read at the value asked about.

KID = mean k(x, x') + mean k(y, y') - 2 mean k(x, y) is a generalised U-statistic (Hoeffding 1948; Gretton et al. 2012). With
h = k - its conditional means as second-order parts, of mean squares xi, and zeta the variance of the first-order parts,

    Var KID = [4 zeta_x / n + 4 zeta_y / m] + [2 xi_xx / (n (n-1)) + 2 xi_yy / (m (m-1)) + 4 xi_xy / (n m)]  =  first + second.

The spread of the row means overstates `first` by twice `second` (as resampling does), which matters where the sets are near.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

from metrics.kernel_distance import features_pair, polynomial_kernel


class KIDInterval(NamedTuple):
    """The KID of whole sets and the ends of its interval."""

    value: float
    low: float
    high: float


class _Spread(NamedTuple):
    first: float
    second: float
    slope_limit: float
    freedom: float


def kid_interval(
    features_a: ArrayLike, features_b: ArrayLike, *, seed: int = 0, replicates: int = 1000, level: float = 0.95
) -> KIDInterval:
    """KID of the whole sets, features [n, d] and [m, d], and its interval: all values that a two-sided score test keeps.

    A KID of theta is kept where |KID - theta| <= t se(theta) with se(theta)^2 = first + second + c (theta - KID): the first-order
    variance is that of the witness function, which grows in proportion to theta (c = first / KID, at most four times the root
    mean square of the second-order parts over the size, a bound on the eigenvalues). This is what makes up for KID and its spread
    rising together, so that low estimates would come with short intervals. t has Satterthwaite's degrees of freedom, fewer where
    the variance is itself uncertain beyond what follows from KID.

    95 % intervals cover a true KID above 0 in 93.3 to 96.8 % of 1,500 to 4,000 simulations in each of 20 cases: 30 to 500 rows,
    2 to 128 features, normal, t and exponential ones, moved, stretched and shrunk, the truth 2 standard deviations from 0 and
    more; and 96.5 % in one case at 0, where the statistic is degenerate. Nothing is drawn: seed and replicates change nothing and
    are taken because every interval of this package is asked for alike. Time and memory: n^2, m^2 and n m numbers, each a few
    times. Raises ValueError as kid, for fewer than four rows and for a level outside (0, 1).
    """
    a, b = features_pair(features_a, features_b, rows=4)
    if not 0 < level < 1:
        raise ValueError("the level of an interval lies between 0 and 1")
    value, spread = _value_and_spread(a, b)
    quantile = t.ppf((1 + level) / 2, spread.freedom)
    slope = min(spread.first / value, spread.slope_limit) if value > 0 else spread.slope_limit
    middle = quantile**2 * slope / 2
    half = np.sqrt(quantile**2 * (spread.first + spread.second) + middle**2)
    return KIDInterval(value, float(value + middle - half), float(value + middle + half))


def _value_and_spread(x: np.ndarray, y: np.ndarray) -> tuple[float, _Spread]:
    n, m = len(x), len(y)
    xx, yy, xy = polynomial_kernel(x, x), polynomial_kernel(y, y), polynomial_kernel(x, y)
    np.fill_diagonal(xx, 0.0)
    np.fill_diagonal(yy, 0.0)
    row_x, row_y, across_x, across_y = xx.sum(1) / (n - 1), yy.sum(1) / (m - 1), xy.mean(1), xy.mean(0)
    value = row_x.mean() + row_y.mean() - 2 * xy.mean()
    part_x, part_y = _centred(row_x - across_x), _centred(row_y - across_y)
    xi_xx, xi_yy = _second_order_within(xx, row_x), _second_order_within(yy, row_y)
    centred = xy - across_x[:, None] - across_y + xy.mean()
    xi_xy = np.square(centred).sum() / ((n - 1) * (m - 1))
    second = 2 * xi_xx / (n * (n - 1)) + 2 * xi_yy / (m * (m - 1)) + 4 * xi_xy / (n * m)
    of_x, of_y = 4 * part_x.var(ddof=1) / n, 4 * part_y.var(ddof=1) / m
    naive = of_x + of_y
    if not naive > 0:
        return float(value), _Spread(0.0, max(second, 0.0), 0.0, n + m - 2)
    first = max(naive - 2 * second, 0.0)
    limit = 4 * (np.sqrt(max(xi_xx, 0.0)) / n + np.sqrt(max(xi_yy, 0.0)) / m)
    freedom = naive**2 / (of_x**2 / (n - 1) + of_y**2 / (m - 1))
    # What each row does to the variance (its influence function), beside what it does to the KID: 2 part / size.
    on_x = _centred(4 * part_x**2 / n + 8 * (xx @ part_x) / n**2 - 8 * (xy @ part_y) / m**2)
    on_y = _centred(4 * part_y**2 / m + 8 * (yy @ part_y) / m**2 - 8 * (part_x @ xy) / n**2)
    together = 2 * (part_x @ on_x) / n**2 + 2 * (part_y @ on_y) / m**2
    left = on_x @ on_x / n**2 + on_y @ on_y / m**2 - together**2 / naive
    if left > 0:
        freedom = min(freedom, max(2 * (first + second) ** 2 / left, 3.0))
    return float(value), _Spread(first, float(second), float(limit), float(freedom))


def _second_order_within(kernel: np.ndarray, rows: np.ndarray) -> float:
    """Unbiased mean square of the second-order part of a kernel [n, n] with a zero diagonal, from its row means without it.

    U-centring (Szekely and Rizzo 2014, 'Partial distance correlation with methods for dissimilarities'). May be just below 0.
    """
    n = len(kernel)
    shifted = rows * (n - 1) / (n - 2)
    centred = kernel - shifted[:, None] - shifted + rows.mean() * n / (n - 2)
    np.fill_diagonal(centred, 0.0)
    return float(np.square(centred).sum() / (n * (n - 3)))


def _centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean()
