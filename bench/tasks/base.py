"""The seam of tasks: a protocol that feeds generators and fits to metrics. One cell is one (generator, fit, task)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

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


class Task(ABC):
    """A protocol. `run` measures one cell (slow); `summarise` reads one (generator, method, variant) over its fits."""

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
    def summarise(self, settings: pydantic.BaseModel, cells: Sequence[tuple[MethodCard, CellResult]], seed: int) -> list[Record]:
        """The numbers of one (generator, method, variant), with intervals over codes and, where there are several, fits.

        Fills the fields from `target` to `higher_is_better`, `status` and `reason`; the engine fills the rest.
        """
