"""GAN Dissection: single units of a generator that are concepts, and the sets of units that cause them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from pydantic import Field
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from methods.base import FitContext, Fitted, Method, unpack_json
from methods.guided import guide_of
from methods.supervised.gan_dissection_causal import (
    areas,
    by_alpha,
    by_effect,
    by_iou,
    effect,
    learned_alpha,
    single_effects,
)
from methods.supervised.gan_dissection_editing import UnitEditor
from methods.supervised.gan_dissection_survey import Survey, SurveyOptions, problem, streams, survey
from methods.supervised.gan_dissection_units import ConceptUnits, targets_of


def concept_units(found: Survey, count: int) -> ConceptUnits:
    """What a survey found, with units in the order of their IoU."""
    table = found.iou[found.layer]
    order = table.argsort(dim=1, descending=True, stable=True)
    parts = (found.iou, found.labels, order, found.values, found.places, found.presence)
    return ConceptUnits(found.concepts, found.layer, *parts, count=min(count, table.shape[1]))


def fitted_units(context: FitContext, units: ConceptUnits, eval_codes: int) -> Fitted:
    """A fit of these units: the editor, the table of units, and what each concept's units do together, as the guide sees it."""
    codes, guide = streams(context).codes("eval", 0, eval_codes), guide_of(context, "segmentation").name
    concepts: list[dict[str, Any]] = []
    for number, concept in enumerate(units.concepts):
        presence = areas(context, codes, context.domain.regions.index(concept))
        row: dict[str, Any] = {"concept": concept, "layer": units.layer, "presence": float(units.presence[number])}
        row |= {"matching_units": int((units.labels[units.layer] == number).sum())}
        chosen = units.top(concept)
        row |= {"switched": " ".join(map(str, chosen.tolist())), "n": eval_codes, "guide": guide}
        if presence.mean() > 0:
            row["ace"], row["removed"] = effect(context, units, concept, chosen, codes, presence)
        concepts.append(row)
    return with_tables(context, units, {"concepts": concepts, "units": units.rows()})


def with_tables(context: FitContext, units: ConceptUnits, tables: dict[str, list[dict[str, Any]]]) -> Fitted:
    """A fit of these units and tables."""
    return Fitted(editor=UnitEditor(units, targets_of(context.domain, units.concepts)), units=units, tables=tables)


def restored_units(context: FitContext, state: dict[str, Tensor]) -> Fitted:
    """The fit whose state this is."""
    tables = unpack_json(state["tables"]) if "tables" in state else {}
    return with_tables(context, ConceptUnits.of_state(state), tables)


class GanDissection(Method):
    """Units matched with regions by IoU, ranked by what switching them does, and edits that switch the first ones.

    Strength -1 sets a concept's units to zero everywhere, +1 sets them to the concept's values where it belongs; between, they
    lie on the straight way there, and beyond nothing more happens (gan_dissection_editing.UnitPath). Targets are regions, and
    attributes whose name is a region's or that may change one region alone.
    """

    name = "gan_dissection"
    approach = "supervised"
    citation = "Bau et al.: GAN Dissection: Visualizing and Understanding Generative Adversarial Networks, ICLR 2019"
    produces = frozenset({"editor", "units"})
    needs = frozenset({"segmentation"})

    class Options(SurveyOptions):
        """ranking: by the learned alpha of equation 6 ("alpha"), by the effect of single units ("ace") or by IoU ("iou", as in
        Bau et al. 2020).

        steps, batch, rate, l2, pool: of learning alpha: gradient steps (1000 codes ten times over, 20 a step), codes of a step,
        Adam's rate, weight of alpha's norm, codes to draw from. candidates, single_codes: of "ace": units of highest IoU that are
        switched one by one, and the codes on which they are.
        """

        ranking: Literal["alpha", "ace", "iou"] = "alpha"
        steps: int = Field(500, ge=1)
        batch: int = Field(20, ge=1)
        rate: float = Field(0.05, gt=0)
        l2: float = Field(0.005, ge=0)
        pool: int = Field(1000, ge=1)
        candidates: int = Field(40, ge=1)
        single_codes: int = Field(32, ge=1)

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        return super().supports(info, domain) or problem(self.options, info, domain)

    def fit(self, context: FitContext) -> Fitted:
        options = self.options
        units = concept_units(survey(context, options), options.units)
        if options.ranking == "iou":
            units = replace(units, ranking=by_iou(units))
        elif options.ranking == "ace":
            effects = single_effects(context, units, options.candidates, options.single_codes)
            units = replace(units, ranking=by_effect(units, effects), effects=effects)
        else:
            fields = {name: getattr(options, name) for name in ("steps", "batch", "rate", "l2", "pool")}
            alphas = [learned_alpha(context, units, concept, **fields) for concept in units.concepts]
            units = replace(units, ranking=by_alpha(units, alphas))
        return fitted_units(context, units, options.eval_codes)

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return restored_units(context, state)
