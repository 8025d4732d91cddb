"""The constants and settings of the naming task. Everything here defines the question that is asked."""

from __future__ import annotations

from typing import Annotated, ClassVar

import pydantic

from bench.domains.base import Domain
from bench.domains.statements import Statement
from bench.tasks.base import Task
from bench.tasks.editing import protocol as editing

# The constants of the editing protocol that define this question, too, and those below: all of them enter the protocol hash.
SHARED = ("POOL", "ASSIGN_SHARE", "PLAUSIBLE", "SATURATED", "DOUBLINGS", "BISECTIONS")
EDITING_RULES = tuple(name for name in editing.RULES if name.startswith(SHARED))
RULES = ("LEVEL", "FLIPS", "LEAD", "LEAST", "TOP")

# Rises whenever a number of this task could change.
VERSION = 1

# A component is named where what names it would come about by chance in at most this share of cases (rule.py), by this many
# random signs and as many resamples, moves what it is named by so many times as far as what comes next, and at least so far, in
# sigma.
LEVEL, FLIPS, LEAD, LEAST = 0.05, 999, 1.1, 0.1
# Beside the attribute that changes most: the name is among so many that do.
TOP = 3
# The pictures of reports: the first ids, never chosen, at these shares of the plausible edge.
STRIP_IDS, STRIP_SHARES = 2, (-1.0, -0.5, 0.0, 0.5, 1.0)
# What gives the names: records have it as their target.
TEXT, ATTRIBUTES = "text", "attributes"
NAMERS = (TEXT, ATTRIBUTES)

Count = Annotated[int, pydantic.Field(ge=8, le=100_000)]
Words = Annotated[str, pydantic.Field(min_length=1)]


class NamingSettings(Task.Settings):
    """The naming task's part of a suite.

    codes: of the fit stream, on which components get their names. test_codes: on which a judge looks whether these are right.
    calibrate_codes: codes that set the plausible range; of fewer than 20 a single unusual one would end every range, as 95 % must
    be plausible. prompts: more to name components by, subject to texts that exclude one another; a subject that is no attribute
    of the domain can name a component, but no judge can say whether rightly. replicates: of the bootstrap. metrics: those that go
    into the results (None: all).
    """

    codes: Count = 16
    test_codes: Count = 32
    calibrate_codes: Annotated[int, pydantic.Field(ge=20, le=100_000)] = 32
    prompts: dict[Words, Annotated[tuple[Words, ...], pydantic.Field(min_length=2)]] = {}
    replicates: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = 1000
    metrics: Annotated[tuple[str, ...], pydantic.Field(min_length=1)] | None = None
    # Realism is the editing task's question; the shared pool reads a reference all the same.
    reference_codes: ClassVar[int] = 16

    @pydantic.model_validator(mode="after")
    def _no_duplicates(self) -> NamingSettings:
        lists = {f"prompts: {subject}": texts for subject, texts in self.prompts.items()} | {"metrics": self.metrics or ()}
        for kind, values in lists.items():
            if len(set(values)) != len(values):
                raise ValueError(f"{kind} lists a value twice: {', '.join(values)}")
        return self

    def statements(self, domain: Domain) -> tuple[Statement, ...]:
        """What components may be named by: the domain's words, and those of the suite."""
        own = tuple(Statement(subject, (text,)) for subject, texts in self.prompts.items() for text in texts)
        return (*domain.statements(), *own)
