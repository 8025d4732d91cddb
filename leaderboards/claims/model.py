"""What a file in leaderboards/published may say: a paper's facts, its tables, and its claims as record selectors. No torch.

A claim either selects two sides that results may hold (`select`) or says why no program can decide it here (`not_evaluated`).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple

import pydantic

# A pseudo-task: what a fit itself leaves, its seconds and its tables. None of it has replicates.
FIT = "fit"
FIT_SECONDS = "fit_seconds"
# The change of whichever attribute the left side holds, when others are edited.
CHANGE_OF = "change of "
HELD = "held"
OFF_DIAGONAL = "mean_abs_off_diagonal"

Text = Annotated[str, pydantic.Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], pydantic.Field(min_length=1)]
Number = int | float
Option = str | Number | bool


def _several(value: Any) -> Any:
    """One value where several may stand."""
    return (value,) if isinstance(value, str) else value


Several = Annotated[Texts, pydantic.BeforeValidator(_several)]


class Column(NamedTuple):
    """A column of a table of fits, TABLE.COLUMN, or TABLE[KEY=VALUE].COLUMN of the rows where another column is that."""

    table: str
    column: str
    where: tuple[str, str] | None = None

    @classmethod
    def of(cls, metric: str) -> Column:
        """Raises ValueError for what is no column."""
        found = re.fullmatch(r"(\w+)(?:\[(\w+)=([^\]]+)\])?\.(\w+)", metric)
        if found is None:
            raise ValueError(f"a fit has {FIT_SECONDS} and TABLE.COLUMN, not '{metric}'")
        table, key, value, column = found.groups()
        return cls(table, column, (key, value) if key else None)


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Side(Strict):
    """Entries by their cards, each field given narrows them down.

    method, except_method: names or patterns (styleclip_*). hold: whether its edits are asked to leave attributes alone. options:
    of the variant, each 'present', 'absent' (at its default), a value, or several of which one is so. metric, target: where they
    are not those of the claim. generator: where the sides are of different ones.
    """

    method: Several | None = None
    except_method: Several | None = None
    approach: Several | None = None
    space: Several | None = None
    hold: Literal["present", "absent"] | None = None
    options: dict[Text, Option | Annotated[tuple[Option, ...], pydantic.Field(min_length=2)]] = {}
    metric: Text | None = None
    target: Text | None = None
    generator: Text | None = None


class Constant(Strict):
    """A number in place of a side. chance: a level that mathematics gives. figure: one that the paper gives."""

    chance: Number | None = None
    figure: Number | None = None

    @pydantic.model_validator(mode="after")
    def _one(self) -> Constant:
        if (self.chance is None) == (self.figure is None):
            raise ValueError("give either chance or figure")
        return self

    @property
    def value(self) -> float:
        return float(self.figure if self.chance is None else self.chance)


class Tolerance(Strict):
    """What counts as equal: a difference, in the metric's unit, or a share of the right side."""

    absolute: Annotated[float, pydantic.Field(gt=0)] | None = None
    relative: Annotated[float, pydantic.Field(gt=0)] | None = None

    @pydantic.model_validator(mode="after")
    def _one(self) -> Tolerance:
        if (self.absolute is None) == (self.relative is None):
            raise ValueError("give either absolute or relative")
        return self


class Select(Strict):
    """Two sides that are compared question by question, within one generator where they do not name one each.

    task: or 'fit'. metrics: a line each, none where both sides name their own; 'change of held' and 'change of NAME' ask how far
    an attribute moves that was not the target; of a fit, 'fit_seconds', or a Column of its tables. relation: left to right;
    times: the right side is multiplied by it. paired_on: what both sides have alike; 'options' are those of the variant that
    neither side speaks of. larger: an option, a number, of which the left side has more than the right one. targets,
    signs: the questions (None: all). sequence: how many targets are edited one after another (1: single edits). generators: names
    or patterns. reading: where what is measured is not quite what the paper compared, how the claim is read here.
    """

    task: Text
    metrics: Annotated[tuple[Text, ...], pydantic.BeforeValidator(_several)] = ()
    left: Side
    relation: Literal["greater", "less", "equal_within"]
    right: Side | Constant
    tolerance: Tolerance | None = None
    times: Annotated[float, pydantic.Field(gt=0)] = 1.0
    paired_on: tuple[Literal["method", "approach", "space", "options", "variant"], ...] = ()
    larger: Text | None = None
    targets: Several | None = None
    signs: tuple[Literal["+", "-", ""], ...] | None = None
    sequence: Annotated[int, pydantic.Field(ge=1)] | Literal["any"] = 1
    generators: Several | None = None
    reading: str = ""

    @pydantic.field_validator("right", mode="before")
    @classmethod
    def _side_or_constant(cls, value: Any) -> Any:
        """Choose by its keys, so that an error speaks of the one that was meant."""
        if isinstance(value, dict):
            return (Constant if value.keys() & {"chance", "figure"} else Side)(**value)
        return value

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Select:
        if (self.relation == "equal_within") != (self.tolerance is not None):
            raise ValueError("equal_within needs a tolerance, and nothing else has one")
        own = bool(self.left.metric), bool(self.right.metric) if isinstance(self.right, Side) else bool(self.left.metric)
        if own != (not self.metrics,) * 2:
            raise ValueError("give metrics, or a metric to either side")
        if bool(self.left.generator) != bool(getattr(self.right, "generator", None)) or (self.left.generator and self.generators):
            raise ValueError("either both sides name a generator, or the claim names generators, or none does")
        if HELD in {one.removeprefix(CHANGE_OF) for one in self.metrics} and self.left.hold != "present":
            raise ValueError(f"'{CHANGE_OF}{HELD}' needs a left side with hold: present")
        if self.task == FIT:
            given = [*self.metrics, self.left.metric, getattr(self.right, "metric", None)]
            for one in given:
                if one and one != FIT_SECONDS:
                    Column.of(one)
        if self.larger and isinstance(self.right, Constant):
            raise ValueError("larger compares two sides, and the right one is a number")
        return self


class Claim(Strict):
    """A comparison that a paper makes. metric, scope: the paper's own. verified: its text was read; None: not from a paper."""

    id: Text
    location: Text
    verified: bool | None
    statement: Text
    metric: Text
    scope: Text
    select: Select | None = None
    not_evaluated: Text | None = None

    @pydantic.model_validator(mode="after")
    def _decidable_or_not(self) -> Claim:
        if (self.select is None) == (self.not_evaluated is None):
            raise ValueError(f"claim {self.id}: give either select or not_evaluated")
        right = self.select and self.select.right
        if isinstance(right, Constant) and right.figure is not None and self.verified is False:
            raise ValueError(f"claim {self.id}: no verdict is computed from a figure that is not verified")
        return self


class Default(Strict):
    """A setting of the paper or its official code, and where it stands."""

    value: Any
    where: Text


class Row(Strict):
    name: Text
    values: tuple[Number | str | None, ...]


class Measure(Strict):
    """What of a results folder stands beside a table: metrics of a task, or (task: fit) tables and columns of the fits."""

    task: Text
    metrics: Several
    of: Side = Side()
    note: str = ""


class Table(Strict):
    """A table as the paper or its code gives it. verified: figures read in `source`; False: recalled, and may be off."""

    id: Text
    location: Text
    verified: bool
    source: Text
    metric: Several
    unit: str
    higher_is_better: bool | None | tuple[bool | None, ...]
    protocol: Text
    columns: Texts
    rows: Annotated[tuple[Row, ...], pydantic.Field(min_length=1)]
    measured: Measure | None = None

    @pydantic.model_validator(mode="after")
    def _rectangular(self) -> Table:
        for row in self.rows:
            if len(row.values) != len(self.columns):
                raise ValueError(f"table {self.id}: '{row.name}' has {len(row.values)} values for {len(self.columns)} columns")
        return self


class Paper(Strict):
    """A paper. methods: the registered methods (patterns) that implement it here, none for a generator or a metric."""

    id: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9_]+$")]
    title: Text
    authors: Text
    venue: Text
    arxiv: Annotated[str, pydantic.Field(pattern=r"^\d{4}\.\d{4,5}$")] | None
    system: Literal["generator", "supervised", "unsupervised", "zero_shot", "inversion", "space", "metric", "comparison", "own"]
    methods: tuple[Text, ...] = ()
    setting: Text
    defaults: dict[Text, Default] = {}
    tables: tuple[Table, ...] = ()
    claims: tuple[Claim, ...] = ()
    notes: str = ""

    @pydantic.model_validator(mode="after")
    def _distinct(self) -> Paper:
        for kind in ("tables", "claims"):
            ids = [one.id for one in getattr(self, kind)]
            twice = sorted({one for one in ids if ids.count(one) > 1})
            if twice:
                raise ValueError(f"{kind} has {twice[0]} twice")
        unmarked = [claim.id for claim in self.claims if (claim.verified is None) != (self.system == "own")]
        if unmarked:
            raise ValueError(f"claim {unmarked[0]}: verified is true or false for a paper's claims, and null for our own")
        return self

    @property
    def name(self) -> str:
        """How reports head its claims."""
        return self.title if self.system == "own" else f"{self.title} ({self.authors}; {self.venue})"
