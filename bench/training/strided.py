"""The discriminator of strided convolutions (Radford et al. 2016), which DCGAN is trained against."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.training.discriminator import group_deviation
from bench.training.recipe import as_trained

SLOPE = 0.2
SPREAD = 0.02  # deviation of fresh weights
KERNEL = 4


class StridedDiscriminator(nn.Module):
    """Pictures [N, 3, R, R] in [-1, 1] to logits [N]: 4x4 convolutions of stride two and leaky ReLUs down to 4x4 pixels.

    channels: at 4, 8, ... pixels up to half the picture's size. Without the paper's batch norm: R1 asks for the slope of a logit
    by its own picture, and batch norm would mix the pictures. What the norm lets it see of a batch, that all its pictures are
    alike, a minibatch deviation shows instead (Karras et al. 2018, section 3), over groups of four as in Discriminator.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        widths = [3, *reversed(channels)]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, KERNEL, 2, 1) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.out = nn.Conv2d(widths[-1] + 1, 1, KERNEL)
        draw_weights(self)

    def forward(self, images: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
        x = images.contiguous(memory_format=torch.channels_last)
        with as_trained(dtype, images.device):
            for conv in self.convs:
                x = F.leaky_relu(conv(x), SLOPE)
        x = x.float()
        return self.out(torch.cat([x, group_deviation(x)], 1)).flatten()


def draw_weights(module: nn.Module) -> None:
    """The paper's fresh weights: N(0, 0.02), gains of batch norms N(1, 0.02), biases 0."""
    for one in module.modules():
        if isinstance(one, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(one.weight, 0.0, SPREAD)
        elif isinstance(one, nn.BatchNorm2d):
            nn.init.normal_(one.weight, 1.0, SPREAD)
        if getattr(one, "bias", None) is not None:
            nn.init.zeros_(one.bias)
