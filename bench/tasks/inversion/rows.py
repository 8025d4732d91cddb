"""The numbers of one (generator, method, variant), each with its bootstrap rows: of pictures, of codes, and of edits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.records import Record
from bench.tasks.base import CellResult, Cells, Measured
from bench.tasks.editing.resample import joined, readable_mean
from bench.tasks.inversion.protocol import InversionSettings
from bench.tasks.inversion.quantities import (
    ATTRIBUTE_ERROR,
    CODES,
    EDITS,
    HEADLINES,
    PICTURES,
    SECONDS,
    WORST_EFFECT,
    WORST_LEAKAGE,
    edit_key,
    mean_attribute_error,
    picture_key,
)
from bench.tasks.numbers import Quantity, ends_of, record_of, weights_of
from metrics.effects import with_worst
from metrics.inversion import EditabilityRows, editability_rows

POINT = "summary"
# Quantities of edits by their name in EditabilityRows.
FIELDS = dict(zip(EDITS, ("excess", "ratio", "effect", "leakage"), strict=True))


def measured(settings: InversionSettings, cells: Cells, seed: int) -> Iterator[Measured]:
    """All numbers of one (generator, method, variant), those of the wanted metrics."""
    for one in Rows(settings, cells, seed).all() if cells else ():
        if settings.metrics is None or one.record.metric in settings.metrics:
            yield one


class Rows:
    """Makes records and rows. cells: one per fit."""

    def __init__(self, settings: InversionSettings, cells: Cells, seed: int) -> None:
        self.settings, self.seed = settings, seed
        self.results: list[CellResult] = [result for _, result in cells]
        self.facts = self.results[0].facts
        self.names = list(self.facts["attributes"])
        self.over = "codes" if len(cells) == 1 else "codes+fits"

    def all(self) -> Iterator[Measured]:
        for source in self.settings.sources:
            skipped = [one.facts["sources"][source] for one in self.results if one.facts["sources"][source]["reason"]]
            if skipped:
                for one in HEADLINES:
                    yield self._skipped(one, source, skipped[0]["reason"])
                continue
            weights = [self._weights(result, source) for result in self.results]
            yield from self._of_pictures(source, weights)
            yield from self._of_codes(source, weights)
            yield from self._of_edits(source, weights)
            # Time differs from run to run: it stands in the column for that and nowhere else.
            seconds = float(np.mean([one.facts["seconds"][source] for one in self.results]))
            place = {"target": source, "point": POINT, "n": sum(rows.shape[1] for rows in weights)}
            yield Measured(self._record(SECONDS, seconds=seconds if np.isfinite(seconds) else None, **place))

    def _weights(self, result: CellResult, source: str) -> np.ndarray:
        return weights_of(result.arrays[picture_key(source, "ids")], self.settings.replicates, self.seed)

    # Records.

    def _record(self, one: Quantity, **fields: Any) -> Record:
        return record_of(one, self.facts["judges"], **fields)

    def _skipped(self, one: Quantity, source: str, reason: str, **fields: Any) -> Measured:
        place = {"target": source, "point": POINT, "headline": one.headline, "status": "skipped", "reason": reason}
        return Measured(self._record(one, **{**place, **fields}))

    def _value(self, one: Quantity, rows: np.ndarray, n: int, **fields: Any) -> Measured:
        """A record of rows [R], with its interval, expanded for few pictures; without a value where the point is not finite."""
        fields = {"point": POINT, "n": n, "headline": one.headline, **fields}
        if not np.isfinite(rows[0]):
            reason = fields.pop("reason", "no picture could be read" if np.isnan(rows[0]) else "not every picture could be read")
            return Measured(self._record(one, **{**fields, "status": "unreached", "reason": reason}), rows)
        fields.pop("reason", None)
        per_fit = n // len(self.results)
        ends = ends_of(rows, per_fit, self.over) if per_fit > 1 else {}
        return Measured(self._record(one, value=float(rows[0]), **ends, **fields), rows)

    # What is measured.

    def _of_pictures(self, source: str, weights: Sequence[np.ndarray]) -> Iterator[Measured]:
        for one in PICTURES:
            if one.reading in self.facts["no_judge"]:
                yield self._skipped(one, source, self.facts["no_judge"][one.reading])
                continue
            values = [self._per_picture(one, result, source) for result in self.results]
            yield self._mean(one, source, values, weights)
            if one == ATTRIBUTE_ERROR:
                for column, name in enumerate(self.names):
                    each = [np.abs(result.arrays[picture_key(source, "change")][:, column]) for result in self.results]
                    yield self._mean(one, source, each, weights, attribute=name, headline=False)

    def _per_picture(self, one: Quantity, result: CellResult, source: str) -> np.ndarray:
        if one == ATTRIBUTE_ERROR:
            return mean_attribute_error(result.arrays[picture_key(source, "change")])
        return result.arrays[picture_key(source, one.name)]

    def _mean(
        self, one: Quantity, source: str, values: Sequence[np.ndarray], weights: Sequence[np.ndarray], **fields: Any
    ) -> Measured:
        """The mean over pictures. An original that the judge cannot read is left out, for every method alike; a reconstruction
        counts as the worst; both are counted as failed."""
        parts, failed = [], 0
        for result, each, rows in zip(self.results, values, weights, strict=True):
            lost = result.arrays.get(picture_key(source, f"lost/{one.reading}"), np.zeros(len(each), bool))
            failed += int(np.isnan(each).sum())
            filled = each if np.isnan(one.worst) else with_worst(each, one.worst)
            parts.append(readable_mean_or_worst(np.where(lost, np.nan, filled), rows))
        n = sum(len(each) for each in values)
        return self._value(one, joined(parts, self.seed), n, target=source, n_failed=failed, **fields)

    def _of_codes(self, source: str, weights: Sequence[np.ndarray]) -> Iterator[Measured]:
        for one in CODES:
            found = [result.arrays.get(picture_key(source, one.name)) for result in self.results]
            if any(each is None for each in found):
                yield self._skipped(one, source, f"there is no way from {self.facts['space']} to where it is measured")
                continue
            yield self._mean(one, source, found, weights)

    def _of_edits(self, source: str, weights: Sequence[np.ndarray]) -> Iterator[Measured]:
        """Editability by target, then the headline: the mean over the targets that could be asked."""
        if "attributes" in self.facts["no_judge"]:
            yield self._skipped(EDITS[0], source, self.facts["no_judge"]["attributes"])
            return
        if len(self.names) < 2:
            yield self._skipped(EDITS[0], source, "the judge reads one attribute: nothing else can leak")
            return
        asked: list[list[EditabilityRows]] = []
        failed, reasons, n = 0, [], sum(rows.shape[1] for rows in weights)
        for target in self.settings.targets:
            fits, lost, reason = self._one_edit(source, target, weights)
            if reason:
                reasons.append(f"{target}: {reason}")
                yield self._skipped(EDITS[0], source, reason, attribute=target, headline=False)
                continue
            failed += lost
            asked.append(fits)
            place = {"target": source, "attribute": target, "n_failed": lost, "headline": False}
            for one in EDITS:
                yield self._value(one, self._join(fits, one), n, reason=f"inverted codes show no mean {target} effect", **place)
        if not asked:
            yield self._skipped(EDITS[0], source, "; ".join(reasons))
            return
        # Pooled over targets within each fit, then over fits.
        whole = [EditabilityRows.pooled(edits) for edits in zip(*asked, strict=True)]
        for one in EDITS:
            why = "; ".join([*reasons, "inverted codes show no mean effect"])
            yield self._value(one, self._join(whole, one), n, target=source, n_failed=failed, reason=why)

    def _join(self, fits: Sequence[EditabilityRows], one: Quantity) -> np.ndarray:
        return joined([getattr(rows, FIELDS[one]) for rows in fits], self.seed)

    def _one_edit(self, source: str, target: str, weights: Sequence[np.ndarray]) -> tuple[list[EditabilityRows], int, str]:
        """Rows of each fit, how many edited pictures could not be read, and why it was not asked (or an empty text)."""
        if target not in self.names:
            return [], 0, f"the judge does not score {target}"
        fits, failed, worst = [], 0, (WORST_EFFECT, WORST_LEAKAGE)
        for result, own in zip(self.results, weights, strict=True):
            reason = result.facts["edits"][target]["reason"]
            if reason:
                return [], 0, reason
            mine, theirs = (result.arrays[edit_key(one, target)].astype(np.float64) for one in (source, "sampled"))
            failed += int(np.isnan(mine).any(1).sum())
            # What could not be read before the edit, in the original, is nothing that the inverter did.
            kept = ~result.arrays[picture_key(source, "lost/attributes")]
            theirs, sampled = self._sampled(result, source, theirs)
            if not kept.any() or np.isnan(theirs).any(1).all():
                return [], 0, "no picture could be read"
            column = self.names.index(target)
            rows = editability_rows(mine[kept], theirs, column, weights=own[:, kept], sampled_weights=sampled, worst=worst)
            if np.isnan(rows.ratio[0]):
                return [], 0, f"sampled codes show no {target} effect to the judge"
            fits.append(rows)
        return fits, failed, ""

    def _sampled(self, result: CellResult, source: str, changes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The changes of the sampled codes that a source is compared with (generated pictures: their own), and their weights."""
        ids = result.arrays[picture_key("sampled", "ids")]
        if source == "generated":
            own = np.isin(ids, result.arrays[picture_key(source, "ids")])
            ids, changes = ids[own], changes[own]
        return changes, weights_of(ids, self.settings.replicates, self.seed)


def readable_mean_or_worst(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over the values that are not NaN under weights [R, n]: [R]; infinite values stay infinite, none at all is NaN."""
    infinite = np.isinf(values)
    if not infinite.any():
        return readable_mean(values, weights)
    hit = (weights[:, infinite] > 0).any(1)
    rest = readable_mean(np.where(infinite, np.nan, values), weights)
    return np.where(hit, values[infinite][0], rest)
