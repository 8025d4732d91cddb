"""What a results folder has to say to a claim: any metric of any entry, by question, with its replicates where there are some."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bench.records import Record
from leaderboards.claims.fits import of_fits
from leaderboards.claims.model import CHANGE_OF, FIT
from leaderboards.claims.values import NOTHING, Values
from leaderboards.claims.verdicts import Asked
from leaderboards.folder import Cell, Results
from leaderboards.headlines import Readings, change_readings, readings
from leaderboards.ranking import Entry, Reading
from leaderboards.tasks import settings_of, task_of
from leaderboards.vocabulary import CHANGE, entry
from metrics.statistics import worst_value


def is_metric(name: str, wanted: str) -> bool:
    """'dci_disentanglement[lasso]' is 'dci_disentanglement'; what stands in brackets is the protocol's."""
    return name == wanted or name.startswith(f"{wanted}[")


@dataclass
class Source:
    """Reads a folder once. known: headline readings that the caller has already, by (task, generator)."""

    results: Results
    known: dict[tuple[str, str], Readings] = field(default_factory=dict)
    _rest: dict[tuple[str, str, Entry], dict[str, Values]] = field(default_factory=dict)

    def cells(self, task: str, generator: str) -> dict[Entry, list[Cell]]:
        """Cells that went well, one a fit; of the pseudo-task 'fit' those of whichever task an entry took part in first."""
        if task != FIT:
            return self.results.groups(task, generator) if task in self.results.tasks else {}
        found: dict[Entry, list[Cell]] = {}
        for one in self.results.tasks:
            for name, group in self.results.groups(one, generator).items():
                found.setdefault(name, group)
        return found

    def cards(self, task: str, generator: str) -> dict[Entry, dict[str, Any]]:
        return {name: group[0].card for name, group in self.cells(task, generator).items()}

    def values(self, task: str, generator: str, one: Entry, metric: str) -> Values:
        """A metric of an entry; NOTHING where the folder has none of it."""
        if task == FIT:
            return of_fits(self.cells(FIT, generator)[one], metric)
        if metric.startswith(CHANGE_OF):
            return self._change(task, generator, one, metric.removeprefix(CHANGE_OF))
        headlines = self._headlines(task, generator).get(one, {})
        mine = {question[:2]: reading for question, reading in headlines.items() if is_metric(question[2], metric)}
        if mine:
            records = [r for r in self._records.get((task, generator, one), ()) if r.headline and r.target]
            name = next(q[2] for q in headlines if is_metric(q[2], metric))
            return Values(mine, {}, name, *_sources(r for r in records if r.metric == name))
        rest = self._measured(task, generator, one)
        return next((values for name, values in rest.items() if is_metric(name, metric)), NOTHING)

    @cached_property
    def _records(self) -> dict[tuple[str, str, Entry], list[Record]]:
        found: dict[tuple[str, str, Entry], list[Record]] = {}
        for record in self.results.records:
            found.setdefault((record.task, record.generator, entry(record)), []).append(record)
        return found

    def _headlines(self, task: str, generator: str) -> Readings:
        if (task, generator) not in self.known:
            self.known[task, generator] = readings(self.results, task, generator)
        return self.known[task, generator]

    def _change(self, task: str, generator: str, one: Entry, attribute: str) -> Values:
        judged = self.cells(task, generator)[one][0].facts.get("attributes", ())
        found = change_readings(self.results, task, generator, one, attribute) if attribute in judged else {}
        records = [r for r in self._records.get((task, generator, one), ()) if r.metric == CHANGE and r.attribute == attribute]
        mine = {question[:2]: reading for question, reading in found.items()}
        return Values(mine, {}, f"{CHANGE_OF}{attribute}", *_sources(r for r in records if r.target)) if mine else NOTHING

    def _measured(self, task: str, generator: str, one: Entry) -> dict[str, Values]:
        """Everything that the task reads of an entry where its headlines are read, by metric; computed once."""
        place, known = (task, generator, one), task_of(task)
        if place in self._rest or known is None:
            return self._rest.get(place, {})
        points = {r.point for r in self._records.get(place, ()) if r.headline}
        pairs = [cell.parts() for cell in self.cells(task, generator)[one]]
        made: dict[str, dict[Asked, Reading]] = {}
        times: dict[str, dict[Asked, tuple[float, ...]]] = {}
        records: dict[str, list[Record]] = {}
        for record, rows in known.measured(settings_of(self.results, task), pairs, self.results.run["suite"]["seed"]):
            if record.point not in points or record.attribute or not record.target or record.status not in ("ok", "unreached"):
                continue
            records.setdefault(record.metric, []).append(record)
            asked = (record.target, record.sign)
            if rows is not None:
                reading = _reading(rows, record.higher_is_better)
                if reading is not None:
                    made.setdefault(record.metric, {})[asked] = reading
            elif record.value is None and record.seconds is not None:
                times.setdefault(record.metric, {})[asked] = (record.seconds,)
        self._rest[place] = {
            name: Values(made.get(name, {}), times.get(name, {}), name, *_sources(records[name]), seconds=name in times)
            for name in {**made, **times}
        }
        return self._rest[place]


def _reading(rows: np.ndarray, higher_is_better: bool | None) -> Reading | None:
    """Rows [1 + B] as a reading without NaN: the worst there is, as in rankings; where nothing is better or worse, the point."""
    value = float(rows[0])
    if higher_is_better is None:
        if np.isnan(value):
            return None
        return Reading(value, np.where(np.isnan(rows[1:]), value, rows[1:]), True)
    worst = worst_value(higher_is_better)
    return Reading(worst if np.isnan(value) else value, np.where(np.isnan(rows[1:]), worst, rows[1:]), higher_is_better)


def _sources(records: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Judges and sample sizes of records."""
    mine = list(records)
    return tuple(sorted({r.judge for r in mine if r.judge})), tuple(sorted({r.n for r in mine if r.n and r.status == "ok"}))
