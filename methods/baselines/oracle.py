"""The oracle: edits through the true inverse map, where a generator has one. The bound on leakage and identity.

It also hands out that map itself (`truth`), for tasks that plant known faults and ask whether metrics see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Codes, Space
from bench.domains.heads.factors import IDENTITY, INDEX
from bench.domains.heads.renderer import render
from bench.errors import InputError, UnsupportedError, unknown
from bench.generators.base import Generator
from methods.base import Edit, FitContext, Fitted, Method, Request, pack_json, unpack_json

# The `architecture` on the card of generators with the method `moved(codes, name, delta)`.
ARCHITECTURE = "oracle"


@dataclass(frozen=True)
class OraclePath:
    """The requested factors move by `strength` standard deviations of their own, one after another; everything else stays."""

    generator: Generator
    codes: Codes
    targets: tuple[str, ...]

    def at(self, strength: float | Tensor) -> Edit:
        """The edit at a strength: a number, or one per code [N]. Raises InputError for another shape."""
        codes = self.codes
        delta = torch.as_tensor(strength).to(codes.values)
        if delta.shape not in {(), (len(codes),)}:
            raise InputError(f"{len(codes)} codes need one strength or as many, got shape {list(delta.shape)}")
        # The difference of two moves, so that the rounding of the map and its inverse cancels and strength 0 changes no bit.
        there, back = self._moved(delta), self._moved(torch.zeros_like(delta))
        return Edit(codes.with_values(codes.values + (there.values - back.values)))

    def _moved(self, delta: Tensor) -> Codes:
        codes = self.codes
        for target in self.targets:
            codes = self.generator.moved(codes, target, delta)
        return codes


@dataclass(frozen=True)
class OracleEditor:
    """Edits in w by the generator's own map from codes to factors. Only the target changes: what a request holds is held."""

    generator: Generator
    targets: Sequence[str]
    signed: ClassVar[bool] = True
    per_code: ClassVar[bool] = False

    def path(self, codes: Codes, requests: Sequence[Request], *, seed: int = 0) -> OraclePath:
        """The path of the requests. `seed` is not used: nothing here is drawn."""
        if not requests:
            raise InputError("an edit needs at least one request")
        for request in requests:
            if request.target not in self.targets:
                raise unknown("target", request.target, self.targets)
        return OraclePath(self.generator, self.generator.convert(codes, Space.W), tuple(r.target for r in requests))

    def state(self) -> dict[str, Tensor]:
        return {"targets": pack_json(list(self.targets))}


@dataclass(frozen=True)
class OracleTruth:
    """The generator's own map between codes, the standard normals behind its factors, factors and the classes of pixels."""

    generator: Generator

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of normals and factors, named factors first, then nuisance."""
        return tuple(INDEX)

    @property
    def identity(self) -> tuple[str, ...]:
        """The factors that make two pictures the same person."""
        return IDENTITY

    def column(self, name: str) -> int:
        """The column of a factor. Raises InputError, with the nearest names, for another name."""
        if name not in INDEX:
            raise unknown("factor", name, INDEX)
        return INDEX[name]

    def normals(self, codes: Codes) -> Tensor:
        """Standard normals [N, columns], correlated as the factors are; linear in w."""
        return self.generator.normals(codes)

    def codes(self, normals: Tensor, ids: Tensor) -> Codes:
        """The codes in w of normals [N, columns]."""
        return Codes(Space.W, normals @ self.generator.unmix.to(normals).T, ids)

    def factors(self, codes: Codes) -> Tensor:
        """The factor rows [N, columns] that are rendered."""
        return self.generator.factors(codes)

    def segmentation(self, codes: Codes) -> Tensor:
        """The class of every pixel, int64 [N, R, R], an index into the domain's regions."""
        return render(self.factors(codes), size=self.generator.info.resolution, supersample=2, maps=True).segmentation


class Oracle(Method):
    """The pure edit of one factor. It need not win reach or realism: one of two correlated factors alone is rare."""

    name = "oracle"
    approach = "baseline"
    citation = "the generator's own inverse map"
    produces = frozenset({"editor", "truth"})

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        if info.architecture != ARCHITECTURE or Space.W not in info.spaces:
            return f"{info.name} has no known map from codes to factors"
        return None

    @property
    def space(self) -> str:
        return str(Space.W)

    def fit(self, context: FitContext) -> Fitted:
        if not hasattr(context.generator, "moved"):
            raise UnsupportedError(f"{context.generator.info.name} has no known map from codes to factors")
        return self._fitted(context, tuple(context.targets))

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return self._fitted(context, tuple(unpack_json(state["targets"])))

    def _fitted(self, context: FitContext, targets: tuple[str, ...]) -> Fitted:
        return Fitted(editor=OracleEditor(context.generator, targets), truth=OracleTruth(context.generator))
