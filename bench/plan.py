"""The plan of a suite: which fits and cells there are, in order, and which of them cannot run. All input is checked here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.cell import Cell, Fit, Workbench
from bench.errors import InputError, LatentbenchError, UnsupportedError
from bench.records import Status
from bench.registry import PluginError, Registry
from bench.suite import Suite
from bench.tasks.base import MethodCard

Problem = tuple[Status, str]


@dataclass
class Plan:
    """What there is to do.

    cells: all of the suite, in the order of its records. problems: why some of them cannot run. cards: what records say of each
    fit. places: the fingerprint and domain of each generator, empty where it could not be loaded.
    """

    cells: list[Cell] = field(default_factory=list)
    problems: dict[Cell, Problem] = field(default_factory=dict)
    cards: dict[Fit, MethodCard] = field(default_factory=dict)
    places: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def fits(self) -> list[Fit]:
        """The fits that cells need, in order."""
        return list(dict.fromkeys(cell.fit for cell in self.cells if cell not in self.problems))

    def of(self, fit: Fit) -> list[Cell]:
        """The cells that wait for a fit."""
        return [cell for cell in self.cells if cell.fit == fit and cell not in self.problems]


def make_plan(bench: Workbench) -> Plan:
    """Check the suite against what there is, and lay out its work. Loads generators, guides and judges.

    A method is no cell of a task that asks for what it does not give (an inverter of a method that edits), unless it takes part
    in no task at all: then the records say so.

    Raises InputError for unknown names, wrong options and settings, and missing or damaged weights. What a method, generator or
    plug-in does not support, and a plug-in that is broken, is a problem of its own cells alone.
    """
    suite, registry = bench.suite, bench.registry
    check_generators(suite, registry)
    registry.check("tasks", suite.tasks)
    registry.check("methods", (choice.name for choice in suite.methods))
    methods = [_attempt(bench.method, index) for index in range(len(suite.methods))]
    _refuse_duplicates(bench, methods)
    tasks = {name: _attempt(bench.settings, name) for name in suite.tasks}
    places = {name: _attempt(bench.place, name) for name in suite.generators}
    whole = [name for name, problem in tasks.items() if problem is None]
    if suite.metrics is not None and not any("metrics" in type(bench.settings(name)).model_fields for name in whole):
        registry.check("metrics", suite.metrics)
    numbers = range(len(methods))
    active = {i for i in numbers if not methods[i] and any(_attempt(_gives, bench, name, i) is None for name in whole)}
    plan = Plan(places={name: ("", "") if places[name] else _place(bench, name) for name in suite.generators})
    for task in suite.tasks:
        for generator in suite.generators:
            shared = tasks[task] or places[generator] or _attempt(_validate, bench, task, generator)
            for index, broken in enumerate(methods):
                stranger = None if tasks[task] or broken else _attempt(_gives, bench, task, index)
                if stranger and index in active:
                    continue
                problem = shared or broken or stranger or _attempt(_supported, bench, generator, index)
                for fit_seed in range(suite.fits_of(index)):
                    fit = Fit(generator, index, fit_seed)
                    cell = Cell(fit, task)
                    plan.cells.append(cell)
                    plan.cards[fit] = _card_of_broken(bench, fit) if broken else bench.card(fit)
                    if problem:
                        plan.problems[cell] = problem
    return plan


def check_generators(suite: Suite, registry: Registry) -> None:
    """Raise InputError where a generator is unknown, or a file bears the name of a registered one."""
    registry.check("generators", suite.registered)
    for name in sorted(suite.checkpoints.keys() & set(registry.names("generators"))):
        raise InputError(f"{suite.checkpoints[name].path} would be {name}, which is a registered generator: give it another name")


def _attempt(check: Callable[..., object], *args: object) -> Problem | None:
    """What keeps a part of the suite from running, where that is its own affair. Raises InputError for bad input."""
    try:
        check(*args)
    except UnsupportedError as error:
        return "skipped", str(error)
    except PluginError as error:
        return "error", str(error)
    except LatentbenchError:
        raise
    # A plug-in may fail in any way where it is first touched; its cells are lost, the others are not.
    except Exception as error:
        return "error", " ".join(f"{type(error).__name__}: {error}".split())
    return None


def _place(bench: Workbench, name: str) -> tuple[str, str]:
    place = bench.place(name)
    return place.generator.fingerprint, place.domain.info.name


def _validate(bench: Workbench, task: str, generator: str) -> None:
    place = bench.place(generator)
    bench.task(task).validate(bench.settings(task), place.domain.info, place.generator.info)


def _gives(bench: Workbench, task: str, index: int) -> None:
    """Raises UnsupportedError where the method does not give what the task asks for."""
    method, wanted = bench.method(index), bench.task(task).produces
    if wanted not in method.produces:
        raise UnsupportedError(f"{method.name} gives no {wanted}")


def _supported(bench: Workbench, generator: str, index: int) -> None:
    """Raises UnsupportedError where the method cannot run there, InputError where it holds an unknown attribute."""
    method, place = bench.method(index), bench.place(generator)
    for name in bench.hold(index):
        place.domain.info.attribute(name)
    reason = method.supports(place.generator.info, place.domain.info)
    if reason:
        raise UnsupportedError(reason)


def _card_of_broken(bench: Workbench, fit: Fit) -> MethodCard:
    """The card of a method that cannot be loaded: all that is known of it is what the suite says."""
    choice = bench.suite.methods[fit.method]
    variant = ",".join(f"{key}={value}" for key, value in choice.options.items())
    return MethodCard(choice.name, 0, "", variant, "", fit.fit_seed)


def _refuse_duplicates(bench: Workbench, problems: list[Problem | None]) -> None:
    seen = set()
    for index, problem in enumerate(problems):
        if problem is None:
            entry = (bench.method(index).name, bench.variant(index))
            if entry in seen:
                what = f"{entry[0]} ({entry[1]})" if entry[1] else entry[0]
                raise InputError(f"suite {bench.suite.name}: the method {what} is listed twice with the same options")
            seen.add(entry)
