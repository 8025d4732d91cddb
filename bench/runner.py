"""Runs a suite: plan, fits, cells, records. What a run leaves behind is RunResult."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Any

from bench.cell import Cell, Fit, Outcome, Workbench
from bench.clock import NETWORK_PARTS, Clock
from bench.environment import code_version, describe
from bench.errors import LatentbenchError
from bench.plan import Plan, make_plan
from bench.progress import Progress, Silent
from bench.records import Record, Status
from bench.registry import Registry
from bench.store import Store, key_hash
from bench.suite import Suite
from bench.tasks.base import CellResult, MethodCard


@dataclass(frozen=True)
class CellOutcome:
    """One cell: what it left behind, or why it left nothing.

    seconds: of the cell when it was computed; fit_seconds: of its fit. fit_guide_calls: pictures that guides were shown for the
    fit. tables: what the fit shows in the report.
    """

    generator: str
    generator_sha: str
    domain: str
    task: str
    method: MethodCard
    result: CellResult | None
    status: Status = "ok"
    reason: str = ""
    seconds: float = 0.0
    fit_seconds: float = 0.0
    fit_guide_calls: int = 0
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    peak_mb: float = 0.0
    cached: bool = False


@dataclass
class RunResult:
    """A finished run.

    seconds: by part of bench.clock (this run alone: what came from the store cost nothing). environment: JSON values.
    protocol_hashes: (task, generator) -> hash.
    """

    suite: Suite
    records: list[Record]
    cells: list[CellOutcome]
    seconds: dict[str, float]
    total_seconds: float
    environment: dict[str, Any]
    protocol_hashes: dict[tuple[str, str], str]

    @property
    def network_share(self) -> float:
        """The share of this run's time spent inside networks and fits, 0 to 1."""
        return sum(self.seconds.get(part, 0.0) for part in NETWORK_PARTS) / max(self.total_seconds, 1e-9)

    @property
    def exit_code(self) -> int:
        """0 where every cell went well or was skipped, 1 where one failed."""
        return int(any(one.status == "error" for one in (*self.cells, *self.records)))


class InProcess(Executor):
    """Runs what is submitted at once, here."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def run_suite(
    suite: Suite,
    *,
    registry: Registry | None = None,
    store: Store | None = None,
    device: str = "cpu",
    batch: int = 64,
    executor: Executor | None = None,
    progress: Progress | None = None,
    debug: bool = False,
) -> RunResult:
    """Run a suite. Finished fits and cells are found in the store, so that a run that was stopped goes on where it was.

    batch: pictures in memory at a time; it changes no number. executor: where work runs, in this process by default. debug: print
    the traceback of every failure. Raises InputError, before any work, for a suite that cannot be run.
    """
    start = time.perf_counter()
    progress = progress or Silent()
    bench = Workbench(suite, registry or Registry(), store or Store(), device=device, batch=batch, debug=debug, progress=progress)
    plan = make_plan(bench)
    try:
        outcomes = _execute(plan, bench, executor or InProcess(), progress)
    finally:
        progress.close()
    for outcome in outcomes.values():
        bench.clock.merge(outcome.clock)
    cells = [_cell_outcome(cell, plan, outcomes) for cell in plan.cells]
    hashes = _hashes(bench, cells)
    with bench.clock.measure("summary"):
        records = _records(bench, cells, hashes)
    environment = {**describe(bench.device), "batch": batch}
    return RunResult(suite, records, cells, dict(bench.clock.seconds), time.perf_counter() - start, environment, hashes)


def _execute(plan: Plan, bench: Workbench, executor: Executor, progress: Progress) -> dict[Fit | Cell, Outcome]:
    """Run every fit, and after each the cells that wait for it."""
    fits = plan.fits
    progress.plan(len(fits) + sum(len(plan.of(fit)) for fit in fits))
    ready: deque[Fit | Cell] = deque(fits)
    running: dict[Future[Outcome], Fit | Cell] = {}
    outcomes: dict[Fit | Cell, Outcome] = {}
    # In this process one thing runs at a time, and a fit's cells come before the next fit; elsewhere everything is on offer.
    most = 1 if isinstance(executor, InProcess) else len(plan.cells) + len(fits)
    while ready or running:
        while ready and len(running) < most:
            job = ready.popleft()
            progress.begin(_label(job, bench))
            running[executor.submit(bench.run_fit if isinstance(job, Fit) else bench.run_cell, job)] = job
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            job = running.pop(future)
            try:
                outcomes[job] = outcome = future.result()
            except BrokenExecutor as error:
                raise LatentbenchError(f"a worker process died ({error}): finished cells are kept, run again to go on") from error
            if most > 1:
                progress.begin(_label(job, bench))
            progress.end(_ending(outcome))
            if isinstance(job, Fit):
                for cell in reversed(plan.of(job)):
                    if outcome.status == "ok":
                        ready.appendleft(cell)
                    else:
                        outcomes[cell] = Outcome(outcome.status, outcome.reason)
                        progress.begin(_label(cell, bench))
                        progress.end(_ending(outcomes[cell]))
    return outcomes


def _label(job: Fit | Cell, bench: Workbench) -> str:
    fit = job if isinstance(job, Fit) else job.fit
    method = bench.method(fit.method)
    variant = bench.variant(fit.method)
    seed = f" #{fit.fit_seed}" if bench.suite.fit_seeds > 1 else ""
    name = f"{method.name}{f' ({variant})' if variant else ''}{seed}"
    return f"{fit.generator}: fit {name}" if isinstance(job, Fit) else f"{fit.generator}: {job.task} {name}"


def _ending(outcome: Outcome) -> str:
    if outcome.status != "ok":
        return f"{outcome.status}: {outcome.reason}"
    return "found in the store" if outcome.cached else f"ok, {outcome.seconds:.1f} s"


def _cell_outcome(cell: Cell, plan: Plan, outcomes: dict[Fit | Cell, Outcome]) -> CellOutcome:
    problem = plan.problems.get(cell)
    outcome, fit = Outcome(*problem) if problem else outcomes[cell], outcomes.get(cell.fit, Outcome())
    sha, domain = plan.places[cell.fit.generator]
    return CellOutcome(
        generator=cell.fit.generator,
        generator_sha=sha,
        domain=domain,
        task=cell.task,
        method=plan.cards[cell.fit],
        result=outcome.result,
        status=outcome.status,
        reason=outcome.reason,
        seconds=outcome.seconds,
        fit_seconds=fit.seconds,
        fit_guide_calls=fit.guide_calls,
        tables=outcome.tables,
        peak_mb=max(outcome.peak_mb, fit.peak_mb),
        cached=outcome.cached,
    )


def _hashes(bench: Workbench, cells: list[CellOutcome]) -> dict[tuple[str, str], str]:
    """The protocol hash of every (task, generator) that anything was measured under."""
    asked = dict.fromkeys((cell.task, cell.generator) for cell in cells if cell.result is not None)
    return {pair: key_hash(bench.question(*pair)) for pair in asked}


def _records(bench: Workbench, cells: list[CellOutcome], hashes: dict[tuple[str, str], str]) -> list[Record]:
    """The records of all cells: per (task, generator, method, variant) in the order of the plan, then as the task orders them."""
    groups: dict[tuple[str, str, str, str], list[CellOutcome]] = {}
    for cell in cells:
        groups.setdefault((cell.task, cell.generator, cell.method.name, cell.method.variant), []).append(cell)
    records: list[Record] = []
    for group in groups.values():
        done = [cell for cell in group if cell.result is not None]
        found: list[Record] = []
        if done:
            found = _summarise(bench, done)
        for cell in group:
            if cell.result is None:
                found.append(Record(status=cell.status, reason=cell.reason, fit_seed=str(cell.method.fit_seed)))
        records += [_complete(record, bench, done or group, hashes) for record in found]
    return records


def _summarise(bench: Workbench, done: list[CellOutcome]) -> list[Record]:
    task = done[0].task
    try:
        pairs = [(cell.method, cell.result) for cell in done]
        return bench.task(task).summarise(bench.settings(task), pairs, bench.suite.seed)
    # As with cells: what fails is recorded with its reason, and the others go on.
    except Exception as error:
        if bench.debug:
            raise
        return [Record(status="error", reason=" ".join(f"no summary: {type(error).__name__}: {error}".split()))]


def _complete(record: Record, bench: Workbench, group: list[CellOutcome], hashes: dict[tuple[str, str], str]) -> Record:
    """The record with all that the engine knows."""
    first, suite = group[0], bench.suite
    return dataclasses.replace(
        record,
        suite=suite.name,
        suite_version=suite.version,
        protocol_hash=hashes.get((first.task, first.generator), ""),
        task=first.task,
        generator=first.generator,
        generator_sha=first.generator_sha,
        domain=first.domain,
        method=first.method.name,
        method_version=first.method.version,
        approach=first.method.approach,
        variant=first.method.variant,
        fit_seed=record.fit_seed or "+".join(str(cell.method.fit_seed) for cell in group),
        space=record.space or first.method.space,
        seed=suite.seed,
        # Of the cells and fits behind it, unless the record is itself a time.
        seconds=sum(cell.seconds + cell.fit_seconds for cell in group) if record.seconds is None else record.seconds,
        peak_mb=max(cell.peak_mb for cell in group),
        device=bench.device.type,
        code_version=code_version(),
    )


def breakdown(result: RunResult) -> list[tuple[str, float, float]]:
    """(part, seconds, share of the whole) of a run, the largest first; what no clock measured is 'other'."""
    clock = Clock()
    clock.merge(result.seconds)
    clock.seconds["other"] = max(0.0, result.total_seconds - sum(clock.seconds.values()))
    parts = sorted(clock.seconds.items(), key=lambda item: -item[1])
    return [(part, seconds, seconds / max(result.total_seconds, 1e-9)) for part, seconds in parts]
