"""Growing while training (Karras et al. 2018, section 2): the schedule, and the discriminator that grows with the generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.generators.stylegan2_layers import GAIN, SLOPE, Linear
from bench.training.discriminator import Conv, group_deviation
from bench.training.recipe import Recipe


@dataclass(frozen=True)
class Growing(Recipe):
    """A training that begins at a low resolution and doubles it.

    first: blocks that it begins with (1: 4x4 pixels, 2: 8x8). hold: pictures for which a resolution is trained in full; fade: for
    which a new one is faded in before. The last one is trained in full as long as time allows.
    """

    first: int = 1
    hold: int = 20_000
    fade: int = 20_000

    def blocks(self, images: int) -> int:
        grown = 0 if images < self.hold else 1 + (images - self.hold) // (self.fade + self.hold)
        return min(len(self.channels), self.first + grown)

    def level(self, images: int) -> float:
        """From 1 to 0 while the newest resolution is faded in."""
        blocks = self.blocks(images)
        if blocks == self.first:
            return 0.0
        begun = self.hold + (blocks - self.first - 1) * (self.fade + self.hold)
        return max(0.0, 1 - (images - begun) / self.fade)

    def shown(self, real: Tensor, blocks: int, level: float) -> Tensor:
        """At the present resolution; while it is faded in, mixed with the one below as the generator's pictures are."""
        resolution = 4 << blocks - 1
        if resolution < real.shape[2]:
            real = F.avg_pool2d(real, real.shape[2] // resolution)
        if level == 0:
            return real
        return torch.lerp(real, F.interpolate(F.avg_pool2d(real, 2), scale_factor=2.0, mode="nearest"), level)


def set_level(network: Any, level: float) -> None:
    """Bring a grown network (PGGAN, or the synthesis of StyleGAN) to a level of detail; its picture stays as large as it is."""
    network.level, network.finest = level, network.blocks - 1 - int(level)
    network.lod.fill_(level)


class BoxDown(Conv):
    """A 3x3 convolution and the mean of 2x2 pixels, as one convolution of stride two with the 4x4 kernel that both make."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        kernel = F.pad(self.weight * (self.weight_gain / 4), (1, 1, 1, 1))
        kernel = kernel[:, :, 1:, 1:] + kernel[:, :, :-1, 1:] + kernel[:, :, 1:, :-1] + kernel[:, :, :-1, :-1]
        return F.conv2d(x, kernel.to(x.dtype), (self.bias * self.bias_gain).to(x.dtype), stride=2, padding=1)


class BlurDown(Conv):
    """The same after a blur by [1, 2, 1] (Karras et al. 2019, section 2.1), which with the mean makes [1, 3, 3, 1]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, down=True)


class GrowingDiscriminator(nn.Module):
    """Pictures [N, 3, R, R] in [-1, 1], R = 4, 8, ... for one, two, ... channels, to logits [N].

    level: how much of the picture's lower half resolution counts instead, in [0, 1]. Names are by resolution, 0 for 4x4, so that
    a grown network takes over what a smaller one learned. Groups of four share a minibatch deviation, as in Discriminator.
    """

    def __init__(self, channels: Sequence[int], down: type[Conv]) -> None:
        super().__init__()
        self.blocks, self.level = len(channels), 0.0
        for k, own in enumerate(channels):
            setattr(self, f"from_rgb{k}", Conv(3, own, 1))
            if k:
                setattr(self, f"conv{k}", Conv(own, own, 3))
                setattr(self, f"down{k}", down(own, channels[k - 1]))
        last = channels[0]
        self.conv0 = Conv(last + 1, last, 3)
        self.dense = Linear(last * 16, last)
        self.out = Linear(last, 1)

    def forward(self, images: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
        images = images.to(dtype).contiguous(memory_format=torch.channels_last)
        x = self._layer(f"from_rgb{self.blocks - 1}", images)
        for k in range(self.blocks - 1, 0, -1):
            x = self._layer(f"down{k}", self._layer(f"conv{k}", x))
            if k == self.blocks - 1 and self.level:
                x = torch.lerp(x, self._layer(f"from_rgb{k - 1}", F.avg_pool2d(images, 2)), self.level)
        x = x.float()
        x = self._layer("conv0", torch.cat([x, group_deviation(x)], 1))
        x = F.leaky_relu(self.dense(x.flatten(1)), SLOPE) * GAIN
        return self.out(x).squeeze(1)

    def _layer(self, name: str, x: Tensor) -> Tensor:
        return F.leaky_relu(self.get_submodule(name)(x), SLOPE)


def draw_normal(module: nn.Module) -> None:
    """Weights of unit variance, which equalised layers scale at run time; biases as they are made."""
    for name, parameter in module.named_parameters():
        if name.endswith("weight") and parameter.dim() > 1:
            nn.init.normal_(parameter)
