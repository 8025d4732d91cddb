"""Samples that ignore what is asked of them: the generator as it is. The floor of attribute-conditioned sampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from bench.codes import Codes, Space
from bench.generators.base import Generator
from methods.base import FitContext, Fitted, Method


@dataclass(frozen=True)
class UnconditionalSampler:
    """Draws codes in z. targets: what it can be asked for, in vain."""

    generator: Generator
    targets: Sequence[str]

    def sample(self, asked: Mapping[str, float], ids: Tensor, *, seed: int) -> Codes:
        """The generator's own samples of these ids under this seed; `asked` is not looked at."""
        return self.generator.sample(ids, seed=seed)


class Unconditional(Method):
    """As often right as samples are by themselves, as varied and as real as they are. Nothing is fitted."""

    name = "unconditional"
    approach = "baseline"
    citation = "the generator's own samples"
    produces = frozenset({"sampler"})

    @property
    def space(self) -> str:
        return str(Space.Z)

    def fit(self, context: FitContext) -> Fitted:
        return Fitted(sampler=UnconditionalSampler(context.generator, tuple(context.targets)))

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return self.fit(context)
