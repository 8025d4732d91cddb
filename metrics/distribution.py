"""Distances of sets of pictures by their features: kernel distance (KID) and Frechet distance (FID)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.errors import UnsupportedError
from metrics.statistics import weighted_u_statistic

FID_SAMPLES_PER_DIMENSION = 10


def polynomial_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """KID's cubic kernel (x.y / d + 1)^3, [n, d], [m, d] -> [n, m] (Binkowski et al. 2018, section 4)."""
    return (np.asarray(x, np.float64) @ np.asarray(y, np.float64).T / x.shape[1] + 1) ** 3


def mmd2(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased squared MMD under KID's kernel: mean over pairs within x, plus within y, minus twice the mean across.

    [n, d], [m, d], at least two rows each. 0 in expectation for two samples of one distribution, so that it is negative about
    half the time there. Binkowski et al. 2018, equation 4 with both sums over different rows.
    """
    across = 2 * float(polynomial_kernel(x, y).mean())
    return _within(x) + _within(y) - across


def kid(
    generated: np.ndarray, reference: np.ndarray, *, subsets: int, size: int, rng: np.random.Generator | np.random.RandomState
) -> float:
    """The usual KID: mean of mmd2 over random subsets of `size` rows of each (at most as many as there are), without replacement.

    The reference's subset is drawn first, which matters where a published figure's seed is to be met.
    """
    size = min(size, len(generated), len(reference))
    total = 0.0
    for _ in range(subsets):
        other = reference[rng.choice(len(reference), size, replace=False)]
        total += mmd2(generated[rng.choice(len(generated), size, replace=False)], other)
    return total / subsets


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


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [d] and unbiased covariance [d, d] of features [n, d], float64."""
    features = np.asarray(features, np.float64)
    return features.mean(0), np.atleast_2d(np.cov(features, rowvar=False))


def frechet_distance(mu1: np.ndarray, sigma1: np.ndarray, mu2: np.ndarray, sigma2: np.ndarray) -> float:
    """Squared Frechet distance of two Gaussians, |mu1 - mu2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), range [0, inf).

    Dowson and Landau 1982; Heusel et al. 2017 for pictures. tr (S1 S2)^(1/2) is the sum of the roots of the eigenvalues of
    S1^(1/2) S2 S1^(1/2), which is symmetric: no complex root and no added epsilon, rank-deficient covariances included.
    """
    values, vectors = np.linalg.eigh(sigma1)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ sigma2 @ root)
    covariance = np.trace(sigma1) + np.trace(sigma2) - 2 * np.sqrt(np.clip(cross, 0, None)).sum()
    return max(0.0, float(np.square(mu1 - mu2).sum() + covariance))


def fid(generated: np.ndarray, reference: np.ndarray) -> float:
    """Frechet distance of two sets of features [n, d], [m, d].

    Raises UnsupportedError where either has fewer than 10 d rows: the estimate is biased upward by an amount that depends on the
    generator, and small sets would be compared by that bias.
    """
    needed = FID_SAMPLES_PER_DIMENSION * generated.shape[1]
    fewest = min(len(generated), len(reference))
    if fewest < needed:
        raise UnsupportedError(f"FID of {generated.shape[1]} features needs {needed} pictures a side, not {fewest}: read KID")
    return frechet_distance(*moments(generated), *moments(reference))


def split_floor(metric: Callable[[np.ndarray, np.ndarray], float], features: np.ndarray, rng: np.random.Generator) -> float:
    """The floor of a set distance: metric(half, other half) of one set split at random. features: [n, d]."""
    order = rng.permutation(len(features))
    half = len(features) // 2
    return metric(features[order[:half]], features[order[half : 2 * half]])


def _most_outlying(reference: np.ndarray) -> float:
    kernel = polynomial_kernel(reference, reference)
    return float((np.diag(kernel) - 2 * kernel.mean(1)).max()) + _within(reference)


def _within(x: np.ndarray) -> float:
    return float(weighted_u_statistic(polynomial_kernel(x, x), np.ones((1, len(x))))[0])
