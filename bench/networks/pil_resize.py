"""PIL's resize of bytes, for batches on any device, differentiable: what CLIP's preprocessing does to a picture's file.

PIL resamples bytes across and then down, and rounds to bytes after either pass; its weights are fixed-point numbers of 22 bits.
Products with bytes are then whole numbers below 2^53, so that double precision holds every sum exactly, in whatever order it is
made: the answer is PIL's, bit for bit, and does not depend on the device or the batch.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from bench.networks.clean_resize import Kernel, taps

FIXED = 2.0**22


def as_bytes(values: Tensor) -> Tensor:
    """Values brought into 0..255 and rounded, halves up. The gradient is that of the values inside the range: rounding passes
    it on as it is, as its own is 0 everywhere."""
    inside = values.clamp(0, 255)
    return inside + (torch.floor(inside + 0.5) - inside).detach()


def pil_resize(images: Tensor, side: int, kernel: Kernel = "bicubic") -> Tensor:
    """Pictures [N, C, R, R] in 0..255 as bytes of [N, C, side, side], in float64."""
    x = as_bytes(images.double())
    if x.shape[-1] == side:
        return x
    matrix = torch.from_numpy(fixed_taps(x.shape[-1], side, kernel)).to(x.device)
    return as_bytes(matrix @ as_bytes(x @ matrix.T))


@lru_cache(maxsize=8)
def fixed_taps(size: int, side: int, kernel: Kernel) -> np.ndarray:
    """The matrix [side, size], float64, that resamples a line of bytes, in PIL's fixed-point numbers."""
    exact = taps(size, side, kernel).toarray()
    return np.trunc(exact * FIXED + np.copysign(0.5, exact)) / FIXED
