"""Fidelity and diversity by nearest neighbours: precision and recall, density and coverage. Features [n, d], generated first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from metrics.arrays import matrix

_BLOCK = 1 << 22  # distances held at once


class PrecisionRecall(NamedTuple):
    """precision: share of generated pictures near a real one. recall: share of real pictures near a generated one."""

    precision: float
    recall: float

    @property
    def f_score(self) -> float:
        """Harmonic mean of the two, 0 where both are."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


class DensityCoverage(NamedTuple):
    """density: mean number of real balls that hold a generated picture, over k. coverage: share of real balls that hold one."""

    density: float
    coverage: float


def precision_recall(generated: ArrayLike, real: ArrayLike, *, k: int = 3) -> PrecisionRecall:
    """Improved precision and recall (Kynkaanniemi et al. 2019), range [0, 1] each, higher is better.

    A picture lies in a set's manifold where its distance from some member is at most that member's distance from its own k-th
    nearest neighbour in the set, itself left out. precision: generated pictures in the real manifold; recall: real ones in the
    generated. An outlier has a large ball: one odd real picture may take in much. Values depend on n: compare at equal n and k.
    k = 3 is the paper's. Memory is that of a block of distances. Raises ValueError, naming the argument, for NaN, an empty set,
    different widths, and a set with no more than k rows.
    """
    generated, real = _pair(generated, real, k)
    return PrecisionRecall(
        float(_counts(generated, real, _radii(real, k), closed=True)[0].astype(bool).mean()),
        float(_counts(real, generated, _radii(generated, k), closed=True)[0].astype(bool).mean()),
    )


def density_coverage(generated: ArrayLike, real: ArrayLike, *, k: int = 5) -> DensityCoverage:
    """Density and coverage (Naeem et al. 2020), higher is better: density in [0, n_real / k], about 1 for equal distributions;
    coverage in [0, 1].

    Balls are round real pictures alone, so that outliers among the generated do no harm, and density counts how many hold a
    generated picture, so that one outlying real ball does little. Expected coverage of equal distributions with n each is about
    1 - 2^-k. Balls are open, as in the authors' code. k = 5 is the paper's. Raises ValueError as precision_recall.
    """
    generated, real = _pair(generated, real, k)
    held, hit = _counts(generated, real, _radii(real, k), closed=False)
    return DensityCoverage(float(held.sum() / (k * len(generated))), float(hit.mean()))


def _pair(generated: ArrayLike, real: ArrayLike, k: int) -> tuple[np.ndarray, np.ndarray]:
    generated, real = matrix(generated, "generated", rows=2), matrix(real, "real", rows=2)
    if generated.shape[1] != real.shape[1]:
        raise ValueError(f"real has {real.shape[1]} columns, generated has {generated.shape[1]}")
    if isinstance(k, bool) or int(k) != k or k < 1:
        raise ValueError(f"k must be a whole number of at least 1, not {k}")
    for array, name in ((generated, "generated"), (real, "real")):
        if len(array) <= k:
            raise ValueError(f"{name} has {len(array)} rows: the {k} nearest neighbours of each need at least {k + 1}")
    return generated, real


def _radii(points: np.ndarray, k: int) -> np.ndarray:
    """Distance of each point from its k-th nearest other, [n]: the (k + 1)-th smallest, its own 0 included."""
    rows = max(1, _BLOCK // len(points))
    blocks = (points[i : i + rows] for i in range(0, len(points), rows))
    return np.concatenate([np.partition(cdist(block, points), k, axis=1)[:, k] for block in blocks])


def _counts(points: np.ndarray, centres: np.ndarray, radii: np.ndarray, *, closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """(how many balls hold each point, [n]; whether each ball holds a point, [m])."""
    rows = max(1, _BLOCK // len(centres))
    held, hit = [], np.zeros(len(centres), bool)
    for i in range(0, len(points), rows):
        distance = cdist(points[i : i + rows], centres)
        inside = distance <= radii if closed else distance < radii
        held.append(inside.sum(1))
        hit |= inside.any(0)
    return np.concatenate(held), hit
