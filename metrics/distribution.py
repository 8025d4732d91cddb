"""Distances of sets of pictures by their features, under one name.

Each family has a module of its own; this one hands their names on. Features are [n, d], one row a picture, of a named network.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from metrics.frechet import FID_SAMPLES_PER_DIMENSION, Moments, enough_for_fid, fid, frechet_distance, moments
from metrics.inception_score import InceptionScore, inception_score
from metrics.kernel_distance import (
    KIDBlocks,
    kid,
    kid_blocks,
    kid_difference,
    kid_difference_failed,
    mmd2,
    polynomial_kernel,
)
from metrics.kernel_interval import KIDInterval, kid_interval
from metrics.neighbours import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from metrics.sliced import laplacian_pyramid, sliced_wasserstein, sliced_wasserstein_levels

__all__ = [
    "FID_SAMPLES_PER_DIMENSION",
    "DensityCoverage",
    "InceptionScore",
    "KIDBlocks",
    "KIDInterval",
    "Moments",
    "PrecisionRecall",
    "density_coverage",
    "enough_for_fid",
    "fid",
    "frechet_distance",
    "inception_score",
    "kid",
    "kid_blocks",
    "kid_difference",
    "kid_difference_failed",
    "kid_interval",
    "laplacian_pyramid",
    "mmd2",
    "moments",
    "polynomial_kernel",
    "precision_recall",
    "sliced_wasserstein",
    "sliced_wasserstein_levels",
    "split_floor",
]


def split_floor(metric: Callable[[np.ndarray, np.ndarray], float], features: np.ndarray, rng: np.random.Generator) -> float:
    """The floor of a set distance: metric(half, other half) of one set split at random. features: [n, d]."""
    order = rng.permutation(len(features))
    half = len(features) // 2
    return metric(features[order[:half]], features[order[half : 2 * half]])
