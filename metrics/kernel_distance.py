"""Kernel distance of sets of pictures (KID, Binkowski et al. 2018): estimate, block spread, and the loss by an edit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from metrics.arrays import matrix
from metrics.replicates import weighted_u_statistic


class KIDBlocks(NamedTuple):
    """mean: the KID. std: standard deviation of the blocks (n in the denominator). values: [subsets], one of each block."""

    mean: float
    std: float
    values: np.ndarray


def polynomial_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """KID's cubic kernel (x.y / d + 1)^3, [n, d], [m, d] -> [n, m] (Binkowski et al. 2018, section 4)."""
    linear = np.asarray(x, np.float64) @ np.asarray(y, np.float64).T / x.shape[1] + 1
    return linear * linear * linear  # several times as fast as a power


def mmd2(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased squared MMD under KID's kernel: mean over pairs within x, plus within y, minus twice the mean across.

    [n, d], [m, d], at least two rows each. 0 in expectation for two samples of one distribution, so that it is negative about
    half the time there. Binkowski et al. 2018, equation 4 with both sums over different rows.
    """
    across = 2 * float(polynomial_kernel(x, y).mean())
    return _within(x) + _within(y) - across


def kid(features_a: ArrayLike, features_b: ArrayLike, *, subsets: int = 100, subset_size: int = 1000, seed: int) -> float:
    """KID: mean of mmd2 over random subsets of `subset_size` rows of each (at most as many as there are), without replacement.

    features_a, features_b: [n, d], [m, d]. Unbiased: 0 in expectation for two samples of one distribution, at any size; range
    (-inf, inf), lower is nearer. Unit: as is, not times 1000. Draws as clean-fid does: numpy's legacy RandomState(seed), in every
    subset the rows of the second argument first. Raises ValueError, naming the argument, for NaN, fewer than two rows, different
    widths and counts below 1 (subset_size below 2).
    """
    return kid_blocks(features_a, features_b, subsets=subsets, subset_size=subset_size, seed=seed).mean


def kid_blocks(
    features_a: ArrayLike, features_b: ArrayLike, *, subsets: int = 100, subset_size: int = 1000, seed: int
) -> KIDBlocks:
    """KID with the standard deviation of its blocks, which papers print beside it; arguments as for kid.

    The deviation is that of one block. It is neither the standard error of the mean over blocks (blocks overlap where subsets
    times subset_size exceeds n) nor an interval: for that read metrics.kernel_interval.
    """
    a, b = features_pair(features_a, features_b)
    if subsets < 1 or subset_size < 2:
        raise ValueError(f"subsets must be at least 1 and subset_size at least 2, not {subsets} and {subset_size}")
    size, rng = min(subset_size, len(a), len(b)), np.random.RandomState(seed)
    values = np.empty(subsets)
    for i in range(subsets):
        other = b[rng.choice(len(b), size, replace=False)]
        values[i] = mmd2(a[rng.choice(len(a), size, replace=False)], other)
    return KIDBlocks(float(values.mean()), float(values.std()), values)


def kid_difference(edited: np.ndarray, unedited: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """KID(edited, reference) - KID(unedited, reference) in every bootstrap replicate, [B]; the loss of realism, above 0 is worse.

    edited, unedited: features [n, d] of the same codes; reference: [m, d]; weights: [B, n] over codes (ones [1, n]: the
    estimate). Mean over pairs of different codes within edited, minus that within unedited, minus twice the difference of the
    means across: the term within the reference is in both and falls out. Pairs made from one original are left out under every
    weight. The reference is part of the protocol and is not resampled. Exactly 0 where nothing was edited. Unit: that of KID (not
    times 1000). Raises ValueError where shapes do not fit or a feature is not finite (kid_difference_failed handles unreadable
    pictures).
    """
    if edited.shape != unedited.shape or edited.shape[1] != reference.shape[1] or weights.shape[1] != len(edited):
        raise ValueError(f"features do not fit: {edited.shape}, {unedited.shape}, {reference.shape}, weights {weights.shape}")
    if not all(np.isfinite(one).all() for one in (edited, unedited, reference)):
        raise ValueError("features must be finite")
    weights = np.asarray(weights, np.float64)
    normal = weights / weights.sum(1, keepdims=True)

    def one(x: np.ndarray) -> np.ndarray:
        return weighted_u_statistic(polynomial_kernel(x, x), weights) - 2 * (normal @ polynomial_kernel(x, reference).mean(1))

    return one(edited) - one(unedited)


def kid_difference_failed(
    edited: np.ndarray, unedited: np.ndarray, reference: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, int]:
    """kid_difference where some pictures could not be read (a feature is not finite), and how many: they count as the worst.

    (1 - f) d + f max(worst, d) with d over the readable codes and f the failed share of the replicate's weight. worst is the
    kernel distance from the reference of its own most outlying picture repeated over and over, which depends on the protocol
    alone, not on the method. The loss is never below that of the readable codes. With fewer than two readable codes every
    replicate is +inf.
    """
    failed = ~(np.isfinite(edited).all(1) & np.isfinite(unedited).all(1))
    weights = np.asarray(weights, np.float64)
    if not failed.any():
        return kid_difference(edited, unedited, reference, weights), 0
    if (~failed).sum() < 2:
        return np.full(len(weights), np.inf), int(failed.sum())
    read = kid_difference(edited[~failed], unedited[~failed], reference, weights[:, ~failed])
    share = weights[:, failed].sum(1) / weights.sum(1)
    return read + share * np.maximum(_most_outlying(reference) - read, 0.0), int(failed.sum())


def _most_outlying(reference: np.ndarray) -> float:
    kernel = polynomial_kernel(reference, reference)
    return float((np.diag(kernel) - 2 * kernel.mean(1)).max()) + _within(reference)


def _within(x: np.ndarray) -> float:
    return float(weighted_u_statistic(polynomial_kernel(x, x), np.ones((1, len(x))))[0])


def features_pair(features_a: ArrayLike, features_b: ArrayLike, *, rows: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Both sets as finite float64 of one width, [n, d], [m, d], at least `rows` each. Raises ValueError, naming the argument."""
    a, b = matrix(features_a, "features_a", rows=rows), matrix(features_b, "features_b", rows=rows)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"features_b has {b.shape[1]} columns, features_a has {a.shape[1]}")
    return a, b
