"""The embedded segmenters of `heads`: a guide and a judge that name the class of every pixel of a 64 px picture.

The judge is a residual U-Net (Ronneberger et al. 2015) that joins encoder and decoder by concatenation down to single pixels. The
guide is a feature pyramid (Lin et al. 2017) over a plain encoder that adds maps up and paints 2x2 pixels at once, so that the two
err in different ways. Batch normalisation is folded after training, as in networks.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.domains.base import Network
from bench.domains.heads.factors import CLASSES
from bench.domains.heads.networks import PlainStage, ResidualStage, Unit, prepared


@dataclass(frozen=True)
class SegmenterSpec:
    """One segmenter.

    family: unet or pyramid. widths: channels at 64, 32, 16, 8 and 4 px (a pyramid has no map at 64 px). decoder: channels on the
    way up, at 8, 16, 32 and 64 px (a pyramid has one width). independent: trained on uncorrelated factors.
    """

    name: str
    role: str
    family: str
    widths: tuple[int, ...]
    decoder: tuple[int, ...]
    independent: bool
    readings: ClassVar[frozenset[str]] = frozenset({"segmentation"})


SEGMENTERS: dict[str, SegmenterSpec] = {
    s.name: s
    for s in (
        SegmenterSpec("heads-segmentation", "judge", "unet", (12, 24, 40, 72, 80), (64, 40, 24, 16), True),
        SegmenterSpec("heads-guide-segmentation", "guide", "pyramid", (0, 28, 48, 72, 88), (48,), False),
    )
}


class UNet(nn.Module):
    """Pictures [N, 3, 64, 64] to class logits [N, C, 64, 64]."""

    def __init__(self, spec: SegmenterSpec, *, folded: bool = True) -> None:
        super().__init__()
        widths = spec.widths
        self.stem = Unit(3, widths[0], folded=folded)
        self.down = nn.ModuleList(ResidualStage(a, b, folded=folded) for a, b in zip(widths, widths[1:], strict=False))
        self.up = nn.ModuleList()
        below = widths[-1]
        for skip, width in zip(widths[-2::-1], spec.decoder, strict=True):
            self.up.append(Unit(below + skip, width, folded=folded))
            below = width
        self.out = nn.Conv2d(below, len(CLASSES), 1)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.stem(images.contiguous(memory_format=torch.channels_last)))
        maps = [x]
        for stage in self.down:
            maps.append(stage(maps[-1]))
        x = maps.pop()
        for unit in self.up:
            x = F.relu(unit(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), maps.pop()], 1)))
        return self.out(x)


class Pyramid(nn.Module):
    """Pictures [N, 3, 64, 64] to class logits [N, C, 64, 64]."""

    def __init__(self, spec: SegmenterSpec, *, folded: bool = True) -> None:
        super().__init__()
        widths, (width,) = spec.widths[1:], spec.decoder
        self.stem = Unit(12, widths[0], folded=folded)
        self.fine = Unit(widths[0], widths[0], folded=folded)
        pairs = zip(widths, widths[1:], strict=False)
        self.down = nn.ModuleList(PlainStage(a, b, depth=2, folded=folded) for a, b in pairs)
        self.across = nn.ModuleList(nn.Conv2d(a, width, 1) for a in widths)
        self.smooth = nn.ModuleList(Unit(width, width, folded=folded) for _ in widths[:-1])
        self.paint = Unit(width, width, folded=folded)
        self.out = nn.Conv2d(width, 4 * len(CLASSES), 1)

    def forward(self, images: Tensor) -> Tensor:
        x = F.leaky_relu(self.stem(F.pixel_unshuffle(images, 2).contiguous(memory_format=torch.channels_last)), 0.1)
        maps = [F.leaky_relu(self.fine(x), 0.1)]
        for stage in self.down:
            maps.append(stage(maps[-1]))
        maps = [across(x) for across, x in zip(self.across, maps, strict=True)]
        x = maps.pop()
        for smooth in self.smooth:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False) + maps.pop()
            x = F.leaky_relu(smooth(x), 0.1)
        return F.pixel_shuffle(self.out(F.leaky_relu(self.paint(x), 0.1)), 2)


def segmenter(spec: SegmenterSpec, *, folded: bool = True) -> nn.Module:
    """The network of a spec; `folded` ones have no batch normalisation."""
    return (UNet if spec.family == "unet" else Pyramid)(spec, folded=folded)


class HeadsSegmenter(Network):
    """A frozen segmenter: logits [N, C, 64, 64] in the order of factors.CLASSES. Differentiable with respect to the pictures."""

    readings = SegmenterSpec.readings

    def __init__(self, spec: SegmenterSpec, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.spec, self.name = spec, spec.name
        self.body = segmenter(spec)
        self.body.load_state_dict(dict(state))
        self.body.to(memory_format=torch.channels_last)
        self.eval().requires_grad_(False)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """The class logits of pictures [N, 3, R, R] in [-1, 1], float32, whatever R; a row depends on its own picture alone."""
        return {"segmentation": self.body(prepared(images)).float().contiguous()}
