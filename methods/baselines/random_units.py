"""Random units: what switching units is worth that nobody chose. The floor of dissection."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.streams import stream_rng
from methods.base import FitContext, Fitted, Method
from methods.supervised.gan_dissection import concept_units, fitted_units, restored_units
from methods.supervised.gan_dissection_survey import SurveyOptions, problem, survey


class RandomUnits(Method):
    """GAN Dissection with its units shuffled: as many match each concept, and any of the layer are switched for it.

    Values and places of insertion are the concept's own, so that only the choice of units is left to chance.
    """

    name = "random_units"
    approach = "baseline"
    citation = "random units, as in Bau et al. 2019, section 4"
    produces = frozenset({"editor", "units"})
    needs = frozenset({"segmentation"})

    class Options(SurveyOptions):
        """As of GAN Dissection; nothing is ranked."""

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        return super().supports(info, domain) or problem(self.options, info, domain)

    def fit(self, context: FitContext) -> Fitted:
        units = concept_units(survey(context, self.options), self.options.units)
        rng = stream_rng("random_units", context.seed)
        labels = {layer: one[torch.from_numpy(rng.permutation(len(one)))] for layer, one in units.labels.items()}
        shuffled = [torch.from_numpy(rng.permutation(row.numpy())) for row in units.ranking]
        return fitted_units(context, replace(units, labels=labels, ranking=torch.stack(shuffled)), self.options.eval_codes)

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return restored_units(context, state)
