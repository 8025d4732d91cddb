"""The numbers of one (generator, method, variant), each with its bootstrap rows: what was asked, variety, realism, the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from bench.records import Record
from bench.tasks.base import CellResult, Cells, Measured
from bench.tasks.editing.protocol import SIGNS, key_of
from bench.tasks.editing.resample import joined, readable_mean, unreached_value
from bench.tasks.numbers import Quantity, ends_of, record_of, weights_of
from bench.tasks.sampling import quantities as q
from bench.tasks.sampling.arithmetic import has_asked, mean_distance, mean_square, wilson_interval
from bench.tasks.sampling.protocol import SamplingSettings, needed_share
from metrics.distribution import kid_difference_failed

POINT = "summary"


def measured(settings: SamplingSettings, cells: Cells, seed: int) -> Iterator[Measured]:
    """All numbers of one (generator, method, variant), those of the wanted metrics."""
    for one in Rows(settings, cells, seed).all() if cells else ():
        if settings.metrics is None or one.record.metric in settings.metrics:
            yield one


class Question:
    """One (target, sign) of one fit: rows [R] of everything that is measured of it."""

    def __init__(self, result: CellResult, target: str, sign: str, weights: np.ndarray, replicates: int, seed: int) -> None:
        self.result, self.weights, self.way = result, weights, SIGNS[sign]
        self.part = {name: result.arrays[f"{key_of(target, sign)}/{name}"] for name in self._names(target, sign)}
        names = list(result.facts["attributes"])
        self.column, self.binary = names.index(target), target in result.facts["binary"]
        self.sigma, self.mean, self.median = (result.arrays[f"plain/{name}"] for name in ("sigma", "mean", "median"))
        accepted = self.part["accepted"]
        ids = result.arrays["plain/ids"][accepted]
        self.accepted_weights = weights_of(ids, replicates, seed) if len(accepted) > 1 else None

    def _names(self, target: str, sign: str) -> list[str]:
        start = f"{key_of(target, sign)}/"
        return [name.removeprefix(start) for name in self.result.arrays if name.startswith(start)]

    @property
    def n(self) -> int:
        return len(self.part["scores"])

    @property
    def failed(self) -> int:
        """Samples that the judge of attributes could not read."""
        return int((~np.isfinite(self.scores).all(1)).sum())

    @property
    def scores(self) -> np.ndarray:
        return self.part["scores"].astype(np.float64)

    def _has(self, scores: np.ndarray) -> np.ndarray:
        median, sigma = float(self.median[self.column]), float(self.sigma[self.column])
        return has_asked(scores[:, self.column], self.way, binary=self.binary, median=median, sigma=sigma)

    @cached_property
    def base(self) -> float:
        """The share of unconditioned samples that have what was asked."""
        return float(self._has(self.result.arrays["plain/scores"]).mean())

    @cached_property
    def success(self) -> np.ndarray:
        return readable_mean(self._has(self.scores).astype(np.float64), self.weights)

    def side(self) -> np.ndarray:
        """The share on the asked side of the median; an unreadable sample is on neither."""
        over = self.way * (self.scores[:, self.column] - self.median[self.column]) > 0
        return readable_mean(over.astype(np.float64), self.weights)

    @cached_property
    def shifts(self) -> np.ndarray:
        """Mean score over readable samples against that of unconditioned ones, [R, A] in sigma."""
        read = np.where(np.isfinite(self.scores).all(1, keepdims=True), self.scores, np.nan)
        return (readable_mean(read, self.weights) - self.mean) / self.sigma

    def _off_target(self, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        others = np.delete((scores - self.mean) / self.sigma, self.column, 1)
        return np.sqrt(np.maximum(mean_square(others, weights).mean(1), 0.0))

    def off_target(self) -> np.ndarray:
        """Root mean square over the other attributes of their means' shift, [R] in sigma."""
        return self._off_target(self.scores, self.weights)

    def diversity(self) -> np.ndarray:
        return mean_distance(self.part["distance"], self.weights) / float(self.result.arrays["plain/apart"])

    def realism(self) -> np.ndarray:
        arrays = self.result.arrays
        plain = arrays["plain/features"][: self.n]
        return kid_difference_failed(self.part["features"], plain, arrays["reference"], self.weights)[0]

    # What accepted samples are like: the same numbers for every method.

    def accepted_diversity(self) -> np.ndarray:
        return mean_distance(self.part["accepted_distance"], self.accepted_weights) / float(self.result.arrays["plain/apart"])

    def accepted_realism(self) -> np.ndarray:
        arrays, rows = self.result.arrays, self.part["accepted"]
        features = arrays["plain/features"]
        return kid_difference_failed(features[rows], features[: len(rows)], arrays["reference"], self.accepted_weights)[0]

    def accepted_off_target(self) -> np.ndarray:
        scores = self.result.arrays["plain/scores"][self.part["accepted"]]
        return self._off_target(scores, self.accepted_weights)

    def failed_in(self, name: str) -> int:
        """Samples whose features or distances could not be read."""
        values = self.part[name]
        rows = ~np.isfinite(values).all(1) if name == "features" else np.isnan(values).sum(1) > len(values) / 2
        return int(rows.sum())


class Rows:
    """Makes records and rows. cells: one per fit."""

    def __init__(self, settings: SamplingSettings, cells: Cells, seed: int) -> None:
        self.settings, self.seed = settings, seed
        self.results = [result for _, result in cells]
        self.facts = self.results[0].facts
        self.names = list(self.facts["attributes"])
        self.over = "codes" if len(cells) == 1 else "codes+fits"
        ids = self.results[0].arrays["ids"]
        self.weights = weights_of(ids, settings.replicates, seed)

    def all(self) -> Iterator[Measured]:
        for target in self.settings.targets:
            for sign in SIGNS:
                found = [one.facts["questions"][key_of(target, sign)] for one in self.results]
                skipped = [one["reason"] for one in found if one["status"] != "ok"]
                if skipped:
                    for one in q.QUANTITIES:
                        if one.headline:
                            yield self._skipped(one, skipped[0], target=target, sign=sign)
                else:
                    yield from self._question(target, sign)

    def _question(self, target: str, sign: str) -> Iterator[Measured]:
        fits = [Question(one, target, sign, self.weights, self.settings.replicates, self.seed) for one in self.results]
        first, place = fits[0], {"target": target, "sign": sign, "n": sum(one.n for one in fits)}
        lost = {"n_failed": sum(one.failed for one in fits)}
        success = self._join([one.success for one in fits])
        yield self._share(q.SUCCESS, success, **place, **lost)
        needed = needed_share(first.base)
        why = f"{success[0]:.0%} of the samples have what was asked; {needed:.0%} are needed, by chance {first.base:.0%} have it"
        yield from self._sampled(fits, place, success >= needed, why)
        yield self._value(q.OFF_TARGET, self._join([one.off_target() for one in fits]), **place, **lost)
        shifts = [one.shifts for one in fits]
        yield self._value(q.TARGET_SHIFT, first.way * self._join([one[:, first.column] for one in shifts]), **place, **lost)
        if not first.binary:
            yield self._share(q.SIDE, self._join([one.side() for one in fits]), **place, **lost)
        for column, name in enumerate(self.names):
            each = self._join([one[:, column] for one in shifts])
            yield self._value(q.SHIFT, each, **place, **lost, attribute=name)
        yield from self._accepted(first, target, sign)
        seconds = float(np.mean([one.facts["seconds"][key_of(target, sign)] for one in self.results]))
        yield Measured(self._record(q.SECONDS, **place, seconds=seconds))

    def _sampled(self, fits: Sequence[Question], place: dict[str, Any], reached: np.ndarray, why: str) -> Iterator[Measured]:
        """Diversity and realism, as headlines of samples that are what was asked, and as they are."""
        kinds = ((q.DIVERSITY, q.DIVERSITY_RAW, "distance", "diversity"), (q.REALISM, q.REALISM_RAW, "features", "realism"))
        for headline, raw, array, name in kinds:
            if headline.reading in self.facts["no_judge"]:
                where = {key: place[key] for key in ("target", "sign")}
                yield self._skipped(headline, self.facts["no_judge"][headline.reading], **where)
                continue
            rows = self._join([getattr(one, name)() for one in fits])
            lost = {"n_failed": sum(one.failed_in(array) for one in fits)}
            yield self._value(headline, np.where(reached, rows, unreached_value(headline)), **place, **lost, reason=why)
            yield self._value(raw, rows, **place, **lost)

    def _accepted(self, one: Question, target: str, sign: str) -> Iterator[Measured]:
        """The base rate, and what unconditioned samples are like that a judge accepts. Of the generator, not of the method."""
        plain = len(one.result.arrays["plain/scores"])
        low, high = wilson_interval(one.base, plain)
        where = {"target": target, "sign": sign, "point": POINT}
        ends = {"ci_low": low, "ci_high": high, "ci_over": "codes"}
        yield Measured(self._record(q.BASE, **where, value=one.base, n=plain, **ends))
        accepted = len(one.part["accepted"])
        if one.accepted_weights is None:
            return
        rows = {q.ACCEPTED_OFF_TARGET: one.accepted_off_target}
        if "accepted_distance" in one.part:
            rows[q.ACCEPTED_DIVERSITY] = one.accepted_diversity
        if "features" in one.part:
            rows[q.ACCEPTED_REALISM] = one.accepted_realism
        for kind, compute in rows.items():
            yield self._value(kind, compute(), target=target, sign=sign, n=accepted, fits=1)

    # Records.

    def _join(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        return joined(list(parts), self.seed)

    def _record(self, one: Quantity, **fields: Any) -> Record:
        return record_of(one, self.facts["judges"], **{"headline": one.headline, "point": POINT, **fields})

    def _skipped(self, one: Quantity, reason: str, **fields: Any) -> Measured:
        return Measured(self._record(one, status="skipped", reason=reason, **fields))

    def _value(self, one: Quantity, rows: np.ndarray, *, fits: int = 0, reason: str = "", **fields: Any) -> Measured:
        """A record of rows [R] with its interval, expanded for few samples; unreached where the point is not finite."""
        if not np.isfinite(rows[0]):
            reason = reason or "no sample could be read"
            return Measured(self._record(one, **{**fields, "status": "unreached", "reason": reason}), rows)
        fits = fits or len(self.results)
        ends = ends_of(rows, fields["n"] // fits, self.over if fits > 1 else "codes")
        return Measured(self._record(one, value=float(rows[0]), **ends, **fields), rows)

    def _share(self, one: Quantity, rows: np.ndarray, **fields: Any) -> Measured:
        """As `_value`; where all or none of the samples are, resamples agree and Wilson's interval says how little that means."""
        record, rows = self._value(one, rows, **fields)
        if record.value in (0.0, 1.0):
            low, high = wilson_interval(record.value, fields["n"])
            fixed = {name: getattr(record, name) for name in ("value", "n", "n_failed", "target", "sign")}
            record = self._record(one, **fixed, ci_low=low, ci_high=high, ci_over=self.over)
        return Measured(record, rows)
