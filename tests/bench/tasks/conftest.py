"""A world whose truth is known: w is z, pixels carry attributes linearly, judges read them exactly, guides with an error."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.bank import FitBank
from bench.cards import Attribute, DomainInfo, GeneratorInfo
from bench.codes import Space
from bench.domains.base import Domain, Network
from bench.errors import UnsupportedError
from bench.generators.base import Generator
from bench.passes import Passes
from bench.tasks.base import CellContext, MethodCard
from bench.tasks.editing.protocol import EditingSettings
from bench.tasks.editing.task import EditingTask
from methods.base import Fitted
from methods.editors import DirectionEditor

NAMES = ("warmth", "height", "width", "tilt", "hat")
D, R, GAIN = 12, 8, 0.05


class Linear(Generator):
    """Pixel j of the first channel is GAIN * w_j; `rare` lowers the last attribute, so that few samples have it."""

    def __init__(self, rare: float = 0.0) -> None:
        super().__init__()
        self.rare = rare
        self.register_buffer("scale", torch.ones(1))
        self.info = GeneratorInfo("linear", "linear", "blocks", R, {"z": (D,), "w": (D,)})

    def settings(self):
        return {"rare": self.rare}

    def convert(self, codes, space):
        return codes.with_values(codes.values, Space(space))

    def synthesize(self, codes, *, intervene=(), noise="const"):
        values = codes.values.clone()
        values[:, NAMES.index("hat")] -= self.rare
        flat = F.pad(values * GAIN, (0, 3 * R * R - D))
        return flat.view(-1, 3, R, R)


class Judge(Network):
    """Reads attributes exactly; `blind`: pictures whose tilt lies above it cannot be read."""

    readings = frozenset({"attributes", "identity", "perceptual", "features"})
    names = NAMES

    def __init__(self, name="exact", blind=float("inf")):
        super().__init__()
        self.name, self.blind = name, blind

    def measure(self, images):
        values = images.flatten(1)[:, :D] / GAIN
        nuisance = torch.cat([values[:, len(NAMES) :], torch.ones(len(values), 1)], 1)
        found = {
            "attributes": values[:, : len(NAMES)],
            "identity": F.normalize(nuisance, dim=1),
            "perceptual": images.flatten(1),
            "features": values,
        }
        failed = (values[:, NAMES.index("tilt")] > self.blind)[:, None]
        return {name: torch.where(failed, float("nan"), one) for name, one in found.items()}


class Guide(Network):
    """The same attributes with a wobble; names in another order.."""

    readings = frozenset({"attributes"})
    names = NAMES[::-1]
    name = "wobbly"

    def __init__(self, wobble=0.05, bend=0.0):
        super().__init__()
        self.wobble, self.bend = wobble, bend

    def measure(self, images):
        values = images.flatten(1)[:, : len(NAMES)] / GAIN
        seen = values + self.wobble * torch.sin(7 * values) + self.bend * values.square()
        return {"attributes": seen.flip(1)}


class Constant(Guide):
    def measure(self, images):
        return {"attributes": torch.zeros(len(images), len(NAMES))}


class Partial(Guide):
    """Scores warmth and hat only."""

    names = ("hat", "warmth")
    name = "partial"

    def measure(self, images):
        both = super().measure(images)["attributes"]
        return {"attributes": both[:, [Guide.names.index(name) for name in self.names]]}


class Blocks(Domain):
    """absent: readings whose judge was not fetched."""

    def __init__(self, judge, guide, absent=()):
        super().__init__()
        self.absent = absent
        attributes = tuple(Attribute(name, "binary" if name == "hat" else "continuous") for name in NAMES)
        judges = {reading: judge.name for reading in sorted(judge.readings)}
        self.info = DomainInfo("blocks", attributes, {"attributes": guide.name}, judges)
        self.nets = {judge.name: judge, guide.name: guide}

    def load(self, name):
        return self.nets[name]

    def judge(self, reading):
        if reading in self.absent:
            raise UnsupportedError(f"the network of {reading} was not fetched")
        return super().judge(reading)


@dataclass
class World:
    """Makes cells. `store` is shared by cells of one world, as the engine shares by generator and protocol."""

    generator: Linear = field(default_factory=Linear)
    judge: Judge = field(default_factory=Judge)
    guide: Guide = field(default_factory=Guide)
    settings: EditingSettings = field(
        default_factory=lambda: EditingSettings(
            targets=("warmth", "hat"), test_codes=16, calibrate_codes=16, reference_codes=48, replicates=200
        )
    )
    batch: int = 64
    seed: int = 3
    absent: tuple[str, ...] = ()
    store: dict = field(default_factory=dict)

    def but(self, **changes) -> "World":
        """Another world, with a store of its own; what no network judged is kept."""
        kept = {} if "generator" in changes else {k: v for k, v in self.store.items() if k.startswith("editing-plausible")}
        return replace(self, store=kept, **changes)

    def directions(self, rows, names=None, **fields) -> DirectionEditor:
        """rows: {target: {dimension: weight}}, not brought to length 1."""
        values = torch.zeros(len(rows), D)
        for i, row in enumerate(rows.values()):
            for dimension, weight in row.items():
                values[i, dimension] = weight
        return DirectionEditor(self.generator, values, tuple(rows), Space.W, **fields)

    def cell(self, editor, **card) -> CellContext:
        def share(name, compute):
            if name not in self.store:
                self.store[name] = compute()
            return self.store[name]

        method = MethodCard(**{**dict(name="m", version=1, approach="supervised", variant="", space="w", fit_seed=0), **card})
        passes = Passes(self.generator, batch=self.batch)
        domain = Blocks(self.judge, self.guide, self.absent)
        bank = FitBank(
            self.generator,
            self.guide,
            passes,
            size=64,
            seed=self.seed,
            fit_seed=method.fit_seed,
            share=lambda name, compute: compute(),
        )
        return CellContext(self.generator, domain, method, Fitted(editor=editor), bank, self.settings, self.seed, passes, share)

    def run(self, editor, **card):
        """(cell's method card and result, records)."""
        cell = self.cell(editor, **card)
        with torch.no_grad():
            result = EditingTask().run(cell)
        cells = [(cell.method, result)]
        return cells, EditingTask().summarise(self.settings, cells, self.seed)


def find(records, **fields):
    """The one record with these fields."""
    found = [r for r in records if all(getattr(r, k) == v for k, v in fields.items())]
    assert len(found) == 1, (fields, len(found))
    return found[0]


@pytest.fixture(scope="session")
def blocks():
    """The parts of the world, for tests to put together."""
    guides = dict(Guide=Guide, Constant=Constant, Partial=Partial)
    kinds = dict(World=World, Linear=Linear, Judge=Judge, Blocks=Blocks, find=find)
    return SimpleNamespace(**guides, **kinds, names=NAMES, D=D, R=R, np=np)


@pytest.fixture(scope="session")
def world():
    return World()


@pytest.fixture(scope="session")
def pure(world):
    """The true directions: (cells, records)."""
    return world.run(world.directions({"warmth": {0: 1.0}, "hat": {4: 1.0}}))
