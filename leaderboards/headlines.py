"""From a folder's arrays to the headline readings that rankings and claims compare, with their joint replicates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from leaderboards.folder import Cell, Results
from leaderboards.ranking import Entry, Question, Reading
from metrics.statistics import worst_value

Readings = dict[Entry, dict[Question, Reading]]


def _editing(results: Results) -> tuple[Any, int]:
    from bench.tasks.editing.protocol import EditingSettings

    suite = results.run["suite"]
    return EditingSettings(**suite["tasks"]["editing"]), suite["seed"]


def editing_headlines(results: Results, cells: Sequence[Cell]) -> dict[Question, Any]:
    """The editing task's own reading of its arrays, repeated."""
    from bench.tasks.editing.summary import headline_replicates

    settings, seed = _editing(results)
    return headline_replicates(settings, [cell.parts() for cell in cells], seed)


def editing_changes(results: Results, cells: Sequence[Cell], attribute: str) -> dict[Question, Any]:
    """Mean |change| of one attribute when others are edited, at the headline effect."""
    from bench.tasks.editing.summary import change_replicates

    settings, seed = _editing(results)
    return change_replicates(settings, [cell.parts() for cell in cells], seed, attribute)


def task_settings(results: Results, task: str) -> dict[str, Any]:
    """A task's settings as they were used, defaults included where the task is known here."""
    settings = results.run["suite"]["tasks"][task]
    return _editing(results)[0].model_dump(mode="json") if task == "editing" else settings


# What turns the cells of one (generator, method, variant) into readings, by task; a task that is missing has no headlines.
HEADLINES: dict[str, Callable[..., dict[Question, Any]]] = {"editing": editing_headlines}
CHANGES: dict[str, Callable[..., dict[Question, Any]]] = {"editing": editing_changes}


def _reading(value: float, replicates: np.ndarray, higher_is_better: bool) -> Reading:
    """A reading without NaN: what no judge could read at all counts as the worst, like what was not reached."""
    worst = worst_value(higher_is_better)
    return Reading(worst if np.isnan(value) else value, np.where(np.isnan(replicates), worst, replicates), higher_is_better)


def readings(results: Results, task: str, generator: str) -> Readings:
    """Headline readings of every entry of one generator; empty for a task that has no headlines."""
    source = HEADLINES.get(task)
    if source is None:
        return {}
    found = {entry: source(results, cells) for entry, cells in results.groups(task, generator).items()}
    return {entry: {q: _reading(*one) for q, one in table.items()} for entry, table in found.items() if table}


def change_readings(results: Results, task: str, generator: str, entry: Entry, attribute: str) -> dict[Question, Reading]:
    """Readings (target, sign, 'change of <attribute>') of one entry; empty where the task has none."""
    source, cells = CHANGES.get(task), results.groups(task, generator).get(entry)
    if source is None or not cells:
        return {}
    return {q: _reading(*one) for q, one in source(results, cells, attribute).items()}
