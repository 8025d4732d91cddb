"""Which units cause a concept: average causal effects of switching them (Bau et al. 2019, section 3.2, equations 3 to 6).

The paper switches units at sampled places; here they are switched off everywhere, as in its section 4, and on where the concept
belongs: pictures of one kind of object have such places, and scenes have not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from bench.codes import Codes
from bench.interventions import Intervention, Unit, rows
from bench.streams import stream_rng
from methods.base import FitContext
from methods.guided import guide_of, passes_of
from methods.supervised.gan_dissection_survey import streams
from methods.supervised.gan_dissection_units import ConceptUnits
from metrics.localisation import ablation_effect, causal_effect

# alpha starts here for every unit: in the middle of the range that it is kept in.
START = 0.5


def areas(context: FitContext, codes: Codes, region: int, intervene: Intervention = ()) -> np.ndarray:
    """Share of each picture [N] float64 that the guide says is of a region."""
    guide, passes, parts = {"segmentation": guide_of(context, "segmentation")}, passes_of(context), []
    for start in range(0, len(codes), passes.group):
        part = slice(start, start + passes.group)
        logits = passes.read(guide, codes[part], rows(intervene, part))["segmentation"]
        parts.append((logits.argmax(1) == region).double().mean((1, 2)))
    return torch.cat(parts).numpy()


def effect(
    context: FitContext, units: ConceptUnits, concept: str, chosen: Tensor, codes: Codes, presence: np.ndarray
) -> tuple[float, float]:
    """(average causal effect of the chosen units over the concept's mean presence, share of its area that ablation removes).

    presence: the concept's share [N] of the unchanged pictures of `codes`, not zero throughout.
    """
    region = context.domain.regions.index(concept)
    off = areas(context, codes, region, (units.ablation(chosen),))
    on = areas(context, codes, region, (units.insertion(concept, chosen),))
    return causal_effect(on, off, presence), ablation_effect(presence, off)


def single_effects(context: FitContext, units: ConceptUnits, candidates: int, count: int) -> dict[tuple[int, int], float]:
    """Average causal effect of single units, (concept, unit) -> effect, for the `candidates` of highest IoU of each concept."""
    codes = streams(context).codes("single", 0, count)
    found = {}
    for number, concept in enumerate(units.concepts):
        presence = areas(context, codes, context.domain.regions.index(concept))
        if presence.mean() > 0:
            for unit in by_iou(units)[number, :candidates]:
                found[number, int(unit)] = effect(context, units, concept, unit[None], codes, presence)[0]
    return found


def by_iou(units: ConceptUnits) -> Tensor:
    """The units of the layer, [C, U] int64, highest IoU first."""
    return units.iou[units.layer].argsort(dim=1, descending=True, stable=True)


def by_effect(units: ConceptUnits, effects: dict[tuple[int, int], float]) -> Tensor:
    """The units of the layer, [C, U]: those whose effect was measured first, by effect, then the others by IoU."""
    order = by_iou(units)
    ranked = []
    for number, row in enumerate(order):
        known = torch.tensor([effects.get((number, int(unit)), -np.inf) for unit in row], dtype=torch.float64)
        ranked.append(row[known.argsort(dim=0, descending=True, stable=True)])
    return torch.stack(ranked)


def learned_alpha(
    context: FitContext, units: ConceptUnits, concept: str, *, steps: int, batch: int, rate: float, l2: float, pool: int
) -> Tensor:
    """alpha [U] in [0, 1], how much each unit of the layer is switched: gradient descent on equation 6.

    The loss is -(s_c with alpha inserted - s_c with alpha ablated) / mean presence + l2 |alpha|_2, with s_c the guide's
    probability of the concept, mean over the picture; after every step alpha is cut off at 0 and 1. Each step draws `batch` of
    `pool` codes. Partial switching is r (1 - alpha) and, inside the place, r (1 - alpha) + alpha k (equation 5).
    """
    region, number = context.domain.regions.index(concept), units.index(concept)
    codes = streams(context).codes("alpha", 0, pool)
    rng = stream_rng("gan_dissection_alpha", context.seed, concept)
    everything = torch.arange(units.iou[units.layer].shape[1])
    values, place = units.values[number], units.places[number : number + 1]
    present = max(float(units.presence[number]), 1e-6)
    seen = _probability(context, region)
    alpha = torch.full((len(everything),), START, requires_grad=True)
    optimiser = torch.optim.Adam([alpha], lr=rate)
    for _ in range(steps):
        part = codes[rng.choice(pool, min(batch, pool), replace=False).tolist()]
        optimiser.zero_grad()
        off = Unit(units.layer, everything, 1 - alpha, "scale")
        left = Unit(units.layer, everything, 1 - alpha, "scale", place)
        on = (left, Unit(units.layer, everything, alpha * values, "add", place))
        gain = (seen(part, on) - seen(part, (off,))).mean() / present
        # The square's 1e-12 gives the norm a gradient where all of alpha is cut off.
        (-gain + l2 * (alpha.square().sum() + 1e-12).sqrt()).backward()
        optimiser.step()
        with torch.no_grad():
            alpha.clamp_(0, 1)
    return alpha.detach()


def _probability(context: FitContext, region: int) -> Callable[[Codes, Intervention], Tensor]:
    """A function (codes, interventions) -> the guide's mean probability [N] of a region, differentiable."""
    guide, generator = guide_of(context, "segmentation"), context.generator

    def seen(codes: Codes, intervene: Intervention) -> Tensor:
        images = generator.synthesize(codes, intervene=intervene).clamp(-1, 1)
        return guide.measure(images)["segmentation"].softmax(1)[:, region].mean((1, 2))

    return seen


def by_alpha(units: ConceptUnits, alphas: Sequence[Tensor]) -> Tensor:
    """The units of the layer, [C, U], highest alpha first; equal ones by IoU."""
    pairs = zip(by_iou(units), alphas, strict=True)
    return torch.stack([row[alpha[row].argsort(dim=0, descending=True, stable=True)] for row, alpha in pairs])
