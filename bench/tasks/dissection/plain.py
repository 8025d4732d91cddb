"""What every cell of a generator shares: the judge's classes of unchanged pictures, counts of units, and random units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.bank import stream_ids
from bench.codes import Codes
from bench.errors import InputError
from bench.interventions import Intervention, Unit, rows
from bench.streams import stream_rng
from bench.tasks.base import CellContext
from bench.tasks.dissection.protocol import CELLS, INSIDE, QUANTILE, RANDOM_DRAWS, SIDE
from metrics.unit_streams import class_maps, counts, grown

# Codes whose feature maps are made at a time.
ROWS = 16


@dataclass(frozen=True)
class Plain:
    """The test codes and what the judge sees in their pictures. classes: [n, h, w] uint8 at the judge's own resolution."""

    codes: Codes
    classes: Tensor
    regions: tuple[str, ...]

    @cached_property
    def areas(self) -> np.ndarray:
        """Share of each picture that is of each class, [n, C] float64."""
        return areas_of(self.classes, len(self.regions))

    @cached_property
    def cells(self) -> Tensor:
        """Share of each of CELLS x CELLS cells that is of each class, [n, C, CELLS, CELLS]."""
        one_hot = F.one_hot(self.classes.long(), len(self.regions)).movedim(3, 1).float()
        return F.interpolate(one_hot, size=(CELLS, CELLS), mode="area")

    def home(self, region: int) -> Tensor:
        """The mask [1, 1, CELLS, CELLS] of the cell in which the class has the largest share on average."""
        return _mask(self.cells[:, region].mean(0).flatten().argmax()[None])

    def places(self, region: int, seed: int) -> tuple[Tensor, np.ndarray]:
        """A cell of the class in each picture, drawn by (seed, class, id): masks [n, 1, CELLS, CELLS], and which have one [n]."""
        drawn, known = torch.zeros(len(self.codes), dtype=torch.int64), np.zeros(len(self.codes), bool)
        for i, one in enumerate(self.cells[:, region].flatten(1)):
            inside = (one >= INSIDE).nonzero()[:, 0]
            if len(inside):
                rng = stream_rng("dissection-place", seed, region, int(self.codes.ids[i]))
                drawn[i], known[i] = inside[int(rng.integers(len(inside)))], True
        return _mask(drawn), known


def _mask(cells: Tensor) -> Tensor:
    return F.one_hot(cells, CELLS * CELLS).float().view(-1, 1, CELLS, CELLS)


def areas_of(classes: Tensor, count: int) -> np.ndarray:
    """Share [n, count] float64 of class maps [n, h, w] that is of each class."""
    return torch.stack([(classes == one).double().mean((1, 2)) for one in range(count)], 1).numpy()


def seen(cell: CellContext, codes: Codes, intervene: Intervention = (), pictures: int = 0) -> tuple[Tensor, Tensor]:
    """The judge's classes [n, h, w] uint8 of pictures under interventions, and the first `pictures` of them."""
    judge, maps, shown = {"segmentation": cell.domain.judge("segmentation")}, [], []
    for start in range(0, len(codes), cell.passes.group):
        part = slice(start, start + cell.passes.group)
        images = cell.passes.synthesize(codes[part], rows(intervene, part))
        if not bool(images.isfinite().all()):
            raise InputError(f"{cell.method.name} gives pictures that are not finite")
        logits = cell.passes.measure(judge, images)["segmentation"]
        maps.append(class_maps(logits, logits.shape[-1]))
        shown.append(images[: max(0, pictures - start)])
    return torch.cat(maps), torch.cat(shown)


def load_plain(cell: CellContext) -> Plain:
    """The test codes of a cell's generator, in z, and the judge's classes of their pictures; made once for all cells."""
    codes = cell.generator.sample(stream_ids("test", cell.settings.samples), seed=cell.seed)
    found = cell.share("dissection-plain", lambda: {"classes": seen(cell, codes)[0]})
    regions = cell.domain.info.regions
    if int(found["classes"].max()) >= len(regions):
        raise InputError(f"the judge tells more classes apart than the {len(regions)} regions that {cell.domain.info.name} names")
    return Plain(codes, found["classes"], regions)


def unit_counts(cell: CellContext, plain: Plain, layer: str) -> dict[str, np.ndarray]:
    """Pixels per picture of a layer's units on test codes: shared [n, U, C], on [n, U], area [n, C]; see metrics.unit_streams.

    A unit's level is the quantile of its own values on these codes, so that it is no method's.
    """
    found = cell.share(f"dissection-units-{layer}", lambda: _count(cell, plain, layer))
    return {name: one.numpy() for name, one in found.items()}


@torch.no_grad()
def _count(cell: CellContext, plain: Plain, layer: str) -> dict[str, Tensor]:
    one_hot = F.one_hot(plain.classes.long(), len(plain.regions)).movedim(3, 1).float()
    classes = F.interpolate(one_hot, size=(SIDE, SIDE), mode="area").argmax(1)
    parts = []
    for start in range(0, len(plain.codes), ROWS):
        codes = plain.codes[start : start + ROWS].to(cell.passes.device)
        parts.append(cell.generator.features(codes, [layer])[layer].cpu())
    maps = torch.cat(parts)
    # Few units at a time: upsampled maps are large.
    shared, on = [], []
    for some in maps.split(64, 1):
        tall = grown(some, SIDE)
        levels = np.quantile(tall.transpose(0, 1).flatten(1).numpy(), 1 - QUANTILE, axis=1, method="hazen")
        both, size, area = counts(tall, classes, torch.from_numpy(levels).float(), len(plain.regions))
        shared.append(both)
        on.append(size)
    return {"shared": torch.cat(shared, 1).short(), "on": torch.cat(on, 1).short(), "area": area.short()}


def random_areas(cell: CellContext, plain: Plain, layer: str, count: int) -> np.ndarray:
    """Areas [RANDOM_DRAWS, n, C] float64 with `count` random units of a layer at zero; the same for every method."""
    channels = next(one.channels for one in cell.generator.info.layers if one.name == layer)
    sets = random_sets(channels, count, layer, cell.seed)

    def compute() -> dict[str, Tensor]:
        each = [seen(cell, plain.codes, (Unit(layer, units, torch.zeros(len(units)), "set"),))[0] for units in sets]
        return {"areas": torch.from_numpy(np.stack([areas_of(one, len(plain.regions)) for one in each]))}

    return cell.share(f"dissection-random-{layer}-{count}", compute)["areas"].numpy()


def random_sets(channels: int, count: int, layer: str, seed: int) -> Sequence[Tensor]:
    """RANDOM_DRAWS sets of `count` of a layer's units, int64."""
    rngs = [stream_rng("dissection-random", seed, layer, count, draw) for draw in range(RANDOM_DRAWS)]
    return [torch.from_numpy(rng.choice(channels, min(count, channels), replace=False)) for rng in rngs]
