"""The constants and settings of the dissection task. Everything here defines the question that is asked."""

from __future__ import annotations

from typing import Annotated

import pydantic

from bench.tasks.base import Task

# The constants below that define the question: all of them enter the protocol hash.
RULES = (
    "QUANTILE", "LEAST_IOU", "SIDE", "CELLS", "LEAST_PRESENCE", "LACKS", "LEAST_CODES", "RANDOM_DRAWS", "INSIDE",
    "CONTEXT_PRESENCE",
)  # fmt: skip

# Rises whenever a number of this task could change.
VERSION = 1

# A unit is on where it is among the share of its highest values, and matches a concept above this IoU (Bau et al. 2020).
QUANTILE, LEAST_IOU = 0.01, 0.04
# Pixels a side at which units and the judge's classes meet, and cells a side at which a concept is inserted by place (the papers
# insert at one cell of a layer of 8).
SIDE, CELLS = 32, 8
# Mean share of pictures below which a concept is too rare to be measured.
LEAST_PRESENCE = 0.001
# A picture lacks a concept where it has less of it than this share of what pictures have on average. Insertion where a concept
# belongs is asked of pictures that lack it, and so many must.
LACKS, LEAST_CODES = 0.1, 8
# Sets of random units that a set of a method's is compared with.
RANDOM_DRAWS = 3
# The share of a cell that must be of a class for the cell to be a place of that class, and the mean share of pictures from which
# on a class is a place by default.
INSIDE, CONTEXT_PRESENCE = 0.75, 0.02
# The pictures of reports: the first ids, never chosen.
STRIP_IDS = 8

Count = Annotated[int, pydantic.Field(ge=8, le=100_000)]


class DissectionSettings(Task.Settings):
    """The dissection task's part of a suite.

    samples: test codes. concepts: regions of the domain (None: all). ablate_units: how many units are switched at once (of a
    narrower layer as many as it has). contexts: regions at which a concept is inserted beside where it belongs (None: all that
    are common). replicates: of the bootstrap. metrics: those that go into the results (None: all).
    """

    samples: Count = 64
    concepts: Annotated[tuple[str, ...], pydantic.Field(min_length=1)] | None = None
    ablate_units: Annotated[int, pydantic.Field(ge=1, le=4096)] = 20
    contexts: tuple[str, ...] | None = None
    replicates: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = 1000
    metrics: Annotated[tuple[str, ...], pydantic.Field(min_length=1)] | None = None

    @pydantic.model_validator(mode="after")
    def _no_duplicates(self) -> DissectionSettings:
        for kind in ("concepts", "contexts", "metrics"):
            values = getattr(self, kind) or ()
            if len(set(values)) != len(values):
                raise ValueError(f"{kind} lists a value twice: {', '.join(values)}")
        return self
