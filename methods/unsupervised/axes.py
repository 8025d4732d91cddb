"""The axes of the codes themselves: what a generator that was trained to be interpretable offers without any search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Space
from bench.errors import InputError
from bench.generators.base import Generator
from methods.base import FitContext, Fitted, Method
from methods.code_streams import CodeStreams, class_problem, code_space, vector_problem
from methods.editors import DirectionEditor, component_count, restore_directions
from methods.unsupervised.hessian_penalty import activeness, interval, moments
from methods.unsupervised.layer_indices import layer_tables
from metrics.statistics import bootstrap

WHOLE = "all"


class Axes(Method):
    """Each coordinate of z is a component. For generators whose training made them so, and for controls trained alike.

    Of EigenGAN (He et al. 2021) these are the coordinates of the layers' subspaces, without the noise that feeds the first layer;
    of one that was trained with the Hessian penalty (Peebles et al. 2020, section 4) all of z. Offered are the most active ones,
    as the second paper orders them; a strength counts deviations of the codes. Tables say how many of all are active, and, where
    layers have codes of their own (z+, w+), which layer carries which attribute.
    """

    name = "axes"
    approach = "unsupervised"
    citation = (
        "He, Kan, Shan: EigenGAN: Layer-Wise Eigen-Learning for GANs, ICCV 2021; "
        "Peebles, Peebles, Zhu, Efros, Torralba: The Hessian Penalty, ECCV 2020"
    )

    class Options(Method.Options):
        """space: whose coordinates (z, w). label: the class of all codes of a class-conditional generator, where activeness is
        measured. activeness_samples: codes behind it (the second paper's 300). index_codes: those behind the table of layers; 0
        leaves it out.
        """

        space: Space = Space.Z
        label: int | None = Field(None, ge=0)
        activeness_samples: int = Field(300, ge=2)
        index_codes: int = Field(256, ge=0)

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        return vector_problem(code_space(self.options.space, info), info) or class_problem(self.options.label, info)

    def fit(self, context: FitContext) -> Fitted:
        options, generator = self.options, context.generator
        reason = self.supports(generator.info, context.domain)
        if reason:
            raise InputError(reason)
        space = code_space(options.space, generator.info)
        codes = CodeStreams(generator, space, context.seed, self.name, options.label)
        layers, columns = coordinates(generator, space, codes.dimension)
        mean, covariance = moments(codes)
        basis = torch.eye(codes.dimension, dtype=torch.float64)[columns]
        scale = covariance.diagonal()[columns].sqrt()
        active = activeness(codes, basis, mean, scale, options.activeness_samples)
        order = active.mean(1).argsort(descending=True, stable=True)[: component_count(context.budget, len(columns))].tolist()
        names = tuple(map(str, range(len(order))))
        editor = DirectionEditor(generator, basis[order].float(), names, space, scale=scale[order].float())
        tables = {"activeness": activeness_rows([(layers[i], columns[i], active[i]) for i in order])}
        tables["active_components"] = [effective_count(active, context.seed)]
        return Fitted(editor=editor, tables=tables | layer_tables(context, options.index_codes))

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return restore_directions(context, state)


def coordinates(generator: Generator, space: Space, dimension: int) -> tuple[list[str], list[int]]:
    """(layer, column) of every coordinate on offer: those of subspaces where the generator has them, else all of the space."""
    subspaces = getattr(generator, "subspaces", ()) if space == Space.Z else ()
    if not subspaces:
        return [WHOLE] * dimension, list(range(dimension))
    pairs = [(one.layer, column) for one in subspaces for column in range(one.columns.start, one.columns.stop)]
    return [layer for layer, _ in pairs], [column for _, column in pairs]


def effective_count(active: Tensor, seed: int) -> dict[str, Any]:
    """How many of the components [K, n] are active: (sum a)^2 / sum a^2 of their mean activeness a, which needs no threshold.

    K where all are alike, 1 where one alone does anything (the participation ratio). 95 % interval by the bootstrap over codes.
    """

    def count(of_codes: np.ndarray) -> float:
        mean = of_codes.mean(0)
        return float(mean.sum() ** 2 / np.square(mean).sum())

    value, low, high = bootstrap(count, active.double().T.numpy(), seed=seed)
    facts = {"count": float(value), "ci_low": float(low), "ci_high": float(high)}
    return {"components": "all", **facts, "of": len(active), "n": active.shape[1]}


def activeness_rows(offered: Sequence[tuple[str, int, Tensor]]) -> list[dict[str, Any]]:
    """The fit's table: layer and coordinate of each component, most active first, with 95 % normal intervals over n codes."""
    rows = []
    for number, (layer, column, values) in enumerate(offered):
        value, low, high = interval(values)
        facts = {"activeness": value, "ci_low": low, "ci_high": high, "n": len(values)}
        rows.append({"component": str(number), "layer": layer, "coordinate": column, **facts})
    return rows
