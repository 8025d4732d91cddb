"""Settings of the validity task and the constants that say how strong each fault is at severity 1."""

from __future__ import annotations

from typing import Annotated

import pydantic

from bench.tasks.base import Task

# Rises whenever a number of this task could change.
VERSION = 1

# The constants below that define the question: all of them enter the protocol hash.
RULES = (
    "STEP", "FRACTIONS", "LEVEL", "FAR", "ROTATION", "SHRINK", "CODE_NOISE", "WRONG_WAY", "SHUFFLED", "BLUR", "FOOLING", "ORDER",
    "TURN", "FACTOR_NOISE", "FACTOR_LEAK", "SCALING", "COPY_NOISE", "FACTOR_CLASSES", "MINIBATCHES", "RIPPLE", "WAVES",
    "COLLAPSE", "EPSILON", "HESSIAN_STEP", "PIXEL_NOISE", "BRIGHTNESS", "SHIFT", "TRUNCATION", "COPIES", "ORIGINALS",
    "SLICED_IMAGES", "PATCHES", "SLICES", "SCALES", "INVERSION_NOISE", "OUTWARD", "UNIT_SIDE", "UNIT_QUANTILE", "UNIT_NOISE",
    "UNIT_MIX", "UNIT_SHIFT", "CERTAIN", "LEAST", "STANDARDISED",
)  # fmt: skip

# Edits. A full step lifts the target's normal by so many deviations; the parts of it at which an edit's path is read, and the
# judged effect, in sigma, at which metrics are compared that need one.
STEP = 1.5
FRACTIONS = (0.5, 1.0)
LEVEL = 0.5
# False accepts that the verification threshold lets through.
FAR = 0.01
ROTATION = 60.0  # degrees away from the true direction
SHRINK = 0.4  # share of the step that is lost
CODE_NOISE = 0.5  # of a sampled code, added
WRONG_WAY = 0.5  # share of codes that go the wrong way
SHUFFLED = 0.5  # share of codes that get the next target's edit
BLUR = 1.5  # deviation of the Gaussian, px
FOOLING = 0.06  # largest change of a pixel, in [-1, 1]
ORDER = 1.0  # how far one edit's step depends on the other's attribute

# Representations: codes are the factors' own normals, at deviation 1.
TURN = 1.5  # size of the random rotation's generator
FACTOR_NOISE = 1.0  # deviation of the added noise
FACTOR_LEAK = 0.8  # of the next code, added
SCALING = 2.0  # deviation of the logarithm of random scales
COPY_NOISE = 0.05  # deviation of either copy from the code
FACTOR_CLASSES = 4  # equal classes of a continuous factor, for metrics that take classes
MINIBATCHES = 1000  # of FactorVAE's and BetaVAE's scores, and as many to test

# Maps from codes to factors.
RIPPLE = 0.5  # depth of the ripple, in deviations
WAVES = 5.0  # its frequency, radians per deviation
COLLAPSE = 0.8  # share of the spread that is lost
EPSILON = 1e-2  # step of the path length
HESSIAN_STEP = 0.1

# Pictures, in [-1, 1].
PIXEL_NOISE = 0.2
BRIGHTNESS = 0.3
SHIFT = 4  # px
TRUNCATION = 0.6  # share of the spread that is lost
COPIES = 0.9  # share of pictures that are copies
ORIGINALS = 0.05  # share of pictures that are copied
SLICED_IMAGES, PATCHES, SLICES = 128, 32, 64  # of the sliced Wasserstein distance
SCALES = (0.0448, 0.2856, 0.3001)  # MS-SSIM's powers as far as 64 px reach

# Inverted codes.
INVERSION_NOISE = 0.5  # of a sampled code, added
OUTWARD = 0.8  # share by which codes are too long

# Units.
UNIT_SIDE = 16  # px of an activation map
UNIT_QUANTILE = 0.02
UNIT_NOISE = 1.0
UNIT_MIX = 0.5
UNIT_SHIFT = 4  # px of the map
CERTAIN = 2.0  # the normal of a binary factor that is clearly on

# The least change that is worth speaking of, in units that are standardised; in all others what is certain counts.
LEAST = 0.01
STANDARDISED = ("sigma", "cosine", "correlation", "share", "ratio", "accuracy", "AUC")

Name = Annotated[str, pydantic.Field(min_length=1)]


class ValiditySettings(Task.Settings):
    """The validity task's part of a suite.

    targets: attributes that are edited. leak: the attribute that a leaking edit drags along. codes: codes that are edited,
    inverted and dissected. blocks: parts of them, each of which gives one value of a metric of whole sets. factors: those that
    representations carry; independent ones, so that a perfect representation exists. factor_codes: codes of one representation,
    and as many to test; draws: independent representations. set_codes: pictures of a set; set_blocks: sets. mode: the binary
    attribute whose pictures a set loses. concept, spill: the binary attributes that units stand for and drag along. severities:
    of every fault, rising from 0 to 1. faults: those that are planted (None: all). replicates: of the bootstrap.
    """

    targets: Annotated[tuple[Name, ...], pydantic.Field(min_length=2)] = ("smile", "eye_open", "hair_length")
    leak: Name = "background"
    factors: Annotated[tuple[Name, ...], pydantic.Field(min_length=4)] = (
        "pitch", "warmth", "smile", "glasses", "hair_length", "nose_size", "eye_spacing", "jaw",
    )  # fmt: skip
    mode: Name = "beard"
    concept: Name = "glasses"
    spill: Name = "beard"
    codes: Annotated[int, pydantic.Field(ge=16, le=10_000)] = 96
    blocks: Annotated[int, pydantic.Field(ge=2, le=100)] = 6
    factor_codes: Annotated[int, pydantic.Field(ge=100, le=100_000)] = 1000
    draws: Annotated[int, pydantic.Field(ge=2, le=100)] = 5
    set_codes: Annotated[int, pydantic.Field(ge=100, le=100_000)] = 640
    set_blocks: Annotated[int, pydantic.Field(ge=2, le=100)] = 4
    severities: Annotated[tuple[float, ...], pydantic.Field(min_length=3)] = (0.0, 0.25, 0.5, 0.75, 1.0)
    faults: Annotated[tuple[Name, ...], pydantic.Field(min_length=1)] | None = None
    replicates: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = 1000

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> ValiditySettings:
        levels = self.severities
        if levels[0] != 0 or levels[-1] != 1 or any(b <= a for a, b in zip(levels, levels[1:], strict=False)):
            raise ValueError(f"severities rise from 0 to 1, not {list(levels)}")
        for kind in ("targets", "factors", "faults"):
            values = getattr(self, kind) or ()
            if len(set(values)) != len(values):
                raise ValueError(f"{kind} lists a value twice: {', '.join(values)}")
        if self.codes < 4 * self.blocks:
            raise ValueError(f"{self.codes} codes are too few for {self.blocks} blocks: at least 4 a block are needed")
        if self.leak in self.targets:
            raise ValueError(f"{self.leak} is a target: what leaks must be another attribute")
        return self
