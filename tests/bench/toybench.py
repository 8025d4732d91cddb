"""A benchmark in small, for tests of the engine: a linear generator of known truth, its domain, methods and a task.

Tests put this folder on sys.path and import it by this name, so that it stands for a plug-in package.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pydantic
import torch

from bench.bank import stream_ids
from bench.cards import Attribute, DomainInfo, GeneratorInfo
from bench.codes import Space
from bench.domains.base import Domain, Network
from bench.errors import SpaceError, UnsupportedError
from bench.generators.base import Generator
from bench.records import Record
from bench.tasks.base import CellResult, Measured, Task
from methods.base import Edit, Fitted, Method

SIDE = 8
INFO = DomainInfo(
    "toy",
    (Attribute("up", "continuous"), Attribute("down", "continuous")),
    {"attributes": "toy-guide"},
    {"attributes": "toy-judge"},
)


class ToyGenerator(Generator):
    """w = z M; the top half of the picture has the brightness w_0, the bottom half w_1."""

    def __init__(self, name: str = "toy") -> None:
        super().__init__()
        self.info = GeneratorInfo(name, "linear", "toy", SIDE, {"z": (4,), "w": (4,)})
        self.register_buffer("mix", torch.linalg.qr(torch.arange(16.0).reshape(4, 4).sin())[0])
        self.calls = 0

    def convert(self, codes, space):
        if codes.space == space:
            return codes
        if (codes.space, Space(space)) != (Space.Z, Space.W):
            raise SpaceError(f"no way from {codes.space} to {space}")
        return codes.with_values(codes.values @ self.mix, space)

    def synthesize(self, codes, *, intervene=(), noise="const"):
        self.calls += 1
        w = self.convert(codes, "w").values
        rows = w[:, [0] * (SIDE // 2) + [1] * (SIDE // 2)] / 4
        return rows[:, None, :, None].expand(-1, 3, -1, SIDE)


class ToyNetwork(Network):
    readings = frozenset({"attributes"})
    names = ("up", "down")

    def __init__(self, name: str, gain: float) -> None:
        super().__init__()
        self.name = name
        self.register_buffer("gain", torch.tensor(gain))

    def measure(self, images):
        halves = images.mean((1, 3)).unflatten(1, (2, SIDE // 2)).mean(2)
        return {"attributes": self.gain * halves}


class ToyDomain(Domain):
    info = INFO

    def load(self, name):
        return ToyNetwork(name, {"toy-guide": 1.0, "toy-judge": 2.0}[name])


class Line:
    signed, per_code = True, False

    def __init__(self, generator, direction, targets):
        self.generator, self.direction, self.targets = generator, direction, targets

    def path(self, codes, requests, *, seed):
        start = self.generator.convert(codes, "w")
        return type("Path", (), {"at": lambda _, s: Edit(start.with_values(start.values + s * self.direction))})()


class Axis(Method):
    """Moves along one axis of w, scaled by the spread of guide scores in the bank."""

    name, approach, citation = "axis", "supervised", "nobody"

    class Options(Method.Options):
        index: int = pydantic.Field(0, ge=0, le=3)
        space: Space = Space.W

    def fit(self, context):
        direction = torch.zeros(4)
        direction[self.options.index] = context.bank.scores[:, 0].std()
        note("fit", self.variant)
        return Fitted(Line(context.generator, direction, tuple(context.targets)), tables={})

    def restore(self, context, state):
        return Fitted(Line(context.generator, state["direction"], tuple(context.targets)), tables={"rows": [{"length": 1.0}]})


Line.state = lambda self: {"direction": self.direction}


class Failing(Axis):
    name = "failing"

    def fit(self, context):
        raise RuntimeError("it does\nnot converge")


class Picky(Axis):
    name = "picky"

    def fit(self, context):
        raise UnsupportedError("this generator is too small")


class ToyTask(Task):
    """Mean judged change of each target at strength 1."""

    name = "shift"

    class Settings(Task.Settings):
        targets: tuple[str, ...]
        test_codes: int = pydantic.Field(20, ge=1)

    def validate(self, settings, domain, info):
        for target in settings.targets:
            domain.attribute(target)

    def protocol(self, settings, domain, seed):
        return {**settings.model_dump(), "judge": domain.judge("attributes").fingerprint}

    def run(self, cell):
        note("cell", cell.method.variant)
        time.sleep(float(os.environ.get("TOY_SLEEP", "0")))
        if "index=3" in cell.method.variant:
            raise ValueError("axis 3 is nothing")
        codes = cell.generator.sample(stream_ids("test", cell.settings.test_codes), seed=cell.seed)
        judge = cell.domain.judge("attributes")
        before = cell.share("before", lambda: cell.passes.read(judge, codes))["attributes"]
        pictures = cell.passes.synthesize(cell.fitted.editor.path(codes, [], seed=cell.seed).at(1.0).codes)
        cell.progress(1, 1)
        change = cell.passes.measure(judge, pictures)["attributes"] - before
        shown = ((pictures[:2].permute(0, 2, 3, 1) + 1) * 127.5).byte().numpy()
        return CellResult({"change": change.numpy()}, {"names": judge.names, "mean": change.mean(0).numpy()}, {"first": shown})

    def measured(self, settings, cells, seed):
        change = np.concatenate([result.arrays["change"] for _, result in cells])
        names = cells[0][1].facts["names"]
        for t in settings.targets:
            value = float(change[:, names.index(t)].mean())
            yield Measured(Record(target=t, metric="change", value=value, n=len(change), judge="attributes[toy-judge]"))


def note(*what: str) -> None:
    """Append to the file of TOY_COUNT, so that tests see what was really done, whichever process did it."""
    if os.environ.get("TOY_COUNT"):
        with Path(os.environ["TOY_COUNT"]).open("a") as file:
            file.write(" ".join(what) + "\n")


def toy_registry():
    """A registry with all of this and nothing else."""
    from bench.registry import Registry

    lines = {
        "generators": {"toy": "ToyGenerator"}, "domains": {"toy": "ToyDomain"}, "tasks": {"shift": "ToyTask"},
        "methods": {"axis": "Axis", "failing": "Failing", "picky": "Picky"}, "metrics": {},
    }  # fmt: skip
    named = {kind: {name: (f"toybench:{attribute}", "") for name, attribute in part.items()} for kind, part in lines.items()}
    return Registry(plugins=False, built_in=named)


def toy_suite(**changes):
    """A small suite, with changes."""
    from bench.suite import Suite

    data = {
        "name": "toys", "generators": ["toy"], "methods": ["axis", {"axis": {"index": 1}}],
        "tasks": {"shift": {"targets": ["up", "down"]}}, "bank": 40,
    }  # fmt: skip
    return Suite(**(data | changes))


def set_threads(count):
    """What another process must have alike for its numbers to be the same."""
    torch.set_num_threads(count)


def run_to_file(csv, methods, environment) -> None:
    """Run the toy suite in a process of its own and write its records, less what may vary."""
    from bench.records import COLUMNS, VOLATILE
    from bench.runner import run_suite

    os.environ.update(environment)
    torch.set_num_threads(1)
    result = run_suite(toy_suite(methods=methods), registry=toy_registry())
    columns = [name for name in COLUMNS if name not in VOLATILE]
    lines = [",".join(str(getattr(record, name)) for name in columns) for record in result.records]
    Path(csv).write_text("\n".join(lines))
