"""From a folder's arrays to the headline readings that rankings and claims compare, with their joint replicates."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from leaderboards.folder import Cell, Results
from leaderboards.ranking import Entry, Question, Reading

# task -> what turns the cells of one (generator, method, variant) into headline readings
SOURCES: dict[str, str | Callable[..., dict[Question, Any]]] = {"editing": "leaderboards.headlines:editing_readings"}

Readings = dict[Entry, dict[Question, Reading]]


def editing_readings(results: Results, generator: str, cells: Sequence[Cell]) -> dict[Question, Reading]:
    """The editing task's own reading of its arrays, repeated."""
    from bench.tasks.editing.protocol import EditingSettings
    from bench.tasks.editing.summary import headline_replicates

    settings = EditingSettings(**results.run["suite"]["tasks"]["editing"])
    table = headline_replicates(settings, [cell.parts() for cell in cells], results.run["suite"]["seed"])
    return {question: Reading(*one) for question, one in table.items()}


def readings(results: Results, task: str, generator: str) -> Readings:
    """Headline readings of every entry of one generator; empty for a task that has no headlines."""
    source = SOURCES.get(task)
    if source is None:
        return {}
    if isinstance(source, str):
        module, name = source.split(":")
        source = getattr(importlib.import_module(module), name)
    found = {entry: source(results, generator, cells) for entry, cells in results.groups(task, generator).items()}
    return {entry: table for entry, table in found.items() if table}
