"""The numbers of picture pairs: one value a pair, then records with their intervals over pairs.

A pair whose before picture a judge cannot read is passed over by that judge's metrics, and counted: no edit is to blame. One
whose after picture cannot be read counts as the metric's worst value where it has one (metrics.editing), is left out elsewhere,
and is counted in n_failed. The edit is judged as strong as it was given: unlike the editing task's, these numbers are not read
at equal effect, apart from attribute_dependency.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.records import Record
from leaderboards.scoring.folders import counted
from leaderboards.scoring.pairs import Panel, Readings
from leaderboards.scoring.spread import ENOUGH, Reference, Spread
from metrics.base import EditBatch
from metrics.editing import (
    AttributeChange,
    AttributeDependency,
    IdentityPreservation,
    Leakage,
    PerceptualDistance,
    PerSample,
    TargetEffect,
)
from metrics.effects import reading
from metrics.kernel_distance import kid_difference_failed, polynomial_kernel
from metrics.statistics import bootstrap, bootstrap_weights, interval, small_sample_level, weighted_u_statistic

# Rises whenever a number of pairs could change.
VERSION = 1
# The effect, in sigma, at which attribute_dependency reads each picture.
LEVEL = 0.5
REPLICATES = 2000
# Fewer pairs say nothing of a kernel distance: its own scatter is as large as what edits do.
KID_PAIRS = ENOUGH
# Pictures whose similarity to one another is told: memory and time rise with the square.
STRANGERS = 1000
# Columns that no judge made: unit and which way is better.
PLAIN = {
    "mse": ("squared, of pictures in [-1, 1]", False), "psnr": ("dB", True), "ssim": ("similarity", True),
    "locality": ("share", True), "region_share": ("share", None),
}  # fmt: skip
SEGMENTED = ("locality", "region_share")


@dataclass(frozen=True)
class Question:
    """What is asked of the pairs. target: the attribute that the edit was to change, '' where none is named; sign: +1 or -1."""

    target: str
    sign: int
    seed: int


@dataclass(frozen=True)
class Column:
    """One number a pair, [N]. fields: of its record. worst: what an unreadable after picture counts as (NaN: it is left out).

    unreadable: pairs to pass over, bool [N]. note: for the record's reason.
    """

    values: np.ndarray
    fields: dict[str, Any]
    worst: float = float("nan")
    unreadable: np.ndarray | None = None
    note: str = ""


def columns(readings: Readings, panel: Panel, spread: Spread | None, question: Question) -> dict[str, Column]:
    """Every per-pair number by the name of its column in pairs.csv, in the order of records."""
    found: dict[str, Column] = {}
    if "identity" in panel.judges:
        values = IdentityPreservation().per_sample(_batch(readings, "identity"))
        headline = {"headline": bool(question.target)}
        found["identity"] = _of(IdentityPreservation, values, readings, panel, **headline)
    if "perceptual" in panel.judges:
        found["perceptual"] = _of(PerceptualDistance, readings.columns["perceptual"], readings, panel)
    for name in (one for one in PLAIN if one in readings.columns):
        unit, better = PLAIN[name]
        values, note = readings.columns[name], ""
        fields = {"metric": name, "unit": unit, "higher_is_better": better}
        if name in SEGMENTED:
            fields |= panel.record("segmentation")
        if name == "psnr" and np.isinf(values).any():
            same = int(np.isinf(values).sum())
            values, note = np.where(np.isinf(values), np.nan, values), f"{counted(same, 'pair')} left out: equal to the last bit"
        found[name] = Column(values, fields, note=note)
    if "attributes" in panel.judges:
        found |= _attributes(readings, panel, spread, question)
    return found


def _attributes(readings: Readings, panel: Panel, spread: Spread | None, question: Question) -> dict[str, Column]:
    found: dict[str, Column] = {}
    judged = spread is not None and not _no_effect(panel, spread, question)
    if spread is not None:
        batch = replace(_batch(readings, "attributes"), names=panel.names, sigma=spread.sigma, sign=question.sign)
        batch = replace(batch, target=question.target if judged else panel.names[0])
        doubt = spread.doubt.get(question.target, "")
        if judged:
            found["target_effect"] = _of(TargetEffect, TargetEffect().per_sample(batch), readings, panel, note=doubt)
        if judged and len(panel.names) > 1:
            values = Leakage().per_sample(batch)
            found["leakage"] = _of(Leakage, values, readings, panel, note=_doubts(spread, question.target), headline=True)
            values = AttributeDependency(LEVEL).per_sample(batch).mean(1)
            point = f"effect_{LEVEL:g}"
            found["attribute_dependency"] = _of(AttributeDependency, values, readings, panel, note=doubt, point=point)
        changes = AttributeChange().per_sample(batch)
        for k, name in enumerate(panel.names):
            note = spread.doubt.get(name, "")
            found[f"change/{name}"] = _of(AttributeChange, changes[:, k], readings, panel, note=note, attribute=name)
        for k, name in enumerate(panel.names):
            size = {"metric": "attribute_change_size", "attribute": name, "note": spread.doubt.get(name, "")}
            found[f"change_size/{name}"] = _of(AttributeChange, np.abs(changes[:, k]), readings, panel, **size)
    before, after = reading(_batch(readings, "attributes"), "attributes")
    for k, name in enumerate(panel.names):
        own = {"metric": "score_change", "unit": "the judge's own", "attribute": name}
        found[f"score_change/{name}"] = _of(AttributeChange, after[:, k] - before[:, k], readings, panel, **own)
    return found


def _no_effect(panel: Panel, spread: Spread, question: Question) -> str:
    """Why the change of the target cannot be told in sigma, '' where it can."""
    if not question.target:
        return "no target is named: --target says what the edit was to change, and so what it was not"
    if question.target not in panel.names:
        return f"the judge does not score {question.target}"
    if np.isinf(spread.sigma[panel.names.index(question.target)]):
        return f"the judge sees no difference in {question.target} among {spread.source}: no sigma to count its change in"
    return ""


def _doubts(spread: Spread, target: str) -> str:
    others = {name: why for name, why in spread.doubt.items() if name != target}
    if len(set(others.values())) == 1:
        return next(iter(others.values()))
    return "; ".join(f"{name}: {why}" for name, why in others.items())


def _batch(readings: Readings, reading: str) -> EditBatch:
    before, after = ({reading: side[reading]} for side in (readings.before, readings.after))
    return EditBatch(before, after, names=(), sigma=np.ones(0), target="", sign=1)


def _of(
    metric: type[PerSample], values: np.ndarray, readings: Readings, panel: Panel, /, *, note: str = "", **fields: Any
) -> Column:
    """A column of a metric of the editing task, with its name, unit, direction, worst value and judge."""
    own = {
        "metric": metric.name, "metric_version": metric.version, "unit": metric.unit, "higher_is_better": metric.higher_is_better,
    }  # fmt: skip
    passed = readings.unreadable(metric.reading) if metric.reading in readings.before else None
    return Column(values, {**own, **panel.record(metric.reading), **fields}, metric.worst, passed, note)


def records(
    readings: Readings, panel: Panel, spread: Spread | None, reference: Reference | None, question: Question, side: int
) -> list[Record]:
    """All records of the pairs, those of what could not be measured with their reason."""
    made = [_record(one, question) for one in columns(readings, panel, spread, question).values()]
    if "identity" in panel.judges:
        made.append(_strangers(readings, panel, question))
    made.append(_realism(readings, panel, reference, question, side))
    return [*made, *_skipped(readings, panel, spread, question)]


def _place(question: Question) -> dict[str, Any]:
    sign = "" if not question.target else "+" if question.sign > 0 else "-"
    return {"target": question.target, "sign": sign, "point": "given"}


def _record(column: Column, question: Question) -> Record:
    """The mean over pairs with its bootstrap interval."""
    values = column.values if column.unreadable is None else column.values[~column.unreadable]
    passed = len(column.values) - len(values)
    failed = np.isnan(values)
    used = values[~failed] if np.isnan(column.worst) else np.where(failed, column.worst, values)
    notes = [f"{counted(passed, 'pair')} passed over: no before picture to read"] if passed else []
    notes += [column.note] if column.note else []
    fields = {**_place(question), **column.fields, "n": len(values), "n_failed": int(failed.sum())}
    if not len(used):
        return Record(**fields, status="skipped", reason="; ".join([*notes, "no pair could be read"]))
    ends: dict[str, Any] = {}
    if len(used) > 1:
        found = bootstrap(np.mean, used, seed=question.seed, replicates=REPLICATES)
        ends = {"ci_low": found.low, "ci_high": found.high, "ci_over": "pairs"}
    else:
        notes.append("one pair alone has no interval")
    return Record(**fields, value=float(used.mean()), **ends, reason="; ".join(notes))


def _weights(n: int, seed: int) -> np.ndarray:
    """Rows of weights over pairs: ones for the point, then the replicates."""
    return np.concatenate([np.ones((1, n)), bootstrap_weights(np.arange(n), REPLICATES, seed)])


def _estimate(rows: np.ndarray, n: int) -> dict[str, Any]:
    low, high = interval(rows[1:], small_sample_level(0.95, n, exponential=True))
    return {"value": float(rows[0]), "ci_low": float(low), "ci_high": float(high), "ci_over": "pairs", "n": n}


def _strangers(readings: Readings, panel: Panel, question: Question) -> Record:
    """The mean similarity of before pictures of different pairs: what `identity` would be for somebody else."""
    vectors = readings.before["identity"][~readings.unreadable("identity")]
    fields = {**_place(question), **panel.record("identity"), "metric": "identity_of_others", "unit": "cosine"}
    if len(vectors) < 2:
        return Record(**fields, n=len(vectors), status="skipped", reason="there is one before picture to read, and no other")
    unit = vectors[:STRANGERS] / np.linalg.norm(vectors[:STRANGERS], axis=1, keepdims=True)
    rows = weighted_u_statistic(unit @ unit.T, _weights(len(unit), question.seed))
    return Record(**fields, **_estimate(rows, len(unit)))


def kid_of_pairs(after: np.ndarray, before: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """KID of edited against unedited pictures of the same originals in every replicate, features [n, d], weights [B, n] -> [B].

    The unbiased squared MMD under KID's kernel (metrics.kernel_distance) with pairs made from one original left out across too:
    these are not independent. 0 in expectation where the edit leaves the distribution as it is; it may be negative. Lower is
    better; an edit that is meant to change all pictures alike raises it also.
    """
    within = [weighted_u_statistic(polynomial_kernel(one, one), weights) for one in (after, before)]
    return within[0] + within[1] - 2 * weighted_u_statistic(polynomial_kernel(after, before), weights)


def _realism(readings: Readings, panel: Panel, reference: Reference | None, question: Question, side: int) -> Record:
    """The loss of realism against a reference as the editing task's, or against the before pictures themselves."""
    name = "realism_loss" if reference is not None and reference.features is not None else "kid_of_pairs"
    fields = {**_place(question), **panel.record("features"), "metric": name, "unit": "KID", "higher_is_better": False}
    skipped = lambda why: Record(**fields, n=len(readings), status="skipped", reason=why)  # noqa: E731
    if "features" not in panel.judges:
        return skipped(panel.missing["features"])
    if len(readings) < KID_PAIRS:
        return skipped(f"{counted(len(readings), 'pair')} cannot tell a kernel distance: it takes {KID_PAIRS}")
    before, after = readings.before["features"], readings.after["features"]
    if name == "realism_loss":
        if reference.side != side:
            return skipped(f"the reference has {reference.side} px and the pairs {side} px: bring them to one size first")
        rows, failed = kid_difference_failed(after, before, reference.features, _weights(len(before), question.seed))
        return Record(**fields, **_estimate(rows, len(before)), n_failed=failed, reason=f"against {reference.source}")
    ok = np.isfinite(before).all(1) & np.isfinite(after).all(1)
    if ok.sum() < KID_PAIRS:
        return skipped(f"only {int(ok.sum())} pairs could be read: a kernel distance takes {KID_PAIRS}")
    rows = kid_of_pairs(after[ok], before[ok], _weights(int(ok.sum()), question.seed))
    return Record(**fields, **_estimate(rows, int(ok.sum())), n_failed=int((~ok).sum()), reason="against the before pictures")


def _skipped(readings: Readings, panel: Panel, spread: Spread | None, question: Question) -> Iterator[Record]:
    """Records of metrics that could not be had."""
    place = {**_place(question), "status": "skipped", "n": len(readings)}
    for metric in (IdentityPreservation, PerceptualDistance):
        if metric.reading in panel.missing:
            yield Record(**place, metric=metric.name, unit=metric.unit, reason=panel.missing[metric.reading])
    for name, why in readings.missing.items():
        yield Record(**place, metric=name, unit=PLAIN[name][0], reason=why)
    why = panel.missing.get("attributes", "")
    if not why and spread is None:
        why = "sigma needs two before pictures that the judge can read: give more pairs, or a reference"
    if why:
        yield Record(**place, metric=AttributeChange.name, unit=AttributeChange.unit, reason=why)
    elif spread is not None:
        why = _no_effect(panel, spread, question)
    one_only = not why and len(panel.names) < 2
    for metric in (TargetEffect, Leakage, AttributeDependency):
        if why or (one_only and metric is not TargetEffect):
            said = why or "the judge scores the target alone"
            yield Record(**place, metric=metric.name, unit=metric.unit, reason=said)
