"""clean-fid's resize to 299 px, for whole batches and bit for bit, as two products with sparse matrices.

PIL resamples a picture of floats column by column, rounds to single precision, and then row by row; every weighted sum runs in
double precision from the first tap to the last (Keys' cubic with a = -1/2, stretched where a picture shrinks; Keys 1981, 'Cubic
Convolution Interpolation for Digital Image Processing'). A compressed sparse row matrix sums in the same order, for all channels
at once and without a copy of each channel.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from bench.errors import UnsupportedError

SIDE = 299
_SHARPNESS = -0.5  # Keys' a

Kernel = Literal["bicubic", "bilinear"]


def clean_resize(pictures: np.ndarray, memory: Tensor | None = None) -> Tensor:
    """Bytes [N, H, W, 3] as float32 [N, 3, 299, 299] in 0..255, not rounded: what clean-fid's 'clean' mode gives the network.

    memory: float32 [at least N, 3, 299, 299] that the answer is written to and is a view of; new memory costs as much time as the
    resize of small pictures. Larger pictures than 299 px go through clean-fid's own function one by one: there PIL reads fewer
    numbers than a product would. Raises UnsupportedError where that needs clean-fid and it is not installed.
    """
    n, height, width, channels = pictures.shape
    out = torch.empty(n, channels, SIDE, SIDE) if memory is None else memory[:n]
    if max(height, width) > SIDE:
        resize = resizer()
        for one, to in zip(pictures, out, strict=True):
            to.copy_(torch.from_numpy(resize(one)).permute(2, 0, 1))
        return out
    across, down = taps(width), taps(height)
    # One picture at a time: what lies between the passes stays in the processor's cache.
    for one, to in zip(pictures, out, strict=True):
        columns = across @ one.transpose(1, 2, 0).reshape(width, -1).astype(np.float64)
        halfway = columns.astype(np.float32).reshape(SIDE, channels, height).transpose(2, 1, 0)
        rows = down @ halfway.astype(np.float64, order="C").reshape(height, -1)
        to.copy_(torch.from_numpy(rows).view(SIDE, channels, SIDE).transpose(0, 1)).clamp_(0, 255)
    return out


@lru_cache(maxsize=8)
def taps(size: int, side: int = SIDE, kernel: Kernel = "bicubic") -> csr_array:
    """The matrix [side, size], float64, with which PIL resamples a line of `size` numbers; every row sums to 1."""
    weigh, radius = _KERNELS[kernel]
    scale = size / side
    stretch = max(scale, 1.0)  # antialiasing: the kernel is as wide as the larger of the two grids' steps
    reach = radius * stretch
    columns, weights, starts = [], [], [0]
    for center in (np.arange(side) + 0.5) * scale:
        first, last = max(0, int(center - reach + 0.5)), min(size, int(center + reach + 0.5))
        near = np.arange(first, last)
        value = weigh(np.abs((near - center + 0.5) * (1 / stretch)))
        columns.append(near)
        weights.append(value / value.sum())
        starts.append(starts[-1] + len(near))
    return csr_array((np.concatenate(weights), np.concatenate(columns), starts), shape=(side, size))


def _cubic(x: np.ndarray) -> np.ndarray:
    a = _SHARPNESS
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    return np.where(x < 1, inner, np.where(x < 2, (((x - 5) * x + 8) * x - 4) * a, 0.0))


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - x, 0.0)


# The kernels and their radii, in steps of the grid.
_KERNELS = {"bicubic": (_cubic, 2), "bilinear": (_triangle, 1)}


def resizer() -> Any:
    """clean-fid's own function: bytes [R, R, 3] to float32 [299, 299, 3] in 0..255. Raises UnsupportedError without clean-fid."""
    try:
        from cleanfid.resize import build_resizer
    except ImportError as error:
        raise UnsupportedError("clean-fid is not installed: pip install clean-fid") from error
    return build_resizer("clean")
