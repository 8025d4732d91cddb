"""Re-scoring: how a judge's scores change when codes are edited (HiGAN; InterFaceGAN and SeFa print it as a matrix)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from metrics.arrays import finite


def rescoring_delta(before: ArrayLike, after: ArrayLike) -> np.ndarray:
    """HiGAN's delta s_i = 1/K sum_k max(F_i(G(z_k + lambda n_i)) - F_i(G(z_k)), 0) (Yang et al. 2021, equation 2).

    before, after: raw scores (no sigmoid) [N, A] (or [N, ...]), codes first -> [A], float64, in units of the score, range [0,
    inf), higher is a stronger edit. Falls count as 0, so that even a random direction scores above 0: compare with one. Raises
    ValueError, naming the argument, for NaN, no codes, or shapes that differ.
    """
    before, after = _scores(before, "before"), _scores(after, "after")
    if before.shape != after.shape:
        raise ValueError(f"after has the shape {after.shape}, before {before.shape}")
    return np.maximum(after - before, 0).mean(0)


def layer_deltas(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """HiGAN's delta with all layers edited and with each layer alone.

    scores: [attributes, codes, 2 + layers]: before, all layers edited, then one layer each -> ([attributes], [attributes,
    layers]).
    """
    scores = _scores(scores, "scores")
    if scores.ndim != 3 or scores.shape[2] < 2:
        raise ValueError(f"scores must be [attributes, codes, 2 + layers], not of shape {scores.shape}")
    codes_first = scores.swapaxes(0, 1)
    delta = rescoring_delta(codes_first[:, :, :1].repeat(scores.shape[2] - 1, 2), codes_first[:, :, 1:])
    return delta[:, 0], delta[:, 1:]


def signed_change(before: np.ndarray, after: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Change of every attribute in its own spread: (after - before) / sigma, [N, K]; NaN rows stay NaN.

    sigma: [K] judged spread, positive. Raises ValueError otherwise.
    """
    sigma = np.asarray(sigma, np.float64)
    if not np.all(sigma > 0):
        raise ValueError("the judged spread of every attribute must be positive")
    return (np.asarray(after, np.float64) - np.asarray(before, np.float64)) / sigma


def rescoring_matrix(before: ArrayLike, after: ArrayLike, spread: ArrayLike) -> np.ndarray:
    """The signed re-scoring matrix, [T, A]: row t is the mean change of every attribute, in its own spread, when t was edited.

    mean_n (after[t, n, a] - before[n, a]) / spread[a]. before: scores [N, A] of the unedited pictures, or [T, N, A] where every
    edit has codes of its own; after: [T, N, A]; spread: [A], what one sigma of each attribute is, positive. Range (-inf, inf). A
    diagonal near the step asked and zeros elsewhere is a pure edit (InterFaceGAN's and SeFa's re-scoring tables; they print
    unnormalised changes, which attributes of a wide range would rule). Raises ValueError, naming the argument, for NaN, no codes,
    shapes that do not fit, and a spread that is not positive.
    """
    before, after = _scores(before, "before"), _scores(after, "after")
    if after.ndim != 3:
        raise ValueError(f"after must be [targets, codes, attributes], not of shape {after.shape}")
    if before.shape not in (after.shape, after.shape[1:]):
        raise ValueError(f"before has the shape {before.shape}, after {after.shape}: wanted {after.shape[1:]} or the same")
    spread = finite(np.asarray(spread, np.float64), "spread")
    if spread.shape != after.shape[2:]:
        raise ValueError(f"spread has the shape {spread.shape} for {after.shape[2]} attributes")
    if not np.all(spread > 0):
        raise ValueError("spread must be positive: an attribute that never varies has no sigma")
    return (after - before).mean(1) / spread


def _scores(values: ArrayLike, name: str) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    array = np.asarray(values, np.float64)
    if array.ndim < 1 or not array.size:
        raise ValueError(f"{name} is empty: its shape is {array.shape}")
    return finite(array, name)
