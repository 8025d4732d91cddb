"""The numbers of one (generator, method, variant): which names are right, and how many components have one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.records import Record
from bench.streams import stream_rng, stream_seed
from bench.tasks.base import CellResult, Cells, Measured
from bench.tasks.editing.resample import joined, readable_mean
from bench.tasks.naming import quantities as q
from bench.tasks.naming.protocol import NAMERS, TOP, NamingSettings
from bench.tasks.numbers import Quantity, record_of, weights_of
from metrics.statistics import interval, worst_value

POINT = "summary"


def measured(settings: NamingSettings, cells: Cells, seed: int) -> Iterator[Measured]:
    """All numbers of one (generator, method, variant), those of the wanted metrics."""
    for one in Rows(settings, cells, seed).all() if cells else ():
        if settings.metrics is None or one.record.metric in settings.metrics:
            yield one


def right(effects: np.ndarray, column: int, way: int, top: int = 1) -> np.ndarray:
    """Whether the attribute of this column is among the `top` that change most, and its way: effects [..., A] in sigma -> bool.

    way: the sign that its change must have, 0 for any. A change that could not be read, or is none, is not right.
    """
    size = np.abs(np.nan_to_num(effects, nan=0.0))
    own = size[..., column]
    leads = (size > own[..., None]).sum(-1) < top
    return leads & (own > 0) & ((way == 0) | (np.sign(np.nan_to_num(effects[..., column])) == way))


class Share(NamedTuple):
    """Counts in every replicate, [R] each: of what, and of how many. n: without weights."""

    part: np.ndarray
    whole: np.ndarray
    n: int


class Names:
    """The names of one kind of one fit. weights: [R, M] of test codes. drawn: [R, all components]."""

    def __init__(self, result: CellResult, kind: str, weights: np.ndarray, drawn: np.ndarray) -> None:
        self.result, self.weights, self.drawn = result, weights, drawn
        offered = list(result.facts["components"])
        self.rows = [dict(row, place=offered.index(row["component"])) for row in result.facts["names"][kind]]

    def effects(self, array: str) -> np.ndarray:
        """Mean changes under the weights of test codes, [R, K, A]."""
        return readable_mean(self.result.arrays[array].astype(np.float64).swapaxes(0, 1), self.weights)

    def hits(self, effects: np.ndarray, names: Sequence[str], *, top: int = 1, forced: bool = False) -> Share:
        """How many names are right, of those whose subject is among the names of the columns of effects."""
        part, whole, n = np.zeros(len(effects)), np.zeros(len(effects)), 0
        for k, row in self._judgeable(names, forced):
            weight = self.drawn[:, row["place"]]
            part += weight * right(effects[:, k], names.index(row["subject"]), row["way"], top)
            whole, n = whole + weight, n + 1
        return Share(part, whole, n)

    def chance(self, effects: np.ndarray, names: Sequence[str]) -> Share:
        """How many names would be right if each were given to any component."""
        part, whole, n = np.zeros(len(effects)), np.zeros(len(effects)), 0
        for _, row in self._judgeable(names, False):
            weight = self.drawn[:, row["place"]]
            part += weight * right(effects, names.index(row["subject"]), row["way"]).mean(1)
            whole, n = whole + weight, n + 1
        return Share(part, whole, n)

    def named(self) -> Share:
        """How many of all components have a name."""
        part = sum((self.drawn[:, row["place"]] for row in self.rows if row["named"]), np.zeros(len(self.drawn)))
        return Share(part, self.drawn.sum(1), self.drawn.shape[1])

    def _judgeable(self, names: Sequence[str], forced: bool) -> Iterator[tuple[int, dict[str, Any]]]:
        for k, row in enumerate(self.rows):
            if (row["named"] or forced) and row["subject"] in names:
                yield k, row


class Rows:
    """Makes records and rows. cells: one per fit. A replicate draws test codes, components and fits, the same for all methods.

    Components are drawn because a method's are few: what is said of them is meant of others like them.
    """

    def __init__(self, settings: NamingSettings, cells: Cells, seed: int) -> None:
        self.settings, self.seed = settings, seed
        self.results = [result for _, result in cells]
        self.facts = self.results[0].facts
        self.over = "codes+components" if len(cells) == 1 else "codes+components+fits"
        self.weights = weights_of(self.results[0].arrays["ids"], settings.replicates, seed)
        most = max(len(one.facts["components"]) for one in self.results)
        self.drawn = weights_of(np.arange(most), settings.replicates, stream_seed("naming-components", seed))
        halves = stream_rng("naming-halves", seed).standard_gamma(0.5, (settings.replicates, 2))
        self.halves = np.concatenate([np.zeros((1, 2)), halves])

    def all(self) -> Iterator[Measured]:
        for kind in NAMERS:
            lost = [one.facts for one in self.results if kind not in one.facts.get("names", {})]
            if lost:
                why = lost[0].get(f"no_{kind}", "")
                for one in (q.HIT, q.NAMED):
                    yield Measured(self._record(one, target=kind, headline=True, status="skipped", reason=why))
                continue
            fits = [Names(one, kind, self.weights, self.drawn[:, : len(one.facts["components"])]) for one in self.results]
            yield self._share(q.NAMED, [one.named() for one in fits], kind)
            yield from self._right(fits, kind, "judged", list(self.facts["attributes"]), q.BY_JUDGE)
            if "true" in self.results[0].arrays:
                yield from self._right(fits, kind, "true", list(self.facts["known"]), q.BY_TRUTH)

    def _right(
        self, fits: Sequence[Names], kind: str, array: str, names: list[str], kinds: Sequence[Quantity]
    ) -> Iterator[Measured]:
        hit, top, chance, forced = kinds
        effects = [one.effects(array) for one in fits]
        each = list(zip(fits, effects, strict=True))
        failed = sum(int(np.isnan(one[0]).all(1).sum()) for one in effects)
        yield self._share(hit, [one.hits(e, names) for one, e in each], kind, failed)
        yield self._share(top, [one.hits(e, names, top=TOP) for one, e in each], kind, failed)
        yield self._share(chance, [one.chance(e, names) for one, e in each], kind, failed)
        yield self._share(forced, [one.hits(e, names, forced=True) for one, e in each], kind, failed)

    def _record(self, one: Quantity, **fields: Any) -> Record:
        return record_of(one, self.facts["judges"], **{"headline": one.headline, "point": POINT, **fields})

    def _share(self, one: Quantity, shares: Sequence[Share], kind: str, failed: int = 0) -> Measured:
        """The share over fits: counts are added, so that a fit with more names counts for more.

        Where nothing is named there is no share, which is the worst. Replicates hold half a component more of either outcome, so
        that one name that is right is no certainty: under weights Exp(1) they are then draws of Beta(h + 1/2, n - h + 1/2), whose
        percentiles are Jeffreys' interval (Brown, Cai, DasGupta 2001, 'Interval Estimation for a Binomial Proportion').
        """
        part, whole = (joined([getattr(share, name) for share in shares], self.seed) for name in ("part", "whole"))
        there, n = whole > 0, sum(share.n for share in shares)
        if one.higher_is_better is not None:
            part, whole = part + self.halves[:, 0] / len(shares), whole + self.halves.sum(1) / len(shares)
        worst = float("nan") if one.higher_is_better is None else worst_value(one.higher_is_better)
        rows = np.divide(part, whole, out=np.full(len(whole), worst), where=there)
        fields = {"target": kind, "n": n, "n_failed": failed}
        if not there[0]:
            why = "no component has a name that can be judged"
            return Measured(self._record(one, **{**fields, "status": "unreached", "reason": why}), rows)
        # What has no worst (chance) is over the replicates that hold a name.
        known = rows[1:][~np.isnan(rows[1:])]
        value, (low, high) = float(rows[0]), interval(known) if len(known) else (np.inf, -np.inf)
        ends = {"ci_low": min(float(low), value), "ci_high": max(float(high), value), "ci_over": self.over}
        return Measured(self._record(one, value=value, **ends, **fields), rows)
