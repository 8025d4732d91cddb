"""The networks of StyleGAN2 as plain modules: mapping and synthesis, shared by the frozen generator and its training.

Karras et al. 2019 (mapping network, style mixing, noise inputs) and 2020 (weight demodulation, skip connections). Names of
parameters and buffers are those of the stylegan2-ada-pytorch state dict. Weights are drawn from N(0, 1) and scaled at run time
("equalised learning rate", Karras et al. 2018, section 4.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.generators.layered import Visit, leave
from bench.generators.resample import conv_up, fir_filter, upsample

SLOPE = 0.2
GAIN = math.sqrt(2.0)  # restores unit variance after a leaky ReLU
EPSILON = 1e-8


class Linear(nn.Module):
    """x W^T / sqrt(inputs) + b, both times the learning-rate multiplier."""

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, lr_multiplier: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.weight_gain = lr_multiplier / math.sqrt(inputs)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


class Mapping(nn.Module):
    """z [N, Z] to w [N, W]: z is normalised to mean square one, then `fc0`, `fc1`, ... each with a leaky ReLU."""

    def __init__(self, z_dim: int, widths: Sequence[int], *, lr_multiplier: float = 0.01) -> None:
        super().__init__()
        self.depth = len(widths)
        for index, (inputs, outputs) in enumerate(zip([z_dim, *widths[:-1]], widths, strict=True)):
            setattr(self, f"fc{index}", Linear(inputs, outputs, lr_multiplier=lr_multiplier))
        self.register_buffer("w_avg", torch.zeros(widths[-1]))

    def forward(self, z: Tensor) -> Tensor:
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + EPSILON)
        for index in range(self.depth):
            x = F.leaky_relu(self.get_submodule(f"fc{index}")(x), SLOPE) * GAIN
        return x


class StyledConv(nn.Module):
    """A 3x3 convolution whose input channels are scaled by the style and whose output is brought back to unit variance.

    Equations 1 and 3 of Karras et al. 2020 scale the weight of every sample; here the input is scaled before one convolution
    shared by the batch, and its output after it, which is the same function and needs no grouped convolution.
    """

    def __init__(
        self, inputs: int, outputs: int, *, w_dim: int, resolution: int, up: bool = False, clamp: float | None = None
    ) -> None:
        super().__init__()
        self.up, self.clamp, self.resolution = up, clamp, resolution
        self.inputs, self.channels = inputs, outputs
        self.affine = Linear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", fir_filter())

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        """x [N, I, h, w], style [N, I], noise broadcastable to [N, 1, h, w] or None -> [N, O, h, w] (doubled where `up`)."""
        scale = torch.rsqrt(style.square() @ self.weight.square().sum((2, 3)).t() + EPSILON) * GAIN
        x = x * style.to(x.dtype)[:, :, None, None]
        kernel = self.weight.to(x.dtype)
        x = conv_up(x, kernel, self.resample_filter) if self.up else F.conv2d(x, kernel, padding=1)
        # The gain commutes with the leaky ReLU, so it sits in the factors: fewer passes over the feature map.
        bias = (self.bias * GAIN).to(x.dtype)[None, :, None, None]
        x = torch.addcmul(bias, x, scale.to(x.dtype)[:, :, None, None])
        if noise is not None:
            x = x.add_((noise * (self.noise_strength * GAIN)).to(x.dtype))
        x = F.leaky_relu_(x, SLOPE)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class ToRGB(nn.Module):
    """A 1x1 convolution to colours, modulated but not demodulated; the style is divided by sqrt(inputs) after the affine."""

    def __init__(self, inputs: int, *, w_dim: int, resolution: int, clamp: float | None = None) -> None:
        super().__init__()
        self.clamp, self.resolution = clamp, resolution
        self.inputs, self.channels = inputs, 3
        self.affine = Linear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x [N, I, h, w], style [N, I] -> the layer's part of the picture, [N, 3, h, w], in the weights' precision."""
        n, c, h, w = x.shape
        weight = self.weight.view(3, c).t() * (style / math.sqrt(c))[:, :, None]
        pixels = x.permute(0, 2, 3, 1).reshape(n, h * w, c)
        y = torch.baddbmm(self.bias.to(x.dtype), pixels, weight.to(x.dtype))
        y = y.to(self.weight.dtype).view(n, h, w, 3).permute(0, 3, 1, 2)
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)


class Block(nn.Module):
    """The layers of one resolution: the learned constant or `conv0`, which doubles, then `conv1` and `torgb`."""

    def __init__(self, inputs: int, channels: int, *, w_dim: int, resolution: int, clamp: float | None = None) -> None:
        super().__init__()
        settings = {"w_dim": w_dim, "resolution": resolution, "clamp": clamp}
        self.register_buffer("resample_filter", fir_filter())
        if inputs:
            self.conv0 = StyledConv(inputs, channels, up=True, **settings)
        else:
            self.const = nn.Parameter(torch.randn(channels, resolution, resolution))
        self.conv1 = StyledConv(channels, channels, **settings)
        self.torgb = ToRGB(channels, **settings)

    def order(self) -> tuple[str, ...]:
        """The names of the styled layers in the order in which they run."""
        return ("conv1", "torgb") if hasattr(self, "const") else ("conv0", "conv1", "torgb")


Noise = Callable[[str, StyledConv], Tensor | None]


def constant_noise(name: str, layer: StyledConv) -> Tensor:
    """The noise map that is stored with the layer."""
    return layer.noise_const


def no_noise(name: str, layer: StyledConv) -> None:
    """No noise input."""


class Synthesis(nn.Module):
    """Style codes to pictures, `skip` architecture: every resolution adds its colours to the enlarged sum of those below.

    channels: resolution -> channels for 4, 8, ... up to the picture. compute_dtype: precision of maps; None, the weights'.
    """

    def __init__(self, channels: dict[int, int], *, w_dim: int, clamp: float | None = None) -> None:
        super().__init__()
        self.resolutions = tuple(sorted(channels))
        self.w_dim = w_dim
        self.compute_dtype: torch.dtype | None = None
        below = 0
        for resolution in self.resolutions:
            block = Block(below, channels[resolution], w_dim=w_dim, resolution=resolution, clamp=clamp)
            setattr(self, f"b{resolution}", block)
            below = channels[resolution]

    @property
    def num_ws(self) -> int:
        """Rows of w+: one per convolution, and one more for the last toRGB."""
        return 2 * len(self.resolutions)

    def layers(self) -> Iterator[tuple[str, StyledConv | ToRGB, int]]:
        """(full name, module, row of w+) in the order of synthesis; a toRGB shares the row of the convolution after it."""
        row = 0
        for resolution in self.resolutions:
            block = self.get_submodule(f"b{resolution}")
            for part in block.order():
                layer = block.get_submodule(part)
                yield f"synthesis.b{resolution}.{part}", layer, row
                row += part != "torgb"

    def styles(self, ws: Tensor) -> list[Tensor]:
        """Each layer's affine output [N, I] for w+ codes [N, L, W]; for toRGB before the factor 1/sqrt(I)."""
        return [layer.affine(ws[:, row]) for _, layer, row in self.layers()]

    def forward(
        self, styles: Sequence[Tensor], *, noise: Noise = constant_noise, visit: Visit = leave, last: str | None = None
    ) -> Tensor:
        """Pictures [N, 3, R, R] for one style per layer.

        visit: sees, and may replace, each layer's output. last: the name of the layer to stop after (the sum of colours so far).
        """
        const = self.b4.const
        x = const.to(self.compute_dtype or const.dtype).expand(len(styles[0]), -1, -1, -1)
        x = x.contiguous(memory_format=torch.channels_last)
        image: Tensor | None = None
        for (name, layer, _), style in zip(self.layers(), styles, strict=True):
            if isinstance(layer, ToRGB):
                colours = visit(name, layer(x, style))
                image = colours if image is None else upsample(image, self.b4.resample_filter) + colours
            else:
                x = visit(name, layer(x, style, noise(name, layer)))
            if name == last:
                break
        return image
