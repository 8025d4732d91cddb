"""The synthesis network of StyleGAN2 as plain modules, shared by the frozen generator and its training.

Karras et al. 2019 (styles, noise inputs) and 2020 (weight demodulation; skip and residual connections).
Names of parameters and buffers are those of the stylegan2-ada-pytorch state dict. Weights are drawn from N(0, 1) and scaled at
run time ("equalised learning rate", Karras et al. 2018, section 4.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.generators.layered import Visit, leave
from bench.generators.resample import conv_up, fir_filter, upsample
from bench.generators.stylegan2_mapping import EPSILON, GAIN, SLOPE, Linear

ARCHITECTURES = ("skip", "resnet", "orig")


@dataclass(frozen=True)
class Variant:
    """What a network's styled layers do and their sizes do not tell; published implementations differ here.

    clamp: limit of feature maps and colours. use_noise: whether convolutions have noise inputs. scaled_epsilon: demodulation
    adds its epsilon to the squares of the weights at run time, divided by sqrt(fan in), and not of the stored ones.
    style_offset: is added to every affine's output.
    """

    clamp: float | None = None
    use_noise: bool = True
    scaled_epsilon: bool = False
    style_offset: float = 0.0


PLAIN = Variant()


class StyledConv(nn.Module):
    """A 3x3 convolution whose input channels are scaled by the style and whose output is brought back to unit variance.

    Equations 1 and 3 of Karras et al. 2020 scale the weight of every sample; here the input is scaled before one convolution
    shared by the batch, and its output after it, which is the same function and needs no grouped convolution.
    gain: factor of the output, and of its limit (residual blocks halve the power of both of their branches).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        w_dim: int,
        resolution: int,
        up: bool = False,
        gain: float = 1.0,
        variant: Variant = PLAIN,
    ) -> None:
        super().__init__()
        self.up, self.resolution, self.use_noise = up, resolution, variant.use_noise
        self.inputs, self.channels = inputs, outputs
        self.gain, self.clamp = GAIN * gain, None if variant.clamp is None else variant.clamp * gain
        # The epsilon over weights divided by sqrt(9 I) is one 9 I times as large over the stored ones.
        self.epsilon = EPSILON * (9 * inputs if variant.scaled_epsilon else 1)
        self.affine = Linear(w_dim, inputs, bias=1.0 - variant.style_offset, offset=variant.style_offset)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if self.use_noise:
            self.noise_strength = nn.Parameter(torch.zeros(()))
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", fir_filter())

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        """x [N, I, h, w], style [N, I], noise broadcastable to [N, 1, h, w] or None -> [N, O, h, w] (doubled where `up`)."""
        scale = torch.rsqrt(style.square() @ self.weight.square().sum((2, 3)).t() + self.epsilon) * self.gain
        kernel = self.weight
        if x.dtype == torch.float16:
            style, kernel, scale = within_half(style, kernel, scale)
        x = x * style.to(x.dtype)[:, :, None, None]
        kernel = kernel.to(x.dtype)
        x = conv_up(x, kernel, self.resample_filter) if self.up else F.conv2d(x, kernel, padding=1)
        # The gain commutes with the leaky ReLU, so it sits in the factors: fewer passes over the feature map.
        bias = (self.bias * self.gain).to(x.dtype)[None, :, None, None]
        x = torch.addcmul(bias, x, scale.to(x.dtype)[:, :, None, None])
        if noise is not None:
            x = x.add_((noise * (self.noise_strength * self.gain)).to(x.dtype))
        x = F.leaky_relu_(x, SLOPE)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


def within_half(style: Tensor, kernel: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Style [N, I], kernel [O, I, 3, 3] and demodulation [N, O] of the same layer, whose sums stay far below float16's 65504."""
    style_top = style.abs().amax(1, keepdim=True).clamp_min(EPSILON)
    kernel_top = kernel.abs().amax().clamp_min(EPSILON) * math.sqrt(kernel[0].numel())
    return style / style_top, kernel / kernel_top, scale * style_top * kernel_top


class ToRGB(nn.Module):
    """A 1x1 convolution to colours, modulated but not demodulated; the style is divided by sqrt(inputs) after the affine."""

    def __init__(self, inputs: int, *, w_dim: int, resolution: int, variant: Variant = PLAIN) -> None:
        super().__init__()
        self.clamp, self.resolution = variant.clamp, resolution
        self.inputs, self.channels = inputs, 3
        self.affine = Linear(w_dim, inputs, bias=1.0 - variant.style_offset, offset=variant.style_offset)
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


class Shortcut(nn.Module):
    """Around a residual block: a 1x1 convolution [N, I, h, w] to [N, O, 2h, 2w], doubled, at half the power."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.weight_gain = math.sqrt(0.5 / inputs)
        self.register_buffer("resample_filter", fir_filter())

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x, (self.weight * self.weight_gain).to(x.dtype))
        return upsample(y, self.resample_filter).contiguous(memory_format=torch.channels_last)


class Block(nn.Module):
    """The layers of one resolution: the learned constant or `conv0`, which doubles, then `conv1` and, if any, `torgb`.

    residual: with a shortcut around the two convolutions. colours: with a toRGB layer.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        *,
        w_dim: int,
        resolution: int,
        residual: bool = False,
        colours: bool = True,
        variant: Variant = PLAIN,
    ) -> None:
        super().__init__()
        sizes: dict[str, Any] = {"w_dim": w_dim, "resolution": resolution, "variant": variant}
        residual = residual and inputs > 0
        self.register_buffer("resample_filter", fir_filter())
        if inputs:
            self.conv0 = StyledConv(inputs, channels, up=True, **sizes)
        else:
            self.const = nn.Parameter(torch.randn(channels, resolution, resolution))
        self.conv1 = StyledConv(channels, channels, gain=math.sqrt(0.5) if residual else 1.0, **sizes)
        self.torgb = ToRGB(channels, **sizes) if colours else None
        self.skip = Shortcut(inputs, channels) if residual else None

    def order(self) -> tuple[str, ...]:
        """The names of the styled layers in the order in which they run."""
        convolutions = ("conv1",) if hasattr(self, "const") else ("conv0", "conv1")
        return convolutions if self.torgb is None else (*convolutions, "torgb")


Noise = Callable[[str, StyledConv], Tensor | None]


def constant_noise(name: str, layer: StyledConv) -> Tensor:
    """The noise map that is stored with the layer."""
    return layer.noise_const


def no_noise(name: str, layer: StyledConv) -> None:
    """No noise input."""


class Synthesis(nn.Module):
    """Style codes to pictures.

    channels: resolution -> channels for 4, 8, ... up to the picture. architecture (Karras et al. 2020, figure 7): `skip`, every
    resolution adds its colours to the enlarged sum of those below; `resnet`, blocks have shortcuts, and only the last makes
    colours; `orig`, neither. compute_dtype: precision of maps; None, the weights'.
    """

    def __init__(self, channels: dict[int, int], *, w_dim: int, architecture: str = "skip", variant: Variant = PLAIN) -> None:
        super().__init__()
        self.resolutions = tuple(sorted(channels))
        self.w_dim = w_dim
        self.compute_dtype: torch.dtype | None = None
        below = 0
        for resolution in self.resolutions:
            block = Block(
                below,
                channels[resolution],
                w_dim=w_dim,
                resolution=resolution,
                residual=architecture == "resnet",
                colours=architecture == "skip" or resolution == self.resolutions[-1],
                variant=variant,
            )
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
        shortcut: Tensor | None = None
        for (name, layer, _), style in zip(self.layers(), styles, strict=True):
            _, place, part = name.split(".")
            block = self.get_submodule(place)
            if isinstance(layer, ToRGB):
                colours = visit(name, layer(x, style))
                image = colours if image is None else upsample(image, block.resample_filter) + colours
            else:
                if part == "conv0" and block.skip is not None:
                    shortcut = block.skip(x)
                x = visit(name, layer(x, style, noise(name, layer) if layer.use_noise else None))
                if part == "conv1" and shortcut is not None:
                    x, shortcut = x + shortcut, None
            if name == last:
                break
        return image
