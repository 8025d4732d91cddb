"""The constants and settings of the text task. Everything here defines the question that is asked."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pydantic

from bench.cards import DomainInfo
from bench.errors import InputError
from bench.tasks.base import Task
from bench.tasks.editing import protocol as editing
from bench.tasks.editing.protocol import GRID_LEVELS, SIGNS, Count, Level

# The constants of the editing protocol that define this question, too: all of them enter the protocol hash.
RULES = tuple(name for name in editing.RULES if name != "UNDO_CODES")

# Rises whenever a number of this task could change.
VERSION = 1

# Readings that this task takes from judges of pictures; attributes and text_image are a must.
READINGS = ("attributes", "identity", "perceptual")

Words = Annotated[str, pydantic.Field(min_length=1)]
Sign = Literal["+", "-"]


class TextSettings(Task.Settings):
    """The text task's part of a suite.

    targets: attributes with prompts; each is asked for both ways, by its own prompts. prompts: other wordings, by target and
    sign; those of a suite should be ones that no text-image network was trained on. by_name: whether editors that take no prompt
    take part, asked by the attribute's name. test_codes: codes measured for every prompt; per_code_codes: the first of them
    alone, for methods that work anew for every code. calibrate_codes: codes that set the plausible range and the strengths, for
    every method alike; of fewer than 20 a single unusual one would end every range, as 95 % must be plausible. effects: judged
    effects, in sigma, at which everything is read, the first one is the headline's. replicates: of the bootstrap. metrics: those
    that go into the results (None: all).
    """

    targets: Annotated[tuple[str, ...], pydantic.Field(min_length=1)]
    prompts: dict[str, dict[Sign, tuple[Words, ...]]] = {}
    by_name: bool = True
    test_codes: Count = 32
    per_code_codes: Count | None = 16
    calibrate_codes: Annotated[int, pydantic.Field(ge=20, le=100_000)] = 32
    effects: Annotated[tuple[Level, ...], pydantic.Field(min_length=1)] = (0.5,)
    replicates: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = 1000
    metrics: Annotated[tuple[str, ...], pydantic.Field(min_length=1)] | None = None
    # Realism is the editing task's question; the shared pool reads a reference all the same.
    reference_codes: ClassVar[int] = 16

    @pydantic.model_validator(mode="after")
    def _fits(self) -> TextSettings:
        for kind in ("targets", "effects", "metrics"):
            values = getattr(self, kind) or ()
            if len(set(values)) != len(values):
                raise ValueError(f"{kind} lists a value twice: {', '.join(map(str, values))}")
        for target, sides in self.prompts.items():
            if target not in self.targets:
                raise ValueError(f"prompts are given for {target}, which is not among the targets")
            for sign, texts in sides.items():
                if len(set(texts)) != len(texts):
                    raise ValueError(f"the prompts of {target} {sign} list one twice")
        return self

    @property
    def headline_effect(self) -> float:
        """The effect at which headlines are read, in sigma."""
        return self.effects[0]

    @property
    def grid_levels(self) -> tuple[float, ...]:
        """The guide's effects at which strengths are placed, in sigma, as in the editing task."""
        return tuple(level * max(self.effects) for level in GRID_LEVELS)

    def texts(self, domain: DomainInfo, target: str, sign: str) -> tuple[str, ...]:
        """What is asked: the attribute's own prompt first, then the other wordings."""
        own = own_prompt(domain, target, sign)
        return (own, *(text for text in self.prompts.get(target, {}).get(sign, ()) if text != own))


def own_prompt(domain: DomainInfo, target: str, sign: str) -> str:
    """The attribute's own prompt of one side. Raises InputError where it has none."""
    prompts = domain.attribute(target).prompts
    if not all(prompts):
        raise InputError(f"{target} of {domain.name} has no prompts: the text task cannot ask for it")
    return prompts[SIGNS[sign] > 0]
