"""The workbench of one process: it loads what a suite names, makes fits and measures cells, and keeps both in the store."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from torch import Tensor

from bench.bank import FitBank, fit_stream_seed
from bench.catalogue import Catalogue, Place
from bench.clock import Clock
from bench.costs import costed_fit
from bench.digest import CodeDigests
from bench.environment import arithmetic, peak_mb, reset_peak, use_device
from bench.errors import LatentbenchError, UnsupportedError
from bench.passes import Passes
from bench.progress import Progress, Silent
from bench.records import Status
from bench.registry import PluginError, Registry
from bench.store import Store, StoreError, key_hash
from bench.streams import stream_seed
from bench.suite import Suite
from bench.tasks.base import CellContext, CellResult, MethodCard

# Modules whose code every network pass goes through.
ENGINE = ("bench.passes", "bench.bank")


@dataclass(frozen=True)
class Fit:
    """One fit: a generator, the number of a method in the suite, and a fit seed."""

    generator: str
    method: int
    fit_seed: int


@dataclass(frozen=True)
class Cell:
    """One cell: a fit under a task."""

    fit: Fit
    task: str


@dataclass
class Outcome:
    """What became of a fit or a cell. clock: of this run. cached: it was in the store.

    seconds, peak_mb: when it was computed; a fit's are without the scores of its bank, which fits share. guide_calls: pictures
    that guides were shown for a fit, its bank's among them.
    """

    status: Status = "ok"
    reason: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0
    guide_calls: int = 0
    cached: bool = False
    clock: dict[str, float] = field(default_factory=dict)
    result: CellResult | None = None
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


class Workbench(Catalogue):
    """Works for one suite. Goes to other processes without what it has loaded; there it says nothing of its progress."""

    def __init__(
        self,
        suite: Suite,
        registry: Registry,
        store: Store,
        *,
        device: str = "cpu",
        batch: int = 64,
        debug: bool = False,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(suite, registry, use_device(device))
        self.store, self.device_name, self.batch, self.debug = store, device, batch, debug
        self.progress = progress or Silent()
        self._code = CodeDigests()
        self._token = uuid4().hex

    def __reduce__(self) -> tuple[Any, ...]:
        return _workbench, (self._token, self.suite, self.registry, self.store, self.device_name, self.batch, self.debug)

    # Keys: everything that determines a value.

    def _key(self, place: Place, *modules: str, **parts: Any) -> dict[str, Any]:
        code = self._code.of(*sorted({*ENGINE, *place.modules, *modules}))
        return {"arithmetic": arithmetic(self.device), **place.identity, "code": code, **parts}

    @property
    def targets(self) -> tuple[str, ...]:
        """The attributes that any task of the suite asks for."""
        asked = [target for name in self.suite.tasks for target in self._targets_of(name)]
        return tuple(dict.fromkeys(asked))

    def _targets_of(self, task: str) -> tuple[str, ...]:
        try:
            return tuple(getattr(self.settings(task), "targets", ()))
        except PluginError:  # the task's own cells say so
            return ()

    def fit_key(self, fit: Fit) -> dict[str, Any]:
        method, suite = self.method(fit.method), self.suite
        return self._key(
            self.place(fit.generator),
            type(method).__module__,
            method=method.name,
            version=method.version,
            options=method.options.model_dump(mode="json"),
            targets=self.targets,
            budget=suite.budget,
            bank=[suite.bank, fit_stream_seed(suite.seed, fit.fit_seed)],
            seed=fit_seed_of(suite.seed, fit.fit_seed),
        )

    def task_key(self, task: str, generator: str) -> dict[str, Any]:
        return self._key(self.place(generator), type(self.task(task)).__module__, question=self.question(task, generator))

    def cell_key(self, cell: Cell) -> dict[str, Any]:
        card = self.card(cell.fit)
        question = self.task_key(cell.task, cell.fit.generator)
        return {"task": question, "fit": key_hash(self.fit_key(cell.fit)), "variant": card.variant, "hold": card.hold}

    def question(self, task: str, generator: str) -> dict[str, Any]:
        """Everything that defines what is asked, and nothing of the answer: what protocol_hash covers."""
        one, place = self.task(task), self.place(generator)
        protocol = one.protocol(self.settings(task), place.domain, self.suite.seed)
        return {
            "task": one.name, "version": one.version, "protocol": protocol, "seed": self.suite.seed, "bank": self.suite.bank,
            "budget": self.suite.budget,
        }  # fmt: skip

    def card(self, fit: Fit) -> MethodCard:
        """What records say of a fit's method."""
        method = self.method(fit.method)
        variant, hold = self.variant(fit.method), self.hold(fit.method)
        return MethodCard(method.name, method.version, method.approach, variant, method.space, fit.fit_seed, hold)

    # Work.

    def passes(self, place: Place, clock: Clock) -> Passes:
        guides = frozenset(place.domain.info.guides.values())
        told = self.progress.pictures
        return Passes(place.generator, batch=self.batch, clock=clock, device=self.device, guides=guides, on_pictures=told)

    def bank(self, generator: str, fit_seed: int, passes: Passes) -> FitBank:
        place, suite = self.place(generator), self.suite
        guide = place.domain.guide("attributes") if "attributes" in place.domain.info.guides else None
        key = self._key(place, size=suite.bank, seed=fit_stream_seed(suite.seed, fit_seed))

        def share(name: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
            return self.store.get_or_compute("bank", {**key, "name": name}, compute)

        def make() -> FitBank:
            return FitBank(place.generator, guide, passes, size=suite.bank, seed=suite.seed, fit_seed=fit_seed, share=share)

        bank = self.once("bank", (generator, fit_seed), make)
        bank.passes = passes  # each fit and cell has a clock of its own
        return bank

    def fit_context(self, fit: Fit, passes: Passes) -> Any:
        from methods.base import FitContext

        place = self.place(fit.generator)
        guides = {role: place.networks[name] for role, name in place.domain.info.guides.items() if name in place.networks}
        return FitContext(
            generator=place.generator,
            domain=place.domain.info,
            guides=guides,
            bank=self.bank(fit.generator, fit.fit_seed, passes),
            targets=self.targets,
            budget=self.suite.budget,
            seed=fit_seed_of(self.suite.seed, fit.fit_seed),
            folder=self.store.folder("fit", self.fit_key(fit)),
        )

    def run_fit(self, fit: Fit) -> Outcome:
        """Make a fit and keep it, or find it in the store."""
        return self._guarded(lambda clock: self._fit(fit, clock))

    def run_cell(self, cell: Cell) -> Outcome:
        """Measure a cell and keep it, or find it in the store."""
        return self._guarded(lambda clock: self._cell(cell, clock))

    def _guarded(self, work: Callable[[Clock], Outcome]) -> Outcome:
        clock, start = Clock(), time.perf_counter()
        try:
            outcome = work(clock)
        except StoreError:
            raise
        except UnsupportedError as error:
            outcome = Outcome("skipped", str(error), time.perf_counter() - start)
        # A failing fit or cell is recorded with its reason, whatever it is, and the others go on.
        except Exception as error:
            if self.debug:
                traceback.print_exc()
            kind = "" if isinstance(error, LatentbenchError) else f"{type(error).__name__}: "
            outcome = Outcome("error", " ".join(f"{kind}{error}".split()), time.perf_counter() - start)
        outcome.clock = dict(clock.seconds)
        return outcome

    def _fit(self, fit: Fit, clock: Clock) -> Outcome:
        key = self.fit_key(fit)
        entry, cached = self.store.get("fit", key), True
        if entry is None:
            cached = False
            context = self.fit_context(fit, self.passes(self.place(fit.generator), clock))
            reset_peak()
            with clock.measure("fit"):
                state, cost = costed_fit(self.method(fit.method), context)
            meta = {"seconds": cost.seconds, "guide_calls": cost.guide_calls, "peak_mb": peak_mb()}
            entry = self.store.put("fit", key, state, meta)
        return Outcome(cached=cached, **{name: entry.meta[name] for name in ("seconds", "peak_mb", "guide_calls")})

    def _cell(self, cell: Cell, clock: Clock) -> Outcome:
        key = self.cell_key(cell)
        entry, cached = self.store.get("cell", key), True
        if entry is None:
            cached = False
            reset_peak()
            start = time.perf_counter()
            result, tables = self._measure(cell, clock)
            arrays = {f"array/{name}": value for name, value in result.arrays.items()}
            arrays |= {f"picture/{name}": value for name, value in result.pictures.items()}
            cost = {"seconds": time.perf_counter() - start, "peak_mb": peak_mb()}
            entry = self.store.put("cell", key, arrays, {"facts": result.facts, "tables": tables, **cost})
        result = _cell_result(entry.tensors, entry.meta["facts"])
        meta = entry.meta
        return Outcome(seconds=meta["seconds"], peak_mb=meta["peak_mb"], cached=cached, result=result, tables=meta["tables"])

    def _measure(self, cell: Cell, clock: Clock) -> tuple[CellResult, dict[str, Any]]:
        fit, place, suite = cell.fit, self.place(cell.fit.generator), self.suite
        entry = self.store.get("fit", self.fit_key(fit))
        if entry is None:  # lost or damaged since it was made
            self._fit(fit, clock)
            entry = self.store.get("fit", self.fit_key(fit))
        passes = self.passes(place, clock)
        context = self.fit_context(fit, passes)
        # Restored even where the fit was made just now, so that a resumed run measures the very same thing.
        fitted = self.method(fit.method).restore(context, entry.tensors if entry else {})
        key = self.task_key(cell.task, fit.generator)

        def share(name: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
            kept = lambda: self.store.get_or_compute("share", {"task": key, "name": name}, compute)  # noqa: E731
            return self.once("share", (cell.task, fit.generator, name), kept)

        card = self.card(fit)
        result = self.task(cell.task).run(
            CellContext(
                generator=place.generator,
                domain=place.domain,
                method=card,
                fitted=fitted,
                bank=context.bank,
                settings=self.settings(cell.task),
                seed=suite.seed,
                passes=passes,
                share=share,
                progress=self.progress.step,
            )
        )
        return result, fitted.tables


def fit_seed_of(seed: int, fit_seed: int) -> int:
    """The integer seed, below 2^32, that a method's fit sees."""
    return stream_seed("method", seed, fit_seed) % 2**32


def _cell_result(tensors: Mapping[str, Tensor], facts: dict[str, Any]) -> CellResult:
    parts: dict[str, dict[str, Any]] = {"array": {}, "picture": {}}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        parts[kind][rest] = tensor.numpy()
    return CellResult(parts["array"], facts, parts["picture"])


# The last workbench that came to this process, by its token: the jobs of one run share what it has loaded.
_came: dict[str, Workbench] = {}


def _workbench(token: str, suite: Suite, registry: Registry, store: Store, device: str, batch: int, debug: bool) -> Workbench:
    """The workbench in another process, made when the first of its jobs comes."""
    if token not in _came:
        _came.clear()
        _came[token] = Workbench(suite, registry, store, device=device, batch=batch, debug=debug)
    return _came[token]
