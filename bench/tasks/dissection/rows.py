"""The numbers of one (generator, method, variant), each with its bootstrap rows: what units match and cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.records import Record
from bench.tasks.base import CellResult, Cells, Measured
from bench.tasks.dissection import quantities as q
from bench.tasks.dissection.protocol import CELLS, LEAST_CODES, LEAST_IOU, DissectionSettings
from bench.tasks.editing.resample import joined, readable_mean, unreached_value
from bench.tasks.numbers import Quantity, ends_of, record_of, weights_of
from metrics.unit_streams import iou_of

POINT = "summary"


def measured(settings: DissectionSettings, cells: Cells, seed: int) -> Iterator[Measured]:
    """All numbers of one (generator, method, variant), those of the wanted metrics."""
    for one in Rows(settings, cells, seed).all() if cells else ():
        if settings.metrics is None or one.record.metric in settings.metrics:
            yield one


class Fit:
    """What one fit left: rows [R] of everything, row 0 the point. weights: [R, n] of test codes."""

    def __init__(self, result: CellResult, weights: np.ndarray) -> None:
        self.result, self.weights = result, weights
        self.regions, self.areas = list(result.facts["regions"]), result.arrays["plain/areas"]
        self.layers: list[str] = result.facts["layers"]

    def part(self, concept: str, name: str) -> np.ndarray | None:
        return self.result.arrays.get(f"{concept}/{name}")

    def removed(self, concept: str, name: str) -> np.ndarray:
        """Share of the concept's area that is gone: 'off' by the method's units, 'random' by random ones."""
        region, after = self.regions.index(concept), self.part(concept, name)
        after = after[:, region] if after.ndim == 2 else after
        return 1 - (self.weights @ after) / (self.weights @ self.areas[:, region])

    def specificity(self, concept: str) -> np.ndarray:
        """Share of the changed pixels that were the concept; the worst where none changed."""
        changed = self.weights @ self.part(concept, "changed")
        of = self.weights @ self.part(concept, "changed_of")
        return np.divide(of, changed, out=np.full(len(changed), unreached_value(q.SPECIFICITY)), where=changed > 0)

    def change(self, concept: str, other: str) -> np.ndarray:
        """Change of another class's area by ablation, over its mean area; NaN where there is none."""
        column = self.regions.index(other)
        before, after = self.weights @ self.areas[:, column], self.weights @ self.part(concept, "off")[:, column]
        return np.divide(after - before, before, out=np.full(len(before), np.nan), where=before > 0)

    def insertion(self, concept: str) -> np.ndarray:
        """Area added in pictures that lack the concept over the mean area of those that have it."""
        area, lacks = self.areas[:, self.regions.index(concept)], self.part(concept, "lacks")
        added = readable_mean((self.part(concept, "inserted") - area)[lacks], self.weights[:, lacks])
        return added / readable_mean(area[~lacks], self.weights[:, ~lacks])

    def added(self, concept: str, name: str) -> tuple[np.ndarray, int]:
        """Area added at one cell, in cells, and how many pictures that is of: 'at_home' of those that lack the concept."""
        values = (self.part(concept, name) - self.areas[:, self.regions.index(concept)]) * CELLS * CELLS
        if name == "at_home":
            values = np.where(self.part(concept, "lacks"), values, np.nan)
        return readable_mean(values, self.weights), int((~np.isnan(values)).sum())

    def contexts(self, concept: str) -> list[str]:
        start = f"{concept}/at/"
        return [name.removeprefix(start) for name in self.result.arrays if name.startswith(start)]

    def named(self, concept: str) -> np.ndarray:
        """The units of the fit's layer that it says match a concept."""
        known = list(self.result.facts["named"])
        labels = np.array(self.result.facts["labels"][self.result.facts["layer"]])
        return np.flatnonzero(labels == known.index(concept)) if concept in known else np.zeros(0, np.int64)

    def iou(self, layer: str, units: np.ndarray | slice, *, point: bool = False) -> np.ndarray:
        """IoU [R, U, C] of some units of a layer with all classes on test codes; point: its first row alone."""
        number, weights = self.layers.index(layer), self.weights[:1] if point else self.weights
        counts = {name: self.result.arrays[f"layer{number}/{name}"].astype(np.float64) for name in ("shared", "on", "area")}
        shared = np.tensordot(weights, counts["shared"][:, units], axes=1)
        return iou_of(shared, weights @ counts["on"][:, units], weights @ counts["area"])


class Rows:
    """Makes records and rows. cells: one per fit."""

    def __init__(self, settings: DissectionSettings, cells: Cells, seed: int) -> None:
        self.seed = seed
        ids = cells[0][1].arrays["ids"]
        weights = weights_of(ids, settings.replicates, seed)
        self.fits = [Fit(result, weights) for _, result in cells]
        self.facts, self.n = cells[0][1].facts, len(ids)
        self.over = "codes" if len(cells) == 1 else "codes+fits"

    def all(self) -> Iterator[Measured]:
        for concept in self.facts["concepts"]:
            lost = [one.result.facts["questions"][concept] for one in self.fits]
            reasons = [one["reason"] for one in lost if one["status"] != "ok"]
            if reasons:
                for one in q.HEADLINES:
                    yield self._skipped(one, reasons[0], target=concept, sign=_sign(one))
            else:
                yield from self._ablation(concept)
                yield from self._matching(concept)
                yield from self._insertion(concept)
        for layer in self.fits[0].layers:
            yield from self._layer(layer)

    def _ablation(self, concept: str) -> Iterator[Measured]:
        place = {"target": concept, "sign": "-"}
        off, random = (self._join([one.removed(concept, name) for one in self.fits]) for name in ("off", "random"))
        yield self._value(q.ABLATION, off - random, **place)
        rows = self._join([one.specificity(concept) for one in self.fits])
        yield self._value(q.SPECIFICITY, rows, **place, reason="switching the units off changes no class")
        yield self._value(q.REMOVED, off, **place)
        yield self._value(q.REMOVED_RANDOM, random, **place)
        for other in self.fits[0].regions:
            rows = self._join([one.change(concept, other) for one in self.fits])
            if other != concept and np.isfinite(rows[0]):
                yield self._value(q.OTHERS, rows, **place, attribute=other)

    def _matching(self, concept: str) -> Iterator[Measured]:
        named = [one.named(concept) for one in self.fits]
        if not all(len(units) for units in named):
            yield self._skipped(q.MATCHED, f"the method names no unit that matches {concept}", target=concept)
            return
        region, shares, means = self.fits[0].regions.index(concept), [], []
        for one, units in zip(self.fits, named, strict=True):
            iou = one.iou(one.result.facts["layer"], units)
            shares.append(((iou.argmax(2) == region) & (iou[:, :, region] > LEAST_IOU)).mean(1))
            means.append(iou[:, :, region].mean(1))
        yield self._value(q.MATCHED, self._join(shares), target=concept)
        yield self._value(q.IOU, self._join(means), target=concept)

    def _insertion(self, concept: str) -> Iterator[Measured]:
        place, first = {"target": concept, "sign": "+"}, self.fits[0]
        homes = None
        lacking = int(first.part(concept, "lacks").sum())
        if lacking < LEAST_CODES:
            reason = f"{lacking} of {self.n} pictures lack {concept}, fewer than {LEAST_CODES}"
            for one in (q.INSERTION, q.CONTEXT_GAP):
                yield self._skipped(one, reason, **place)
        else:
            rows = self._join([one.insertion(concept) for one in self.fits])
            yield self._value(q.INSERTION, rows, **place, n=lacking * len(self.fits))
            homes = self._join([one.added(concept, "at_home")[0] for one in self.fits])
            yield self._value(q.AT_HOME, homes, **place, n=lacking * len(self.fits))
        away = []
        for context in first.contexts(concept):
            found = [one.added(concept, f"at/{context}") for one in self.fits]
            away.append(self._join([rows for rows, _ in found]))
            yield self._value(q.AT_PLACE, away[-1], **place, attribute=context, n=sum(n for _, n in found))
        if homes is not None and away:
            yield self._value(q.CONTEXT_GAP, homes - np.mean(away, 0), **place, n=lacking * len(self.fits))

    def _layer(self, layer: str) -> Iterator[Measured]:
        """What the judge finds in a layer, whatever the method says: of the generator, and so of the first fit alone."""
        iou = self.fits[0].iou(layer, slice(None), point=True)[0]
        best, size = iou.argmax(1), iou.max(1)
        matched = best[size > LEAST_IOU]
        place = {"attribute": layer, "point": POINT, "n": self.n}
        yield Measured(self._record(q.INTERPRETABLE, value=float(len(matched)), **place))
        yield Measured(self._record(q.CLASSES, value=float(len(np.unique(matched))), **place))

    # Records.

    def _join(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        return joined(list(parts), self.seed)

    def _record(self, one: Quantity, **fields: Any) -> Record:
        return record_of(one, {}, self.facts["judge"], **{"headline": one.headline, "point": POINT, **fields})

    def _skipped(self, one: Quantity, reason: str, **fields: Any) -> Measured:
        return Measured(self._record(one, status="skipped", reason=reason, **fields))

    def _value(self, one: Quantity, rows: np.ndarray, *, reason: str = "", **fields: Any) -> Measured:
        """A record of rows [R] with its interval, expanded for few samples; unreached where the point is not finite."""
        fields = {"n": self.n * len(self.fits), **fields}
        if not np.isfinite(rows[0]):
            fields |= {"status": "unreached", "reason": reason or "nothing to measure"}
            return Measured(self._record(one, **fields), rows)
        ends = ends_of(rows, fields["n"] // len(self.fits), self.over)
        return Measured(self._record(one, value=float(rows[0]), **ends, **fields), rows)


def _sign(one: Quantity) -> str:
    return "" if one == q.MATCHED else "-"
