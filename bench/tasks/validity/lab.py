"""What all families of faults work with: codes of known truth, pictures, what judges read off them, named draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from bench.bank import STREAM_START, stream_ids
from bench.codes import Codes, Space
from bench.domains.base import Network
from bench.errors import UnsupportedError
from bench.streams import stream_rng
from bench.tasks.base import CellContext
from bench.tasks.editing.judged import read_pictures
from bench.tasks.editing.pool import spread
from bench.tasks.editing.protocol import is_binary

# The readings of judges; without the last one its metrics are left out, without another the task cannot run.
READINGS = ("attributes", "identity", "perceptual", "features", "text_image")
Readings = dict[str, np.ndarray]
# Values [units, severities] of each (fault, metric). A unit is a code, or a block of codes for what only a whole set has.
Series = dict[tuple[str, str], np.ndarray]

# Pictures behind the judged spread of each attribute.
SPREAD_CODES = 256
# Where the streams of this task begin within the engine's, so that no code serves two purposes.
OFFSETS = {"edited": 0, "others": 100_000, "spread": 200_000, "sets": 300_000, "factors": 400_000, "paths": 500_000}


class Lab:
    """One cell's work. truth: the generator's own map (methods.baselines.oracle.OracleTruth)."""

    def __init__(self, cell: CellContext) -> None:
        self.cell, self.settings, self.truth = cell, cell.settings, cell.fitted.truth
        self.domain, self.names = cell.domain, list(cell.domain.info.names)
        self.severities = cell.settings.severities
        self.judges: dict[str, Network] = {}
        self.absent: dict[str, str] = {}
        for reading in READINGS:
            try:
                self.judges[reading] = cell.domain.judge(reading)
            except UnsupportedError as error:
                if reading != READINGS[-1]:
                    raise
                self.absent[reading] = str(error)
        self.guide = cell.domain.guide("attributes")

    def asked(self, fault: str) -> bool:
        """Whether the settings ask for this fault."""
        return self.settings.faults is None or fault in self.settings.faults

    def rng(self, *names: str | int) -> np.random.Generator:
        """The draws of that name."""
        return stream_rng("validity", self.cell.seed, *names)

    def codes(self, purpose: str, count: int, start: int = 0) -> Codes:
        """Sampled codes in w, rows `start` on of the purpose's stream. Two purposes share none."""
        ids = torch.arange(count) + STREAM_START["test"] + OFFSETS[purpose] + start
        return self.cell.generator.convert(self.cell.generator.sample(ids, seed=self.cell.seed), Space.W)

    def normals(self, codes: Codes) -> np.ndarray:
        """The normals behind the factors, float32 [N, columns]."""
        return self.truth.normals(codes).cpu().numpy()

    def of_normals(self, normals: np.ndarray, ids: Tensor) -> Codes:
        """The codes of normals."""
        device = self.cell.generator.device
        return self.truth.codes(torch.as_tensor(normals, dtype=torch.float32, device=device), ids)

    def pictures(self, codes: Codes) -> Tensor:
        """Pictures [N, 3, R, R] in [-1, 1] on the CPU."""
        return self.cell.passes.synthesize(codes)

    def read(self, images: Tensor, readings: tuple[str, ...]) -> Readings:
        """What judges say of pictures: reading -> [N, ...], scores in the card's order; absent readings are left out."""
        judges: Mapping[str, Network] = {name: self.judges[name] for name in readings if name in self.judges}
        found = read_pictures(self.cell.passes, self.domain, judges, images)
        return {name: values.numpy() for name, values in found.items()}

    def guided(self, images: Tensor) -> np.ndarray:
        """The guide's attribute scores [N, A], in the card's order."""
        return read_pictures(self.cell.passes, self.domain, {"guide": self.guide}, images)["guide"].numpy()

    @cached_property
    def spreads(self) -> tuple[np.ndarray, np.ndarray]:
        """sigma [A] of every attribute by the judge and by the guide, over unedited samples."""
        images = self.pictures(self.codes("spread", SPREAD_CODES))
        sigmas = []
        for scores in (self.read(images, ("attributes",))["attributes"], self.guided(images)):
            values = torch.from_numpy(scores)
            kinds = [is_binary(attribute) for attribute in self.domain.info.attributes]
            sigmas.append(np.array([spread(values[:, a], binary)[0] for a, binary in enumerate(kinds)]))
        return sigmas[0], sigmas[1]

    @cached_property
    def reference(self) -> tuple[Tensor, np.ndarray]:
        """Pictures [M, 3, R, R] of the reference stream and their features [M, D], M as many as a set has."""
        ids = stream_ids("reference", self.settings.set_codes)
        images = self.pictures(self.cell.generator.sample(ids, seed=self.cell.seed))
        return images, self.read(images, ("features",))["features"].astype(np.float64)

    @cached_property
    def cloud(self) -> np.ndarray:
        """Many sampled codes in w, float64 [M, D]: what codes look like."""
        return self.codes("spread", 16 * SPREAD_CODES).values.cpu().double().numpy()

    def columns(self, names: tuple[str, ...]) -> list[int]:
        """The columns of normals and factors of these factors."""
        return [self.truth.column(name) for name in names]

    def blocks(self) -> list[np.ndarray]:
        """The rows of each block of the edited codes."""
        return np.array_split(np.arange(self.settings.codes), self.settings.blocks)


def series(levels: Mapping[str, list[dict[str, np.ndarray]]]) -> Series:
    """fault -> metrics at each severity, as values [units, severities] of each (fault, metric)."""
    found: Series = {}
    for fault, each in levels.items():
        for metric in each[0]:
            found[fault, metric] = np.stack([np.asarray(one[metric], np.float64) for one in each], 1)
    return found


Measure = Callable[[float], dict[str, np.ndarray]]


def over_levels(lab: Lab, faults: Mapping[str, Measure], start: dict[str, np.ndarray]) -> Series:
    """Every fault that is asked for at every severity; at 0 they share `start`."""
    asked = {name: measure for name, measure in faults.items() if lab.asked(name)}
    return series({name: [start, *(measure(s) for s in lab.severities[1:])] for name, measure in asked.items()})
