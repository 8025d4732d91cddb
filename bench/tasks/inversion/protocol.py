"""The constants and settings of the inversion task. Everything here defines the question that is asked."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from bench.bank import STREAM_LENGTH, STREAM_START
from bench.tasks.base import Task

# The constants below that define the question: all of them enter the protocol hash.
RULES = (
    "SPREAD_CODES", "REAL_START", "REAL_STREAM", "EFFECT", "FIRST_STRENGTH", "LAST_STRENGTH", "TOLERANCE", "MOST_TRIES",
    "MOST_DB", "RIDGE", "BINARY_EFFECT", "SAMPLED_CODES",
)  # fmt: skip

# Rises whenever a number of this task could change.
VERSION = 1

# Sampled codes behind the spread of every attribute, of the reference stream.
SPREAD_CODES = 256
# Pictures of the domain have ids behind those of all streams of codes, so that no resample takes a picture for a code, and a
# seed of their own, so that none was trained on.
REAL_START = STREAM_LENGTH * len(STREAM_START)
REAL_STREAM = "inversion-pictures"
# Of the regression that finds the edits' directions, as a share of the codes' mean variance.
RIDGE = 1e-2
# Sampled codes that inverted ones are compared with. Generated pictures are compared with their own codes alone.
SAMPLED_CODES = 64
# The mean effect on sampled codes, in sigma by the guide, at which editability is read. Of a binary attribute, sigma is the
# distance of the class means, and about half of the samples are in the class already: a mean of 0.5 is about all there is.
EFFECT, BINARY_EFFECT = 1.0, 0.4
# Strengths are searched from the first to the last of these, in steps that the regression takes for one sigma; the search ends
# within this distance of the effect, in sigma, or after so many tries.
FIRST_STRENGTH, LAST_STRENGTH = 0.5, 16.0
TOLERANCE, MOST_TRIES = 0.01, 12
# What equal pictures count as in the mean PSNR, in dB, where the definition has infinity.
MOST_DB = 100.0
# The pictures of reports: the first ids, never chosen.
STRIP_IDS = 8
# Readings that this task takes from judges; each brings its metrics.
READINGS = ("attributes", "identity", "perceptual")

Source = Literal["generated", "real"]
Count = Annotated[int, pydantic.Field(ge=2, le=100_000)]


class InversionSettings(Task.Settings):
    """The inversion task's part of a suite.

    targets: attributes by which editability is read. pictures: how many of each source are inverted. sources: generated, the
    generator's own pictures of the test stream, whose codes are known; real, pictures of the domain that nothing was trained on.
    calibrate_codes: sampled codes on which the guide places the edits' strengths. replicates: of the bootstrap. metrics: those
    that go into the results (None: all).
    """

    targets: Annotated[tuple[str, ...], pydantic.Field(min_length=1)]
    pictures: Count = 16
    sources: Annotated[tuple[Source, ...], pydantic.Field(min_length=1)] = ("generated", "real")
    calibrate_codes: Count = 32
    replicates: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = 1000
    metrics: Annotated[tuple[str, ...], pydantic.Field(min_length=1)] | None = None

    @pydantic.model_validator(mode="after")
    def _no_duplicates(self) -> InversionSettings:
        for kind in ("targets", "sources", "metrics"):
            values = getattr(self, kind) or ()
            if len(set(values)) != len(values):
                raise ValueError(f"{kind} lists a value twice: {', '.join(values)}")
        return self
