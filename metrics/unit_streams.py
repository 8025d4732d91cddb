"""Unit-concept IoU in streams: levels and counts, batch after batch, so that memory does not grow with the pictures.

It is metrics.localisation.unit_iou in its "pnas2020" convention: a unit's level is a quantile of its activations after
upsampling, outside the map is zero, a pixel is on strictly above the level, and IoU runs over all pixels of all pictures.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from metrics.localisation import upsampled

# Bins of a unit's histogram: the resolution of the quantile sketch in Bau et al. 2020 (8192).
BINS = 8192


def grown(maps: Tensor, size: int) -> Tensor:
    """Maps [N, U, h, w] to [N, U, size, size] float32, bilinear with pixel centres aligned, zero outside (Bau et al. 2020)."""
    height, width = (_weights(size, side) for side in maps.shape[2:])
    return (maps.float() @ width.T.to(maps.device)).transpose(2, 3).matmul(height.T.to(maps.device)).transpose(2, 3)


def _weights(target: int, source: int) -> Tensor:
    """[target, source]: what each cell adds to each pixel along one axis."""
    return torch.from_numpy(upsampled(np.eye(source)[None], (target, source), border=False)[0]).float()


def class_maps(logits: Tensor, size: int) -> Tensor:
    """The class of every place, uint8 [N, size, size], of logits [N, C, h, w]: the likeliest class of most pixels of a place.

    Of classes that are equally frequent in a place the first one counts. Raises ValueError for more than 255 classes or logits
    that are not finite.
    """
    if logits.shape[1] > 255:
        raise ValueError(f"{logits.shape[1]} classes are more than the 255 that a map holds")
    if not bool(logits.isfinite().all()):
        raise ValueError("the logits of classes are not finite")
    best = logits.argmax(1)
    if best.shape[1:] == (size, size):
        return best.byte()
    return shares(best, logits.shape[1], size).argmax(1).byte()


def shares(classes: Tensor, count: int, size: int) -> Tensor:
    """Share of every place that is of each class, float32 [N, count, size, size], of class maps [N, h, w]."""
    one_hot = F.one_hot(classes.long(), count).movedim(3, 1).float()
    if one_hot.shape[2:] == (size, size):
        return one_hot
    mode = "area" if one_hot.shape[2] > size else "nearest"
    return F.interpolate(one_hot, size=(size, size), mode=mode)


class Levels:
    """Quantiles of units from histograms of BINS bins. low, high: [U], between which all activations lie, and zero.

    Where a unit never changes its level is its only value, above which nothing lies.
    """

    def __init__(self, low: Tensor, high: Tensor, bins: int = BINS) -> None:
        self.low, self.high, self.bins = low.double().clamp(max=0), high.double().clamp(min=0), bins
        self.counts = torch.zeros(len(low), bins, dtype=torch.int64)

    def update(self, activations: Tensor) -> None:
        """Count activations [N, U, ...] after upsampling. Raises ValueError for those outside of low and high."""
        values = activations.flatten(2).transpose(0, 1).flatten(1)
        width = ((self.high - self.low) / self.bins).clamp(min=1e-30).float()[:, None]
        place = ((values - self.low.float()[:, None]) / width).floor()
        # Rounding may put the largest one a hair beyond the last bin.
        if values.numel() and (float(place.min()) < -1 or float(place.max()) > self.bins + 1):
            raise ValueError("activations lie outside of the range that the histogram was made for")
        place = place.clamp(0, self.bins - 1).long() + self.bins * torch.arange(len(self.low))[:, None]
        self.counts += torch.bincount(place.flatten(), minlength=self.counts.numel()).view_as(self.counts)

    def level(self, share: float) -> Tensor:
        """The level [U] float32 that a `share` of a unit's values lies above, linear within a bin."""
        if not 0 < share <= 0.5:
            raise ValueError(f"quantile is the share of values above the level, in (0, 0.5], not {share}")
        counts = self.counts.double()
        below, wanted = counts.cumsum(1), (1 - share) * counts.sum(1, keepdim=True)
        at = torch.searchsorted(below, wanted).clamp(max=self.bins - 1)
        inside = counts.gather(1, at).clamp(min=1)
        start = below.gather(1, at) - counts.gather(1, at)
        position = at + ((wanted - start) / inside).clamp(0, 1)
        level = self.low + position[:, 0] * (self.high - self.low) / self.bins
        return torch.where(self.high > self.low, level, self.high).float()


def counts(activations: Tensor, classes: Tensor, levels: Tensor, concepts: int) -> tuple[Tensor, Tensor, Tensor]:
    """Per picture: pixels that are on and of a concept [N, U, C], on [N, U], and of a concept [N, C], all float32 whole numbers.

    activations: [N, U, S, S] after upsampling; classes: [N, S, S] below `concepts`; levels: [U].
    """
    on = (activations > levels[:, None, None]).flatten(2).float()
    of = F.one_hot(classes.flatten(1).long(), concepts).float()
    return on @ of, on.sum(2), of.sum(1)


def iou_of(shared: np.ndarray, on: np.ndarray, area: np.ndarray) -> np.ndarray:
    """IoU [..., U, C] of pixel counts summed over pictures: shared [..., U, C], on [..., U], area [..., C]; 0 where there is
    nothing."""
    union = on[..., :, None] + area[..., None, :] - shared
    return np.divide(shared, union, out=np.zeros(np.broadcast(shared, union).shape), where=union > 0)
