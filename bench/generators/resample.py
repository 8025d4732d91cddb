"""Resampling by a small FIR filter, written as ordinary convolutions (Karras et al. 2020, section 3 and appendix B).

StyleGAN2 doubles resolution by putting zeros between the pixels and low-passing the result with [1, 3, 3, 1] in each axis.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def fir_filter(taps: Sequence[float] = (1, 3, 3, 1)) -> Tensor:
    """The separable low-pass filter [T, T] of these taps; it sums to one."""
    row = torch.tensor(taps, dtype=torch.float32)
    square = torch.outer(row, row)
    return square / square.sum()


def upsample(images: Tensor, fir: Tensor) -> Tensor:
    """Twice as large images [N, C, 2h, 2w]: zeros between the pixels, then the filter, zero outside the border.

    The gain 4 makes up for the zeros, so that a constant stays constant away from the border. fir: [4, 4].
    """
    n, c, h, w = images.shape
    # One channel per batch row: a grouped transposed convolution over few channels is far slower on a CPU.
    single = images.reshape(n * c, 1, h, w)
    kernel = (fir * 4).to(images.dtype)[None, None]
    return F.conv_transpose2d(single, kernel, stride=2, padding=1).view(n, c, 2 * h, 2 * w)


def conv_up(x: Tensor, kernel: Tensor, fir: Tensor) -> Tensor:
    """A 3x3 convolution to twice the resolution, [N, I, h, w] to [N, O, 2h, 2w]: transposed convolution, then the filter [4, 4].

    kernel: [O, I, 3, 3]. Both steps in one 6x6 kernel would be the same function at four times the multiplications: on a CPU that
    takes three times as long as the two steps.
    """
    outputs = kernel.shape[0]
    y = F.conv_transpose2d(x, kernel.transpose(0, 1), stride=2)
    # A filter is convolved, and conv2d correlates: turned round, which changes nothing for the usual, symmetric one.
    return F.conv2d(y, (fir.flip(0, 1) * 4).to(x.dtype).expand(outputs, 1, -1, -1), padding=1, groups=outputs)
