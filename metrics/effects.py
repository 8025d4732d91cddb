"""What an edit did, per sample: the plain functions behind the editing task's metrics.

A sample whose row of readings holds a NaN or an infinity could not be judged: it gets NaN here, and whoever averages decides by
with_worst what it counts as. Unit 'sigma' is the judged spread of an attribute: over samples for a continuous one, the distance
of the judged class means for a binary one (design section 6.5).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from bench.errors import InputError, unknown
from metrics.base import EditBatch
from metrics.rescoring import signed_change


def changes(batch: EditBatch) -> np.ndarray:
    """Signed change of every judged attribute in sigma, [N, K]; a row that the judge could not read wholly is NaN.

    Raises InputError where before and after do not fit names and sigma.
    """
    before, after = reading(batch, "attributes")
    if before.shape[1:] != (len(batch.names),) or np.shape(batch.sigma) != (len(batch.names),):
        raise InputError(f"{len(batch.names)} attributes do not fit scores {before.shape} and sigma {np.shape(batch.sigma)}")
    return signed_change(before, after, batch.sigma)


def reading(batch: EditBatch, name: str) -> tuple[np.ndarray, np.ndarray]:
    """One reading before and after, float64 [N, ...], with rows that failed on either side NaN throughout on both."""
    try:
        before, after = np.array(batch.before[name], np.float64), np.array(batch.after[name], np.float64)
    except KeyError:
        raise InputError(f"the batch has no reading '{name}': the metric needs a judge for it") from None
    if before.shape != after.shape or before.ndim < 2:
        raise InputError(f"readings '{name}' before and after have the shapes {before.shape} and {after.shape}")
    failed = ~(np.isfinite(before) & np.isfinite(after)).all(axis=tuple(range(1, before.ndim)))
    before[failed], after[failed] = np.nan, np.nan
    return before, after


def target_index(batch: EditBatch) -> int:
    """The column of the target. Raises InputError, with the nearest names, where the judge does not read it."""
    if batch.target not in batch.names:
        raise unknown("judged attribute", batch.target, batch.names)
    return batch.names.index(batch.target)


def target_effect(change: np.ndarray, target: int | Sequence[int], sign: int) -> np.ndarray:
    """Change of the target the way asked, sign * change[:, target], [N, K] -> [N], in sigma; negative where it went the wrong
    way. Of several targets, edited one after another, it is their mean."""
    return sign * change[:, np.atleast_1d(target)].mean(1)


def off_target(change: np.ndarray, target: int | Sequence[int]) -> np.ndarray:
    """The columns of the other judged attributes, [N, K] -> [N, K - number of targets]."""
    return np.delete(change, target, axis=1)


def leakage(change: np.ndarray, target: int | Sequence[int]) -> np.ndarray:
    """Mean over the judged attributes that are no target of |change|, [N, K] in sigma -> [N], in sigma, range [0, inf)."""
    others = off_target(change, target)
    if not others.shape[1]:
        raise InputError("leakage needs a judge that reads more than the target")
    return np.abs(others).mean(1)


def identity_cosine(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Cosine of identity embeddings, [N, D] each -> [N], range [-1, 1]; NaN where an embedding has no length."""
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    dot = (before * after).sum(1)
    cosine = np.divide(dot, lengths, out=np.full(len(dot), np.nan), where=lengths > 0)
    return np.clip(cosine, -1.0, 1.0)


def attribute_dependency(effects: np.ndarray, others: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Attribute dependency of each code at its own equal change of the target: (mean over the others, each other's), [N], [N, K -
    1].

    effects: [N, S] target change the way asked at rising strengths; others: [N, S, K - 1] changes of the others, both in sigma.
    Before the first strength stands the unchanged code, with change 0. A code is read where its own effect first reaches `level`,
    by linear interpolation between strengths; where it never does (or a strength up to there is NaN) it is NaN. Wu, Lischinski
    and Shechtman 2021 (StyleSpace), section 6: mean over the other attributes of |delta l_i| / sigma(l_i) where the target's
    logit has changed by a given multiple of its own sigma. Their released code does not hold this metric: no official figure
    checks it.
    """
    if level <= 0:
        raise ValueError("attribute dependency is read at a positive change of the target")
    n, s = effects.shape
    effects = np.concatenate([np.zeros((n, 1)), effects], 1)
    others = np.concatenate([np.zeros((n, 1, others.shape[2])), others], 1)
    reached = effects >= level  # False for NaN
    after = np.argmax(reached, 1)
    row = np.arange(n)
    ok = reached.any(1) & ~np.isnan(effects[row, after - 1])
    after = np.where(ok, after, 1)
    low, high = effects[row, after - 1], effects[row, after]
    share = np.divide(level - low, high - low, out=np.full(n, np.nan), where=ok)[:, None]
    each = np.abs(others[row, after - 1] * (1 - share) + others[row, after] * share)
    return each.mean(1), each


def monotonicity(strengths: Sequence[float] | np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Spearman correlation of strength and score per code: strengths [S], scores [N, S] -> [N], range [-1, 1].

    1 where the score rises at every step; 0 where it never changes (an edit that does nothing is not monotone); ties share ranks.
    NaN where a score is. Multiply scores by the sign asked.
    """
    scores, strengths = np.asarray(scores, np.float64), np.asarray(strengths, np.float64)
    fits = scores.ndim == 2 and strengths.shape == scores.shape[1:]
    if not fits or len(strengths) < 2 or len(np.unique(strengths)) != len(strengths):
        raise ValueError("monotonicity needs scores [N, S] at S >= 2 different strengths")
    failed = ~np.isfinite(scores).all(1)
    x = rankdata(strengths)
    y = rankdata(np.where(failed[:, None], 0.0, scores), axis=1)
    x, y = x - x.mean(), y - y.mean(1, keepdims=True)
    scale = np.sqrt((x**2).sum() * (y**2).sum(1))
    rho = np.divide(y @ x, scale, out=np.zeros(len(y)), where=scale > 0)
    return np.where(failed, np.nan, np.clip(rho, -1.0, 1.0))


def with_worst(values: np.ndarray, worst: float) -> np.ndarray:
    """Values [...] with those that a judge could not read (NaN) as the worst value, for headline curves."""
    if np.isnan(worst):
        raise ValueError("this metric has no worst value")
    return np.where(np.isnan(values), worst, values)
