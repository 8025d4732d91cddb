"""The plausible range of interventions: how far a changed unit's activations lie from those that samples show."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.codes import Codes
from bench.generators.base import Generator
from bench.interventions import Unit

# Sampled codes behind a layer's statistics, and codes whose maps are held at a time.
SAMPLES = 256
ROWS = 16


class ActivationRange:
    """Standardised activations of one layer's channels against those of samples.

    mean, scale: [C] over samples and places. worst: [N, C] each sample's largest |a - mean| / scale over places.
    """

    def __init__(self, generator: Generator, layer: str, samples: Codes) -> None:
        self.generator, self.layer = generator, layer
        count, total, square = 0, 0.0, 0.0
        for maps in self._maps(samples):
            count += maps.shape[0] * maps.shape[2] * maps.shape[3]
            total = total + maps.double().sum((0, 2, 3))
            square = square + maps.double().square().sum((0, 2, 3))
        self.mean = (total / count).float()
        self.scale = (square / count - (total / count).square()).clamp(min=1e-12).sqrt().float()
        self.worst = torch.cat([self._away(maps).amax((2, 3)) for maps in self._maps(samples)])

    def _maps(self, codes: Codes) -> Iterator[Tensor]:
        for start in range(0, len(codes), ROWS):
            yield self.generator.features(codes[start : start + ROWS], [self.layer])[self.layer].cpu()

    def _away(self, maps: Tensor, channels: Tensor | slice = slice(None)) -> Tensor:
        return (maps - self.mean[channels, None, None]).abs() / self.scale[channels, None, None]

    def ratio(self, codes: Codes, unit: Unit, quantile: float) -> Tensor:
        """How far the unit goes, [N]: its channels' largest standardised activation after it, over the samples' own quantile.

        The activations are those of `codes` without other interventions; a unit's mask limits where they are looked at.
        """
        channels = unit.channels.cpu()
        limit = torch.quantile(self.worst[:, channels].amax(1).double(), quantile, interpolation="higher")
        parts = []
        for start in range(0, len(codes), ROWS):
            part = slice(start, start + ROWS)
            maps = self.generator.features(codes[part], [self.layer])[self.layer].cpu()[:, channels]
            parts.append(self._changed(maps, unit.rows(part), channels))
        return torch.cat(parts).double() / limit

    def _changed(self, maps: Tensor, unit: Unit, channels: Tensor) -> Tensor:
        value = unit.value.cpu().expand(len(maps), -1)[:, :, None, None]
        after = {"set": value.expand_as(maps), "add": maps + value, "scale": maps * value}[unit.mode]
        if unit.mask is None:
            return self._away(after, channels).amax((1, 2, 3))
        mask = F.interpolate(unit.mask.cpu().float(), maps.shape[2:], mode="bilinear", align_corners=False).clamp(0, 1)
        return (self._away(torch.lerp(maps, after, mask), channels) * (mask > 0)).amax((1, 2, 3))
