"""The constants and settings of the sampling task. Everything here defines the question that is asked."""

from __future__ import annotations

from typing import Annotated

import pydantic

from bench.tasks.base import Task

# The constants below that define the question: all of them enter the protocol hash.
RULES = ("PLAIN", "REFERENCE", "LEAST", "SHARE_OF_FAILURES")

# Rises whenever a number of this task could change.
VERSION = 1

# Unconditioned samples behind base rates, spreads and the samples that are accepted, as a multiple of those a question takes.
PLAIN = 8
# Unconditioned samples of another stream that realism compares with.
REFERENCE = 512
# How far beyond the median of unconditioned samples a continuous attribute must lie, in sigma, to be what was asked for.
LEAST = 0.5
# The share of the base rate's failures that a sampler must do away with, or its samples are not what was asked: their diversity
# and realism count as the worst then, since a sampler that ignores the question has the best there is of both.
SHARE_OF_FAILURES = 0.5
# The pictures of reports: the first ids, never chosen.
STRIP_IDS = 8
# Readings that this task takes from judges; attributes are a must, each other one brings its metrics.
READINGS = ("attributes", "perceptual", "features")

Count = Annotated[int, pydantic.Field(ge=8, le=100_000)]


class SamplingSettings(Task.Settings):
    """The sampling task's part of a suite.

    targets: attributes that are asked for, each both ways. samples: of each question. asked: where a continuous attribute is
    asked to be, in sigma from its mean over samples. replicates: of the bootstrap. metrics: those that go into the results
    (None: all).
    """

    targets: Annotated[tuple[str, ...], pydantic.Field(min_length=1)]
    samples: Count = 64
    asked: Annotated[float, pydantic.Field(gt=LEAST, le=5)] = 1.5
    replicates: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = 1000
    metrics: Annotated[tuple[str, ...], pydantic.Field(min_length=1)] | None = None

    @pydantic.model_validator(mode="after")
    def _no_duplicates(self) -> SamplingSettings:
        for kind in ("targets", "metrics"):
            values = getattr(self, kind) or ()
            if len(set(values)) != len(values):
                raise ValueError(f"{kind} lists a value twice: {', '.join(values)}")
        return self


def needed_share(base: float) -> float:
    """The share of right samples from which on a sampler is taken to do what was asked, given the share `base` by chance."""
    return base + SHARE_OF_FAILURES * (1 - base)
