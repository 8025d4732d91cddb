"""Bootstrap replicates of every number of an entry, read again from its stored arrays by the task's own functions."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.records import Record
from leaderboards.folder import Cell, Results
from metrics.statistics import worst_value

# Of a record within its entry: target, sign, attribute, point, metric.
Place = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Reading:
    """A number read again: the point, its replicates [B] and the version of the metric that read it.

    What is not reached is +-inf, the worst, in a metric with better and worse, and NaN in one without.
    """

    value: float
    replicates: np.ndarray
    metric_version: int


def place_of(record: Record) -> Place:
    return (record.target, record.sign, record.attribute, record.point, record.metric)


def editing_readings(results: Results, cells: Sequence[Cell], replicates: int | None) -> Iterator[tuple[Record, np.ndarray]]:
    """Every number of one (generator, method, variant) of the editing task with its rows [1 + B], the point first."""
    from bench.tasks.editing.protocol import EditingSettings
    from bench.tasks.editing.rows import Rows

    class Kept(Rows):
        """The task's rows, which keep what each number was made of. The grid is not compared."""

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.kept: list[tuple[Record, np.ndarray]] = []

        def _value(self, one: Any, rows: np.ndarray, **fields: Any) -> Record:
            record = super()._value(one, rows, **fields)
            self.kept.append((record, rows))
            return record

        def _grid(self, asked: Any) -> Iterator[Record]:
            return iter(())

    suite = results.run["suite"]
    settings = EditingSettings(**suite["tasks"]["editing"])
    if replicates is not None:
        settings = settings.model_copy(update={"replicates": replicates})
    rows = Kept(settings, [cell.parts() for cell in cells], suite["seed"])
    for _ in rows.all():
        yield from rows.kept
        rows.kept.clear()


# By task; the numbers of a task that is missing are compared by their intervals.
READINGS: dict[str, Callable[[Results, Sequence[Cell], int | None], Iterator[tuple[Record, np.ndarray]]]] = {
    "editing": editing_readings,
}


def readings(
    results: Results, task: str, cells: Sequence[Cell], replicates: int | None = None, wanted: Container[Place] | None = None
) -> dict[Place, Reading]:
    """The numbers of an entry, or those that are wanted; replicates: how many instead of the settings'.

    Raises ValueError, KeyError, TypeError or IndexError where the arrays are not what the task's code takes.
    """
    out = {}
    for record, rows in READINGS[task](results, cells, replicates):
        if wanted is not None and place_of(record) not in wanted:
            continue
        rows = np.asarray(rows, np.float64)
        if record.higher_is_better is not None:
            rows = np.where(np.isnan(rows), worst_value(record.higher_is_better), rows)
        out[place_of(record)] = Reading(float(rows[0]), rows[1:], record.metric_version)
    return out


def contradicts(record: Record, reading: Reading) -> bool:
    """Whether arrays and table disagree on a number: results.csv holds six significant digits of it."""
    if record.value is None:
        return bool(np.isfinite(reading.value))
    if not np.isfinite(reading.value):
        return True
    return abs(reading.value - record.value) > max(2e-5 * abs(record.value), 1e-9)
