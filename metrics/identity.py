"""Is it still the same person? Cosine similarity of identity embeddings, verification rate, consistency of sequential edits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from metrics.arrays import finite, matrix
from metrics.effects import identity_cosine

__all__ = [
    "Verification",
    "edit_consistency",
    "identity_cosine",
    "impostor_similarities",
    "order_discrepancy",
    "verification_rate",
]


class Verification(NamedTuple):
    """rate: share of genuine pairs accepted, [0, 1]. threshold: accepted is what lies above it. far: share of impostors accepted.

    n_failed: genuine pairs that the judge could not read; they count as refused.
    """

    rate: float
    threshold: float
    far: float
    n_failed: int


def verification_rate(genuine: ArrayLike, impostor: ArrayLike, *, far: float = 1e-3) -> Verification:
    """Share of pairs of one person whose similarity lies above the threshold that lets through at most `far` of the impostors.

    genuine: similarities [P] of pairs that should match (a picture and its edit); NaN is a pair that could not be read, which
    counts as refused. impostor: [Q] of pairs of different people, at least 1 / far of them. With k = floor(far Q) the threshold
    is the (k + 1)-th largest impostor; ties with it are refused on both sides. Range [0, 1], higher is better. The true accept
    rate of face verification (Schroff et al. 2015, FaceNet, section 4; 'TAR at FAR'). Raises ValueError, naming the argument,
    for an empty set, NaN impostors, too few impostors, and far outside (0, 1).
    """
    pairs, others = np.asarray(genuine, np.float64), finite(np.asarray(impostor, np.float64), "impostor")
    for array, name in ((pairs, "genuine"), (others, "impostor")):
        if array.ndim != 1 or not array.size:
            raise ValueError(f"{name} must be similarities [pairs], not of shape {array.shape}")
    if not 0 < far < 1:
        raise ValueError(f"far must lie between 0 and 1, not {far}")
    let_through = int(np.floor(far * len(others) + 1e-9))
    if let_through < 1:
        raise ValueError(f"impostor has {len(others)} pairs: a rate of {far} needs at least {int(np.ceil(1 / far - 1e-9))}")
    threshold = float(np.sort(others)[-1 - let_through]) if let_through < len(others) else -np.inf
    failed = np.isnan(pairs)
    accepted = np.where(failed, False, pairs > threshold)
    return Verification(float(accepted.mean()), threshold, float((others > threshold).mean()), int(failed.sum()))


def impostor_similarities(embeddings: ArrayLike, people: ArrayLike | None = None) -> np.ndarray:
    """Cosines of all pairs of different people, [Q], in [-1, 1]. embeddings: [N, D]; people: [N] who is who, by default everyone
    is another. Raises ValueError for NaN, an embedding without length, and where all rows are of one person."""
    rows = matrix(embeddings, "embeddings", rows=2)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(lengths > 0):
        raise ValueError("embeddings holds a row of zeros, which has no direction")
    unit = rows / lengths
    first, second = np.triu_indices(len(rows), 1)
    if people is not None:
        who = np.asarray(people)
        if who.shape != (len(rows),):
            raise ValueError(f"people has the shape {who.shape} for {len(rows)} embeddings")
        different = who[first] != who[second]
        first, second = first[different], second[different]
    if not len(first):
        raise ValueError("people names one person only: there is no pair of different people")
    return np.clip((unit @ unit.T)[first, second], -1.0, 1.0)


def order_discrepancy(scores: ArrayLike) -> np.ndarray:
    """How far an attribute's value depends on the order of edits, per picture: scores [O, N, ...] -> [N, ...], in score units.

    scores: the attribute (or attributes) measured after the same edits in O different orders. Mean |difference| over the O (O -
    1) / 2 pairs of orders; range [0, inf), lower is better. Raises ValueError for NaN and fewer than two orders.
    """
    values = np.asarray(scores.detach().cpu() if hasattr(scores, "detach") else scores, np.float64)
    if values.ndim < 2 or len(values) < 2 or not values.size:
        raise ValueError(f"scores must be [orders >= 2, pictures, ...], not of shape {values.shape}")
    finite(values, "scores")
    first, second = np.triu_indices(len(values), 1)
    return np.abs(values[first] - values[second]).mean(0)


def edit_consistency(scores: ArrayLike) -> np.ndarray | float:
    """StyleFlow's edit consistency: the mean of order_discrepancy over pictures, a number, or [A] for scores [O, N, A].

    For example the judged age after 'pose, light, smile' against that after 'light, smile, pose', over pictures. Range [0, inf),
    lower is better; 0 for edits that commute, such as steps along fixed directions in one space: not informative there. Abdal et
    al. 2021 (StyleFlow), quantitative comparison.
    """
    mean = order_discrepancy(scores).mean(0)
    return float(mean) if np.ndim(mean) == 0 else mean
