"""The floor of inversion: the mean code, whatever the picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Codes, Space
from methods.base import FitContext, Fitted, Inversion, Method
from methods.inversion.degrade import Degrade
from methods.inversion.start import class_missing, mean_code


@dataclass(frozen=True)
class ConstantInverter:
    """Answers every picture with one code, of the shape of a code in `space`."""

    space: Space
    code: Tensor

    def invert(self, images: Tensor, *, seed: int, degrade: Degrade | None = None) -> Inversion:
        """The code, once for each of N pictures; neither they, the seed nor the degradation matter."""
        values = self.code.expand(len(images), *self.code.shape).clone()
        return Inversion(Codes(self.space, values, torch.arange(len(images))), seconds=torch.zeros(len(images)))

    def state(self) -> dict[str, Tensor]:
        return {"code": self.code}


class MeanCode(Method):
    """What a reconstruction must beat. It edits as well as one code can: read its editability beside its reconstruction."""

    name = "mean_code"
    approach = "baseline"
    citation = "the mean of sampled codes"
    produces = frozenset({"inverter"})

    class Options(Method.Options):
        """space: where the mean code is given."""

        space: Space = Space.W

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        return super().supports(info, domain) or class_missing(info, self.options.space)

    def fit(self, context: FitContext) -> Fitted:
        return Fitted(inverter=ConstantInverter(self.options.space, mean_code(context, self.options.space)))

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return Fitted(inverter=ConstantInverter(self.options.space, torch.as_tensor(state["code"])))
