"""From a folder's arrays to the headline readings that rankings and claims compare, with their joint replicates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydantic

from leaderboards.folder import Results
from leaderboards.ranking import Entry, Question, Reading
from leaderboards.records import fits_behind
from leaderboards.tasks import settings_of, task_of
from leaderboards.vocabulary import entry as entry_of
from metrics.statistics import worst_value

Readings = dict[Entry, dict[Question, Reading]]


def task_settings(results: Results, task: str) -> dict[str, Any]:
    """A task's settings as they were used, defaults included where the task is known here."""
    settings = settings_of(results, task)
    return settings.model_dump(mode="json") if isinstance(settings, pydantic.BaseModel) else settings


def _reading(value: float, replicates: np.ndarray, higher_is_better: bool) -> Reading:
    """A reading without NaN: what no judge could read at all counts as the worst, like what was not reached."""
    worst = worst_value(higher_is_better)
    return Reading(worst if np.isnan(value) else value, np.where(np.isnan(replicates), worst, replicates), higher_is_better)


def readings(results: Results, task: str, generator: str) -> Readings:
    """Headline readings of every entry of one generator; empty for a task that is not known here."""
    known = task_of(task)
    if known is None:
        return {}
    settings, seed = settings_of(results, task), results.run["suite"]["seed"]
    found = {}
    for entry, cells in results.groups(task, generator).items():
        found[entry] = known.headlines(settings, [cell.parts() for cell in cells], seed)
    return {entry: {q: _reading(*one) for q, one in table.items()} for entry, table in found.items() if table}


def change_readings(results: Results, task: str, generator: str, entry: Entry, attribute: str) -> dict[Question, Reading]:
    """Mean |change| of one attribute when others are edited, at the headline effect, by (target, sign, 'change of <attribute>').

    Empty for tasks that edit nothing.
    """
    cells = results.groups(task, generator).get(entry)
    if task != "editing" or not cells:
        return {}
    from bench.tasks.editing.summary import change_replicates

    pairs = [cell.parts() for cell in cells]
    found = change_replicates(settings_of(results, task), pairs, results.run["suite"]["seed"], attribute)
    return {q: _reading(*one) for q, one in found.items()}


def samples_of(results: Results, task: str, generator: str) -> dict[Entry, int]:
    """The fewest samples, of each fit, behind a headline of every entry; entries without one are left out."""
    found: dict[Entry, int] = {}
    for record in results.records:
        if (record.task, record.generator) == (task, generator) and record.headline and record.target and record.n:
            one = record.n // fits_behind(record)
            found[entry_of(record)] = min(one, found.get(entry_of(record), one))
    return found
