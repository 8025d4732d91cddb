"""The inception score, from a classifier's logits (Salimans et al. 2016)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax

from metrics.arrays import matrix


class InceptionScore(NamedTuple):
    """mean and standard deviation over splits (n in the denominator)."""

    mean: float
    std: float


def inception_score(logits: ArrayLike, *, splits: int = 10, seed: int | None = None) -> InceptionScore:
    """exp of the mean over pictures of KL(p(y|x) || p(y)), p(y) the mean of p(y|x) in the split; range [1, classes], higher is
    better.

    logits: [n, classes] before the softmax. Every split is a run of rows, so that rows in order of class would spoil it: seed
    shuffles them first (numpy's legacy RandomState, as torch-fidelity does with 2020); None leaves the order. It sees neither the
    real pictures nor variety within a class. Raises ValueError for NaN, fewer than two classes, or fewer rows than splits.
    """
    values = matrix(logits, "logits")
    if values.shape[1] < 2:
        raise ValueError("logits has one class only: the score would be 1 whatever the pictures")
    if splits < 1 or len(values) < splits:
        raise ValueError(f"logits has {len(values)} rows for {splits} splits")
    if seed is not None:
        values = values[np.random.RandomState(seed).permutation(len(values))]
    log_p = log_softmax(values, axis=1)
    bounds = np.arange(splits + 1) * len(values) // splits
    scores = np.array([_score(log_p[i:j]) for i, j in zip(bounds[:-1], bounds[1:], strict=True)])
    return InceptionScore(float(scores.mean()), float(scores.std()))


def _score(log_p: np.ndarray) -> float:
    p = np.exp(log_p)
    with np.errstate(divide="ignore"):
        marginal = np.log(p.mean(0))
    # A class that no picture has adds nothing: 0 (-inf + inf).
    terms = np.where(p > 0, p * (log_p - np.where(np.isfinite(marginal), marginal, 0.0)), 0.0)
    return float(np.exp(terms.sum(1).mean()))
