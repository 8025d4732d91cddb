"""The plan of a suite: which fits and cells there are, in order, and which of them cannot run. All input is checked here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.cell import Cell, Fit, Workbench
from bench.errors import InputError, UnsupportedError
from bench.records import Status
from bench.registry import PluginError

Problem = tuple[Status, str]


@dataclass
class Plan:
    """cells: all of the suite in the order of its records. problems: why some of them cannot run. fits: those that cells need."""

    cells: list[Cell] = field(default_factory=list)
    problems: dict[Cell, Problem] = field(default_factory=dict)

    @property
    def fits(self) -> list[Fit]:
        return list(dict.fromkeys(cell.fit for cell in self.cells if cell not in self.problems))

    def of(self, fit: Fit) -> list[Cell]:
        """The cells that wait for a fit."""
        return [cell for cell in self.cells if cell.fit == fit and cell not in self.problems]


def make_plan(bench: Workbench) -> Plan:
    """Check the suite against what there is, and lay out its work. Loads generators, guides and judges.

    Raises InputError for unknown names, wrong options and settings, and missing or damaged weights. What a method, generator or
    plug-in does not support is a problem of its cells alone.
    """
    suite, registry = bench.suite, bench.registry
    registry.check("generators", suite.generators)
    registry.check("tasks", suite.tasks)
    registry.check("methods", (choice.name for choice in suite.methods))
    methods = [_attempt(lambda index=index: bench.method(index)) for index in range(len(suite.methods))]
    _refuse_duplicates(bench, methods)
    tasks = {name: _attempt(lambda name=name: bench.task(name)) for name in suite.tasks}
    places = {name: _attempt(lambda name=name: bench.place(name)) for name in suite.generators}
    if suite.metrics is not None and not any("metrics" in bench.task(n).Settings.model_fields for n, p in tasks.items() if not p):
        registry.check("metrics", suite.metrics)
    for task, broken_task in tasks.items():
        for generator, broken_place in places.items():
            if not broken_task and not broken_place:
                place = bench.place(generator)
                bench.task(task).validate(bench.settings(task), place.domain.info, place.generator.info)
    plan = Plan()
    for task in suite.tasks:
        for generator in suite.generators:
            for index in range(len(suite.methods)):
                problem = tasks[task] or places[generator] or methods[index] or _unsupported(bench, task, generator, index)
                for fit_seed in range(suite.fit_seeds):
                    cell = Cell(Fit(generator, index, fit_seed), task)
                    plan.cells.append(cell)
                    if problem:
                        plan.problems[cell] = problem
    return plan


def _attempt(load: Callable[[], object]) -> Problem | None:
    """What keeps something from being loaded, where that is its own affair and not bad input."""
    try:
        load()
    except UnsupportedError as error:
        return "skipped", str(error)
    except PluginError as error:
        return "error", str(error)
    return None


def _unsupported(bench: Workbench, task: str, generator: str, index: int) -> Problem | None:
    method, place, wanted = bench.method(index), bench.place(generator), bench.task(task).produces
    for name in bench.hold(index):
        place.domain.info.attribute(name)
    if wanted not in method.produces:
        return "skipped", f"{method.name} gives no {wanted}"
    reason = method.supports(place.generator.info, place.domain.info)
    return ("skipped", reason) if reason else None


def _refuse_duplicates(bench: Workbench, problems: list[Problem | None]) -> None:
    seen = set()
    for index, problem in enumerate(problems):
        if problem is None:
            entry = (bench.method(index).name, bench.variant(index))
            if entry in seen:
                what = f"{entry[0]} ({entry[1]})" if entry[1] else entry[0]
                raise InputError(f"suite {bench.suite.name}: the method {what} is listed twice with the same options")
            seen.add(entry)
