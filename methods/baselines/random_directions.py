"""Random directions: what an edit is worth that knows nothing of the generator. The floor that every method must clear."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Space
from bench.errors import InputError
from bench.streams import stream_rng
from methods.base import FitContext, Fitted, Method
from methods.code_streams import code_space, vector_problem
from methods.editors import DirectionEditor, component_count, restore_directions, unit


def random_directions(count: int, dimension: int, seed: int) -> Tensor:
    """Unit vectors [count, dimension], uniform on the sphere, by seed. The first ones do not depend on how many are drawn."""
    return unit(torch.from_numpy(stream_rng("random", seed).standard_normal((count, dimension))))


class RandomDirections(Method):
    """As many seeded random directions as the unsupervised methods offer; strength 1 is one sd of the codes along it."""

    name = "random"
    approach = "baseline"
    citation = "random directions, as in Härkönen et al. 2020, section 4"

    class Options(Method.Options):
        """space: where codes move; a generator without w is edited in z."""

        space: Space = Space.W

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        return vector_problem(code_space(self.options.space, info), info)

    def fit(self, context: FitContext) -> Fitted:
        space = code_space(self.options.space, context.generator.info)
        values = context.bank.codes(space).values.double().cpu()
        if len(values) < 2:
            raise InputError(f"{len(values)} codes are too few to measure their spread: enlarge the bank")
        count = component_count(context.budget, values.shape[1])
        directions = random_directions(count, values.shape[1], context.seed)
        scale = (values @ directions.T).std(0)
        names = tuple(map(str, range(count)))
        return Fitted(editor=DirectionEditor(context.generator, directions.float(), names, space, scale=scale.float()))

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return restore_directions(context, state)
