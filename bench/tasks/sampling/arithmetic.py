"""Plain functions of the sampling task: who has what was asked, how far samples lie apart, intervals of shares."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from bench.tasks.sampling.protocol import LEAST
from metrics.statistics import weighted_u_statistic


def has_asked(scores: np.ndarray, sign: int, *, binary: bool, median: float, sigma: float) -> np.ndarray:
    """Which scores [N] are what was asked, bool [N]: the judged class, or at least LEAST sigma beyond the median the way asked.

    A score that is not finite is not.
    """
    scores = np.asarray(scores, np.float64)
    far = scores > 0 if binary and sign > 0 else scores <= 0 if binary else sign * (scores - median) >= LEAST * sigma
    return far & np.isfinite(scores)


def pairwise_distance(vectors: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances between all rows [N, P] -> [N, N] float64; NaN in the rows and columns of one that is not
    finite."""
    vectors = np.asarray(vectors, np.float64)
    lost = ~np.isfinite(vectors).all(1)
    known = np.where(lost[:, None], 0.0, vectors)
    known = known - known.mean(0)  # keeps the rounding of the difference small
    square = np.square(known).sum(1)
    distance = np.maximum(square[:, None] + square[None] - 2 * known @ known.T, 0.0)
    np.fill_diagonal(distance, 0.0)
    distance[lost] = distance[:, lost] = np.nan
    return distance


def mean_distance(distance: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean distance over pairs of different rows in every replicate: [N, N], weights [R, N] -> [R]; NaN counts as 0, no
    distance."""
    return weighted_u_statistic(np.nan_to_num(distance, nan=0.0), weights)


def readable_mean_distance(distance: np.ndarray) -> float:
    """Mean over pairs of different rows that could both be read, NaN where there is none."""
    off = distance[~np.eye(len(distance), dtype=bool)]
    known = off[~np.isnan(off)]
    return float(known.mean()) if len(known) else float("nan")


def mean_square(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The squared mean of each column in every replicate, without the square of its own error: [N, K], [R, N] -> [R, K].

    sum_{i != j} w_i w_j v_i v_j / sum_{i != j} w_i w_j, so that a mean of 0 is 0 in expectation, at any N and under any weights;
    it can be below 0. Rows with a NaN are left out; NaN where fewer than two are left.
    """
    read = np.isfinite(values).all(1)
    if read.sum() < 2:
        return np.full((len(weights), values.shape[1]), np.nan)
    values, weights = np.asarray(values, np.float64)[read], np.asarray(weights, np.float64)[:, read]
    pairs = np.square(weights @ values) - np.square(weights) @ np.square(values)
    return pairs / (np.square(weights.sum(1)) - np.square(weights).sum(1))[:, None]


def wilson_interval(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share among n (Wilson 1927): it has a width even where all or none are."""
    z = norm.ppf((1 + level) / 2)
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))
