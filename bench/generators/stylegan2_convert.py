"""Conversion of published StyleGAN2 state dicts into the names of stylegan2-ada-pytorch, by a table of entries.

A conversion renames, drops axes of length one, turns kernels round and scales by powers of two: every bit of a weight stays.
What would round (the style bias of one, the epsilon's scale) is a setting of the network instead (`Variant`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor

from bench.errors import InputError
from bench.generators.arguments import State
from bench.generators.resample import fir_filter


def same(x: Tensor) -> Tensor:
    """As it is."""
    return x


def first(x: Tensor) -> Tensor:
    """Without the leading axis of length one."""
    return x[0]


@dataclass(frozen=True)
class Entry:
    """A published parameter, the shape that it must have, and the one that it becomes by `change`."""

    published: str
    shape: tuple[int, ...]
    name: str
    change: Callable[[Tensor], Tensor] = same


def convert(state: State, table: Iterable[Entry], what: str) -> dict[str, Tensor]:
    """The state dict under its new names. A published parameter may become several.

    Raises InputError that names up to five of the missing, unexpected and misshapen parameters as they were published.
    """
    table = list(table)
    shapes = {entry.published: entry.shape for entry in table}
    problems = [f"missing {key}" for key in shapes.keys() - state.keys()]
    problems += [f"unexpected {key}" for key in state.keys() - shapes.keys()]
    problems += [
        f"{key} has shape {list(state[key].shape)}, not {list(shape)}"
        for key, shape in shapes.items()
        if key in state and tuple(state[key].shape) != shape
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise InputError(f"not the weights of {what}: {'; '.join(sorted(problems)[:5])}{more}")
    return {entry.name: entry.change(state[entry.published]) for entry in table}


def with_filters(state: State, resolutions: Iterable[int]) -> dict[str, Tensor]:
    """With the usual filter where stylegan2-ada-pytorch has a buffer and others have none: it is not used there."""
    places = [f"b{side}.{part}" for side in resolutions for part in ("", "conv0.", "conv1.") if side > 4 or part != "conv0."]
    return {**{f"synthesis.{place}resample_filter": fir_filter() for place in places}, **state}
