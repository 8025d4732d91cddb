"""Scores from mutual information of each code with each factor: mutual information gap, modularity; correlation among codes.

Codes [N, D], factors [N, K]. Information is in nats and comes from counts over a histogram of `bins` equal bins between the
least and the largest value of each code. It is biased upward, by about (bins - 1)(classes - 1) / (2 N) a pair, so scores
compare only at equal N and bins. A factor of whole numbers holds classes; any other is binned like a code.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from metrics.arrays import bin_count, codes_matrix, factors_matrix, is_discrete

CHUNK = 1 << 22  # entries of an index array at a time, 32 MB


def mig(codes: ArrayLike, factors: ArrayLike, *, bins: int = 20) -> float:
    """Mutual information gap, range [0, 1], higher is better.

    Mean over factors of (I(best code; v) - I(second best code; v)) / H(v): 1 where one code alone tells each factor. Chen et
    al. 2018 (beta-TCVAE), equation 6; estimated as in disentanglement_lib (Locatello et al. 2019). Permuting codes or
    relabelling classes leaves it. Several codes that share one factor score 0, however clean each of them is; a rotation of a
    perfect code does as well. Raises ValueError for fewer than two codes, constant columns, NaN, N < D, empty input.
    """
    codes = codes_matrix(codes, columns=2)
    factors = factors_matrix(factors, len(codes))
    information = _information(codes, factors, bin_count(bins))
    entropy = np.array([_entropy(one) for one in classes(factors, bin_count(bins)).T])
    best = np.sort(information, axis=0)[::-1]
    return float(np.mean((best[0] - best[1]) / entropy))


def modularity(codes: ArrayLike, factors: ArrayLike, *, bins: int = 20) -> float:
    """How far each code tells one factor only, range [0, 1], higher is better.

    Mean over codes of 1 - sum_{k != best} I(c; v_k)^2 / ((K - 1) I(c; v_best)^2); a code without information counts 0. Ridgeway
    and Mozer 2018, equation 2, estimated as in disentanglement_lib. It does not ask whether a factor is told at all, nor how
    many codes tell it, and the bias of the information keeps it below 1 for perfect codes. Raises ValueError for fewer than two
    factors, constant columns, NaN, N < D, empty input.
    """
    codes = codes_matrix(codes)
    factors = factors_matrix(factors, len(codes), columns=2)
    return modularity_from_information(_information(codes, factors, bin_count(bins)))


def modularity_from_information(information: np.ndarray) -> float:
    """modularity of a matrix of mutual information [D, K]."""
    squared = np.square(information)
    best = squared.max(1)
    others = (squared.sum(1) - best) / (squared.shape[1] - 1)
    return float(np.mean(1 - np.divide(others, best, out=np.ones_like(best), where=best > 0)))


def mutual_information(codes: ArrayLike, factors: ArrayLike, *, bins: int = 20) -> np.ndarray:
    """Mutual information of every code with every factor, [D, K] in nats, range [0, log bins]."""
    codes = codes_matrix(codes)
    return _information(codes, factors_matrix(factors, len(codes)), bin_count(bins))


def discretise(codes: np.ndarray, bins: int) -> np.ndarray:
    """Histogram bin of every entry, [N, D] -> int64 [N, D] from 0; `bins` equal bins a column, the largest value in the last.

    The edges are those of numpy.histogram without the last one, so that the largest value makes no bin of its own.
    """
    codes = np.asarray(codes, np.float64)
    columns = np.ascontiguousarray(codes.T)
    found = [np.searchsorted(np.linspace(c.min(), c.max(), bins + 1)[:-1], c, side="right") - 1 for c in columns]
    return np.stack(found, axis=1)


def classes(factors: np.ndarray, bins: int) -> np.ndarray:
    """Factors [N, K] as class numbers from 0, int64: whole numbers as they stand, others by their bin."""
    columns = [one if is_discrete(one) else discretise(one[:, None], bins)[:, 0] for one in factors.T]
    return np.stack([np.unique(one, return_inverse=True)[1] for one in columns], axis=1)


def gaussian_total_correlation(codes: ArrayLike) -> float:
    """Total correlation of the Gaussian with the codes' covariance S, 1/2 (sum_i log S_ii - log det S) in nats, range [0, inf).

    0 where no two codes correlate; unchanged where codes are scaled. As in disentanglement_lib (unsupervised metrics). Raises
    ValueError where the covariance has no inverse (N <= D, one code a combination of others).
    """
    covariance = _covariance(codes)
    root = np.sqrt(np.diag(covariance))
    eigenvalues = np.linalg.eigvalsh(covariance / np.outer(root, root))
    if eigenvalues[0] <= len(eigenvalues) * np.finfo(np.float64).eps * eigenvalues[-1]:
        raise ValueError("codes have a covariance without an inverse: too few rows, or a column that is a combination of others")
    return max(0.0, float(-0.5 * np.log(eigenvalues).sum()))


def gaussian_wasserstein_correlation(codes: ArrayLike) -> float:
    """Squared 2-Wasserstein distance of the codes' Gaussian from the one without correlations, in squared code units, [0, inf).

    2 tr S - 2 tr (D^1/2 S D^1/2)^1/2 with D the diagonal of S. As in disentanglement_lib; divide by tr S for its normalised
    form.
    """
    covariance = _covariance(codes)
    root = np.sqrt(np.diag(covariance))
    eigenvalues = np.linalg.eigvalsh(root[:, None] * covariance * root)
    return max(0.0, float(2 * np.trace(covariance) - 2 * np.sqrt(np.clip(eigenvalues, 0, None)).sum()))


def _covariance(codes: ArrayLike) -> np.ndarray:
    return np.atleast_2d(np.cov(codes_matrix(codes), rowvar=False))


def _information(codes: np.ndarray, factors: np.ndarray, bins: int) -> np.ndarray:
    """One count over (code, bin, class) a factor and a block of codes, in place of a call for every pair."""
    binned = discretise(codes, bins)
    n, d = binned.shape
    block = max(1, CHUNK // n)
    found = np.empty((d, factors.shape[1]))
    for k, column in enumerate(classes(factors, bins).T):
        size = int(column.max()) + 1
        for start in range(0, d, block):
            part = binned[:, start : start + block]
            width = part.shape[1]
            index = (np.arange(width) * bins + part) * size + column[:, None]
            joint = np.bincount(index.ravel(), minlength=width * bins * size).reshape(width, bins, size) / n
            found[start : start + width, k] = _of_joint(joint)
    return found


def _of_joint(joint: np.ndarray) -> np.ndarray:
    """Mutual information in nats of joint distributions [..., A, B] -> [...]."""
    apart = joint.sum(-1, keepdims=True) * joint.sum(-2, keepdims=True)
    ratio = np.divide(joint, apart, out=np.ones_like(joint), where=joint > 0)
    return np.clip((joint * np.log(ratio)).sum((-2, -1)), 0.0, None)


def _entropy(labels: np.ndarray) -> float:
    share = np.bincount(labels) / len(labels)
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())
