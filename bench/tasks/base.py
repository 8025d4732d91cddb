"""The seam of tasks: a protocol that feeds generators and fits to metrics. One cell is one (generator, fit, task)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import pydantic
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.domains.base import Domain
from bench.generators.base import Generator
from bench.records import Record

if TYPE_CHECKING:
    from bench.passes import Passes


@dataclass(frozen=True)
class MethodCard:
    """What records say of a fit's method. hold: attributes that its edits are asked to leave alone."""

    name: str
    version: int
    approach: str
    variant: str
    space: str
    fit_seed: int
    hold: tuple[str, ...] = ()


@dataclass
class CellContext:
    """What a cell works with.

    passes: the engine's network passes (fixed chunks; `synthesize(codes, intervene)`, `measure(network, images)`), timed.
    share: `share(name, compute)` returns compute()'s tensors, computed once for all cells of this generator and protocol.
    bank: the fit stream (methods.base.Bank). progress: `progress(done, total)`.
    """

    generator: Generator
    domain: Domain
    method: MethodCard
    fitted: Any
    bank: Any
    settings: pydantic.BaseModel
    seed: int
    passes: Passes
    share: Callable[[str, Callable[[], dict[str, Tensor]]], dict[str, Tensor]]
    progress: Callable[[int, int], None] = lambda done, total: None


@dataclass
class CellResult:
    """What a cell leaves behind: per-sample arrays (into samples.npz), facts (JSON values) and pictures (uint8 [.., R, R, 3])."""

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, np.ndarray] = field(default_factory=dict)


Cells = Sequence[tuple[MethodCard, CellResult]]  # of one (generator, method, variant): one per fit
Question = tuple[str, str, str]  # target, sign, metric


class Measured(NamedTuple):
    """A record, and the rows [1 + B] that it was made of: the point, then its bootstrap replicates (None: it has none).

    Replicate b of every entry of one generator is the same resample, so that rows subtract as a paired difference. What is not
    reached is +-inf, the worst there is, in a metric with better and worse.
    """

    record: Record
    rows: np.ndarray | None = None


class Headline(NamedTuple):
    """One headline: the point value and its replicates [B] (worst, +-inf, where unreached), and which way is better."""

    value: float
    replicates: np.ndarray
    higher_is_better: bool


class Task(ABC):
    """A protocol. `run` measures one cell (slow); `measured` reads one (generator, method, variant) over its fits.

    What `measured` and `headlines` take are the arrays and facts that `run` left or a results folder kept: no network runs again.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    produces: ClassVar[str] = "editor"  # the part of Fitted that it asks for

    class Settings(pydantic.BaseModel):
        """The task's part of a suite. Unknown keys are refused."""

        model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    def validate(self, settings: pydantic.BaseModel, domain: DomainInfo, info: GeneratorInfo) -> None:  # noqa: B027
        """Raise InputError where the settings ask for what this domain or generator does not have (an unknown target)."""

    @abstractmethod
    def protocol(self, settings: pydantic.BaseModel, domain: Domain, seed: int) -> dict[str, Any]:
        """Everything that defines the question, as JSON values: sizes, rules, judges, reference sets, metric versions. Hashed."""

    @abstractmethod
    def run(self, cell: CellContext) -> CellResult:
        """Measure one cell."""

    @abstractmethod
    def measured(self, settings: pydantic.BaseModel, cells: Cells, seed: int) -> Iterator[Measured]:
        """The numbers of one (generator, method, variant), with intervals over codes and, where there are several, fits.

        Fills the records from `target` to `higher_is_better`, `status` and `reason`; the engine fills the rest. A field
        `replicates` of the settings says how many there are.
        """

    def summarise(self, settings: pydantic.BaseModel, cells: Cells, seed: int) -> list[Record]:
        """The records of `measured`."""
        return [one.record for one in self.measured(settings, cells, seed)]

    def headlines(self, settings: pydantic.BaseModel, cells: Cells, seed: int) -> dict[Question, Headline]:
        """What rankings and claims read: every headline record that names a target, by (target, sign, metric)."""
        table = {}
        for record, rows in self.measured(settings, cells, seed):
            if record.headline and record.target and rows is not None and record.status in ("ok", "unreached"):
                place = (record.target, record.sign, record.metric)
                table[place] = Headline(float(rows[0]), np.asarray(rows[1:], np.float64), bool(record.higher_is_better))
        return table
