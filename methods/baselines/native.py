"""The generator's own codes as a representation of its samples: what z, w, s and p are worth before anything is learned.

And their control: random mixtures of one space's codes, as many as another space has channels. They tell nothing that the codes
do not, so that what a score gives them beyond these it gives for the number of channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Codes, Space
from bench.generators.base import Generator
from bench.streams import stream_rng
from methods.base import FitContext, Fitted, Method


@dataclass(frozen=True)
class NativeEncoder:
    """The codes of one space, a layered space's rows one after another."""

    generator: Generator
    space: str

    def encode(self, codes: Codes, images: Callable[[], Tensor]) -> Tensor:
        """Codes [N, D] of the samples behind codes. `images` is not called: pictures play no part."""
        return self.generator.convert(codes, self.space).values.flatten(1)


@dataclass(frozen=True)
class MixedEncoder:
    """Linear mixtures of the codes of a space: codes @ mix, mix [D, channels]. No space of the generator's any more."""

    codes: NativeEncoder
    mix: Tensor
    space: str = ""

    def encode(self, codes: Codes, images: Callable[[], Tensor]) -> Tensor:
        """Mixtures [N, channels] of the samples' codes, float64; pictures play no part."""
        values = self.codes.encode(codes, images).double()
        return values @ self.mix.to(values)


class Native(Method):
    """The codes themselves. Nothing is fitted, so that every fit seed gives the same representation; mixtures depend on it.

    Spaces whose rows repeat one code are refused: what the one tells, the other tells as often as there are layers, and scores
    that count channels would read the copies as a difference.
    """

    name = "native"
    approach = "baseline"
    citation = "the generator's own spaces, as in Wu et al. 2021, 'StyleSpace Analysis', section 3"
    produces = frozenset({"encoder"})

    class Options(Method.Options):
        """space: whose codes are the representation. as_many_as: random mixtures of them in their place, as many as this space
        has channels: the control for a space of more channels."""

        space: Space = Space.W
        as_many_as: Space | None = None

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        other = self.options.as_many_as
        if other is not None and other not in info.spaces:
            return f"{info.name} has no space {other}"
        return super().supports(info, domain) or _repeated(info, self.options.space)

    def fit(self, context: FitContext) -> Fitted:
        codes = NativeEncoder(context.generator, str(self.options.space))
        if self.options.as_many_as is None:
            return Fitted(encoder=codes)
        spaces = context.generator.info.spaces
        shape = (math.prod(spaces[self.options.space]), math.prod(spaces[self.options.as_many_as]))
        mix = torch.from_numpy(stream_rng("mixtures", context.seed).standard_normal(shape))
        return Fitted(encoder=MixedEncoder(codes, mix))

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return self.fit(context)


def _repeated(info: GeneratorInfo, space: Space) -> str | None:
    """'repeats w' and the like where a sample's rows in a layered space are all the same code; None otherwise.

    Rows of w+ and p+ are copies of w and p, moved toward the mean where truncation acts. Rows of z+ are where each is as long as
    z; where they are shorter they are its chunks.
    """
    if not space.layered:
        return None
    single = space.removesuffix("+")
    shape = info.spaces.get(single)
    if shape is None or (space == Space.Z_PLUS and info.spaces[space][-1:] != shape):
        return None
    return f"a sample's {space} in {info.name} repeats {single}"
