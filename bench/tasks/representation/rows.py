"""Records of one (generator, method, variant) with their replicates, from the arrays and facts that its cells left.

What is resampled: blocks for everything that is measured against factors, pairs of codes for path lengths, codes for the Hessian
penalty; each with weights that all spaces and methods share, so that rows subtract as paired differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.stats import norm, t

from bench.records import Record
from bench.streams import stream_seed
from bench.tasks.base import CellResult, Cells, Measured
from bench.tasks.representation.protocol import (
    CHANNELS,
    END,
    ENTROPY,
    FULL,
    HESSIAN,
    PER_ATTRIBUTE,
    PICTURES,
    SEPARABILITY,
    TRUE,
    Quantity,
    RepresentationSettings,
    factor_quantities,
)
from metrics.disentanglement import filtered_mean
from metrics.statistics import bootstrap_replicates, bootstrap_weights, fit_weights, interval, over_fits, weighted_mean

LEVEL = 0.95


def widening(n: int, level: float = LEVEL) -> float:
    """By what deviations of replicates from their point are to be multiplied, so that percentiles over n values hold `level`.

    Weighted means of n values vary by (n - 1) / (n + 1) of what means do (exponential weights), and percentiles take a normal
    distribution for Student's. The same two corrections as metrics.statistics.small_sample_level, made in the replicates and not
    in the level, so that whoever compares rows has them too. With 8 normal values 94 % of 95 % intervals cover (1,500
    simulations) and a test at 0.0083, as Holm asks of six pairs, is wrong 0.011 of the time; with 12 as with 8.
    """
    return float(t.ppf((1 + level) / 2, n - 1) / norm.ppf((1 + level) / 2) * np.sqrt((n + 1) / (n - 1)))


def mean_rows(values: np.ndarray, replicates: int, seed: int) -> np.ndarray:
    """The mean of values [n, ...], one a block or code, and its replicates: [1 + B, ...], widened."""
    values = np.asarray(values, np.float64)
    point = values.mean(0)
    drawn = weighted_mean(values, bootstrap_weights(np.arange(len(values)), replicates, seed))
    return np.concatenate([point[None], point + widening(len(values)) * (drawn - point)])


def path_rows(distances: np.ndarray, replicates: int, seed: int) -> np.ndarray:
    """The path length of distances [P], between their 1st and 99th percentile, and its replicates: [1 + B]."""
    drawn = bootstrap_replicates(filtered_mean, np.asarray(distances, np.float64), seed=seed, replicates=replicates)
    return np.concatenate([[filtered_mean(distances)], drawn])


def measured_of(settings: RepresentationSettings, cells: Cells, seed: int) -> Iterator[Measured]:
    """Every number, in the order of the results; the summaries of a target before its attributes."""
    if not cells:
        return
    rows = Rows(settings, cells, seed)
    yield from rows.channels()
    for target in settings.factors:
        yield from rows.target(target)
    yield from rows.pictures()


class Rows:
    """Makes the rows. cells: one per fit."""

    def __init__(self, settings: RepresentationSettings, cells: Cells, seed: int) -> None:
        self.settings, self.cells, self.seed = settings, cells, seed
        self.facts = cells[0][1].facts
        self.fits = "" if len(cells) == 1 else "+fits"

    def channels(self) -> Iterator[Measured]:
        """How many channels the representation has that ever change."""
        all_, active = self.facts["channels"]
        why = f"{all_ - active} of {all_} channels never change and are left out" if active < all_ else ""
        yield Measured(Record(point="summary", metric=CHANNELS, value=float(active), n=self.settings.samples, reason=why))

    def target(self, target: str) -> Iterator[Measured]:
        """Everything against the factors as judged, or as true."""
        facts = self.facts["factors"][target]
        quantities = [*factor_quantities(self.settings.regressor), SEPARABILITY]
        if facts["reason"]:
            for one in quantities:
                if one.headline:
                    yield Measured(self._record(one, target, status="skipped", reason=facts["reason"]))
            return
        place = {"n": facts["n"] * len(self.cells), "n_failed": facts["n_failed"] * len(self.cells)}
        left_out = "; ".join(f"{name} is left out: {why}" for name, why in sorted(facts["left_out"].items()))
        for one in quantities:
            yield self._value(one, target, self._blocks(target, one, _summary(one)), reason=left_out, **place)
        by_attribute = [*(one for one in quantities if one.key in PER_ATTRIBUTE), ENTROPY]
        for column, name in enumerate(facts["names"]):
            for one in by_attribute:
                rows = self._blocks(target, one, lambda values, column=column: values[:, column])
                yield self._value(one, target, rows, attribute=name, headline=False, **place)

    def pictures(self) -> Iterator[Measured]:
        """Path lengths and the Hessian penalty."""
        for one in (FULL, END, HESSIAN):
            reason = self.facts["paths"].get(one.key, "")
            if reason:
                yield Measured(self._record(one, PICTURES, status="skipped", reason=reason))
                continue
            seed = stream_seed("representation", one is HESSIAN, self.seed) % 2**32
            make = mean_rows if one is HESSIAN else path_rows
            rows = self._joined(lambda r, one=one, make=make, seed=seed: make(_array(r, PICTURES, one), self._count, seed))
            n = sum(len(_array(result, PICTURES, one)) for _, result in self.cells)
            yield self._value(one, PICTURES, rows, n=n)

    @property
    def _count(self) -> int:
        return self.settings.replicates

    def _blocks(self, target: str, one: Quantity, read: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Rows [1 + B] of what `read` takes from a cell's blocks. A separability is the exp of a mean over blocks: it is a
        product over attributes, and as a mean of products one bad block would speak for all."""
        seed = stream_seed("representation-blocks", self.seed) % 2**32

        def rows(result: CellResult) -> np.ndarray:
            made = mean_rows(read(_array(result, target, one)), self._count, seed)
            return np.clip(np.exp(made) if one is SEPARABILITY else made, *one.ends)

        return self._joined(rows)

    def _joined(self, rows: Callable[[CellResult], np.ndarray]) -> np.ndarray:
        """The mean over fits: the point over all of them, a replicate over fits drawn with replacement."""
        each = np.stack([rows(result) for _, result in self.cells])
        if len(each) == 1:
            return each[0]
        return np.concatenate([[each[:, 0].mean()], over_fits(each[:, 1:], fit_weights(len(each), self._count, self.seed))])

    def _over(self, target: str, one: Quantity) -> str:
        what = "blocks" if target != PICTURES else "codes" if one is HESSIAN else "pairs"
        return what + self.fits

    def _record(self, one: Quantity, target: str, **fields: Any) -> Record:
        named = {"metric": one.name, "metric_version": one.version, "unit": one.unit, "higher_is_better": one.higher_is_better}
        judge = None if fields.get("status") == "skipped" else self._judge(target, one)
        named |= {"judge": judge[0], "judge_sha": judge[1]} if judge else {}
        return Record(**{**named, "target": target, "point": "summary", "headline": one.headline, **fields})

    def _judge(self, target: str, one: Quantity) -> tuple[str, str] | None:
        """Who read the factors or the distance: a judge, the generator itself (true factors), nobody (pixels)."""
        if target == TRUE:
            return f"factors[{self.facts['generator'][0]}]", self.facts["generator"][1]
        reading = "attributes" if target != PICTURES else "" if one is HESSIAN else "perceptual"
        found = self.facts["judges"].get(reading)
        return (f"{reading}[{found[0]}]", found[1]) if found else None

    def _value(self, one: Quantity, target: str, rows: np.ndarray, **fields: Any) -> Measured:
        low, high = interval(rows[1:], LEVEL)
        ends = {"value": float(rows[0]), "ci_low": float(low), "ci_high": float(high), "ci_over": self._over(target, one)}
        return Measured(self._record(one, target, **ends, **fields), rows)


def _summary(one: Quantity) -> Callable[[np.ndarray], np.ndarray]:
    """One number a block from its array: itself, the mean over attributes, or for separability their sum."""
    if one is SEPARABILITY:
        return lambda values: values.sum(1)
    return (lambda values: values.mean(1)) if one.key in PER_ATTRIBUTE else (lambda values: values)


def _array(result: CellResult, target: str, one: Quantity) -> np.ndarray:
    return result.arrays[f"{target}/{one.key}"]
