"""Where in the picture an edit changed something: pictures and class maps at the segmentation judge's own resolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.cards import DomainInfo
from bench.codes import Codes
from bench.tasks.base import CellContext
from bench.tasks.editing.judged import find_judges
from bench.tasks.editing.protocol import REGIONS
from metrics.perceptual import locality, region_share


def class_maps(images: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """What locality needs of pictures [N, 3, R, R] and class logits [N, C, h, w].

    The pictures averaged down to [N, 3, h, w], and the likeliest class of every place, uint8 [N, h, w].
    """
    return F.interpolate(images, size=logits.shape[-2:], mode="area"), logits.argmax(1).byte()


def classes_of(domain: DomainInfo, targets: Sequence[str]) -> list[int]:
    """The classes that an edit of these attributes may change; none where the card leaves it open for one of them."""
    regions = [domain.attribute(target).region for target in targets]
    known = all(region and set(region) <= set(domain.regions) for region in regions)
    return sorted({domain.regions.index(name) for region in regions for name in region}) if known else []


def local_arrays(cell: CellContext, targets: Sequence[str], codes: Codes, edited: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """'locality' and 'region_share', [m, S] float32 of m codes along strengths, the first one unedited.

    edited: pictures [at least m, 3, R, R] at each strength above 0, those of the codes first. Empty where the domain has no judge
    of regions or does not say which ones the targets may change.
    """
    judge, classes = find_judges(cell.domain)[0].get(REGIONS), classes_of(cell.domain.info, targets)
    if judge is None or not classes:
        return {}
    pictures = [cell.passes.synthesize(codes), *(one[: len(codes)] for one in edited)]
    maps = [class_maps(one, cell.passes.measure({REGIONS: judge}, one)[REGIONS]) for one in pictures]
    small, classified = (torch.stack(part, 1).numpy() for part in zip(*maps, strict=True))
    shares, areas = localities(small, classified, classes)
    return {"locality": shares.astype(np.float32), "region_share": areas.astype(np.float32)}


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
