"""The networks of StyleGAN as plain modules: mapping and synthesis (Karras et al. 2019, figure 1 and section 2).

Names of parameters and buffers are those of genforce's state dicts. Weights are stored at unit variance and scaled at run time
("equalised learning rate", Karras et al. 2018, section 4.1), with He's gain sqrt(2) where a leaky ReLU follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import InputError
from bench.generators.layered import Visit, leave

SLOPE = 0.2
GAIN = math.sqrt(2.0)
EPSILON = 1e-8


def pixel_norm(x: Tensor) -> Tensor:
    """x over the root of its mean square along axis 1 (Karras et al. 2018, section 4.2)."""
    return x / torch.sqrt(x.square().mean(1, keepdim=True) + EPSILON)


def adaptive_norm(x: Tensor, style: Tensor) -> Tensor:
    """AdaIN: maps [N, C, h, w] to mean 0 and variance 1 each, times 1 + the style's first half, plus its second half.

    style: [N, 2C] (Karras et al. 2019, equation 1; the scale is stored as its difference from one).
    """
    x = x - x.mean((2, 3), keepdim=True)
    x = x / torch.sqrt(x.square().mean((2, 3), keepdim=True) + EPSILON)
    scale, shift = style[:, :, None, None].chunk(2, 1)
    return torch.addcmul(shift, x, scale + 1)


def enlarge(x: Tensor) -> Tensor:
    """Twice as large maps, every pixel repeated."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def fused_up(x: Tensor, weight: Tensor) -> Tensor:
    """`enlarge` and a 3x3 convolution in one transposed convolution, [N, I, h, w] to [N, O, 2h, 2w].

    weight: [I, O, 3, 3], in the transposed convolution's orientation: an ordinary convolution's, flipped in both spatial axes.
    A pixel that is repeated four times meets the four shifts of the kernel, whose sum is the 4x4 kernel.
    """
    kernel = F.pad(weight, (1, 1, 1, 1))
    kernel = kernel[:, :, 1:, 1:] + kernel[:, :, :-1, 1:] + kernel[:, :, 1:, :-1] + kernel[:, :, :-1, :-1]
    return F.conv_transpose2d(x, kernel, stride=2, padding=1)


def grown(image: Tensor, coarse: Tensor | None, lod: float) -> Tensor:
    """The full-size picture at level of detail `lod` (Karras et al. 2018, figure 2).

    image: of the finest resolution that training had reached, doubled floor(lod) times. coarse: of the resolution below it, half
    as large, which counts by the fraction of lod; None where that is 0.
    """
    if coarse is not None:
        image = torch.lerp(image, enlarge(coarse), lod % 1)
    for _ in range(int(lod)):
        image = enlarge(image)
    return image


class Dense(nn.Module):
    """x W^T gain / sqrt(inputs) + b, both times the learning-rate multiplier."""

    def __init__(self, inputs: int, outputs: int, *, gain: float = 1.0, lr_multiplier: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.weight_gain = gain * lr_multiplier / math.sqrt(inputs)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


class Mapping(nn.Module):
    """z [N, Z] and class weights [N, K] to w [N, W]: normalised to mean square one, then `dense0`, ... each with a leaky ReLU.

    A class's embedding, of the size of z, is appended to z before both are normalised as one vector.
    """

    def __init__(self, z_dim: int, widths: Sequence[int], *, n_labels: int = 0, lr_multiplier: float = 0.01) -> None:
        super().__init__()
        self.depth = len(widths)
        first = 2 * z_dim if n_labels else z_dim
        for index, (inputs, outputs) in enumerate(zip([first, *widths[:-1]], widths, strict=True)):
            setattr(self, f"dense{index}", Dense(inputs, outputs, gain=GAIN, lr_multiplier=lr_multiplier))
        if n_labels:
            self.label_weight = nn.Parameter(torch.zeros(n_labels, z_dim))

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        if hasattr(self, "label_weight"):
            if labels is None:
                raise InputError("a class-conditional generator needs codes with labels")
            z = torch.cat([z, labels.to(z) @ self.label_weight], 1)
        x = pixel_norm(z)
        for index in range(self.depth):
            x = F.leaky_relu(self.get_submodule(f"dense{index}")(x), SLOPE)
        return x


class AddNoise(nn.Module):
    """One noise map for all channels, times a strength per channel."""

    def __init__(self, channels: int, resolution: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))
        self.register_buffer("noise", torch.zeros(1, 1, resolution, resolution))

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        return x if noise is None else x + noise * self.weight[:, None, None]


# The noise map, broadcastable to [N, 1, h, w], of a layer by its name and its stored map; None: no noise.
Noise = Callable[[str, Tensor], Tensor | None]


class Blur(nn.Module):
    """Each channel filtered by its own 3x3 kernel, zero outside the border; published ones are all (1, 2, 1) in both axes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", torch.outer(taps, taps).repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel, padding=1, groups=len(self.kernel))


class StyledLayer(nn.Module):
    """The learned constant or a 3x3 convolution (doubling and then blurred where `up`), then noise, bias, leaky ReLU and AdaIN.

    inputs: channels of the map below; 0 for the constant. fused: doubling is part of the convolution.
    """

    def __init__(self, inputs: int, channels: int, *, w_dim: int, resolution: int, up: bool = False, fused: bool = False) -> None:
        super().__init__()
        self.channels, self.resolution, self.up, self.fused = channels, resolution, up, fused
        self.bias = nn.Parameter(torch.zeros(channels))
        if inputs:
            self.weight = nn.Parameter(torch.zeros(channels, inputs, 3, 3))
            self.weight_gain = GAIN / math.sqrt(inputs * 9)
        else:
            self.const = nn.Parameter(torch.zeros(1, channels, resolution, resolution))
        self.apply_noise = AddNoise(channels, resolution)
        self.style = Dense(w_dim, 2 * channels)
        if up:
            self.blur = Blur(channels)

    def forward(self, x: Tensor | None, style: Tensor, noise: Tensor | None) -> Tensor:
        """x [N, I, h, w] (None for the constant), style [N, 2C], noise [N or 1, 1, R, R] -> [N, C, R, R]."""
        x = self.const.expand(len(style), -1, -1, -1) if x is None else self._convolve(x)
        x = self.apply_noise(x, noise) + self.bias[:, None, None]
        return adaptive_norm(F.leaky_relu(x, SLOPE), style)

    def _convolve(self, x: Tensor) -> Tensor:
        weight = self.weight * self.weight_gain
        if not self.up:
            return F.conv2d(x, weight, padding=1)
        return self.blur(fused_up(x, weight.transpose(0, 1)) if self.fused else F.conv2d(enlarge(x), weight, padding=1))


class ToRGB(nn.Module):
    """A 1x1 convolution to colours; it takes no style."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.weight_gain = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.weight_gain, self.bias)


class Synthesis(nn.Module):
    """Styles to pictures. channels: of the resolutions 4, 8, ... up to the picture. fused_from: see progressive.fused_from.

    level: the level of detail (see `grown`); in a finished network, at 0, the toRGB layers of lower resolutions do nothing. Every
    styled layer runs at any level.
    """

    def __init__(self, channels: Sequence[int], *, w_dim: int, fused_from: int | None = None, level: float = 0.0) -> None:
        super().__init__()
        self.blocks, self.level = len(channels), level
        self.finest = self.blocks - 1 - int(level)
        self.register_buffer("lod", torch.tensor(level))
        below = 0
        for k, own in enumerate(channels):
            settings = {"w_dim": w_dim, "resolution": 4 << k}
            fused = fused_from is not None and fused_from <= 4 << k
            setattr(self, f"layer{2 * k}", StyledLayer(below, own, up=k > 0, fused=fused, **settings))
            setattr(self, f"layer{2 * k + 1}", StyledLayer(own, own, **settings))
            setattr(self, f"output{k}", ToRGB(own))
            below = own

    @property
    def num_ws(self) -> int:
        """Rows of w+: one per styled layer."""
        return 2 * self.blocks

    @property
    def output_name(self) -> str:
        """The name of the toRGB layer that makes the picture."""
        return f"synthesis.output{self.finest}"

    def layers(self) -> Iterator[tuple[str, StyledLayer]]:
        """(full name, module) of the styled layers in the order of synthesis; the i-th takes row i of w+."""
        for row in range(self.num_ws):
            yield f"synthesis.layer{row}", self.get_submodule(f"layer{row}")

    def styles(self, ws: Tensor) -> list[Tensor]:
        """Each layer's style [N, 2C], scale half and shift half, for w+ codes [N, L, W]."""
        return [layer.style(ws[:, row]) for row, (_, layer) in enumerate(self.layers())]

    def forward(self, styles: Sequence[Tensor], *, noise: Noise, visit: Visit = leave, last: str | None = None) -> Tensor:
        """Pictures [N, 3, R, R] for one style per layer. visit, last: as in Layered.run."""
        x: Tensor | None = None
        coarse: Tensor | None = None
        fine: Tensor | None = None
        for row, ((name, layer), style) in enumerate(zip(self.layers(), styles, strict=True)):
            x = visit(name, layer(x, style, noise(name, layer.apply_noise.noise)))
            if name == last:
                return x
            if row == 2 * self.finest - 1 and self.level % 1:
                coarse = self.get_submodule(f"output{self.finest - 1}")(x)
            if row == 2 * self.finest + 1:
                fine = self.get_submodule(f"output{self.finest}")(x)
        return grown(visit(self.output_name, fine), coarse, self.level)
