"""Interventional robustness score: does a code stay put when every factor but its own changes?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from metrics.arrays import bin_count, codes_matrix, factors_matrix
from metrics.information import classes


class Robustness(NamedTuple):
    """score: range [0, 1]. matrix: [D, K]. per_code, parents: [D], each code's best entry and its factor. deviations: [D], the
    largest distance of each code from its mean, which weighs the codes."""

    score: float
    matrix: np.ndarray
    per_code: np.ndarray
    parents: np.ndarray
    deviations: np.ndarray


def irs(codes: ArrayLike, factors: ArrayLike, *, bins: int = 20, quantile: float = 0.99) -> float:
    """Interventional robustness score, range [0, 1], higher is better: see robustness."""
    return robustness(codes, factors, bins=bins, quantile=quantile).score


def robustness(codes: ArrayLike, factors: ArrayLike, *, bins: int = 20, quantile: float = 0.99) -> Robustness:
    """The interventional robustness score and what it is made of; codes [N, D], factors [N, K].

    matrix[d, k] = 1 - mean over values v of factor k of Q(|c_d - E[c_d | v]| given v) / max |c_d - E c_d|, Q the 99 % quantile:
    1 where factor k alone sets code d, whatever the others do. The score is the mean over codes of their best entry, weighted
    by max |c_d - E c_d|. Suter et al. 2019, as estimated by disentanglement_lib from a fixed sample. Factors that are not whole
    numbers are binned. The maxima make it sensitive to single outliers; values with few samples raise it. Raises ValueError for
    constant columns, NaN, N < D, empty input.
    """
    codes = codes_matrix(codes)
    labels = classes(factors_matrix(factors, len(codes)), bin_count(bins))
    if not 0 < quantile <= 1:
        raise ValueError(f"quantile must lie in (0, 1], not {quantile}")
    deviations = np.abs(codes - codes.mean(0)).max(0)
    within = np.stack([_spread_within(codes, column, quantile) for column in labels.T], axis=1)
    matrix = 1 - within / deviations[:, None]
    best = np.clip(matrix.max(1), 0.0, None)  # chance groups of few samples can spread wider than the whole
    return Robustness(float(np.average(best, weights=deviations)), matrix, best, matrix.argmax(1), deviations)


def _spread_within(codes: np.ndarray, labels: np.ndarray, quantile: float) -> np.ndarray:
    order = np.argsort(labels, kind="stable")
    groups = np.split(codes[order], np.flatnonzero(np.diff(labels[order])) + 1)
    return np.mean([np.quantile(np.abs(group - group.mean(0)), quantile, axis=0) for group in groups], axis=0)
