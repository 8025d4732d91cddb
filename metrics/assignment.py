"""Which component of an unsupervised method is which attribute: one-to-one assignment by what components do to guide scores.

Made on fit codes with guides alone, with the same number of components from every method, and published with its confidence and
runner-up, so that what an unsupervised method gains or loses by it can be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from bench.errors import InputError, unknown


@dataclass(frozen=True)
class Assignment:
    """The component of one target. sign: +1 where a positive step raises the target, -1 where it lowers it.

    confidence: |normalised effect| of the component on the target, range [0, 1]; 1 is a component that moves nothing else.
    runner_up: the component that is next best for this target, whether or not another target took it; None with one component.
    """

    target: str
    component: int
    sign: int
    confidence: float
    runner_up: int | None
    runner_up_confidence: float

    @property
    def margin(self) -> float:
        """confidence minus the runner-up's; negative where the better component was worth more to another target."""
        return self.confidence - self.runner_up_confidence


def effect_matrix(before: np.ndarray, after: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Mean change of every attribute under a step along each component, in sigma: [N, A], [K, N, A], [A] -> [K, A].

    Where after is [K, 2, N, A], steps forward and back, the effect is half their difference, which cancels what is even in the
    step.
    """
    sigma = np.asarray(sigma, np.float64)
    if not np.all(sigma > 0):
        raise ValueError("the spread of every attribute must be positive")
    if after.ndim == 4:
        return (after[:, 0] - after[:, 1]).mean(1, dtype=np.float64) / (2 * sigma)
    return (after - before).mean(1, dtype=np.float64) / sigma


def normalised_effects(effects: np.ndarray, floor: float = 0.1) -> np.ndarray:
    """Each component's effects over their length, e_ka / sqrt(sum_a e_ka^2 + floor^2), [K, A], signed, within [-1, 1].

    The share of what a component does that goes to an attribute, whatever its step; the floor, in sigma, keeps a component that
    does next to nothing from looking pure by chance.
    """
    effects = np.asarray(effects, np.float64)
    if effects.ndim != 2 or not np.isfinite(effects).all():
        raise ValueError("effects must be finite [components, attributes]")
    return effects / np.sqrt(np.square(effects).sum(1, keepdims=True) + floor**2)


def assign(effects: np.ndarray, names: Sequence[str], targets: Sequence[str], floor: float = 0.1) -> dict[str, Assignment]:
    """Target -> Assignment: the one-to-one choice with the largest sum of |normalised effect| (Hungarian algorithm, Kuhn 1955).

    effects: [K, A] in sigma, columns in the order of `names`; all A of them enter the normalisation, only `targets` are assigned.
    With fewer components than targets those that gain most are served and the others are missing. Raises InputError for a target
    that is not among the names.
    """
    names = list(names)
    for target in targets:
        if target not in names:
            raise unknown("attribute of the guide", target, names)
    if len(set(targets)) != len(targets):
        raise InputError("a target is listed twice")
    normal = normalised_effects(effects, floor)
    if normal.shape[1] != len(names):
        raise InputError(f"{normal.shape[1]} columns of effects for {len(names)} attributes")
    columns = [names.index(target) for target in targets]
    size = np.abs(normal[:, columns])
    found = {}
    for component, t in zip(*linear_sum_assignment(size, maximize=True), strict=True):
        others = np.delete(np.arange(len(size)), component)
        runner = int(others[np.argmax(size[others, t])]) if len(others) else None
        found[targets[t]] = Assignment(
            targets[t],
            int(component),
            1 if normal[component, columns[t]] >= 0 else -1,
            float(size[component, t]),
            runner,
            float(size[runner, t]) if runner is not None else 0.0,
        )
    return {target: found[target] for target in targets if target in found}
