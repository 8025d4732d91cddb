"""The seam that every method fills: what it may see (FitContext), what it gives back (Fitted), how it edits (Editor, Path)."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pydantic
import torch
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Codes, Space
from bench.domains.base import Network
from bench.generators.base import Generator
from bench.interventions import Intervention


@dataclass(frozen=True)
class Request:
    """One edit that is asked for. hold: attributes that the edit should leave alone; region: [N, 1, h, w] in [0, 1]."""

    target: str
    prompt: str | None = None
    region: Tensor | None = None
    hold: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edit:
    """Edited codes and, where the method works inside the generator, interventions."""

    codes: Codes
    intervene: Intervention = ()


class Path(Protocol):
    """One edit of a batch of codes, at any strength."""

    def at(self, strength: float | Tensor) -> Edit:
        """The edit at a strength (a number, or one per code [N]); at(0) is the unchanged code."""
        ...


@dataclass(frozen=True)
class Inversion:
    """What an inverter found for N pictures.

    codes: one a picture, in its order. noise: layer -> optimised noise map [N, 1, h, w], None for the generator's own. weights:
    name -> tuned weights [N, ...], None for the generator's own. seconds: [N] of work for each picture.
    """

    codes: Codes
    noise: dict[str, Tensor] | None = None
    weights: dict[str, Tensor] | None = None
    seconds: Tensor | None = None


@runtime_checkable
class Inverter(Protocol):
    """Finds codes for pictures."""

    def invert(self, images: Tensor, *, seed: int, degrade: Callable[[Tensor], Tensor] | None = None) -> Inversion:
        """Codes for pictures [N, 3, R, R] in [-1, 1]; a row depends on (seed, its own picture) alone.

        degrade: what is known of a picture, as a function of pictures (a mask, grey values, fewer pixels): where it is given, the
        degraded picture and the degraded picture of the code are compared. What holds a row for each picture has `rows(index)`.
        """
        ...


@runtime_checkable
class Encoder(Protocol):
    """Represents samples by vectors, so that what a representation tells of the factors behind them can be measured.

    space: the generator's space whose codes these vectors are, flattened, so that the generator can be driven by them; '' for any
    other representation (features of a picture).
    """

    space: str

    def encode(self, codes: Codes, images: Callable[[], Tensor]) -> Tensor:
        """Representations [N, D] of the samples behind codes (N of them, in z).

        images: gives the samples' pictures [N, 3, R, R] in [-1, 1], which are made when it is first called: an encoder that reads
        codes alone never pays for them. A row depends on its own sample alone.
        """
        ...


@runtime_checkable
class Sampler(Protocol):
    """Draws codes of samples that have what is asked. targets: the attributes that can be asked for."""

    targets: Sequence[str]

    def sample(self, asked: Mapping[str, float], ids: Tensor, *, seed: int) -> Codes:
        """Codes [N] for ids [N]: row i is a function of (seed, ids[i], asked) alone.

        asked: by attribute, the value of a continuous one in sigma from its mean over samples, the class of a binary one by the
        sign. Raises InputError for an attribute that is not among the targets.
        """
        ...


@runtime_checkable
class Editor(Protocol):
    """Edits codes toward targets.

    targets: attribute names, prompts, or component numbers as text. signed: whether it goes both ways. per_code: whether it must
    work (optimise) anew for every code.
    """

    targets: Sequence[str]
    signed: bool
    per_code: bool

    def path(self, codes: Codes, requests: Sequence[Request], *, seed: int) -> Path:
        """The path of one edit, or of several edits one after another."""
        ...


class Bank(Protocol):
    """The fit stream, computed once for all methods: codes in any space, and the guide's scores."""

    names: Sequence[str]

    def __len__(self) -> int: ...

    def codes(self, space: Space | str) -> Codes: ...

    @property
    def scores(self) -> Tensor:
        """Guide scores [N, attributes] in the order of `names`; a binary attribute's score is a logit."""
        ...


@dataclass
class FitContext:
    """What a method may see: the generator, the fit stream and guides. It never sees a judge or a test code.

    targets: the attributes that the suite asks for. budget: the number of components an unsupervised method offers.
    seed: the fit seed. folder: a place for checkpoints of long fits.
    """

    generator: Generator | None
    domain: DomainInfo
    guides: dict[str, Network]
    bank: Bank
    targets: Sequence[str]
    budget: int
    seed: int
    folder: FilePath | None = None
    images: Any = None


@dataclass
class Fitted:
    """What a fit gives back; a task asks for the part it needs. tables: name -> list of rows, shown in the report.

    truth: the generator's own map between codes and factors, where it is known (methods.baselines.oracle.OracleTruth).
    """

    editor: Editor | None = None
    inverter: Inverter | None = None
    encoder: Encoder | None = None
    sampler: Sampler | None = None
    synthesizer: Any = None
    scene: Any = None
    units: Any = None
    truth: Any = None
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def state(self) -> dict[str, Tensor | np.ndarray]:
        """The fit as tensors, from which `Method.restore` makes it again. A fit is never stored as a pickle."""
        state: dict[str, Tensor | np.ndarray] = {"tables": pack_json(self.tables)} if self.tables else {}
        for part in (self.editor, self.inverter, self.encoder, self.sampler):
            mine = part.state() if hasattr(part, "state") else {}
            twice = state.keys() & mine.keys()
            if twice:
                raise ValueError(f"two parts of a fit store '{min(twice)}': one of them needs another name")
            state |= mine
        return state


def pack_json(value: Any) -> Tensor:
    """A JSON value as a tensor of bytes, so that names and tables are stored beside weights."""
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)


def unpack_json(packed: Tensor | np.ndarray) -> Any:
    """The value that `pack_json` packed."""
    return json.loads(bytes(torch.as_tensor(packed).cpu().numpy()))


class Method(ABC):
    """An adapter of one published approach.

    name: the paper's name in lower case. approach: supervised, unsupervised, zero_shot, inversion or baseline. version: rises
    whenever a number could change. citation: authors, title, venue. produces: the parts of Fitted it fills. needs: guide roles.
    """

    name: ClassVar[str]
    approach: ClassVar[str]
    version: ClassVar[int] = 1
    citation: ClassVar[str] = ""
    produces: ClassVar[frozenset[str]] = frozenset({"editor"})
    needs: ClassVar[frozenset[str]] = frozenset()

    class Options(pydantic.BaseModel):
        """The variant: pydantic fields with the paper's defaults. Unknown keys are refused."""

        model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    def __init__(self, **options: Any) -> None:
        self.options = self.Options(**options)

    @property
    def variant(self) -> str:
        """The options that differ from the defaults, e.g. 'space=z'; empty for the defaults."""
        chosen = self.options.model_dump(exclude_defaults=True, mode="json")
        show = lambda v: "+".join(map(str, v)) if isinstance(v, list) else str(v)  # noqa: E731
        return ",".join(f"{k}={show(v)}" for k, v in chosen.items())

    @property
    def space(self) -> str:
        """The space that edits move in, for the records."""
        return str(getattr(self.options, "space", ""))

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        """None, or in one line why this method cannot run here."""
        space = self.space
        if space and space not in info.spaces:
            return f"{info.name} has no space {space}"
        missing = self.needs - set(domain.guides)
        return f"domain {domain.name} has no guide for {', '.join(sorted(missing))}" if missing else None

    @abstractmethod
    def fit(self, context: FitContext) -> Fitted:
        """Fit to one generator."""

    @abstractmethod
    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        """The same fit from its stored tensors."""
