"""Who is better than whom among many, from one joint bootstrap: a step-down of the largest difference."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm
from scipy.stats import t as student


def stepdown_p(differences: ArrayLike, samples: ArrayLike | None = None) -> np.ndarray:
    """Adjusted two-sided p-values [P] that each of P differences is none, from joint replicates [B, P].

    Romano and Wolf 2005, 'Stepwise Multiple Testing as Formalized Data Snooping', algorithm 4.1 with studentised differences, as
    p-values (Romano and Wolf 2016). With m and s a difference's mean and deviation over replicates, its statistic is |m / s| and
    its null |(d - m) / s|; in the order of falling statistics each is compared with the largest null of those not yet passed.
    Family-wise error is controlled under any dependence of the differences, which the joint replicates carry: Holm's correction,
    blind to it, asks for 2 P / alpha replicates before anything can be significant at all, this for 1 / alpha.

    samples: [P] samples behind each difference (None: many). Replicates of weights Exp(1) vary too little, by (n - 1) / (n + 1),
    and the tails of few samples are Student's: the statistic is taken for that t and turned into the normal score of the same
    probability. Without it 18 equal entries of 48 codes have a family-wise error of 13 % for 5.

    A difference that is the same in every replicate has p = 1 where it is 0, else 1 / (B + 1), the least there is.
    Raises ValueError for NaN, for infinite values, and for fewer than two replicates or samples.
    """
    values = np.asarray(differences, np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(f"differences are [replicates, comparisons] with two replicates or more, not {list(values.shape)}")
    if not np.isfinite(values).all():
        raise ValueError("a difference is NaN or infinite: what failed takes part as its worst rank")
    mean, spread = values.mean(0), values.std(0, ddof=1)
    fixed = spread <= 1e-12 * (1 + np.abs(mean))
    scale = np.where(fixed, 1.0, spread)
    found = np.where(fixed, np.where(np.abs(mean) > 1e-12, np.inf, 0.0), np.abs(mean) / scale)
    if samples is not None:
        n = np.broadcast_to(np.asarray(samples, np.float64), found.shape)
        if not (n >= 2).all():
            raise ValueError("a difference takes two samples or more")
        found = norm.isf(student.sf(found * np.sqrt((n - 1) / (n + 1)), n - 1)).clip(min=0)
    null = np.where(fixed, 0.0, np.abs(values - mean) / scale)
    order = np.argsort(-found, kind="stable")
    # The largest null of a comparison and all after it, [B, P].
    largest = np.maximum.accumulate(null[:, order[::-1]], axis=1)[:, ::-1]
    beyond = (largest >= found[order]).sum(0)
    adjusted = np.maximum.accumulate((1 + beyond) / (1 + len(values)))
    p = np.empty_like(adjusted)
    p[order] = np.where(found[order] > 0, adjusted, 1.0)
    return p


def stepdown_better(
    replicates: ArrayLike, higher_is_better: bool, alpha: float = 0.05, samples: ArrayLike | None = None
) -> np.ndarray:
    """Which entry beats which, [E, E] bool: [i, j] where i is better than j at family-wise error alpha over all pairs.

    replicates: [B, E], row b one resample shared by all entries. samples: [E] behind each entry; a pair has the fewer of its two.
    Raises ValueError as stepdown_p does.
    """
    values = np.asarray(replicates, np.float64)
    first, second = np.triu_indices(values.shape[1], 1)
    better = np.zeros((values.shape[1],) * 2, bool)
    if not len(first):
        return better
    differences = values[:, first] - values[:, second]
    lead = differences.mean(0) if higher_is_better else -differences.mean(0)
    if samples is not None:
        own = np.broadcast_to(np.asarray(samples), values.shape[1:])
        samples = np.minimum(own[first], own[second])
    for i, j, p, d in zip(first, second, stepdown_p(differences, samples), lead, strict=True):
        if p <= alpha and d:
            better[(i, j) if d > 0 else (j, i)] = True
    return better
