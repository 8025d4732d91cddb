"""Is a code one that the generator could have drawn? The range within which edits are compared (design section 6.3).

Each statistic is compared with its own 99.9th percentile over the generator's samples, so that spaces of any size or shape have
the same share of implausible samples. z and w codes (z through the mapping network) are judged by Mahalanobis distance, in w as
it is or, where the statistics were fitted with p, after p = LeakyReLU(w, slope 5), which undoes the mapping network's last
activation (Zhu et al. 2020, 'Improved StyleGAN Embedding'); w+ by the worst of its rows; s by its largest standardised channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

P_SLOPE = 5.0


def to_p(w: np.ndarray) -> np.ndarray:
    """p = w where w >= 0, 5 w elsewhere; any shape."""
    w = np.asarray(w, np.float64)
    return np.where(w >= 0, w, P_SLOPE * w)


@dataclass(frozen=True)
class CodeStatistics:
    """What samples look like in one space, and where the improbable begins.

    kind: 'vector' or 'channels'. p: whether codes go through to_p first. mean: [D], or [L, D] with statistics for each row.
    whiten: 'vector': [D, D] or [L, D, D], so that |(x - mean) @ whiten| is the Mahalanobis distance; 'channels': [D], 1 / spread.
    threshold: the statistic's percentile over the samples.
    """

    kind: str
    p: bool
    mean: np.ndarray
    whiten: np.ndarray
    threshold: float

    def arrays(self) -> dict[str, np.ndarray]:
        """As plain arrays, for a store; from_arrays makes it again."""
        flags = np.array([float(self.kind == "channels"), float(self.p), self.threshold])
        return {"mean": self.mean, "whiten": self.whiten, "flags": flags}

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> CodeStatistics:
        channels, p, threshold = np.asarray(arrays["flags"], np.float64).tolist()
        kind = "channels" if channels else "vector"
        return CodeStatistics(kind, bool(p), np.asarray(arrays["mean"]), np.asarray(arrays["whiten"]), threshold)


def fit_vectors(samples: np.ndarray, *, p: bool = False, floor: float = 1e-4, percentile: float = 99.9) -> CodeStatistics:
    """Statistics of samples [N, D], or [N, L, D] with its own mean and covariance for each row, for z, w, w+, p.

    p: samples are w and go through to_p. Whitening is by PCA with variances floored at `floor` times the largest: a direction in
    which samples hardly vary may not decide alone (the trap of whitened spaces). Statistics of [N, D] also judge codes [N, L, D],
    every row by the same ones. Raises ValueError for fewer than D + 2 samples (the covariance would mean nothing) or values not
    finite.
    """
    x = to_p(samples) if p else np.asarray(samples, np.float64)
    if x.ndim not in (2, 3) or not np.isfinite(x).all() or len(x) < x.shape[-1] + 2:
        raise ValueError(f"samples {x.shape} give no covariance: more samples than dimensions, all finite, are needed")
    rows = x[:, None] if x.ndim == 2 else x
    mean = rows.mean(0)
    whiten = np.stack([_whitening(rows[:, i] - mean[i], floor) for i in range(rows.shape[1])])
    if x.ndim == 2:
        mean, whiten = mean[0], whiten[0]
    fitted = CodeStatistics("vector", p, mean, whiten, np.inf)
    return _with_threshold(fitted, samples, percentile)


def fit_channels(samples: np.ndarray, *, floor: float = 1e-3, percentile: float = 99.9) -> CodeStatistics:
    """Statistics of style channels [N, C]: mean and spread of each, and the percentile of the largest standardised one.

    A channel's spread is floored at `floor` times the median spread, so that a dead channel cannot be moved by rounding alone.
    """
    x = np.asarray(samples, np.float64)
    if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"style channels must be finite [N, C] with N >= 2, got {x.shape}")
    spread = x.std(0, ddof=1)
    least = floor * np.median(spread)
    if not least > 0:
        raise ValueError("more than half of the style channels do not vary")
    fitted = CodeStatistics("channels", False, x.mean(0), 1 / np.maximum(spread, least), np.inf)
    return _with_threshold(fitted, samples, percentile)


def statistic(values: np.ndarray, stats: CodeStatistics) -> np.ndarray:
    """How far out each code is, [N]: Mahalanobis distance (the worst row's for [N, L, D]), or the largest standardised channel.

    A code that is not finite is infinitely far out.
    """
    values = np.asarray(values, np.float64)
    finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    values = np.where(finite.reshape(-1, *[1] * (values.ndim - 1)), values, 0.0)
    centred = (to_p(values) if stats.p else values) - stats.mean
    if stats.kind == "channels":
        far = np.abs(centred * stats.whiten).max(1)
    else:
        rows = np.einsum("nld,lde->nle", centred, stats.whiten) if stats.whiten.ndim == 3 else centred @ stats.whiten
        far = np.linalg.norm(rows, axis=-1)
        far = far.max(1) if far.ndim == 2 else far
    return np.where(finite, far, np.inf)


def plausible(values: np.ndarray, stats: CodeStatistics) -> np.ndarray:
    """Which codes ([N, D] or [N, L, D]) are no farther out than all but 0.1 % of samples, bool [N]."""
    return statistic(values, stats) <= stats.threshold


def _with_threshold(stats: CodeStatistics, samples: np.ndarray, percentile: float) -> CodeStatistics:
    threshold = float(np.percentile(statistic(samples, stats), percentile))
    return CodeStatistics(stats.kind, stats.p, stats.mean, stats.whiten, threshold)


def _whitening(centred: np.ndarray, floor: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(centred.T @ centred / (len(centred) - 1))
    if not values[-1] > 0:
        raise ValueError("the samples do not vary")
    return vectors / np.sqrt(np.maximum(values, floor * values[-1]))
