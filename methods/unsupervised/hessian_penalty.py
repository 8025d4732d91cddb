"""Hessian penalty: an orthogonal basis of a frozen generator's codes whose components act independently on the activations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Codes, Space
from bench.errors import InputError
from bench.generators.base import Generator
from methods.base import FitContext, Fitted, Method
from methods.code_streams import CodeStreams, class_problem, code_space, vector_problem
from methods.editors import DirectionEditor, component_count, largest_positive, restore_directions
from methods.unsupervised.hessian_basis import Activations, Penalty, Schedule, Search

# The word among layers for the picture itself.
PICTURE = "picture"
# Batches on which the learned basis is compared with the one it started from, and the 97.5th percentile of Student's t for them.
HELD_OUT, STUDENT = 32, 2.0395
# Where a component is set to for its activeness, in deviations of the codes (the published figures.py).
PLACES = (-2.0, 0.0, 2.0)
# Codes behind the deviation of a space other than z, and pictures of one pass where activeness is measured.
STDEV_SAMPLES, PASS = 5000, 48


class HessianPenalty(Method):
    """Direction discovery as in the paper's BigGAN experiment: A in G(z + A c) is learned, orthogonal; G is frozen.

    Offered are the most active components; a strength counts standard deviations of the codes along them. The defaults are the
    published search's 50,000 steps of 96 codes, for GPUs: a suite chooses fewer. The penalty is the one that the paper trains
    ProGAN with, the maximum over each layer's activations, summed over layers; the published search of BigGAN took the mean over
    the picture alone (`reduction: mean, layers: [picture]`). Codes are streams of the method's own.
    """

    name = "hessian_penalty"
    approach = "unsupervised"
    citation = (
        "Peebles, Peebles, Zhu, Efros, Torralba: The Hessian Penalty: A Weak Prior for Unsupervised Disentanglement, ECCV 2020"
    )

    class Options(Method.Options):
        """space: where codes move (z, w). layers: all but toRGB (the picture where there are none), or names and 'picture'.

        components: directions learned; None: as many as the space has dimensions, since fewer settle where codes do least, which
        has the least Hessian of all. label: the class of all codes of a class-conditional generator. steps, batch, learning_rate:
        of Adam. distance: how far codes start from where they were drawn, along one component (the paper's eta). k, epsilon,
        reduction: of the penalty. distance and epsilon are in units of a coordinate's root mean square deviation (1 in z).
        activeness_samples: codes behind a component's activeness.
        """

        space: Space = Space.Z
        layers: tuple[str, ...] = ("all",)
        components: int | None = Field(None, ge=2)
        label: int | None = Field(None, ge=0)
        steps: int = Field(50_000, ge=0)
        batch: int = Field(96, ge=1)
        learning_rate: float = Field(0.01, gt=0)
        distance: float = Field(5.0, ge=0)
        k: int = Field(2, ge=2)
        epsilon: float = Field(0.1, gt=0)
        reduction: Literal["max", "mean"] = "max"
        activeness_samples: int = Field(300, ge=2)

        @field_validator("layers", mode="before")
        @classmethod
        def _names(cls, value: object) -> object:
            names = (value,) if isinstance(value, str) else value
            if not names or ("all" in names and len(names) > 1):
                raise ValueError("layers are all, or one name or more")
            return names

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        space, names = code_space(self.options.space, info), [layer.name for layer in info.layers]
        problem = vector_problem(space, info)
        if problem:
            return problem
        for name in self.options.layers:
            if name not in ("all", PICTURE, *names):
                return f"{info.name} has no layer {name}"
        return class_problem(self.options.label, info)

    def fit(self, context: FitContext) -> Fitted:
        options, generator = self.options, context.generator
        reason = self.supports(generator.info, context.domain)
        if reason:
            raise InputError(reason)
        space = code_space(options.space, generator.info)
        codes = CodeStreams(generator, space, context.seed, self.name, options.label)
        components = min(options.components or codes.dimension, codes.dimension)
        count = component_count(context.budget, codes.dimension)
        if components < count:
            raise InputError(f"a basis of {components} components cannot offer {count}: raise the option components")
        mean, covariance = moments(codes)
        unit = float(covariance.trace() / codes.dimension) ** 0.5
        penalty = Penalty(activations(generator, options.layers), options.k, options.epsilon, options.reduction, unit)
        schedule = Schedule(options.steps, options.batch, options.learning_rate, options.distance)
        search = Search(codes, penalty, schedule, components)
        facts = {"generator": generator.fingerprint, "options": options.model_dump(mode="json"), "seed": context.seed}
        file = search.file(context.folder, facts)
        basis = search.run(file)
        scale = ((basis @ covariance) * basis).sum(1).sqrt()
        active = activeness(codes, basis, mean, scale, options.activeness_samples)
        order = active.mean(1).argsort(descending=True, stable=True)[:count]
        names = tuple(map(str, range(count)))
        directions = largest_positive(basis[order]).float()
        editor = DirectionEditor(generator, directions, names, space, scale=scale[order].float())
        tables = {"activeness": activeness_rows(order.tolist(), active), "penalty": penalty_rows(search, basis)}
        if file is not None:
            file.unlink(missing_ok=True)
        return Fitted(editor=editor, tables=tables)

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return restore_directions(context, state)


def activations(generator: Generator, layers: Sequence[str]) -> Activations:
    """The function from N codes to the activations of the named layers, each [N, C, h, w]. Noise is held fixed."""
    maps = [layer.name for layer in generator.info.layers if not layer.is_rgb] if "all" in layers else list(layers)
    named, pictured = [name for name in maps if name != PICTURE], PICTURE in maps or not maps

    def apply(codes: Codes) -> list[Tensor]:
        found = list(generator.features(codes, named).values()) if named else []
        return [*found, generator.synthesize(codes)] if pictured else found

    return apply


def moments(codes: CodeStreams) -> tuple[Tensor, Tensor]:
    """Mean [D] and covariance [D, D] of the codes, float64; those of a standard normal for z, whose unit they are."""
    if codes.space == Space.Z:
        return torch.zeros(codes.dimension, dtype=torch.float64), torch.eye(codes.dimension, dtype=torch.float64)
    values = codes.codes("moments", 0, STDEV_SAMPLES).values.double().cpu()
    return values.mean(0), torch.cov(values.T)


@torch.no_grad()
def activeness(codes: CodeStreams, basis: Tensor, mean: Tensor, scale: Tensor, samples: int) -> Tensor:
    """How much each component changes pictures, [K, samples]: the unbiased variance over three pictures, mean over pixels.

    In the three the component's coordinate is set to -2, 0 and 2 deviations `scale` [K] from the mean [D], the others are as
    drawn (the published figures.py). Pictures are in [-1, 1], so that the range is [0, 4/3].
    """
    found = torch.empty(len(basis), samples)
    drawn = codes.codes("activeness", 0, samples)
    for start in range(0, samples, PASS):
        part = drawn[start : start + PASS]
        values = part.values.double()
        for index, (direction, deviation) in enumerate(zip(basis.to(values), scale.tolist(), strict=True)):
            offset = (mean.to(values) - values) @ direction
            moved = [values + (offset + place * deviation)[:, None] * direction for place in PLACES]
            pictures = [codes.generator.synthesize(part.with_values(one.to(part.values))).clamp(-1, 1) for one in moved]
            found[index, start : start + PASS] = torch.stack(pictures).var(0).flatten(1).mean(1).cpu()
    return found


def activeness_rows(order: Sequence[int], active: Tensor) -> list[dict[str, Any]]:
    """The fit's table: activeness of the offered components, most active first, with 95 % normal intervals over n codes.

    learned: the component's row in the learned basis.
    """
    rows = []
    for name, learned in enumerate(order):
        value, low, high = interval(active[learned])
        facts = {"activeness": value, "ci_low": low, "ci_high": high, "n": active.shape[1]}
        rows.append({"component": str(name), "learned": learned, **facts})
    return rows


@torch.no_grad()
def penalty_rows(search: Search, basis: Tensor) -> list[dict[str, Any]]:
    """The fit's table: the penalty of the basis that the search started from, of the learned one, and learned less start.

    Means over n held-out batches that both see, with 95 % intervals (Student's t).
    """
    start, learned = (
        torch.stack([search.value(matrix, "held-out", step) for step in range(HELD_OUT)]).double().cpu()
        for matrix in (search.start(), basis)
    )
    rows = []
    for name, values in (("start", start), ("learned", learned), ("learned - start", learned - start)):
        value, low, high = interval(values, STUDENT)
        rows.append({"basis": name, "penalty": value, "ci_low": low, "ci_high": high, "n": HELD_OUT})
    return rows


def interval(values: Tensor, errors: float = 1.96) -> tuple[float, float, float]:
    """(mean, low, high) of values [n]: the mean and so many standard errors to either side."""
    mean, error = float(values.mean()), float(values.std()) / math.sqrt(len(values))
    return mean, mean - errors * error, mean + errors * error
