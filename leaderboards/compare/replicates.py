"""Bootstrap replicates of every number of an entry, read again from its stored arrays by the task's own functions."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from bench.records import Record
from leaderboards.folder import Cell, Results
from leaderboards.tasks import settings_of, task_of
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


def readings(
    results: Results, task: str, cells: Sequence[Cell], replicates: int | None = None, wanted: Container[Place] | None = None
) -> dict[Place, Reading]:
    """The numbers of an entry, or those that are wanted; replicates: how many instead of the settings'.

    Raises ValueError, KeyError, TypeError or IndexError where the arrays are not what the task's code takes.
    """
    out = {}
    settings = settings_of(results, task, **({} if replicates is None else {"replicates": replicates}))
    for record, rows in task_of(task).measured(settings, [cell.parts() for cell in cells], results.run["suite"]["seed"]):
        if rows is None or record.point == "grid" or (wanted is not None and place_of(record) not in wanted):
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
