"""What a comparison says: every number that both runs hold, what only one holds, what was refused, and the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.records import Record
from leaderboards.compare.protocol import Group
from leaderboards.compare.sides import Key, key_of
from leaderboards.compare.statistics import UNKNOWN, Difference
from leaderboards.ranking import Entry

Verdict = Literal["better", "worse", "changed", "same", "cannot tell"]
FailOn = Literal["worse", "missing", "changed", "never"]
ALPHA = 0.05
# The note of a number whose two files disagree.
CONTRADICTION = "samples.npz does not repeat the value in results.csv"
# How a difference was found.
EQUAL, PAIRED, UNPAIRED, REACHING, NOTHING = "equal", "paired", "unpaired", "reached or not", "no interval"


@dataclass(frozen=True)
class Change:
    """One number in both runs. p: of no difference; p_holm: corrected. how: EQUAL, PAIRED, ... note: why not better than that."""

    old: Record
    new: Record
    difference: Difference = UNKNOWN
    how: str = NOTHING
    note: str = ""
    p_holm: float | None = None
    verdict: Verdict = "cannot tell"

    @property
    def key(self) -> Key:
        return key_of(self.new)

    @property
    def entry(self) -> Entry:
        return (self.new.method, self.new.variant)

    @property
    def headline(self) -> bool:
        return self.old.headline or self.new.headline

    @property
    def family(self) -> str:
        if self.new.higher_is_better is None:
            return "undirected"
        return "headline" if self.headline else "detail"


@dataclass(frozen=True)
class Gone:
    """A number that only one run holds. failed: it was there, and its cell now ends in an error."""

    record: Record
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class Refused:
    """Numbers that both hold and that are not compared: of a whole group (entry None) or of one entry."""

    group: Group
    entry: Entry | None
    reasons: tuple[str, ...]
    numbers: int


@dataclass(frozen=True)
class Comparison:
    """Everything that was found. old, new: names of the sides. tolerances: metric -> largest difference that counts as none."""

    old: str
    new: str
    groups: tuple[Group, ...]
    changes: tuple[Change, ...]
    missing: tuple[Gone, ...]
    added: tuple[Gone, ...]
    refused: tuple[Refused, ...]
    notes: tuple[str, ...]
    tolerances: Mapping[str, float] = field(default_factory=dict)

    def of(self, *verdicts: str) -> list[Change]:
        return [one for one in self.changes if one.verdict in verdicts]

    @property
    def failed(self) -> list[Gone]:
        return [one for one in self.missing if one.failed]

    @property
    def contradictions(self) -> bool:
        return any(one.note == CONTRADICTION for one in self.changes)

    def fails(self, fail_on: FailOn) -> bool:
        """Whether something is what fail_on names; each includes those before it: worse, missing, changed."""
        if fail_on == "never":
            return False
        if self.of("worse") or self.failed:
            return True
        if fail_on == "worse":
            return False
        if self.missing:
            return True
        return fail_on == "changed" and bool(self.of("better", "changed") or self.added)

    def exit_code(self, fail_on: FailOn = "worse") -> int:
        """0 no regression, 1 a regression, 2 something could not be compared and nothing that was is a regression."""
        if self.fails(fail_on):
            return 1
        return 2 if self.refused or self.contradictions or not self.changes else 0
