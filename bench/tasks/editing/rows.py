"""Records of one (generator, method, variant): along the grid, at equal judged effect, and in summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.records import Record
from bench.tasks.base import Cells, Measured
from bench.tasks.editing.protocol import EditingSettings, key_of, point_name, targets_of
from bench.tasks.editing.quantities import (
    CHANGE,
    CONFIDENCE,
    CURVES,
    DEPENDENCY,
    GUIDE_CALLS,
    IDENTITY,
    LEAKAGE,
    MONOTONICITY,
    ORDER,
    REACH,
    REALISM,
    REVERSIBILITY,
    SECONDS,
    Quantity,
)
from bench.tasks.editing.summary import Asked, questions
from bench.tasks.numbers import ends_of, record_of

HEADLINES = (LEAKAGE, IDENTITY, REALISM, REACH)


def measured(settings: EditingSettings, cells: Cells, seed: int) -> Iterator[Measured]:
    """All numbers of one (generator, method, variant), those of the wanted metrics."""
    for one in Rows(settings, cells, seed).all() if cells else ():
        if settings.metrics is None or one.record.metric in settings.metrics:
            yield one


class Rows:
    """Makes the records. cells: one per fit."""

    def __init__(self, settings: EditingSettings, cells: Cells, seed: int) -> None:
        self.settings, self.cells = settings, cells
        self.facts = cells[0][1].facts
        self.names = list(self.facts["attributes"])
        self.over = "codes" if len(cells) == 1 else "codes+fits"
        self.asked = questions(settings, cells, seed)
        self.codes = min((fit.n for asked in self.asked for fit in asked.measured), default=0)

    def all(self) -> Iterator[Measured]:
        for asked in self.asked:
            if asked.status == "skipped":
                yield from self._skipped(asked)
                continue
            yield from self._grid(asked)
            for level in self.settings.effects:
                yield from self._effect(asked, level)
            yield from self._whole(asked)
        yield from self._summary()

    def _record(self, one: Quantity, judge: Sequence[str] | None = None, **fields: Any) -> Record:
        """A record of a quantity; judge: (name, fingerprint) where it is not the judge of the quantity's reading."""
        return record_of(one, self.facts["judges"], judge, **fields)

    def _value(self, one: Quantity, rows: np.ndarray, **fields: Any) -> Measured:
        """A record of rows [R] (the point, then the replicates), with its interval.

        Replicates that do not reach the effect are in it as the worst, so that an end may be infinite; of a quantity that has no
        worst it is over the replicates that do. Where the point itself is infinite or NaN there is no value. With few codes the
        interval is widened to hold its 95 % (metrics.replicates.small_sample_level).
        """
        if not np.isfinite(rows[0]):
            reason = fields.pop("reason", "") or "no sample could be read"
            return Measured(self._record(one, **{"status": "unreached", **fields, "reason": reason}), rows)
        fields.pop("reason", None)
        ends = ends_of(rows, min(fields["n"] // len(self.cells), self.codes), self.over)
        return Measured(self._record(one, value=float(rows[0]), **ends, **fields), rows)

    def _skipped(self, asked: Asked) -> Iterator[Measured]:
        point = point_name(self.settings.headline_effect)
        for one in HEADLINES:
            where = "summary" if one == REACH else point
            place = {"target": asked.target, "sign": asked.sign, "point": where, "headline": True}
            yield Measured(self._record(one, **place, status="skipped", reason=asked.reason))

    def _grid(self, asked: Asked) -> Iterator[Measured]:
        """Every curve at every strength. Over several fits strength j is the mean of their j-th: each fit has its own unit."""
        fits = asked.measured
        if not fits or len(fits) < len(asked.fits):
            return
        for step in range(1, len(fits[0].samples.strengths)):
            strength = float(np.mean([fit.samples.strengths[step] for fit in fits]))
            place = {"target": asked.target, "sign": asked.sign, "point": "grid", "strength": strength, "n": asked.n}
            for one in CURVES:
                if asked.available(one):
                    failed = sum(int(fit.failed(one)[step]) for fit in fits)
                    rows = asked.join([fit.curve(one)[:, step] for fit in fits], float("nan"))
                    yield self._value(one, rows, n_failed=failed, **{**place, "n": sum(fit.count(one) for fit in fits)})

    def _effect(self, asked: Asked, level: float) -> Iterator[Measured]:
        """Every quantity at one judged effect, the rows of the signed re-scoring matrix among them."""
        fits, missing = asked.measured, float("nan")
        strengths = asked.join([fit and fit.strength(level) for fit in asked.fits], missing)
        headline = level == self.settings.headline_effect
        place = {"target": asked.target, "sign": asked.sign, "point": point_name(level), "n": asked.n}
        place |= {"strength": None if np.isnan(strengths[0]) else float(strengths[0]), "reason": self._why(asked, level)}
        for one in CURVES:
            if asked.available(one):
                rows = asked.headline(one, level)
                failed = sum(int(fit.failed(one).max()) for fit in fits)
                mine = {**place, "n": sum(fit.count(one) for fit in fits)}
                yield self._value(one, rows, headline=headline and one.headline, n_failed=failed, **mine)
        failed = sum(int(np.isnan(fit.samples.change).any(2).sum(0).max()) for fit in fits)
        for column, name in enumerate(self.names):
            rows = asked.join([fit and fit.read_change(column, level) for fit in asked.fits], missing)
            yield self._value(CHANGE, rows, attribute=name, n_failed=failed, **place)
        if fits and len(self.names) > len(targets_of(asked.target)):
            found = [fit.dependency(level) for fit in fits]
            rows = asked.join([rows for rows, _ in found], missing)
            why = f"no sample changes by {level:g} sigma within the plausible range"
            yield self._value(DEPENDENCY, rows, **{**place, "n_failed": sum(count for _, count in found), "reason": why})

    def _why(self, asked: Asked, level: float) -> str:
        """Why the level is not reached, where it is not."""
        if not asked.measured:
            return asked.reason
        most = [float(fit.rising[0].max()) for fit in asked.measured]
        short = sum(one < level for one in most) + len(asked.fits) - len(most)
        of = f" in {short} of {len(asked.fits)} fits" if len(asked.fits) > 1 else ""
        return f"the mean judged effect within the plausible range ends at {min(most):.2f} sigma{of}"

    def _whole(self, asked: Asked) -> Iterator[Measured]:
        """What a question has once: reach, monotonicity, the assignment and the time of an edit."""
        place = {"target": asked.target, "sign": asked.sign, "point": "summary", "n": asked.n}
        fits = asked.measured
        failed = sum(int(fit.failed(CURVES[0]).max()) for fit in fits)
        yield self._value(REACH, asked.headline(REACH, 0.0), headline=True, n_failed=failed, **place)
        if fits:
            found = [fit.monotonicity() for fit in fits]
            rows = asked.join([rows for rows, _ in found], float("nan"))
            yield self._value(MONOTONICITY, rows, **place, n_failed=sum(count for _, count in found))
        for one, kind in ((REVERSIBILITY, "undone"), (ORDER, "order")):
            yield from self._ratio(asked, one, kind)
        # Time differs from run to run: it stands in the column for that and nowhere else.
        seconds = [result.facts["seconds"].get(f"{asked.target}/{asked.sign}") for _, result in self.cells]
        if fits and None not in seconds:
            yield Measured(self._record(SECONDS, **place, seconds=float(np.mean(seconds))))
        calls = [result.facts.get("guide_calls", {}).get(f"{asked.target}/{asked.sign}") for _, result in self.cells]
        if fits and None not in calls:
            yield Measured(self._record(GUIDE_CALLS, **place, value=float(np.mean(calls))))

    def _ratio(self, asked: Asked, one: Quantity, kind: str) -> Iterator[Measured]:
        """What is left of an edit when it is undone, or when the order is turned round; says where that holds by construction."""
        fits = asked.measured
        pairs = [getattr(fit.samples, kind) for fit in fits]
        if not fits or any(part is None for part in pairs):
            return
        found = [fit.ratio(part) for fit, part in zip(fits, pairs, strict=True)]
        rows = asked.join([rows for rows, _ in found], float("nan"))
        place = {"target": asked.target, "sign": asked.sign, "point": "summary", "n": sum(map(len, pairs))}
        record, rows = self._value(one, rows, n_failed=sum(count for _, count in found), **place)
        remarks = {result.facts["questions"][key_of(asked.target, asked.sign)].get(kind, "") for _, result in self.cells}
        yield Measured(replace(record, reason=record.reason or "; ".join(sorted(remarks - {""}))), rows)

    def _summary(self) -> Iterator[Measured]:
        """The mean of every headline over all (target, sign) that were asked, and how sure the assignment of components is."""
        asked = [one for one in self.asked if one.status != "skipped"]
        for one in HEADLINES:
            if one.reading in self.facts["no_judge"]:
                why = self.facts["no_judge"][one.reading]
                yield Measured(self._record(one, headline=True, point="summary", status="skipped", reason=why))
                continue
            mine = [each for each in asked if one == REACH or each.available(one)]
            if not mine:
                continue
            rows = np.stack([each.headline(one, self.settings.headline_effect) for each in mine])
            lost = int((~np.isfinite(rows[:, 0])).sum())
            why = f"{lost} of {len(mine)} (target, sign) do not reach {self.settings.headline_effect:g} sigma"
            yield self._value(one, rows.mean(0), headline=True, point="summary", n=sum(each.n for each in mine), reason=why)
        for target in self.settings.targets:
            found = [result.facts["assignment"].get("targets", {}).get(target) for _, result in self.cells]
            if found and None not in found:
                parts = [f"component {f['component']} ({f['confidence']:.2f}), runner-up {_runner_up(f)}" for f in found]
                value = float(np.mean([f["confidence"] for f in found]))
                where = {"target": target, "point": "summary", "n": len(found), "reason": "; ".join(parts)}
                yield Measured(self._record(CONFIDENCE, self.facts["guide"], value=value, **where))


def _runner_up(found: dict[str, Any]) -> str:
    return "none" if found["runner_up"] is None else f"{found['runner_up']} ({found['runner_up_confidence']:.2f})"
