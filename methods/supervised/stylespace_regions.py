"""Where a style channel acts: overlap of its gradient map with the regions of the picture (Wu et al. 2021, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.codes import Codes
from bench.domains.base import Network
from bench.errors import InputError
from bench.generators.base import Generator

# Rows of a pass that measures gradients.
ROWS = 64
# The exponent of a region's area: more than 1 prefers the small of two regions that overlap alike (official code).
DISCOUNT = 2
# Channels of each region that a fit's table names.
LISTED = 12


def majority(labels: np.ndarray, size: int, regions: int) -> np.ndarray:
    """Label maps [N, H, H] at size x size by the most frequent label of each block, the lowest of equals."""
    side = labels.shape[-1]
    if side % size:
        raise InputError(f"label maps of {side} pixels a side do not divide into {size}: choose a size that divides it")
    one_hot = labels[:, None] == np.arange(regions)[:, None, None]
    blocks = one_hot.reshape(len(labels), regions, size, side // size, size, side // size)
    return blocks.sum((3, 5)).argmax(1)


def overlaps(maps: np.ndarray, labels: np.ndarray, regions: int) -> np.ndarray:
    """Intersection, union and area [C, regions, 3] of one picture; NaN where a region is absent.

    maps: [C, size, size] the channels' mean absolute gradients over colours; labels: [size, size]. For each region a map is cut
    at the quantile that leaves as many pixels as the region has, strictly above.
    """
    flat, pixels = maps.reshape(len(maps), -1), labels.reshape(-1)
    found = np.full((len(maps), regions, 3), np.nan)
    for region in range(regions):
        mask = pixels == region
        area = mask.sum()
        if area:
            on = flat > np.percentile(flat, (1 - area / len(pixels)) * 100, axis=1)[:, None]
            found[:, region] = np.stack([(on & mask).sum(1), (on | mask).sum(1), np.full(len(maps), area)], 1)
    return found


def top_regions(found: np.ndarray) -> np.ndarray:
    """The region [C] that each channel of one picture fits best, by intersection over area squared; found: of `overlaps`."""
    return np.nanargmax(found[..., 0] / found[..., 2] ** DISCOUNT, axis=1)


def top_rates(tops: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Share [C, R] of the pictures showing a region in which it is on top. tops: [N, C], -1 for none; shown: [N, R] bool."""
    counts = np.stack([(tops == region).sum(0) for region in range(shown.shape[1])], 1)
    return counts / np.maximum(shown.sum(0), 1)


def belongs(rates: np.ndarray, regions: Sequence[int], top_share: float, lead: float) -> np.ndarray:
    """Whether each channel belongs to the regions together, [C]: on top in more than top_share, and `lead` before any other."""
    inside = rates[:, list(regions)].sum(1)
    others = np.delete(rates, list(regions), 1)
    best = others.max(1) if others.shape[1] else np.zeros(len(rates))
    return (inside > top_share) & (inside - best > lead)


@torch.no_grad()
def gradient_maps(generator: Generator, code: Codes, channels: np.ndarray, steps: np.ndarray, size: int) -> np.ndarray:
    """|d picture / d channel| [C, size, size] of one code in s, mean over colours, in picture units per unit of the channel.

    The picture is averaged down to size x size first. A difference quotient of `steps` [C] stands for the derivative: the paper
    differentiates back from each of the 3 size^2 values, which takes more passes than there are channels.
    """

    def small(codes: Codes) -> Tensor:
        return F.adaptive_avg_pool2d(generator.synthesize(codes), size).double()

    # Every pass has the same number of rows, the base's too, so that rounding does not differ between them.
    base, maps = small(code[[0] * ROWS])[0], []
    index, step = torch.from_numpy(channels), torch.from_numpy(steps)
    for part, by in zip(index.split(ROWS), step.split(ROWS), strict=True):
        moved = code[[0] * ROWS]
        values = moved.values.clone()
        values[torch.arange(len(part)), part] += by.to(values)
        # What was added, as it came out in the values' own precision.
        added = (values - moved.values)[torch.arange(len(part)), part].double()
        change = small(moved.with_values(values))[: len(part)] - base
        maps.append((change.abs().mean(1) / added[:, None, None].abs()).cpu().numpy())
    return np.concatenate(maps)


@dataclass(frozen=True)
class Localised:
    """Rates of the channels (numbers into s, [C]) over regions: rates [C, R], n [R] pictures that show a region.

    rule: top_share and lead. styles: the length of s. guide: the segmenter's name.
    """

    channels: np.ndarray
    rates: np.ndarray
    n: np.ndarray
    regions: tuple[str, ...]
    rule: tuple[float, float]
    styles: int
    guide: str

    def of(self, names: Sequence[str]) -> np.ndarray:
        """Whether each entry of s belongs to the regions together, [S] bool; none where no region is named."""
        found = np.zeros(self.styles, bool)
        wanted = [self.regions.index(name) for name in names if name in self.regions]
        if wanted:
            found[self.channels] = belongs(self.rates, wanted, *self.rule)
        return found

    def tables(self, address: Callable[[int], tuple[str, int]]) -> dict[str, list[dict[str, Any]]]:
        """How many channels belong to each region alone, and the first of them with share, lead over the next region, and n."""
        counts, listed = [], []
        for index, region in enumerate(self.regions):
            mine = np.flatnonzero(belongs(self.rates, [index], *self.rule))
            common = {"region": region, "n": int(self.n[index]), "guide": self.guide}
            counts.append({**common, "channels": len(mine), "of": len(self.channels)})
            others = np.delete(self.rates, index, 1)
            for row in mine[np.argsort(-self.rates[mine, index], kind="stable")][:LISTED]:
                layer, number = address(int(self.channels[row]))
                share, second = float(self.rates[row, index]), float(others[row].max()) if others.shape[1] else 0.0
                listed.append({**common, "layer": layer, "channel": number, "overlap": share, "lead": share - second})
        return {"localised_counts": counts, "localised_channels": listed}


def localise(
    generator: Generator,
    segmenter: Network,
    codes: Codes,
    channels: np.ndarray,
    steps: np.ndarray,
    *,
    regions: Sequence[str],
    size: int,
    rule: tuple[float, float],
) -> Localised:
    """Which of `channels` (numbers into s) act in which of the segmenter's regions, over the pictures of codes in s.

    steps: [S], see gradient_maps. Raises InputError for a segmenter whose classes are not the domain's regions.
    """
    channels = channels[steps[channels] > 0]  # a channel that no sample moves belongs nowhere
    tops, shown = [], []
    for start in range(len(codes)):
        one = codes[[start]]
        labels = majority(_labels(generator, segmenter, one, len(regions)), size, len(regions))[0]
        maps = gradient_maps(generator, one, channels, steps[channels], size)
        found = overlaps(maps, labels, len(regions))
        # A channel that changes nothing would be given to the first region.
        tops.append(np.where(maps.any((1, 2)), top_regions(found), -1))
        shown.append(np.isfinite(found[0, :, 2]))
    rates = top_rates(np.stack(tops), np.stack(shown))
    count = np.stack(shown).sum(0)
    return Localised(channels, rates, count, tuple(regions), rule, codes.values.shape[1], segmenter.name)


@torch.no_grad()
def _labels(generator: Generator, segmenter: Network, code: Codes, regions: int) -> np.ndarray:
    """The class of each pixel [1, h, w] of one code's picture, at the segmenter's own resolution."""
    logits = segmenter.measure(generator.synthesize(code).clamp(-1, 1))["segmentation"]
    if logits.shape[1] != regions:
        raise InputError(f"{segmenter.name} tells {logits.shape[1]} classes apart, and the domain names {regions} regions")
    return logits.argmax(1).cpu().numpy()
