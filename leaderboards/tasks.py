"""The tasks of a results folder: what reads its arrays again. A task that is not registered here has no numbers to read."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from bench.registry import PluginError, Registry
from leaderboards.folder import Results

if TYPE_CHECKING:
    from bench.tasks.base import Task


@cache
def task_of(name: str) -> Task | None:
    """The task of that name; None where it is unknown here, or a plug-in that cannot be loaded. Imports torch."""
    registry = Registry()
    if name not in registry.names("tasks"):
        return None
    try:
        found = registry.load("tasks", name)
    except PluginError:
        return None
    return found() if isinstance(found, type) else found


def settings_of(results: Results, task: str, **changed: Any) -> Any:
    """A task's settings in the suite of a folder, some of them changed; the suite's own mapping where the task is unknown.

    What the task's settings have no field for is left out of the changes.
    """
    given, known = results.run["suite"]["tasks"][task], task_of(task)
    if known is None:
        return given
    settings = known.Settings(**given)
    return settings.model_copy(update={key: value for key, value in changed.items() if key in type(settings).model_fields})
