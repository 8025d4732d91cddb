"""The constants and settings of the editing protocol (design, section 6). Everything here defines the question that is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import pydantic

from bench.cards import Attribute
from bench.tasks.base import Task
from methods.base import Editor

# The constants below that define the question: all of them enter the protocol hash.
RULES = (
    "POOL", "ASSIGN_CODES", "ASSIGN_SHARE", "PLAUSIBLE_SAMPLES", "PLAUSIBLE_QUANTILE", "PLAUSIBLE_SHARE", "PLAUSIBLE_P",
    "PLAUSIBLE_FLOOR", "SATURATED", "DOUBLINGS", "BISECTIONS", "GRID_LEVELS", "GUIDE_SHARES", "REACH_CAP", "UNDO_CODES",
    "LOCAL_CODES",
)  # fmt: skip

# Rises whenever a number of this task could change.
VERSION = 2

# The test pool is this many times the test codes, so that a binary attribute finds enough codes with and without it.
POOL = 8
# Codes of the fit stream on which components are assigned to attributes, and the share of a component's edge it is tried at.
ASSIGN_CODES = 16
ASSIGN_SHARE = 0.5
# Sampled codes behind the statistics of the plausible range, the quantile of the samples' own statistic that is its threshold,
# and the share of codes that must stay below it.
PLAUSIBLE_SAMPLES = 8192
PLAUSIBLE_QUANTILE = 0.999
PLAUSIBLE_SHARE = 0.95
# Whether w is compared in p_n where the generator has a p, and the least variance of an axis, as a share of the largest one. Both
# are measured: with p_n and a small floor the axes along which samples hardly vary decide alone, because straight lines in w
# bend in p. On a StyleGAN2 of heads (D = 64) that ends the range of a yaw direction at 0.2 standard deviations, an effect of 0.1
# sigma; in w with this floor it ends at about 2, a little before pictures begin to break.
PLAUSIBLE_P = False
PLAUSIBLE_FLOOR = 1e-2
# For reports.
PLAUSIBLE_NOTE = (
    "The plausible range may penalise methods whose directions run along axes that samples hardly vary on, and edits of one "
    "factor against its correlations, which leave the beaten track. It does not limit edits in z: mapping networks normalise z, "
    "so that every z, however far, makes a plausible w."
)
# A path that moves by less than this share of what it moved so far, when its strength doubles, has come to its end.
SATURATED = 0.1
# Doublings (and halvings) of strength 1 in the search for the edge, and bisections after it (relative precision 2^-10).
DOUBLINGS = 14
BISECTIONS = 10
# Where the guide places strengths, in sigma of its own scores, when effects are read up to 1 sigma; other effects scale it.
GRID_LEVELS = (0.35, 0.7, 1.4)
# Shares of the edge at which the guide's mean effect is measured to place them.
GUIDE_SHARES = (0.0625, 0.125, 0.25, 0.5, 1.0)
# Reach is capped here, in sigma.
REACH_CAP = 1.0
# The pictures of reports: the first ids of the test stream, never chosen.
STRIP_IDS = 8
# Readings that this task takes from judges of every picture; attributes are a must, each other one brings its metrics. Of the
# pictures of the first codes, REGIONS too.
READINGS = ("attributes", "identity", "perceptual", "features")
REGIONS = "segmentation"
# The first test codes of each question: on these an edit is undone, and on these it is asked where in the picture it changed
# something. Segmentation costs as much as all other judges together.
UNDO_CODES = 16
LOCAL_CODES = 16

SIGNS = {"+": 1, "-": -1}
# Sequences raise all of their targets.
SEQUENCE_SIGN = "+"
# Between the targets of a sequence, in names.
THEN = ">"

Count = Annotated[int, pydantic.Field(ge=2, le=100_000)]
Level = Annotated[float, pydantic.Field(gt=0, le=10)]


class EditingSettings(Task.Settings):
    """The editing task's part of a suite.

    targets: attributes to edit. sequences: some of them to edit one after another on the same codes. test_codes: codes measured
    per target and sign, equal for every cell; per_code_codes: the first of them alone, for methods that work (optimise) anew for
    every code. calibrate_codes: codes that set the plausible range and the grid. reference_codes: unedited pictures that realism
    compares with. effects: judged effects, in sigma, at which everything is read, the first one is the headline's. replicates: of
    the bootstrap. metrics: those that go into the results (None: all).
    """

    targets: Annotated[tuple[str, ...], pydantic.Field(min_length=1)]
    sequences: tuple[Annotated[tuple[str, ...], pydantic.Field(min_length=2)], ...] = ()
    test_codes: Count = 64
    per_code_codes: Count | None = None
    calibrate_codes: Count = 32
    reference_codes: Count = 512
    effects: Annotated[tuple[Level, ...], pydantic.Field(min_length=1)] = (0.5, 1.0)
    replicates: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = 1000
    metrics: Annotated[tuple[str, ...], pydantic.Field(min_length=1)] | None = None

    @pydantic.model_validator(mode="after")
    def _no_duplicates(self) -> EditingSettings:
        for kind in ("targets", "effects", "metrics"):
            values = getattr(self, kind) or ()
            if len(set(values)) != len(values):
                raise ValueError(f"{kind} lists a value twice: {', '.join(map(str, values))}")
        for one in self.sequences:
            lost = [target for target in one if target not in self.targets]
            if lost or len(set(one)) != len(one):
                raise ValueError(f"the sequence {', '.join(one)} is made of different targets, among: {', '.join(self.targets)}")
        return self

    @property
    def questions(self) -> tuple[tuple[str, str], ...]:
        """Every (target, sign) that is asked, sequences last."""
        single = tuple((target, sign) for target in self.targets for sign in SIGNS)
        return (*single, *((sequence_name(one), SEQUENCE_SIGN) for one in self.sequences))

    @property
    def headline_effect(self) -> float:
        """The effect at which headlines are read, in sigma."""
        return self.effects[0]

    @property
    def grid_levels(self) -> tuple[float, ...]:
        """The guide's effects at which strengths are placed, in sigma: they bracket every effect that is read."""
        return tuple(level * max(self.effects) for level in GRID_LEVELS)


def point_name(effect: float) -> str:
    """The records' name of a reading at an effect, e.g. 'effect_0.5'."""
    return f"effect_{effect:g}"


def key_of(target: str, sign: str) -> str:
    """The name of one (target, sign) in arrays and facts, e.g. 'smile/+'."""
    return f"{target}/{sign}"


def sequence_name(targets: Sequence[str]) -> str:
    """How records name a sequence, e.g. 'age>glasses>beard'."""
    return THEN.join(targets)


def targets_of(name: str) -> tuple[str, ...]:
    """The targets of a sequence, or the one target."""
    return tuple(name.split(THEN))


def test_count(settings: EditingSettings, editor: Editor) -> int:
    """The test codes of each question that this editor is measured on."""
    fewer = settings.per_code_codes if editor.per_code else None
    return settings.test_codes if fewer is None else min(fewer, settings.test_codes)


def is_binary(attribute: Attribute) -> bool:
    return attribute.kind == "binary"
