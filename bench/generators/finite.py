"""A check that every form of checkpoint makes before its network is built."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from bench.errors import InputError


def check_finite(state: Mapping[str, Tensor], what: str) -> None:
    """Raise InputError that names the first parameter with a NaN or infinity. what: the network, as messages call it."""
    for name, value in state.items():
        # A tensor without storage (device meta) has shapes only.
        if value.is_floating_point() and not value.is_meta and not bool(torch.isfinite(value).all()):
            raise InputError(f"{what}: NaN or infinity in {name}: these weights come from a failed training")
