"""The plausible range: the largest strength at which nearly all edited codes still look like samples.

A space decides the statistic: z, w and p by Mahalanobis distance in w (in z, where there is no w; in p_n, whitened p, if the
protocol says so); w+ and p+ by the worst of their rows; s by its largest standardised channel; interventions by the activations
they leave. Each is divided by that statistic's own quantile over samples, so that up to 1 is plausible.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.bank import stream_ids
from bench.codes import Codes, Space
from bench.interventions import Blend, Intervention, Unit
from bench.streams import stream_seed
from bench.tasks.base import CellContext
from bench.tasks.editing.activations import SAMPLES, ActivationRange
from bench.tasks.editing.protocol import (
    BISECTIONS,
    DOUBLINGS,
    PLAUSIBLE_FLOOR,
    PLAUSIBLE_P,
    PLAUSIBLE_QUANTILE,
    PLAUSIBLE_SAMPLES,
    PLAUSIBLE_SHARE,
    SATURATED,
)
from methods.base import Edit, Path
from metrics.plausibility import CodeStatistics, fit_channels, fit_vectors, statistic

# Codes converted at a time.
ROWS = 512


def compared_in(spaces: dict[str, tuple[int, ...]], space: Space) -> Space:
    """Where codes of `space` are compared with samples: w (or w+) where the generator has it, else z (or z+); s in s.

    The statistic turns w into p itself, where the generator has a p.
    """
    if space == Space.S:
        return space
    order = (Space.W_PLUS, Space.Z_PLUS) if space.layered else (Space.W, Space.Z)
    return next((one for one in order if one in spaces), space)


class Plausible:
    """Answers how far edits go beyond samples, and where the plausible range of a path ends."""

    def __init__(self, cell: CellContext) -> None:
        self.generator, self.share = cell.generator, cell.share
        self.seed = stream_seed("plausible", cell.seed)
        self._statistics: dict[Space, CodeStatistics] = {}
        self._ranges: dict[str, ActivationRange] = {}

    def statistics(self, space: Space) -> CodeStatistics:
        """What samples look like in a space of compared_in; computed once for all cells."""
        if space not in self._statistics:
            found = self.share(f"editing-plausible-{space}", lambda: self._fit(space))
            self._statistics[space] = CodeStatistics.from_arrays({name: one.numpy() for name, one in found.items()})
        return self._statistics[space]

    def _fit(self, space: Space) -> dict[str, Tensor]:
        spaces, percentile = self.generator.info.spaces, 100 * PLAUSIBLE_QUANTILE
        codes = self.generator.sample(stream_ids("reference", PLAUSIBLE_SAMPLES), seed=self.seed)
        if space == Space.W_PLUS and Space.W in spaces:
            few = codes[:16]
            # Without truncation every row of w+ repeats w, and one set of statistics judges all rows.
            if torch.equal(self._convert(few, space), self._convert(few, Space.W)[:, None].expand(-1, *spaces[space])):
                space = Space.W
        samples = self._convert(codes, space).numpy()
        if space == Space.S:
            fitted = fit_channels(samples, percentile=percentile)
        else:
            in_p = PLAUSIBLE_P and space in (Space.W, Space.W_PLUS) and Space.P in spaces
            fitted = fit_vectors(samples, p=in_p, floor=PLAUSIBLE_FLOOR, percentile=percentile)
        return {name: torch.from_numpy(one) for name, one in fitted.arrays().items()}

    def _convert(self, codes: Codes, space: Space) -> Tensor:
        with torch.no_grad():
            parts = [self.generator.convert(codes[i : i + ROWS], space).values.cpu() for i in range(0, len(codes), ROWS)]
        return torch.cat(parts)

    def _codes_ratio(self, codes: Codes) -> Tensor:
        space = compared_in(self.generator.info.spaces, codes.space)
        stats = self.statistics(space)
        return torch.from_numpy(statistic(self._convert(codes, space).numpy(), stats) / stats.threshold)

    def ratio(self, edit: Edit) -> Tensor:
        """How far each edited code goes, [N] float64: its statistic over the samples' limit; up to 1 is plausible."""
        worst = self._codes_ratio(edit.codes)
        for one in edit.intervene:
            # A blend shows what another code makes there: that code has to be plausible too.
            far = self._unit_ratio(edit.codes, one) if isinstance(one, Unit) else self._codes_ratio(one.other)
            worst = torch.maximum(worst, far)
        return worst

    def _unit_ratio(self, codes: Codes, unit: Unit) -> Tensor:
        with torch.no_grad():
            if unit.layer not in self._ranges:
                samples = self.generator.sample(stream_ids("reference", SAMPLES), seed=self.seed)
                self._ranges[unit.layer] = ActivationRange(self.generator, unit.layer, samples)
            return self._ranges[unit.layer].ratio(codes, unit, PLAUSIBLE_QUANTILE)

    def holds(self, edit: Edit) -> bool:
        """Whether PLAUSIBLE_SHARE of the codes stay plausible; a code that is not finite does not."""
        return float((self.ratio(edit) <= 1).double().mean()) >= PLAUSIBLE_SHARE

    def saturated(self, start: Edit, here: Edit, twice: Edit) -> bool:
        """Whether doubling the strength hardly moved the codes any more; inside the generator, whether it changed nothing."""
        if here.intervene or twice.intervene:
            return same_interventions(here.intervene, twice.intervene) and torch.equal(here.codes.values, twice.codes.values)
        space = compared_in(self.generator.info.spaces, start.codes.space)
        first, second, third = (self._convert(edit.codes, space) for edit in (start, here, twice))
        return bool((third - second).norm() <= SATURATED * (second - first).norm())


def same_interventions(a: Intervention, b: Intervention) -> bool:
    """Whether two edits do exactly the same inside the generator, to the bit."""

    def parts(one: Unit | Blend) -> tuple:
        if isinstance(one, Blend):
            return one.layer, one.mask, one.other.space, one.other.values, one.other.labels
        return one.layer, one.mode, one.channels, one.value, one.mask

    def same(p: object, q: object) -> bool:
        tensors = isinstance(p, Tensor) and isinstance(q, Tensor)
        return torch.equal(p, q) if tensors else p is q or (type(p) is type(q) and not isinstance(p, Tensor) and p == q)

    return len(a) == len(b) and all(
        type(x) is type(y) and all(same(p, q) for p, q in zip(parts(x), parts(y), strict=True)) for x, y in zip(a, b, strict=True)
    )


@dataclass(frozen=True)
class Edge:
    """Where the plausible range ends. strength: >= 0; found: False where the search ended while all was still plausible."""

    strength: float
    found: bool


def find_edge(plausible: Plausible, path: Path, direction: int) -> Edge:
    """The edge of a path in one direction (+1 or -1): strengths double (or halve) from 1 until `holds` fails, then bisect.

    Strength 0 where even the smallest step is implausible. The search ends with found = False at 2^DOUBLINGS, or where doubling
    the strength no longer moves the codes (mapping networks normalise z: a step in z can be as long as one likes).
    """
    with torch.no_grad():
        at = lambda strength: path.at(direction * strength)  # noqa: E731
        inside, outside = 0.0, 1.0
        if plausible.holds(at(1.0)):
            while plausible.holds(at(outside)):
                inside, outside = outside, 2 * outside
                if outside > 2.0**DOUBLINGS or plausible.saturated(at(0.0), at(inside), at(outside)):
                    return Edge(inside, False)
        else:
            while inside == 0.0:
                if outside < 2.0**-DOUBLINGS:
                    return Edge(0.0, True)
                inside, outside = (outside / 2, outside) if plausible.holds(at(outside / 2)) else (0.0, outside / 2)
        for _ in range(BISECTIONS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if plausible.holds(at(middle)) else (inside, middle)
        return Edge(inside, True)
