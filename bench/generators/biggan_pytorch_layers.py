"""The modules of BigGAN-PyTorch's two architectures, under its names, and what shapes tell of them.

Brock et al. 2019, appendix B: figures 15 (classic block) and 16 (deep block).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.generators.biggan_layers import IteratedSpectral, Weight, attend, deep_block, double, standardize

REDUCTION = 4  # a deep block's inner maps have this part of its input channels


@dataclass(frozen=True)
class Sizes:
    """What shapes tell of a network. deep: which of the two architectures.

    blocks: (channels in, channels out, doubles the resolution). attention: the blocks that an attention layer follows.
    chunk: width of z in each block, 0 where z feeds the first layer alone. first: width of z in the first layer. shared_dim: of
    the class embedding; 0 where every norm has gains and biases of each class instead. bottom: pixels a side of the first map.
    vectors: spectral vectors kept, 0 where weights are plain. sn_eps: the smallest norm that a power iteration divides by.
    """

    deep: bool
    first: int
    chunk: int
    classes: int
    shared_dim: int
    bottom: int
    blocks: tuple[tuple[int, int, bool], ...]
    attention: tuple[int, ...]
    vectors: int
    sn_eps: float = 1e-12

    @property
    def z_dim(self) -> int:
        """Width of z: the chunks side by side, or what the first layer takes."""
        return self.chunk * (1 + len(self.blocks)) if self.chunk and not self.deep else self.first

    @property
    def resolution(self) -> int:
        return self.bottom * 2 ** sum(up for _, _, up in self.blocks)

    def weight(self, *shape: int, bias: bool = True) -> Weight:
        """A weight of this network's kind."""
        if self.vectors:
            return IteratedSpectral(shape, bias=bias, vectors=self.vectors, eps=self.sn_eps)
        return Weight(shape, bias=bias)


class ClassTable(nn.Module):
    """Gains or biases [N, C] of class weights [N, K]: a row for each class."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, channels))

    def forward(self, labels: Tensor) -> Tensor:
        return labels @ self.weight


class ConditionalNorm(nn.Module):
    """Batch norm whose gain (1 + gain) and bias are linear in the condition [N, D]."""

    def __init__(self, channels: int, net: Sizes) -> None:
        super().__init__()
        self.register_buffer("stored_mean", torch.empty(channels))
        self.register_buffer("stored_var", torch.empty(channels))
        for part in ("gain", "bias"):
            width = net.shared_dim + net.chunk
            table = net.weight(channels, width, bias=False) if net.shared_dim else ClassTable(net.classes, channels)
            setattr(self, part, table)

    def forward(self, x: Tensor, condition: Tensor, eps: float) -> Tensor:
        return standardize(x, self.stored_mean, self.stored_var, eps, 1 + self.gain(condition), self.bias(condition))


class Norm(nn.Module):
    """The batch norm before the last layer, which no code reaches."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.empty(channels)), nn.Parameter(torch.empty(channels))
        self.register_buffer("stored_mean", torch.empty(channels))
        self.register_buffer("stored_var", torch.empty(channels))

    def forward(self, x: Tensor, eps: float) -> Tensor:
        return standardize(x, self.stored_mean, self.stored_var, eps, self.gain, self.bias)


class Block(nn.Module):
    """A residual block, classic (two 3x3 convolutions, a 1x1 one in the shortcut) or deep."""

    def __init__(self, inputs: int, outputs: int, up: bool, net: Sizes) -> None:
        super().__init__()
        self.outputs, self.up, self.deep = outputs, up, net.deep
        if net.deep:
            inner = inputs // REDUCTION
            shapes = [(inner, inputs, 1, 1), (inner, inner, 3, 3), (inner, inner, 3, 3), (outputs, inner, 1, 1)]
        else:
            shapes = [(outputs, inputs, 3, 3), (outputs, outputs, 3, 3)]
            self.conv_sc = net.weight(outputs, inputs, 1, 1)
        self.depth = len(shapes)
        for index, shape in enumerate(shapes, 1):
            setattr(self, f"bn{index}", ConditionalNorm(shape[1], net))
            setattr(self, f"conv{index}", net.weight(*shape))

    def norms(self) -> list[ConditionalNorm]:
        return [self.get_submodule(f"bn{index}") for index in range(1, 1 + self.depth)]

    def forward(self, x: Tensor, condition: Tensor, eps: float) -> Tensor:
        if self.deep:
            norms = [lambda h, norm=norm: norm(h, condition, eps) for norm in self.norms()]
            return deep_block(x, norms, [self.conv1, self.conv2, self.conv3, self.conv4], self.outputs, self.up)
        h = self.conv1(double(F.relu(self.bn1(x, condition, eps))))
        h = self.conv2(F.relu(self.bn2(h, condition, eps)))
        return h + self.conv_sc(double(x))


class Attention(nn.Module):
    """Attention over the map; no code reaches it."""

    def __init__(self, channels: int, net: Sizes) -> None:
        super().__init__()
        self.theta = net.weight(channels // 8, channels, 1, 1, bias=False)
        self.phi = net.weight(channels // 8, channels, 1, 1, bias=False)
        self.g = net.weight(channels // 2, channels, 1, 1, bias=False)
        self.o = net.weight(channels, channels // 2, 1, 1, bias=False)
        self.gamma = nn.Parameter(torch.empty(()))

    def forward(self, x: Tensor) -> Tensor:
        return attend(x, self.theta, self.phi, self.g, self.o, self.gamma)
