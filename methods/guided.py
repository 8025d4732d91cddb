"""What a fit asks of guides: scores of the pictures of any codes, made in the engine's chunks and counted by its clock."""

from __future__ import annotations

from torch import Tensor

from bench.codes import Codes
from bench.domains.base import Network
from bench.errors import UnsupportedError
from bench.passes import Passes
from methods.base import FitContext


def guide_of(context: FitContext, reading: str) -> Network:
    """The guide for a reading. Raises UnsupportedError where the fit has none."""
    if reading not in context.guides:
        raise UnsupportedError(f"domain {context.domain.name} has no guide for {reading}")
    return context.guides[reading]


def passes_of(context: FitContext) -> Passes:
    """The engine's passes where the bank has them, so that time and pictures are counted; else passes of one's own."""
    own = getattr(context.bank, "passes", None)
    return own if own is not None else Passes(context.generator, device=context.generator.device)


def attribute_scores(context: FitContext, codes: Codes) -> Tensor:
    """The guide's raw scores [N, A] of the codes' pictures, in the order of its `names`; NaN where it cannot read a picture."""
    return passes_of(context).read({"attributes": guide_of(context, "attributes")}, codes)["attributes"]
