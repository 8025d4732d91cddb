"""Frechet distance (FID): streaming moments of features and the distance of two Gaussians.

Which number it is depends on what made the features, so the id names it. The arithmetic is the same in all of them.
`fid[inception-v3-cleanfid]`: pictures resized to 299 px by an antialiased bicubic filter on floating values (Parmar et al. 2022).
`fid[inception-v3-legacy-pytorch]`: torch's bilinear resize without antialiasing, corners not aligned (pytorch-fid).
`fid[inception-v3-legacy-tensorflow]`: TensorFlow 1's bilinear resize inside the graph, corners as that version placed them
(Heusel et al. 2017; StyleGAN's figures). On FFHQ the legacy values lie about 0.2 below the clean ones: never mix them.
The legacy code also adds 1e-6 to both diagonals where its matrix root fails; the eigenvalue form here never needs that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bench.errors import UnsupportedError
from metrics.arrays import finite, matrix

FID_SAMPLES_PER_DIMENSION = 10
_NEGATIVE = 1e-4  # of the largest eigenvalue: what rounding of a float32 covariance may leave below zero


class Moments:
    """Mean and covariance of features in one pass, float64, with memory independent of how many there are.

    update takes [n, d] batches of any size; compute gives (mean [d], unbiased covariance [d, d]). Rows collect in a block of
    `block` rows, whose own centred products are merged (Chan, Golub and LeVeque 1983), so that a large mean costs no digits.
    Memory: (d + block + d) d numbers, 80 MiB at d = 2048 and block = 1024.
    """

    def __init__(self, *, block: int = 1024) -> None:
        if block < 1:
            raise ValueError(f"block must be at least 1, not {block}")
        self._block, self._filled, self._merged = block, 0, 0
        self._rows: np.ndarray | None = None
        self._mean: np.ndarray | None = None
        self._products: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Rows taken in so far."""
        return self._merged + self._filled

    def update(self, features: ArrayLike) -> None:
        """Take in a batch [n, d]. Raises ValueError for NaN, another d, or what is not a matrix."""
        batch = matrix(features, "features")
        if self._rows is None:
            # One row more than a block: the step between means is one more row of the product.
            self._rows = np.empty((self._block + 1, batch.shape[1]))
            self._mean = np.zeros(batch.shape[1])
            self._products = np.zeros((batch.shape[1], batch.shape[1]))
        if batch.shape[1] != self._rows.shape[1]:
            raise ValueError(f"features have {batch.shape[1]} columns, those before had {self._rows.shape[1]}")
        while len(batch):
            take = min(self._block - self._filled, len(batch))
            self._rows[self._filled : self._filled + take] = batch[:take]
            self._filled, batch = self._filled + take, batch[take:]
            if self._filled == self._block:
                self._flush()

    def compute(self) -> tuple[np.ndarray, np.ndarray]:
        """(mean [d], covariance [d, d]) of all rows so far. Raises ValueError below two rows."""
        if self.n < 2:
            raise ValueError(f"features had {self.n} rows: a covariance needs at least two")
        self._flush()
        return self._mean.copy(), self._products / (self._merged - 1)

    def _flush(self) -> None:
        if not self._filled:
            return
        rows = self._rows[: self._filled + 1]
        mean = rows[:-1].mean(0)
        step, total = mean - self._mean, self._merged + self._filled
        rows[:-1] -= mean
        rows[-1] = step * np.sqrt(self._merged * self._filled / total)
        self._products += rows.T @ rows
        self._mean += step * (self._filled / total)
        self._merged, self._filled = total, 0


def moments(features: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Mean [d] and unbiased covariance [d, d] of features [n, d], float64. Raises ValueError for NaN or fewer than two rows."""
    found = Moments()
    found.update(matrix(features, "features", rows=2))
    return found.compute()


def frechet_distance(mu1: ArrayLike, sigma1: ArrayLike, mu2: ArrayLike, sigma2: ArrayLike) -> float:
    """Squared Frechet distance of two Gaussians, |mu1 - mu2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), range [0, inf), lower is nearer.

    Dowson and Landau 1982; Heusel et al. 2017 for pictures. tr (S1 S2)^(1/2) is the sum of the roots of the eigenvalues of
    S1^(1/2) S2 S1^(1/2), which is symmetric: no complex root and no added epsilon, rank-deficient covariances included.
    Raises ValueError, naming the argument, for NaN, shapes that do not fit, and a matrix that is no covariance.
    """
    mu1, mu2 = (_mean(value, name) for value, name in ((mu1, "mu1"), (mu2, "mu2")))
    sigma1, sigma2 = (_covariance(value, name, len(mu1)) for value, name in ((sigma1, "sigma1"), (sigma2, "sigma2")))
    if len(mu2) != len(mu1):
        raise ValueError(f"mu2 has {len(mu2)} dimensions, mu1 has {len(mu1)}")
    values, vectors = np.linalg.eigh(sigma1)
    root = (vectors * np.sqrt(_roots(values, "sigma1"))) @ vectors.T
    cross = root @ sigma2 @ root
    covariance = np.trace(sigma1) + np.trace(sigma2) - 2 * np.sqrt(_roots(np.linalg.eigvalsh(cross), "sigma2")).sum()
    return max(0.0, float(np.square(mu1 - mu2).sum() + covariance))


def fid(features_a: ArrayLike, features_b: ArrayLike) -> float:
    """Frechet distance of two sets of features [n, d], [m, d]; symmetric, 0 for equal sets, range [0, inf), lower is nearer.

    The estimate is biased upward by an amount that depends on the generator and on n: compare at equal n only, and with at least
    enough_for_fid. Raises ValueError, naming the argument, for NaN, an empty set, different widths, or fewer rows than columns.
    """
    a, b = _features(features_a, "features_a"), _features(features_b, "features_b")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"features_b has {b.shape[1]} columns, features_a has {a.shape[1]}")
    return frechet_distance(*moments(a), *moments(b))


def enough_for_fid(dimensions: int, *rows: int) -> None:
    """Raises UnsupportedError where a set has fewer rows than ten a dimension: small sets would be compared by their bias."""
    needed = FID_SAMPLES_PER_DIMENSION * dimensions
    if min(rows) < needed:
        raise UnsupportedError(f"FID of {dimensions} features needs {needed} pictures a side, not {min(rows)}: read KID")


def _features(values: ArrayLike, name: str) -> np.ndarray:
    array = matrix(values, name, rows=2)
    if array.shape[0] < array.shape[1]:
        raise ValueError(f"{name} has fewer rows ({array.shape[0]}) than columns ({array.shape[1]}): no covariance to speak of")
    return array


def _mean(values: ArrayLike, name: str) -> np.ndarray:
    array = finite(np.atleast_1d(np.asarray(values, np.float64)), name)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name} must be [d], not of shape {array.shape}")
    return array


def _covariance(values: ArrayLike, name: str, d: int) -> np.ndarray:
    array = finite(np.atleast_2d(np.asarray(values, np.float64)), name)
    if array.shape != (d, d):
        raise ValueError(f"{name} must be [{d}, {d}], not of shape {array.shape}")
    if np.abs(array - array.T).max() > _NEGATIVE * np.abs(array).max():
        raise ValueError(f"{name} is not symmetric")
    return (array + array.T) / 2


def _roots(values: np.ndarray, name: str) -> np.ndarray:
    if values.min() < -_NEGATIVE * max(np.abs(values).max(), np.finfo(np.float64).tiny):
        raise ValueError(f"{name} is no covariance: it has a negative eigenvalue")
    return np.clip(values, 0, None)
