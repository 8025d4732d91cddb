"""The mean code: where optimisation begins, and what the floor of inversion answers for every picture."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.cards import GeneratorInfo
from bench.codes import Codes, Space
from bench.errors import SpaceError, UnsupportedError
from methods.base import FitContext

# Spaces whose codes mean something only beside a class.
CLASSED = (Space.Z, Space.Z_PLUS)


def class_missing(info: GeneratorInfo, space: Space) -> str | None:
    """Why codes of a space cannot answer a picture alone: the generator has classes, and a picture comes without one."""
    if info.n_labels and space in CLASSED:
        return f"{info.name} has classes: in {space} a code needs the picture's class, which is not known"
    return None


@torch.no_grad()
def mean_code(context: FitContext, space: Space) -> Tensor:
    """The mean code in a space, of the shape of one code there.

    It is the mean w over the fit stream, converted, so that all spaces behind w stand for one and the same picture. Where w leads
    nowhere, to the z of a mapping network, it is the stream's code whose w lies nearest to that mean: mapping networks bring z to
    one length, so that the mean of z, about zero, has a direction that means nothing. A generator without w has the mean of the
    stream's codes in the space itself.
    """
    generator, bank = context.generator, context.bank
    if generator is None:
        raise UnsupportedError("a mean code needs a generator")
    if Space.W not in generator.info.spaces:
        return bank.codes(space).values.mean(0).cpu()
    w = bank.codes(Space.W)
    mean = w.values.mean(0, keepdim=True)
    labels = None if w.labels is None else w.labels.mean(0, keepdim=True)
    try:
        return generator.convert(Codes(Space.W, mean, w.ids[:1], labels), space).values[0].cpu()
    except SpaceError:
        nearest = int((w.values - mean).square().sum(1).argmin())
        return bank.codes(space).values[nearest].cpu()
