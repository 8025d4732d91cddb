"""Purity of an effect matrix: how much of what each component does goes to one attribute."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from metrics.arrays import matrix


def effect_purity(effects: ArrayLike) -> float:
    """Share of all effect that goes to each component's main attribute, range [1 / A, 1], higher is better.

    effects: [K, A], the mean change of every attribute in sigma under a step along each component
    (metrics.assignment.effect_matrix); signs do not count. sum_k max_a |e_ka| / sum_k sum_a |e_ka|: component_purity, weighted
    by what a component does at all, so that one that does next to nothing does not count for pure or impure by chance. 1 where
    each component moves one attribute; two components may move the same one. Attributes that correlate in the judge lower it
    for everybody. Raises ValueError for NaN, empty input, or where nothing has any effect.
    """
    sizes = np.abs(matrix(effects, "effects"))
    if not sizes.sum() > 0:
        raise ValueError("effects are 0 throughout: no component does anything")
    return float(sizes.max(1).sum() / sizes.sum())


def component_purity(effects: ArrayLike) -> np.ndarray:
    """max_a |e_ka| / sum_a |e_ka| of each component, [K, A] -> [K], range [1 / A, 1]; NaN for one that does nothing."""
    sizes = np.abs(matrix(effects, "effects"))
    total = sizes.sum(1)
    return np.divide(sizes.max(1), total, out=np.full(len(total), np.nan), where=total > 0)
