"""Where in the picture an edit changed something: pictures and class maps at the segmentation judge's own resolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from bench.cards import DomainInfo
from metrics.perceptual import locality, region_share

# The pictures that belong to the class maps, among a pool's or an edit's readings.
SMALL = "small"


def class_maps(images: Tensor, logits: Tensor) -> dict[str, Tensor]:
    """What locality needs of pictures [N, 3, R, R] and class logits [N, C, h, w].

    'segmentation': the likeliest class of every place, uint8 [N, h, w]; SMALL: the pictures averaged down to [N, 3, h, w].
    """
    small = F.interpolate(images, size=logits.shape[-2:], mode="area")
    return {"segmentation": logits.argmax(1).byte(), SMALL: small}


def classes_of(domain: DomainInfo, targets: Sequence[str]) -> list[int]:
    """The classes that an edit of these attributes may change; none where the card leaves it open for one of them."""
    regions = [domain.attribute(target).region for target in targets]
    known = all(region and set(region) <= set(domain.regions) for region in regions)
    return sorted({domain.regions.index(name) for region in regions for name in region}) if known else []


def localities(pictures: np.ndarray, maps: np.ndarray, classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Share of the change inside the target's region, and the region's share of the picture, [n, S] each.

    pictures [n, S, 3, h, w], maps [n, S, h, w] along strengths, the first one unedited. The region is where the unedited or the
    edited picture shows one of the classes: glasses that are put on have no place before. Strength 0 changes nothing: it takes
    the share of the smallest strength, its limit.
    """
    inside = np.isin(maps, classes)
    columns = []
    for step in range(1, maps.shape[1]):
        region = (inside[:, 0] | inside[:, step]).astype(np.float64)
        columns.append((locality(pictures[:, 0], pictures[:, step], region), region_share(region)))
    shares, areas = (np.stack(one, 1) for one in zip(*columns, strict=True))
    return np.concatenate([shares[:, :1], shares], 1), np.concatenate([areas[:, :1], areas], 1)
