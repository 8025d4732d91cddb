"""Re-scoring: how a judge's scores change when codes are edited (HiGAN; InterFaceGAN and SeFa print it as a matrix)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def rescoring_delta(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """HiGAN's delta s_i = 1/K sum_k max(F_i(G(z_k + lambda n_i)) - F_i(G(z_k)), 0) (Yang et al. 2021, equation 2).

    before, after: raw scores (no sigmoid) [K, ...], codes first -> [...], in units of the score, range [0, inf). Falls count as
    0, so that even a random direction scores above 0: compare with one. Raises ValueError where there is no code.
    """
    before, after = np.asarray(before), np.asarray(after)
    if not before.shape[:1] or not len(before) or before.shape != np.broadcast_shapes(before.shape, after.shape):
        raise ValueError(f"scores before and after do not fit: {before.shape}, {after.shape}")
    return np.maximum(after - before, 0).mean(0)


def layer_deltas(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """HiGAN's delta with all layers edited and with each layer alone.

    scores: [attributes, codes, 2 + layers]: before, all layers edited, then one layer each -> ([attributes], [attributes,
    layers]).
    """
    delta = rescoring_delta(scores[:, :, :1].swapaxes(0, 1).repeat(scores.shape[2] - 1, 2), scores[:, :, 1:].swapaxes(0, 1))
    return delta[:, 0], delta[:, 1:]


def signed_change(before: np.ndarray, after: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Change of every attribute in its own spread: (after - before) / sigma, [N, K]; NaN rows stay NaN.

    sigma: [K] judged spread, positive. Raises ValueError otherwise.
    """
    sigma = np.asarray(sigma, np.float64)
    if not np.all(sigma > 0):
        raise ValueError("the judged spread of every attribute must be positive")
    return (np.asarray(after, np.float64) - np.asarray(before, np.float64)) / sigma


def rescoring_matrix(
    changes: Mapping[str, np.ndarray], names: Sequence[str], weights: np.ndarray | None = None
) -> tuple[tuple[str, ...], np.ndarray]:
    """The signed re-scoring matrix: (targets, [T, K]); row t is the mean change of every attribute when t was asked for.

    changes: target -> [N, K] of signed_change, columns in the order of `names` (InterFaceGAN, table 'entanglement'; SeFa,
    re-scoring). Rows that the judge could not read (NaN) carry no weight; a target with none left is a row of NaN. weights: [N]
    per code. A diagonal near the step asked and zeros elsewhere is a pure edit.
    """
    rows = []
    for target, change in changes.items():
        if change.ndim != 2 or change.shape[1] != len(names):
            raise ValueError(f"changes of '{target}' have the shape {change.shape}, not [N, {len(names)}]")
        read = ~np.isnan(change).any(1)
        use = change[read]
        if not len(use):
            rows.append(np.full(len(names), np.nan))
            continue
        rows.append(np.average(use, axis=0, weights=None if weights is None else np.asarray(weights)[read]))
    return tuple(changes), np.stack(rows) if rows else np.empty((0, len(names)))
