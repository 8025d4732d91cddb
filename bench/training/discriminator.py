"""The residual discriminator of StyleGAN2 (Karras et al. 2020, section 4.1), made cheap for a CPU."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.generators.resample import fir_filter
from bench.generators.stylegan2_layers import GAIN, SLOPE, Linear

GROUP = 4


class Conv(nn.Module):
    """An equalised convolution; `down` low-passes with [1, 3, 3, 1] and takes every second pixel (1x1: the mean of 2x2)."""

    def __init__(
        self, inputs: int, outputs: int, size: int, *, down: bool = False, bias: bool = True, gain: float = GAIN
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.weight_gain, self.bias_gain = gain / math.sqrt(inputs * size * size), gain
        self.size, self.down = size, down
        self.register_buffer("fir", fir_filter() if down else None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel = (self.weight * self.weight_gain).to(x.dtype)
        bias = None if self.bias is None else (self.bias * self.bias_gain).to(x.dtype)
        if not self.down:
            return F.conv2d(x, kernel, bias, padding=self.size // 2)
        if self.size == 1:
            # The shortcut gets the box filter: a depthwise convolution with a stride would nearly double the network's time.
            return F.conv2d(F.avg_pool2d(x, 2), kernel, bias)
        channels = x.shape[1]
        x = F.conv2d(x, self.fir.to(x.dtype).expand(channels, 1, -1, -1), padding=2, groups=channels)
        return F.conv2d(x, kernel, bias, stride=2)


class ResidualBlock(nn.Module):
    """Two convolutions, the second halving, beside a 1x1 shortcut; their sum keeps unit variance."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = Conv(inputs, inputs, 3)
        self.conv1 = Conv(inputs, outputs, 3, down=True, gain=GAIN / math.sqrt(2))
        self.skip = Conv(inputs, outputs, 1, down=True, bias=False, gain=1 / math.sqrt(2))

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.conv0(x), SLOPE)
        return F.leaky_relu(self.conv1(y), SLOPE) + self.skip(x)


class Discriminator(nn.Module):
    """Pictures [N, 3, R, R] in [-1, 1] to logits [N], high where they look real.

    Groups of four consecutive pictures share a minibatch-deviation channel (Karras et al. 2018, section 3), so N is a multiple of
    four and real and generated pictures never share a group when each make up a multiple of four.
    """

    def __init__(self, channels: dict[int, int]) -> None:
        super().__init__()
        ladder = sorted(channels, reverse=True)
        self.from_rgb = Conv(3, channels[ladder[0]], 1)
        self.blocks = nn.ModuleList(
            ResidualBlock(channels[a], channels[b]) for a, b in zip(ladder[:-1], ladder[1:], strict=True)
        )
        last = channels[ladder[-1]]
        self.conv = Conv(last + 1, last, 3)
        self.dense = Linear(last * ladder[-1] ** 2, last)
        self.out = Linear(last, 1)

    def forward(self, images: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """Logits, float32. dtype: the precision of the convolutions down to 4x4; what follows them is float32."""
        x = images.to(dtype).contiguous(memory_format=torch.channels_last)
        x = F.leaky_relu(self.from_rgb(x), SLOPE)
        for block in self.blocks:
            x = block(x)
        x = x.float()
        x = torch.cat([x, group_deviation(x)], 1)
        x = F.leaky_relu(self.conv(x), SLOPE)
        x = F.leaky_relu(self.dense(x.flatten(1)), SLOPE) * GAIN
        return self.out(x).squeeze(1)


def group_deviation(x: Tensor) -> Tensor:
    """Each group's standard deviation, averaged over channels and pixels, as one more feature map [N, 1, h, w]."""
    n, c, h, w = x.shape
    groups = x.reshape(n // GROUP, GROUP, c, h, w)
    deviation = (groups - groups.mean(1, keepdim=True)).square().mean(1).add(1e-8).sqrt().mean((1, 2, 3))
    return deviation.repeat_interleave(GROUP).view(n, 1, 1, 1).expand(n, 1, h, w)
