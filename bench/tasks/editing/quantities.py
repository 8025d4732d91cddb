"""What the editing task reports: names, units and directions of its metrics, and their per-sample curves from a cell's arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.tasks.base import CellResult
from bench.tasks.editing.protocol import SIGNS, key_of, targets_of
from bench.tasks.numbers import Quantity
from metrics.base import Metric
from metrics.editing import (
    AttributeChange,
    AttributeDependency,
    GuideGap,
    IdentityPreservation,
    Leakage,
    PerceptualDistance,
    ReScoring,
    TargetEffect,
)
from metrics.effects import leakage, target_effect


def _of(metric: type[Metric], headline: bool = False) -> Quantity:
    return Quantity(metric.name, metric.reading, metric.unit, metric.higher_is_better, metric.version, headline, metric.worst)


EFFECT = _of(TargetEffect)
LEAKAGE = _of(Leakage, headline=True)
IDENTITY = _of(IdentityPreservation, headline=True)
# KID(edited, reference) - KID(unedited, reference), see metrics.distribution.kid_difference.
REALISM = Quantity("realism_loss", "features", "KID", False, headline=True)
# The largest mean judged effect (isotonic) within the plausible range, capped: see metrics.reading.reach.
REACH = Quantity("reach", "attributes", "sigma", True, headline=True)
PERCEPTUAL = _of(PerceptualDistance)
GUIDE_GAP = _of(GuideGap)
RESCORING = _of(ReScoring)
CHANGE = _of(AttributeChange)
DEPENDENCY = _of(AttributeDependency)
# Where the change is, by the judge's class maps: see regions.localities. region_share: what a change spread evenly would score.
LOCALITY = Quantity("locality", "segmentation", "share", True)
REGION_SHARE = Quantity("region_share", "segmentation", "share", None)
# Perceptual distance to the original of an edit that was undone, over that of the edit itself; of edits in the other order to
# those in the order asked, over that of the edits themselves. 0: nothing is left, the order does not matter. See undone.
REVERSIBILITY = Quantity("reversibility", "perceptual", "ratio", False)
ORDER = Quantity("order_consistency", "perceptual", "ratio", False)
MONOTONICITY = Quantity("monotonicity", "attributes", "correlation", True)
# Of the component that stands for the target, see metrics.assignment. The guide made it, so that the record names the guide.
CONFIDENCE = Quantity("assignment_confidence", "attributes", "share", None)
SECONDS = Quantity("seconds_per_edit", "", "s", False)
# Pictures that the method had guides look at to make an edit of one code: 0 for one that learned all it needs in its fit.
GUIDE_CALLS = Quantity("guide_calls_per_edit", "", "pictures", False)

QUANTITIES = (
    EFFECT, LEAKAGE, IDENTITY, REALISM, REACH, PERCEPTUAL, GUIDE_GAP, RESCORING, CHANGE, DEPENDENCY, MONOTONICITY, CONFIDENCE,
    SECONDS, LOCALITY, REGION_SHARE, REVERSIBILITY, ORDER,
)  # fmt: skip
# Those with a curve over strengths, in the order of records.
CURVES = (EFFECT, LEAKAGE, IDENTITY, REALISM, PERCEPTUAL, GUIDE_GAP, RESCORING, LOCALITY, REGION_SHARE)


def metric_names() -> tuple[str, ...]:
    """All that records may hold. What edits cost beside time is counted, not asked: it is no part of the question."""
    return tuple(one.name for one in (*QUANTITIES, GUIDE_CALLS))


@dataclass(frozen=True)
class Samples:
    """One (target, sign) of one fit, as measured. names: the judged attributes, A of them; targets: the columns asked for,
    one, or those of a sequence.

    strengths [S], the first is 0; ids [n]; change [n, S, A] in sigma, in each attribute's own direction, a row NaN where the
    judge could not read; curves: quantity -> [n, S], NaN likewise; features [n, S, D] and reference [M, D], or None.
    undone, order: distances [m, 2] of the first m codes (see undone), or None.
    """

    names: tuple[str, ...]
    targets: tuple[int, ...]
    sign: int
    strengths: np.ndarray
    ids: np.ndarray
    change: np.ndarray
    curves: Mapping[str, np.ndarray]
    features: np.ndarray | None
    reference: np.ndarray | None
    undone: np.ndarray | None = None
    order: np.ndarray | None = None

    @property
    def effect(self) -> np.ndarray:
        """The targets' change the way asked, [n, S]."""
        return self.curves[EFFECT.name]


def samples_of(result: CellResult, target: str, sign: str) -> Samples | None:
    """The samples of a question in a cell's arrays; None where it was not measured."""
    key, names = key_of(target, sign), tuple(result.facts["attributes"])
    part = {name.removeprefix(f"{key}/"): array for name, array in result.arrays.items() if name.startswith(f"{key}/")}
    if not part:
        return None
    columns, way = tuple(names.index(one) for one in targets_of(target)), SIGNS[sign]
    change = part["change"].astype(np.float64)
    effect = target_effect(change.reshape(-1, len(names)), columns, way).reshape(change.shape[:2])
    curves = {EFFECT.name: effect}
    if len(names) > len(columns):
        curves[LEAKAGE.name] = leakage(change.reshape(-1, len(names)), columns).reshape(effect.shape)
    for one in (IDENTITY, PERCEPTUAL, LOCALITY, REGION_SHARE):
        if one.name in part:
            curves[one.name] = part[one.name].astype(np.float64)
    curves[GUIDE_GAP.name] = part["guide"].astype(np.float64) - effect
    if len(columns) == 1:
        curves[RESCORING.name] = np.maximum(effect, 0.0) * float(result.arrays["sigma"][columns[0]])
    features, reference = _features(result, part), result.arrays.get("reference")
    pairs = {name: part[name].astype(np.float64) for name in ("undone", "order") if name in part}
    return Samples(names, columns, way, part["strengths"], part["ids"], change, curves, features, reference, **pairs)


def _features(result: CellResult, part: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Features [n, S, D] at every strength, those at 0 from the pool; None without a judge of features.

    Results of before 0.1.0's release hold all strengths in one array of each question.
    """
    if "features_after" not in part:
        return part.get("features")
    before = result.arrays["pool_features"][part["ids"] - result.arrays["pool_ids"][0]]
    return np.concatenate([before[:, None], part["features_after"]], 1)
