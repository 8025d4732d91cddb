"""InterFaceGAN's state dicts in genforce's names: one network, two ways of naming it (Shen et al. 2020; Shen and Zhou 2021)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from bench.errors import InputError

# In the order in which they are made.
NAMES = {
    ".linear.weight": ".weight",
    ".conv.weight": ".weight",
    ".wscale.bias": ".bias",
    ".epilogue.style_mod.dense.": ".style.",
    ".epilogue.": ".",
    ".first_layer": ".const",
}
# Factors of truncation that its StyleGAN makes anew from its arguments and never reads.
FACTORS = "truncation.truncation"


def stylegan_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A StyleGAN's parameters. Fused kernels change from [3, 3, I, O] to [O, I, 3, 3], without a flip; FACTORS is left out."""
    return _renamed(state, r"synthesis\.layer\d+\.weight", (3, 2, 0, 1))


def pggan_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A PGGAN's parameters. Fused kernels change from [3, 3, I, O] to [I, O, 3, 3], without a flip."""
    return _renamed(state, r"layer\d+\.weight", (2, 3, 0, 1))


def _renamed(state: Mapping[str, Tensor], fused: str, axes: tuple[int, int, int, int]) -> dict[str, Tensor]:
    """Parameters under their new names; those whose old name matches `fused` with their axes in this order."""
    converted: dict[str, Tensor] = {}
    for key, value in state.items():
        if key == FACTORS:
            continue
        if re.fullmatch(fused, key) and value.dim() == 4:
            value = value.permute(axes)
        new = key
        for old, own in NAMES.items():
            new = new.replace(old, own)
        if new in converted:
            raise InputError(f"{key} is there twice: as a fused layer's and as an ordinary one's")
        converted[new] = value
    return converted


def stored_truncation(factors: Tensor) -> dict[str, Any]:
    """truncation_psi and truncation_layers by FACTORS, where they are one psi from 0 to 1 in the first rows and 1 in the others.

    Empty where they are not.
    """
    rows = factors.flatten().tolist()
    cutoff = sum(value != 1 for value in rows)
    if len(set(rows[:cutoff])) > 1 or not 0 <= rows[0] <= 1:
        return {}
    # The factors are single precision: 0.7 comes back as 0.7.
    return {"truncation_psi": float(f"{rows[0]:.7g}"), "truncation_layers": cutoff}
