"""Which unit is which concept, and what a unit causes (Bau et al. 2019, GAN Dissection; Bau et al. 2020, PNAS).

The two papers' codes threshold and count differently, so that their IoU are different numbers:
- "pnas2020": a unit's level is the quantile of its activations *after* upsampling, outside the map is zero, and IoU runs over
  all pixels of all images.
- "iclr2019": the level is the quantile *before* upsampling, the border is repeated outward, and a unit's area counts only in
  images that show some label of the same category.

Both upsample bilinearly with pixel centres aligned, and a pixel is on where the activation is strictly above the level.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from metrics.arrays import finite

Convention = Literal["pnas2020", "iclr2019"]
CONVENTIONS: tuple[Convention, ...] = ("pnas2020", "iclr2019")


def unit_iou(
    activations: ArrayLike,
    segmentation: ArrayLike,
    *,
    quantile: float = 0.01,
    convention: Convention = "pnas2020",
    labels: int | None = None,
) -> np.ndarray:
    """Intersection over union of every unit's on-pixels and every label, [labels, units] float64, range [0, 1], higher fits
    better.

    activations: [N, U, h, w]; segmentation: [N, C, H, W] or [N, H, W] whole numbers, C label channels (categories such as
    objects and parts), 0 where a channel has no label; quantile: the share of values above a unit's level (PNAS 0.01). labels:
    how many rows, by default the largest label + 1. Row 0 is no label: in the 2020 code it stands for the whole image, in the
    2019 code it is 0; best_labels leaves it out. A label that never occurs has IoU 0. Memory: one unit upsampled at a time.
    Raises ValueError, naming the argument, for NaN, no images, shapes that do not fit, a quantile outside (0, 0.5], a unit that
    is constant, and in the 2019 convention a label in two categories.
    """
    maps, seg = _activations(activations), _segmentation(segmentation, labels)
    if len(maps) != len(seg):
        raise ValueError(f"segmentation has {len(seg)} images, activations {len(maps)}")
    if not 0 < quantile <= 0.5:
        raise ValueError(f"quantile is the share of values above the level, in (0, 0.5], not {quantile}")
    if convention not in CONVENTIONS:
        raise ValueError(f"convention must be one of {', '.join(CONVENTIONS)}, not {convention!r}")
    count = int(seg.max()) + 1 if labels is None else labels
    early = convention == "iclr2019"
    pixels = np.prod(seg.shape[2:])
    areas = np.array([(seg == label).any(1).sum() for label in range(count)])
    shown = _shown(seg, count) if early else None
    found = np.zeros((count, maps.shape[1]))
    for unit in range(maps.shape[1]):
        grown = upsampled(maps[:, unit], seg.shape[2:], border=early)
        on = grown > np.quantile(maps[:, unit] if early else grown, 1 - quantile, method="hazen")
        shared = _intersections(on, seg, count)
        size = shown @ on.sum((1, 2)) if early else np.full(count, on.sum())
        union = size + areas - shared
        found[:, unit] = np.divide(shared, union, out=np.zeros(count), where=union > 0)
        found[0, unit] = 0.0 if early else on.sum() / (len(seg) * pixels)
    return found


def best_labels(iou: ArrayLike, *, least: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(label [U], IoU [U]) of the label that fits each unit best, label 0 left out; -1 where its IoU is not above `least`.

    least: 0.04 in the PNAS code, 0.05 in the ICLR code, each strictly exceeded.
    """
    values = finite(np.asarray(iou, np.float64), "iou")
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(f"iou must be [labels, units] with a label beside 0, not of shape {values.shape}")
    best = values[1:].argmax(0) + 1
    size = values[best, np.arange(values.shape[1])]
    return np.where(size > least, best, -1), size


def upsampled(maps: np.ndarray, size: tuple[int, ...], *, border: bool) -> np.ndarray:
    """Maps [N, h, w] to [N, H, W], bilinear with pixel centres aligned; outside is the border's value, or zero."""
    rows, columns = _weights(size[0], maps.shape[1], border), _weights(size[1], maps.shape[2], border)
    return rows @ np.asarray(maps, np.float64) @ columns.T


def causal_effect(inserted: ArrayLike, ablated: ArrayLike, presence: ArrayLike | None = None) -> float:
    """Average causal effect of a set of units on a class: mean of inserted - ablated, over the class's mean presence.

    inserted, ablated: share of class pixels [N] of the same pictures with the units forced on and set to zero; presence: that of
    the unchanged pictures, None to leave the effect in shares of the picture. Range (-inf, inf), above 0 where units make the
    class. Bau et al. 2019, equations 3 and 4.
    """
    on, off = _shares(inserted, "inserted"), _shares(ablated, "ablated")
    _same_length(on, off, "ablated")
    effect = float((on - off).mean())
    return effect if presence is None else effect / _present(_shares(presence, "presence"))


def ablation_effect(before: ArrayLike, after: ArrayLike) -> float:
    """Share of the class's pixels that ablation removes, 1 - mean(after) / mean(before): range (-inf, 1], 1 removes all of it.

    before, after: share (or count) of class pixels [N] without and with the units at zero. Bau et al. 2019, section 4.3 and its
    figures; Bau et al. 2020, trees.
    """
    first, second = _shares(before, "before"), _shares(after, "after")
    _same_length(first, second, "after")
    return 1 - float(second.mean()) / _present(first, "before")


def insertion_effect(before: ArrayLike, after: ArrayLike, where: ArrayLike | None = None) -> dict[int, float]:
    """Mean change of class pixels by insertion, by what stood at the place: label -> mean(after - before).

    before, after: share of class pixels [N]; where: label [N] of the place of insertion in the unchanged picture, by default one
    group 0. Bau et al. 2020, doors (units at their 0.995 quantile at one cell).
    """
    first, second = _shares(before, "before"), _shares(after, "after")
    _same_length(first, second, "after")
    places = np.zeros(len(first), np.int64) if where is None else np.asarray(where)
    if places.shape != first.shape:
        raise ValueError(f"where has the shape {places.shape} for {len(first)} pictures")
    return {int(label): float((second - first)[places == label].mean()) for label in np.unique(places)}


def _weights(target: int, source: int, border: bool) -> np.ndarray:
    at = (np.arange(target) + 0.5) * source / target - 0.5
    low = np.floor(at).astype(int)
    weights, row = np.zeros((target, source)), np.arange(target)
    for index, weight in ((low, low + 1 - at), (low + 1, at - low)):
        inside = (index >= 0) & (index < source)
        weight = np.where(inside | border, weight, 0.0)
        np.add.at(weights, (row, np.clip(index, 0, source - 1)), weight)
    return weights


def _intersections(on: np.ndarray, seg: np.ndarray, count: int) -> np.ndarray:
    if seg.shape[1] == 1:
        return np.bincount(seg[:, 0][on], minlength=count)[:count]
    # A label that stands in two channels of one pixel is one pixel.
    return np.array([((seg == label).any(1) & on).sum() for label in range(count)])


def _shown(seg: np.ndarray, count: int) -> np.ndarray:
    """Whether each image shows some label of the category that each label belongs to, [labels, N]."""
    present = (seg > 0).any((2, 3))
    shown = np.zeros((count, len(seg)))
    for label in range(1, count):
        channels = np.flatnonzero((seg == label).any((0, 2, 3)))
        if len(channels) > 1:
            raise ValueError(f"segmentation has label {label} in channels {channels.tolist()}: a label has one category")
        if len(channels):
            shown[label] = present[:, channels[0]]
    return shown


def _activations(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if array.ndim != 4 or not array.size:
        raise ValueError(f"activations must be [images, units, h, w], not of shape {array.shape}")
    finite(array, "activations")
    constant = np.flatnonzero(array.max((0, 2, 3)) == array.min((0, 2, 3)))
    if len(constant):
        raise ValueError(f"activations of unit {constant[0]} never change: no level parts them")
    return array


def _segmentation(values: ArrayLike, labels: int | None) -> np.ndarray:
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    array = array[:, None] if array.ndim == 3 else array
    if array.ndim != 4 or not array.size:
        raise ValueError(f"segmentation must be [images, channels, H, W], not of shape {array.shape}")
    if array.dtype.kind not in "biu" and not np.all(array == np.round(array)):
        raise ValueError("segmentation must hold whole numbers")
    array = array.astype(np.int64)
    if array.min() < 0 or (labels is not None and array.max() >= labels):
        raise ValueError(f"segmentation holds labels from {array.min()} to {array.max()}, outside 0 to {labels or 'any'}")
    return array


def _shares(values: ArrayLike, name: str) -> np.ndarray:
    array = finite(np.asarray(values, np.float64), name)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name} must be one share a picture, not of shape {array.shape}")
    return array


def _same_length(first: np.ndarray, second: np.ndarray, name: str) -> None:
    if len(first) != len(second):
        raise ValueError(f"{name} has {len(second)} pictures for {len(first)}")


def _present(shares: np.ndarray, name: str = "presence") -> float:
    if not shares.mean() > 0:
        raise ValueError(f"{name} is zero throughout: the class never occurs")
    return float(shares.mean())
