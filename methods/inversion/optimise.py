"""Inversion by optimisation: gradient descent on a code until its picture looks like the given one. Needs no training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pydantic
import torch
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Codes, Space
from bench.errors import InputError
from bench.generators.base import Generator
from bench.passes import chunks
from bench.streams import stream_rng
from methods.base import FitContext, Fitted, Inversion, Method, unpack_json
from methods.inversion.adam import Adam
from methods.inversion.degrade import Degrade, rows_of
from methods.inversion.loss import Guide, ReconstructionLoss, Weights, find_guide
from methods.inversion.start import class_missing, mean_code

# The schedule of StyleGAN2's projector (Karras et al. 2020): shares of the steps in which the rate rises and falls.
RAMP_UP, RAMP_DOWN = 0.05, 0.25


def fixed(share: float) -> float:
    """The factor of the learning rate at a share of the steps: always 1."""
    return 1.0


def projector(share: float) -> float:
    """The factor of StyleGAN2's projector: rises linearly at first, falls as a half cosine at the end. share: in [0, 1)."""
    fall = min(1.0, (1.0 - share) / RAMP_DOWN)
    return (0.5 - 0.5 * math.cos(math.pi * fall)) * min(1.0, share / RAMP_UP)


SCHEDULES: dict[str, Callable[[float], float]] = {"fixed": fixed, "projector": projector}


@dataclass(frozen=True)
class OptimisingInverter:
    """Finds a code for each picture, by itself. start: the code that all begin with, of the shape of one code in `space`.

    Works in chunks of a fixed size with the loss summed over rows, and Adam keeps its moments by element, so that a code does not
    depend on which other pictures were given.
    """

    generator: Generator
    guide: Guide | None
    space: Space
    start: Tensor
    steps: int
    learning_rate: float
    schedule: str
    weights: Weights
    spread: bool = False

    def invert(self, images: Tensor, *, seed: int, degrade: Degrade | None = None) -> Inversion:
        """Codes for pictures [N, 3, R, R] in [-1, 1]; ids are 0 to N - 1. Raises InputError for pictures of another size.

        seed: of a start that is drawn; from the mean code nothing is. degrade: what is known of the pictures (None: everything).
        """
        side = self.generator.info.resolution
        if images.shape[1:] != (3, side, side):
            raise InputError(f"{self.generator.info.name} makes pictures [N, 3, {side}, {side}], got {list(images.shape)}")
        device, start = self.generator.device, self._first(seed)
        values = torch.empty(len(images), *start.shape)
        seconds = torch.zeros(len(images))
        for part, index in chunks(len(images)):
            begin, count = time.perf_counter(), part.stop - part.start
            found = self._chunk(images[index].to(device), start.to(device), rows_of(degrade, index))
            values[part] = found[:count].cpu()
            seconds[part] = (time.perf_counter() - begin) / count
        return Inversion(Codes(self.space, values, torch.arange(len(images))), seconds=seconds)

    def _first(self, seed: int) -> Tensor:
        if not self.spread:
            return self.start
        drawn = stream_rng("optimise-start", seed).uniform(-1, 1, tuple(self.start.shape))
        return torch.from_numpy(drawn).to(self.start)

    def _chunk(self, target: Tensor, start: Tensor, degrade: Degrade) -> Tensor:
        loss = ReconstructionLoss(self.generator, self.guide, self.weights, target, degrade)
        values = start.expand(len(target), *start.shape).clone().requires_grad_()
        adam, ids, factor = Adam(values), torch.arange(len(target)), SCHEDULES[self.schedule]
        with torch.enable_grad():
            for step in range(self.steps):
                # Summed, not averaged: a row's gradient must not know how many others there are.
                total = loss(Codes(self.space, values, ids)).sum()
                (gradient,) = torch.autograd.grad(total, [values])
                adam.step(gradient, self.learning_rate * factor(step / self.steps))
        return values.detach()

    def state(self) -> dict[str, Tensor]:
        """The start; the generator, its whitening and the guide are what they are."""
        return {"start": self.start}


class Optimise(Method):
    """Adam on a code. The defaults are Image2StyleGAN's: w+, 5000 steps of 0.01 from the mean code, pixels and perception alike.

    The guide stands in for the paper's VGG-16: the domain's perceptual one, else its features; where a domain has neither, pixels
    alone count and the fit's table says so.
    """

    name = "optimise"
    approach = "inversion"
    citation = "Abdal, Qin, Wonka: Image2StyleGAN: How to Embed Images Into the StyleGAN Latent Space?, ICCV 2019"
    produces = frozenset({"inverter"})

    class Options(Method.Options):
        """space: where the code moves. steps, learning_rate: of Adam; schedule: fixed, or that of StyleGAN2's projector.

        pixel, perceptual: weights of the mean squared error and of the guide's squared distance. p_norm: weight of the mean
        squared coordinate in p_n ('Improved StyleGAN Embedding': 0.001). start: the mean code, or one drawn uniformly from
        [-1, 1] (the paper's for other classes than the generator's), the same for all pictures.
        """

        space: Space = Space.W_PLUS
        steps: int = pydantic.Field(5000, ge=1, le=1_000_000)
        learning_rate: float = pydantic.Field(0.01, gt=0)
        schedule: Literal["fixed", "projector"] = "fixed"
        pixel: float = pydantic.Field(1.0, ge=0)
        perceptual: float = pydantic.Field(1.0, ge=0)
        p_norm: float = pydantic.Field(0.0, ge=0)
        start: Literal["mean", "uniform"] = "mean"

        @pydantic.model_validator(mode="after")
        def _has_a_loss(self) -> Any:
            if not (self.pixel or self.perceptual):
                raise ValueError("pixel and perceptual are both 0: nothing would be fitted to the picture")
            return self

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        missing = super().supports(info, domain) or class_missing(info, self.options.space)
        if missing:
            return missing
        if self.options.p_norm and (Space.P_N not in info.spaces or self.options.space in (Space.S, Space.Z_PLUS)):
            return f"{info.name} has no way from {self.options.space} to p_n, which p_norm needs"
        if not self.options.pixel and not any(reading in domain.guides for reading in ("perceptual", "features")):
            return f"domain {domain.name} has no perceptual guide, and the pixels' weight is 0"
        return None

    def fit(self, context: FitContext) -> Fitted:
        return self._fitted(context, mean_code(context, self.options.space), self._tables(context))

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return self._fitted(context, torch.as_tensor(state["start"]), unpack_json(state["tables"]))

    def _fitted(self, context: FitContext, start: Tensor, tables: dict[str, list[dict[str, Any]]]) -> Fitted:
        o = self.options
        inverter = OptimisingInverter(
            context.generator,
            find_guide(context.guides),
            o.space,
            start,
            o.steps,
            o.learning_rate,
            o.schedule,
            Weights(o.pixel, o.perceptual, o.p_norm),
            o.start == "uniform",
        )
        return Fitted(inverter=inverter, tables=tables)

    def _tables(self, context: FitContext) -> dict[str, list[dict[str, Any]]]:
        guide = find_guide(context.guides)
        looks = guide.label if guide else "none: the domain has no perceptual guide, pixels alone count"
        if not self.options.perceptual:
            looks = "none: its weight is 0"
        return {"inversion": [{"space": str(self.options.space), "perceptual guide": looks}]}
