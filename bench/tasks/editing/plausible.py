"""The plausible range: the largest strength at which nearly all edited codes still look like samples.

A space decides the statistic: z, w and p by Mahalanobis distance in p_n (whitened p; in w, or z, where the generator has no p); w+ and
p+ by the worst of their rows; s by its largest standardised channel; interventions by the activations they leave. Each is divided by
that statistic's own quantile over samples, so that up to 1 is plausible.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.bank import stream_ids
from bench.codes import Codes, Space
from bench.interventions import Unit
from bench.streams import stream_seed
from bench.tasks.base import CellContext
from bench.tasks.editing.activations import ActivationRange, layer_ratios
from bench.tasks.editing.protocol import BISECTIONS, DOUBLINGS, PLAUSIBLE_QUANTILE, PLAUSIBLE_SAMPLES, PLAUSIBLE_SHARE
from methods.base import Edit, Path

# Codes converted at a time.
ROWS = 512
# Variances below this share of the largest one are directions that samples do not have: they are not whitened but left out.
RANK = 1e-10


def compared_in(spaces: dict[str, tuple[int, ...]], space: Space) -> Space:
    """Where codes of `space` are compared with samples: p (or p+), else w (or w+), else z (or z+), as far as it can be converted."""
    if space == Space.S:
        return space
    order = (Space.P_PLUS, Space.W_PLUS, Space.Z_PLUS) if space.layered else (Space.P, Space.W, Space.Z)
    return next((way for way in order if way in spaces), space)


@dataclass(frozen=True)
class Statistic:
    """One space's statistic. space: where it is taken. mean [D], project [D, R]: whitening, or standardisation of s (project [D])."""

    space: Space
    mean: Tensor
    project: Tensor
    limit: float

    def raw(self, values: Tensor) -> Tensor:
        """The statistic [N] of values of `space`: [N, D] or, by the worst row, [N, L, D]."""
        centred = values.double().cpu() - self.mean
        if self.project.dim() == 1:
            return (centred * self.project).abs().amax(-1)
        distance = (centred @ self.project).norm(dim=-1)
        return distance.amax(1) if distance.dim() == 2 else distance


def fit_statistic(space: Space, rows: Tensor, samples: Tensor) -> dict[str, Tensor]:
    """The tensors of a Statistic. rows: values [M, D] that give mean and spread; samples: values of `space` that give the limit.

    p_n, w, z: projected on the principal axes of rows and divided by the standard deviation along each (so the norm is the Mahalanobis
    distance). s: each channel by its own. limit: the PLAUSIBLE_QUANTILE of the samples' own statistic.
    """
    rows = rows.double().cpu()
    mean = rows.mean(0)
    if space == Space.S:
        scale = rows.std(0)
        project = torch.where(scale > 0, 1 / scale.clamp(min=1e-12), 0.0)
    else:
        variance, axes = torch.linalg.eigh(torch.cov((rows - mean).T).reshape(len(mean), len(mean)))
        real = variance > RANK * variance.max()
        project = axes[:, real] / variance[real].sqrt()
    own = Statistic(space, mean, project, 1.0).raw(samples)
    limit = torch.quantile(own, PLAUSIBLE_QUANTILE)
    return {"mean": mean, "project": project, "limit": limit.reshape(1)}


class Plausible:
    """Answers how far edits go beyond samples, and where the plausible range of a path ends."""

    def __init__(self, cell: CellContext) -> None:
        self.generator, self.share = cell.generator, cell.share
        self.seed = stream_seed("plausible", cell.seed)
        self._statistics: dict[Space, Statistic] = {}
        self._ranges: dict[str, ActivationRange] = {}

    def statistic(self, space: Space) -> Statistic:
        """The statistic for codes of a space, computed once for all cells."""
        measured = compared_in(self.generator.info.spaces, space)
        if measured not in self._statistics:
            found = self.share(f"editing-plausible-{measured}", lambda: self._fit(measured))
            self._statistics[measured] = Statistic(measured, found["mean"], found["project"], float(found["limit"]))
        return self._statistics[measured]

    def _fit(self, space: Space) -> dict[str, Tensor]:
        codes = self.generator.sample(stream_ids("reference", PLAUSIBLE_SAMPLES), seed=self.seed)
        samples = self._convert(codes, space)
        if not space.layered:
            return fit_statistic(space, samples, samples)
        # One row's statistics come from samples of the space of one row: rows of w+ repeat them, and truncation moves them inwards.
        one = {Space.P_PLUS: Space.P, Space.W_PLUS: Space.W, Space.Z_PLUS: Space.Z}[space]
        rows = self._convert(codes, one) if one in self.generator.info.spaces else samples.flatten(0, 1)
        return fit_statistic(space, rows if rows.shape[1] == samples.shape[2] else samples.flatten(0, 1), samples)

    def _convert(self, codes: Codes, space: Space) -> Tensor:
        with torch.no_grad():
            parts = [self.generator.convert(codes[i : i + ROWS], space).values.cpu() for i in range(0, len(codes), ROWS)]
        return torch.cat(parts)

    def ratio(self, edit: Edit) -> Tensor:
        """How far each edited code goes, [N] float64: its statistic over the samples' limit; up to 1 is plausible."""
        statistic = self.statistic(edit.codes.space)
        worst = statistic.raw(self._convert(edit.codes, statistic.space)) / statistic.limit
        units = [one for one in edit.intervene if isinstance(one, Unit)]
        if units:
            with torch.no_grad():
                for layer in {unit.layer for unit in units} - set(self._ranges):
                    samples = self.generator.sample(stream_ids("reference", 256), seed=self.seed)
                    self._ranges[layer] = ActivationRange(self.generator, layer, samples)
                worst = torch.maximum(worst, layer_ratios(self._ranges, edit.codes, units, PLAUSIBLE_QUANTILE))
        for one in edit.intervene:
            if not isinstance(one, Unit):  # a blend shows what another code makes: that one has to be plausible too
                other = self.statistic(one.other.space)
                worst = torch.maximum(worst, other.raw(self._convert(one.other, other.space)) / other.limit)
        return worst

    def holds(self, edit: Edit) -> bool:
        """Whether PLAUSIBLE_SHARE of the codes stay plausible; a code that is not finite does not."""
        return float((self.ratio(edit) <= 1).double().mean()) >= PLAUSIBLE_SHARE


@dataclass(frozen=True)
class Edge:
    """Where the plausible range ends. strength: >= 0; found: False where the search ended while all was still plausible."""

    strength: float
    found: bool


def find_edge(plausible: Plausible, path: Path, direction: int) -> Edge:
    """The edge of a path in one direction (+1 or -1): the first strength, doubling from 1 (or halving), where `holds` fails, bisected.

    Strength 0 where even the smallest step is implausible. The search stops at 2^DOUBLINGS with found = False.
    """
    with torch.no_grad():
        holds = lambda strength: plausible.holds(path.at(direction * strength))  # noqa: E731
        inside, outside = 0.0, 1.0
        if holds(1.0):
            inside, outside = 1.0, 2.0
            while outside <= 2.0**DOUBLINGS and holds(outside):
                inside, outside = outside, 2 * outside
            if outside > 2.0**DOUBLINGS:
                return Edge(inside, False)
        else:
            for _ in range(DOUBLINGS):
                if holds(outside / 2):
                    inside = outside / 2
                    break
                outside /= 2
            if inside == 0.0:
                return Edge(0.0, True)
        for _ in range(BISECTIONS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if holds(middle) else (inside, middle)
        return Edge(inside, True)
