"""The constants, settings and metrics of the representation task. Everything here defines the question that is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pydantic

from bench.tasks.base import Task

# Rises whenever a number of this task could change.
VERSION = 1

# The constants below that define the question: all of them enter the protocol hash.
RULES = (
    "BINS", "KEEP", "CUT_JUDGED", "CUT_TRUE", "CLASS_ROWS", "STEP", "CURVATURE_STEP", "CURVATURE_DIRECTIONS", "SPREAD_CODES",
)  # fmt: skip

# Bins of a channel and of a continuous factor in mutual information. Its bias grows with their square over the rows of a block:
# the twenty of disentanglement_lib, which are for 10,000 rows, would add 0.11 nats to every pair here.
BINS = 10
# The surest share of a block's rows that separability is read on (Karras et al. 2019).
KEEP = 0.5
# Above these a binary attribute counts as there: the judge's logit, the true opacity. A continuous one is cut at its median.
CUT_JUDGED = 0.0
CUT_TRUE = 0.5
# An attribute is left out where some block's training or test part holds fewer rows than this of either class.
CLASS_ROWS = 4
# Epsilon of the path length. The official 1e-4 gives the same on 64 px pictures within 2 percent, but at that step rounding in
# float32 moves s against w, which describe the same paths, by 2e-4; at this one by 1e-5.
STEP = 1e-3
# Step and directions of the Hessian penalty, the step in deviations of each channel over SPREAD_CODES samples.
CURVATURE_STEP = 0.1
CURVATURE_DIRECTIONS = 4
SPREAD_CODES = 2048

# What records are about: attributes as the judge scores them or as they truly are, or how pictures move, which asks for none.
JUDGED, TRUE, PICTURES = "judged", "true", "pictures"

Regressor = Literal["lasso", "fast", "random_forest", "gradient_boosting"]


class RepresentationSettings(Task.Settings):
    """The representation task's part of a suite.

    factors: read off the pictures by the judge of attributes ('judged'), or those that the generator was given ('true', where it
    knows them). blocks: how often everything is measured anew, each time on train_codes + test_codes samples of its own.
    regressor: of DCI. pairs: of codes between which path lengths are measured; hessian_codes: at which the Hessian penalty is.
    replicates: of the bootstrap.

    The regressor is 'lasso' (one of the two of Eastwood and Williams 2018), not the boosted trees of metrics.boosting because
    one must serve every space: at 1,200 rows and 18 factors it takes 2.5 s of one core for the 1,184 channels of s, the trees
    90 s. It sees what is linear in the codes, as edits along directions do.
    """

    factors: Annotated[tuple[Literal["judged", "true"], ...], pydantic.Field(min_length=1, max_length=2)] = (JUDGED, TRUE)
    blocks: Annotated[int, pydantic.Field(ge=4, le=100)] = 8
    train_codes: Annotated[int, pydantic.Field(ge=32, le=100_000)] = 1200
    test_codes: Annotated[int, pydantic.Field(ge=16, le=100_000)] = 400
    regressor: Regressor = "lasso"
    pairs: Annotated[int, pydantic.Field(ge=8, le=100_000)] = 512
    hessian_codes: Annotated[int, pydantic.Field(ge=4, le=10_000)] = 32
    replicates: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = 400

    @pydantic.field_validator("factors", mode="before")
    @classmethod
    def _yaml(cls, value: Any) -> Any:
        """YAML reads a bare `true` as a truth value."""
        return [TRUE if one is True else one for one in value] if isinstance(value, (list, tuple)) else value

    @pydantic.model_validator(mode="after")
    def _fits_a_stream(self) -> RepresentationSettings:
        if len(set(self.factors)) != len(self.factors):
            raise ValueError(f"factors lists a value twice: {', '.join(self.factors)}")
        if self.samples + 2 * self.pairs + self.hessian_codes > 1_000_000:
            raise ValueError("blocks, pairs and hessian_codes ask for more samples than the test stream's million")
        return self

    @property
    def samples(self) -> int:
        """Samples of all blocks together."""
        return self.blocks * (self.train_codes + self.test_codes)


@dataclass(frozen=True)
class Quantity:
    """A metric as records name it. key: of its array in a cell, under the target. ends: its range, which replicates keep to."""

    key: str
    name: str
    unit: str
    higher_is_better: bool
    ends: tuple[float, float] = (0.0, 1.0)
    headline: bool = False
    version: int = 1


def factor_quantities(regressor: str) -> tuple[Quantity, ...]:
    """Metrics of codes against factors, one number a representation and target.

    Headlines are mutual information gap (single channels), separability (hyperplanes) and path length. DCI is none of them: it
    pays for channels. On the shipped StyleGAN2 as many random mixtures of w as s has channels, 1,184 of 64, reach a
    disentanglement of 0.90 where w has 0.29 and s 0.88 (lasso; boosted trees on four attributes: 0.84, 0.42 and 0.82), though
    they tell nothing that w does not. Their gap, 0.009, stays below that of w, 0.013, and s, 0.036. The method `native` offers
    that control.
    """
    dci = f"[{regressor}]"
    return (
        Quantity("disentanglement", f"dci_disentanglement{dci}", "score", True),
        Quantity("completeness", f"dci_completeness{dci}", "score", True),
        Quantity("informativeness", f"dci_informativeness{dci}", "score", True),
        Quantity("purity", f"importance_purity{dci}", "share", True),
        Quantity("mig", "mig", "score", True, headline=True),
        Quantity("modularity", "modularity", "score", True),
        Quantity("sap", "sap[r2]", "score", True),
        Quantity("explicitness", "explicitness", "AUC", True),
        Quantity("boundary", "boundary_accuracy", "share", True),
    )


# Per attribute too: H(Y | X) of each; the summary is exp of their sum.
SEPARABILITY = Quantity("entropy", "separability", "exp of nats", False, (1.0, float("inf")), headline=True)
ENTROPY = Quantity("entropy", "separability_entropy", "nats", False, (0.0, math.log(2)))
# Those with a column an attribute; their summary is the mean over attributes.
PER_ATTRIBUTE = ("explicitness", "boundary")
FULL = Quantity("ppl_full", "ppl_full", "squared distance", False, (0.0, float("inf")), headline=True)
END = Quantity("ppl_end", "ppl_end", "squared distance", False, (0.0, float("inf")))
# Of pictures in [-1, 1], along channels in deviations of their own: the fourth power of a deviation is below.
HESSIAN = Quantity("hessian", "hessian_penalty", "squared pixel value / sd^4", False, (0.0, float("inf")))
CHANNELS = "active_channels"
