"""Hessian penalty: how much the effect of one code coordinate on a generator's output depends on the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Outputs = Any  # a tensor or array [N, ...], or a sequence of them (one an activation)


def hessian_penalty(
    function: Callable[[Any], Outputs],
    codes: Any,
    *,
    directions: Any = 2,
    epsilon: float = 0.1,
    reduction: str = "max",
    seed: int = 0,
) -> Any:
    """Sum over the function's outputs of hessian_penalties: float for arrays, a tensor of no dimension, differentiable, for
    tensors.

    Range [0, inf), lower is better; 0 where every output is a sum of functions of one coordinate each (to rounding). See
    hessian_penalties.
    """
    found = hessian_penalties(function, codes, directions=directions, epsilon=epsilon, reduction=reduction, seed=seed)
    return found.sum() if isinstance(found, Tensor) else float(found.sum())


def hessian_penalties(
    function: Callable[[Any], Outputs],
    codes: Any,
    *,
    directions: Any = 2,
    epsilon: float = 0.1,
    reduction: str = "max",
    seed: int = 0,
) -> Any:
    """The penalty of each output of `function` at codes [N, ...], vector of one number an output.

    Var_v[v^T H v] over directions v of +1 and -1, which is 2 sum_{i != j} H_ij^2 in expectation, by second differences (G(x + e
    v) - 2 G(x) + G(x - e v)) / e^2 with step e = epsilon, and the unbiased variance over the k directions. Peebles et al. 2020,
    equations 3 to 6. reduction: 'max' over all elements of an output and the batch, the paper's; or 'mean'. directions: [k, N,
    ...] of +1 and -1, or a number k of them, at least 2, drawn from `seed`. The unit is the output's squared: outputs of
    another scale, or codes of another spread, do not compare. 'max' grows with batch, resolution and k. In float32 a step far
    below 0.1 drowns in rounding. Raises ValueError for fewer than two directions, other shapes, NaN, empty input, epsilon not
    above 0.
    """
    if reduction not in ("max", "mean"):
        raise ValueError(f"reduction must be 'max' or 'mean', not '{reduction}'")
    if not epsilon > 0:
        raise ValueError(f"epsilon must be positive, not {epsilon}")
    as_tensor = isinstance(codes, Tensor)
    codes = codes if as_tensor else np.asarray(codes)
    if codes.ndim < 2 or not all(codes.shape):
        raise ValueError(f"codes must be [N, ...] and not empty, not of shape {tuple(codes.shape)}")
    if not bool((torch.isfinite(codes) if as_tensor else np.isfinite(codes)).all()):
        raise ValueError("codes hold values that are NaN or infinite")
    steps = _steps(codes, directions, seed)
    centre = _outputs(function(codes))
    second: list[list[Any]] = [[] for _ in centre]
    for step in steps:
        ahead, behind = _outputs(function(codes + epsilon * step)), _outputs(function(codes - epsilon * step))
        for found, plus, here, minus in zip(second, ahead, centre, behind, strict=True):
            found.append((plus - 2 * here + minus) / epsilon**2)
    found = [_reduced(one, reduction) for one in second]
    return torch.stack(found) if isinstance(found[0], Tensor) else np.array(found)


def rademacher(k: int, shape: Sequence[int], *, seed: int = 0) -> np.ndarray:
    """k directions of +1 and -1, each as likely, float32 [k, *shape]."""
    return (2 * np.random.default_rng(seed).integers(0, 2, (k, *shape)) - 1).astype(np.float32)


def _steps(codes: Any, directions: Any, seed: int) -> Any:
    if isinstance(directions, int | np.integer):
        directions = rademacher(int(directions), codes.shape, seed=seed)
    if isinstance(codes, Tensor):
        directions = torch.as_tensor(directions).to(codes)
    else:
        directions = np.asarray(directions).astype(codes.dtype if codes.dtype.kind == "f" else np.float64)
    if tuple(directions.shape[1:]) != tuple(codes.shape) or len(directions) < 2:
        needed, got = ["k >= 2", *codes.shape], tuple(directions.shape)
        raise ValueError(f"directions must be of shape [{', '.join(map(str, needed))}], not {got}")
    if not bool((abs(directions) == 1).all()):
        raise ValueError("directions must be +1 and -1 throughout; the step is epsilon")
    return directions


def _outputs(found: Outputs) -> list[Any]:
    several = list(found) if isinstance(found, list | tuple) else [found]
    if not several:
        raise ValueError("function gave no output")
    return [one if isinstance(one, Tensor) else np.asarray(one) for one in several]


def _reduced(second: list[Any], reduction: str) -> Any:
    if isinstance(second[0], Tensor):
        variance = torch.stack(second).var(0)
        return variance.max() if reduction == "max" else variance.mean()
    variance = np.stack(second).var(0, ddof=1)
    return variance.max() if reduction == "max" else variance.mean()
