"""What checkpoints of progressively grown generators (PGGAN, StyleGAN) have in common: sizes and checks of their arguments.

Both hold `layer<i>`, two for every resolution from 4 px up, a toRGB layer `output<k>` for every resolution, and `lod`, the level
of detail that training had reached (Karras et al. 2018, section 2). At 0 the network is finished and its last toRGB gives the
picture; at 1 the toRGB before it does, doubled in size; between them the two are faded into each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from bench.errors import InputError
from bench.generators.arguments import check_ladder, check_widths, count, read_shape

# The smallest resolution whose upsampling convolution is fused where `fused_scale` is 'auto'.
AUTO_FUSED_FROM = 128


def read_channels(state: Mapping[str, Tensor], prefix: str, what: str) -> tuple[int, ...]:
    """The channels of the resolutions 4, 8, 16, ... by the toRGB layers' inputs."""
    blocks = check_ladder(count(state, re.escape(prefix) + r"output\d+\.weight"), what)
    shapes = [read_shape(state, f"{prefix}output{k}.weight", 4, what) for k in range(len(blocks))]
    for colours in {shape[0] for shape in shapes} - {3}:
        raise InputError(f"{what} is supported for pictures of 3 colours, not of {colours}")
    return tuple(shape[1] for shape in shapes)


def read_lod(state: Mapping[str, Tensor], key: str, blocks: int, what: str) -> float:
    """The stored level of detail; 0 where it is negative. Raises InputError where there are not so many resolutions."""
    read_shape(state, key, 0, what)
    lod = max(float(state[key]), 0.0)
    if lod > blocks - 1:
        raise InputError(f"{what}: {key} is {lod:g}, more than its {blocks} resolutions allow")
    return lod


def check_maps(arguments: Mapping[str, Any], channels: Sequence[int], what: str) -> None:
    """Raise InputError where fmaps_base and fmaps_max, if one is given, disagree with min(base // resolution, max)."""
    given = {key: arguments[key] for key in ("fmaps_base", "fmaps_max") if arguments.get(key) is not None}
    if given:
        sizes = {4 << k: own for k, own in enumerate(channels)}
        check_widths({"fmaps_base": 16 << 10, "fmaps_max": 512} | given, sizes, "fmaps_base", "fmaps_max", what)


def read_flag(arguments: Mapping[str, Any], key: str, what: str) -> bool:
    """An argument that is true or false; absent, false."""
    value = arguments.get(key)
    if value not in (None, True, False):
        raise InputError(f"{what}: {key} is true or false, not {value!r}")
    return bool(value)


def fused_from(value: Any, resolution: int, what: str) -> int | None:
    """The smallest resolution whose upsampling convolution is fused, by `fused_scale`: true, false or 'auto'. None: none is."""
    if not (value == "auto" or isinstance(value, bool)):
        raise InputError(f"{what}: fused_scale is true, false or 'auto', not {value!r}")
    smallest = AUTO_FUSED_FROM if value == "auto" else 8
    return smallest if value and smallest <= resolution else None
