"""The mapping network of StyleGAN2 and its equalised linear layer (Karras et al. 2018, section 4.1; 2019; 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
GAIN = math.sqrt(2.0)  # restores unit variance after a leaky ReLU
EPSILON = 1e-8


class Linear(nn.Module):
    """x W^T / sqrt(inputs) + b, both times the learning-rate multiplier. offset: is added to b at run time."""

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, lr_multiplier: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.weight_gain = lr_multiplier / math.sqrt(inputs)
        self.bias_gain = lr_multiplier
        self.offset = offset

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias * self.bias_gain
        return F.linear(x, self.weight * self.weight_gain, bias + self.offset if self.offset else bias)


def normalised(x: Tensor) -> Tensor:
    """Rows [N, D] brought to mean square one."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + EPSILON)


class Mapping(nn.Module):
    """z [N, Z] to w [N, W]: z is normalised to mean square one, then `fc0`, `fc1`, ... each with a leaky ReLU.

    A class-conditional one embeds class weights [N, n_labels] linearly in embed_features dimensions, normalises the embedding
    on its own and puts it beside z (Karras et al. 2020, 'Training GANs with Limited Data', appendix C). mean_w: whether the
    network holds the mean w of its training.
    """

    def __init__(
        self,
        z_dim: int,
        widths: Sequence[int],
        *,
        lr_multiplier: float = 0.01,
        n_labels: int = 0,
        embed_features: int = 0,
        mean_w: bool = True,
    ) -> None:
        super().__init__()
        self.depth = len(widths)
        for index, (inputs, outputs) in enumerate(zip([z_dim + embed_features, *widths[:-1]], widths, strict=True)):
            setattr(self, f"fc{index}", Linear(inputs, outputs, lr_multiplier=lr_multiplier))
        self.embed = Linear(n_labels, embed_features) if n_labels else None
        self.register_buffer("w_avg", torch.zeros(widths[-1]) if mean_w else None)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = normalised(z)
        if self.embed is not None:
            x = torch.cat([x, normalised(self.embed(labels))], 1)
        for index in range(self.depth):
            x = F.leaky_relu(self.get_submodule(f"fc{index}")(x), SLOPE) * GAIN
        return x
