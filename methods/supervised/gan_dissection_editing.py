"""Edits by units: a concept is removed by switching its units off, and added by setting them where it belongs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.codes import Codes
from bench.errors import unknown
from bench.interventions import Unit
from methods.base import Edit, Request
from methods.supervised.gan_dissection_units import ConceptUnits


@dataclass(frozen=True)
class UnitPath:
    """Edits of a batch of codes. steps: for each request the concept, its units, and a mask or None."""

    units: ConceptUnits
    codes: Codes
    steps: Sequence[tuple[str, Tensor, Tensor | None]]

    def at(self, strength: float | Tensor) -> Edit:
        """The edit at a strength (a number, or one per code [N]); 0 is the unchanged code, without any intervention.

        -1: the units are zero everywhere. 1: they have the concept's values where it belongs. Between, they lie on the straight
        way from what they are; beyond, the intervention is complete and stays as it is.
        """
        strength = torch.as_tensor(strength, dtype=torch.float32, device=self.codes.values.device)
        on, off = strength.clamp(0, 1), (-strength).clamp(0, 1)
        found: list[Unit] = []
        for concept, units, mask in self.steps:
            if bool((off > 0).any()):
                found.append(self.units.ablation(units, off))
            if bool((on > 0).any()):
                found.append(self.units.insertion(concept, units, mask, on))
        return Edit(self.codes, tuple(found))


class UnitEditor:
    """Removes (-) and inserts (+) concepts. targets: regions, and attributes that map to one; concepts: target -> concept.

    Requests act one after another. `hold` leaves the units of other targets' concepts alone; a request's region is where a
    concept is inserted instead of its own place.
    """

    signed, per_code = True, False

    def __init__(self, units: ConceptUnits, concepts: Mapping[str, str]) -> None:
        self.units, self.concepts, self.targets = units, dict(concepts), tuple(concepts)

    def path(self, codes: Codes, requests: Sequence[Request], *, seed: int) -> UnitPath:
        """The path of one or more edits. Raises InputError for a target that is unknown, or of which `hold` leaves no unit."""
        steps = []
        for request in requests:
            held = [self._concept(name) for name in request.hold if name != request.target and name in self.concepts]
            concept = self._concept(request.target)
            steps.append((concept, self.units.top(concept, without=held), request.region))
        return UnitPath(self.units, codes, tuple(steps))

    def _concept(self, target: str) -> str:
        if target not in self.concepts:
            raise unknown("target", target, self.targets)
        return self.concepts[target]

    def state(self) -> dict[str, Tensor]:
        return self.units.state()
