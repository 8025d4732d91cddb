"""The noise inputs of a synthesis network, by mode: const (the stored maps), none, or random:<seed>."""

from __future__ import annotations

import re

from torch import Tensor

from bench.errors import InputError
from bench.streams import normal_rows


def check_noise(mode: str) -> None:
    """Raise InputError where this is no mode."""
    if not re.fullmatch(r"const|none|random:\d+", mode):
        raise InputError(f"noise is const, none or random:<seed>, not '{mode}'")


def noise_map(mode: str, layer: str, stored: Tensor, ids: Tensor) -> Tensor | None:
    """A layer's noise: its stored map [1, 1, h, w], None, or standard normal maps [N, 1, h, w] for the ids.

    Under random:<seed> a row's map is a function of (seed, layer, id) alone.
    """
    check_noise(mode)
    if mode in ("const", "none"):
        return stored if mode == "const" else None
    height, width = stored.shape[-2:]
    rows = normal_rows(ids, height * width, seed=int(mode.partition(":")[2]), name=f"noise {layer}")
    return rows.view(-1, 1, height, width).to(stored)
