"""The numbers of one (generator, method, variant): for each side of a target over its prompts, and for each prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.records import Record
from bench.tasks.base import CellResult, Cells, Measured
from bench.tasks.editing.protocol import SIGNS, key_of, point_name
from bench.tasks.editing.quantities import REACH, Quantity
from bench.tasks.editing.resample import Resampled, joined, unreached_value
from bench.tasks.numbers import ends_of, record_of
from bench.tasks.text import quantities as q
from bench.tasks.text.protocol import TextSettings

SUMMARY = "summary"


def measured(settings: TextSettings, cells: Cells, seed: int) -> Iterator[Measured]:
    """All numbers of one (generator, method, variant), those of the wanted metrics."""
    for one in Rows(settings, cells, seed).all() if cells else ():
        if settings.metrics is None or one.record.metric in settings.metrics:
            yield one


class Prompt:
    """One prompt of one (target, sign) over the fits. status: ok; unreached where no fit makes a plausible step; skipped."""

    def __init__(self, settings: TextSettings, results: Sequence[CellResult], seed: int, place: tuple[str, str, int]) -> None:
        target, sign, number = place
        facts = [one.facts["prompts"][key_of(target, sign)][number] for one in results]
        self.number, self.text, self.seed, self.rows = number, facts[0]["text"], seed, settings.replicates + 1
        skipped = [one["reason"] for one in facts if one["status"] == "skipped"]
        lost = [one["reason"] for one in facts if one["status"] == "unreached"]
        self.status = "skipped" if skipped else "unreached" if len(lost) == len(facts) else "ok"
        self.reason = (skipped or lost or [""])[0]
        self.seconds = [one["seconds"] for one in facts if "seconds" in one]
        self.fits: list[Resampled | None] = []
        for result, fact in zip(results, facts, strict=True) if not skipped else ():
            ok = fact["status"] == "ok"
            samples = q.samples_of_text(result, target, sign, number, fact["edit"]) if ok else None
            self.fits.append(None if samples is None else Resampled(samples, settings.replicates, seed))

    @property
    def known(self) -> list[Resampled]:
        return [one for one in self.fits if one is not None]

    @property
    def n(self) -> int:
        return sum(one.n for one in self.known)

    def failed(self, one: Quantity) -> int:
        """Samples, at the strength where they are most, that a judge could not read."""
        return sum(int(fit.failed(one).max()) for fit in self.known if one.name in fit.samples.curves)

    def read(self, one: Quantity, level: float) -> np.ndarray:
        """A quantity at the judged effect, [R]."""
        missing = np.full(self.rows, unreached_value(one))
        return joined([missing if fit is None else fit.read(one, level) for fit in self.fits], self.seed)

    def reach(self) -> np.ndarray:
        """The largest judged effect within the plausible range, capped, [R]; 0 without a plausible step."""
        return joined([np.zeros(self.rows) if fit is None else fit.reach() for fit in self.fits], self.seed)

    def why(self, level: float) -> str:
        """Why the effect is not reached, where it is not."""
        if not self.known:
            return self.reason
        most = min(float(fit.rising[0].max()) for fit in self.known)
        return f"'{self.text}': the mean judged effect within the plausible range ends at {most:.2f} sigma"


class Rows:
    """Makes records and rows. cells: one per fit."""

    def __init__(self, settings: TextSettings, cells: Cells, seed: int) -> None:
        self.settings, self.seed = settings, seed
        self.results = [result for _, result in cells]
        self.facts = self.results[0].facts
        self.over = "codes" if len(cells) == 1 else "codes+fits"

    def all(self) -> Iterator[Measured]:
        asked: list[list[Prompt]] = []
        for target in self.settings.targets:
            for sign in SIGNS:
                count = len(self.facts["prompts"][key_of(target, sign)])
                prompts = [Prompt(self.settings, self.results, self.seed, (target, sign, i)) for i in range(count)]
                known = [one for one in prompts if one.status != "skipped"]
                place = {"target": target, "sign": sign}
                if not known:
                    yield from self._skipped(prompts[0].reason, place)
                    continue
                asked.append(known)
                for level in self.settings.effects:
                    yield from self._effect(known, level, place)
                yield from self._whole(known, place)
        yield from self._summary(asked)

    def available(self, one: Quantity) -> bool:
        """Whether the judge that a quantity needs was there."""
        return one.reading in self.facts["judges"]

    def _effect(self, prompts: Sequence[Prompt], level: float, place: dict[str, Any]) -> Iterator[Measured]:
        """Everything at one judged effect: over the prompts, and of each where there are several."""
        at, headline = point_name(level), level == self.settings.headline_effect
        kinds = [one for one in q.CURVES if self.available(one)]
        every = {one: [prompt.read(one, level) for prompt in prompts] for one in kinds}
        for one in kinds:
            lost = [p for p, rows in zip(prompts, every[one], strict=True) if not np.isfinite(rows[0])]
            fields = {**place, "point": at, "headline": headline and one.headline, **self._counts(prompts, one)}
            yield self._value(one, np.mean(every[one], 0), reason=lost[0].why(level) if lost else "", **fields)
        if len(prompts) < 2:
            return
        own, *others = every[q.DIRECTIONAL]
        with np.errstate(invalid="ignore"):  # what is not reached has no gap
            gap = np.mean(others, 0) - own
        fields = {**place, "point": at, **self._counts(prompts, q.DIRECTIONAL)}
        yield self._value(q.REWORDING, np.where(np.isfinite(gap), gap, np.nan), reason="a wording does not reach it", **fields)
        for i, prompt in enumerate(prompts):
            for one in kinds:
                fields = {**place, "point": f"{at} prompt {prompt.number}", **self._counts([prompt], one)}
                yield self._value(one, every[one][i], reason=prompt.why(level), **fields)

    def _whole(self, prompts: Sequence[Prompt], place: dict[str, Any]) -> Iterator[Measured]:
        """What a side has once: reach and the time of an edit."""
        rows = [prompt.reach() for prompt in prompts]
        counts = self._counts(prompts, q.DIRECTIONAL)
        yield self._value(REACH, np.mean(rows, 0), **place, point=SUMMARY, headline=True, **counts)
        for prompt, mine in zip(prompts, rows, strict=True) if len(prompts) > 1 else ():
            fields = {**place, "point": f"{SUMMARY} prompt {prompt.number}", **self._counts([prompt], q.DIRECTIONAL)}
            yield self._value(REACH, mine, **fields)
        # Time differs from run to run: it stands in the column for that and nowhere else.
        seconds = [one for prompt in prompts for one in prompt.seconds]
        if seconds:
            yield Measured(self._record(q.SECONDS, **place, point=SUMMARY, n=counts["n"], seconds=float(np.mean(seconds))))

    def _summary(self, asked: Sequence[Sequence[Prompt]]) -> Iterator[Measured]:
        """The mean of every headline over all (target, sign) that were asked."""
        level = self.settings.headline_effect
        for one in q.HEADLINES if asked else ():
            reads = [[p.reach() if one == REACH else p.read(one, level) for p in prompts] for prompts in asked]
            rows = np.stack([np.mean(some, 0) for some in reads])
            lost = int((~np.isfinite(rows[:, 0])).sum())
            why = f"{lost} of {len(asked)} (target, sign) do not reach {level:g} sigma with every prompt"
            n = sum(self._counts(prompts, one)["n"] for prompts in asked)
            yield self._value(one, rows.mean(0), headline=True, point=SUMMARY, n=n, reason=why)

    # Records.

    def _counts(self, prompts: Sequence[Prompt], one: Quantity) -> dict[str, int]:
        """n: codes edited, over prompts and fits; n_failed: of these, what a judge could not read."""
        return {"n": sum(prompt.n for prompt in prompts), "n_failed": sum(prompt.failed(one) for prompt in prompts)}

    def _record(self, one: Quantity, **fields: Any) -> Record:
        return record_of(one, self.facts["judges"], **fields)

    def _skipped(self, reason: str, place: dict[str, str]) -> Iterator[Measured]:
        for one in q.HEADLINES:
            point = SUMMARY if one == REACH else point_name(self.settings.headline_effect)
            yield Measured(self._record(one, **place, point=point, headline=True, status="skipped", reason=reason))

    def _value(self, one: Quantity, rows: np.ndarray, *, reason: str = "", **fields: Any) -> Measured:
        """A record of rows [R] with its interval, widened for few codes; unreached where the point is not finite.

        Replicates that do not reach the effect are in the interval as the worst; of a quantity that has none it is over those
        that do.
        """
        if not np.isfinite(rows[0]):
            fields |= {"status": "unreached", "reason": reason or "no sample could be read"}
            return Measured(self._record(one, **fields), rows)
        ends = ends_of(rows, self.codes, self.over)
        return Measured(self._record(one, value=float(rows[0]), **ends, **fields), rows)

    @property
    def codes(self) -> int:
        """The codes of one prompt: what is resampled."""
        sizes = {len(array) for one in self.results for name, array in one.arrays.items() if name.endswith("/ids")}
        return min(sizes, default=0)
