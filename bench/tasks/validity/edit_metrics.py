"""Every metric of edits, through the functions of `metrics`, as one value a code or one a block of codes; means over targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.tasks.validity import settings as rules
from metrics.assignment import assign, effect_matrix
from metrics.base import EditBatch, Metric
from metrics.distribution import kid_difference
from metrics.editing import (
    AttributeChange,
    AttributeDependency,
    GuideGap,
    IdentityPreservation,
    Leakage,
    PerceptualDistance,
    TargetEffect,
)
from metrics.effects import changes, identity_cosine, leakage, monotonicity
from metrics.identity import impostor_similarities, verification_rate
from metrics.perceptual import locality, mse
from metrics.purity import effect_purity
from metrics.reading import isotonic, mean_curve, reach, read_at_level
from metrics.rescoring import rescoring_delta, rescoring_matrix
from metrics.statistics import worst_value
from metrics.text import clip_score, directional_similarity

Readings = dict[str, np.ndarray]


@dataclass(frozen=True)
class Before:
    """The unedited codes as read, N of them, and what edits are compared with.

    readings: reading -> [N, ...]; guide: [N, A] scores; images: [N, 3, R, R]; sigma, guide_sigma: [A]; reference: features [M,
    D]; regions: target -> where it may change the picture, [N, R, R]; texts: target -> embeddings of its low and high end;
    blocks: rows of each block.
    """

    names: tuple[str, ...]
    targets: tuple[str, ...]
    readings: Readings
    guide: np.ndarray
    images: np.ndarray
    sigma: np.ndarray
    guide_sigma: np.ndarray
    reference: np.ndarray
    regions: dict[str, np.ndarray]
    texts: dict[str, tuple[np.ndarray, np.ndarray]]
    blocks: list[np.ndarray]


@dataclass(frozen=True)
class Edited:
    """One target's edits as read. path: readings at each part of the step, all at the last. guide, images: at the last."""

    path: tuple[Readings, ...]
    guide: np.ndarray
    images: np.ndarray

    def replaced(self, hit: np.ndarray, other: Edited) -> Edited:
        """The other's rows where `hit` [N] says so."""

        def mixed(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
            return np.where(hit.reshape(-1, *[1] * (mine.ndim - 1)), theirs, mine)

        steps = zip(self.path, other.path, strict=True)
        path = tuple({name: mixed(values, two[name]) for name, values in one.items()} for one, two in steps)
        return Edited(path, mixed(self.guide, other.guide), mixed(self.images, other.images))


def edit_metrics(before: Before, edited: dict[str, Edited]) -> dict[str, np.ndarray]:
    """Metric -> [N] values of codes or [blocks] values of blocks; metrics without their judge are left out."""
    found = {name: np.mean([one(before, t, edited[t]) for t in before.targets], axis=0) for name, one in _by_code(before).items()}
    found["verification_rate"] = _verified(before, edited)
    blocks = {name: [] for name in _BY_BLOCK}
    for rows in before.blocks:
        for name, one in _BY_BLOCK.items():
            blocks[name].append(one(before, edited, rows))
    return {**found, **{name: np.array(values) for name, values in blocks.items()}}


# One value a code and target.

PerCode = Callable[[Before, str, Edited], np.ndarray]


def _batch(before: Before, target: str, edited: Edited, part: int = -1, rows: np.ndarray | slice = slice(None)) -> EditBatch:
    column = before.names.index(target)
    extra = {
        "guide_before": before.guide[rows, column],
        "guide_after": edited.guide[rows, column],
        "guide_sigma": before.guide_sigma[column],
    }
    after = {name: values[rows] for name, values in edited.path[part].items()}
    first = {name: before.readings[name][rows] for name in after}
    return EditBatch(first, after, before.names, before.sigma, target, 1, extra=extra)


def _of(metric: Callable[[], Metric]) -> PerCode:
    return lambda before, target, edited: metric().per_sample(_batch(before, target, edited))


def _rescored(before: Before, target: str, edited: Edited) -> np.ndarray:
    column = before.names.index(target)
    first, after = (one["attributes"][:, column] / before.sigma[column] for one in (before.readings, edited.path[-1]))
    # One code a call: the function means over codes, and the mean over codes is taken later.
    return rescoring_delta(first[None], after[None])


def _monotone(before: Before, target: str, edited: Edited) -> np.ndarray:
    column = before.names.index(target)
    scores = [before.readings["attributes"][:, column], *(part["attributes"][:, column] for part in edited.path)]
    return monotonicity((0.0, *rules.FRACTIONS), np.stack(scores, 1))


def _outside(before: Before, target: str, edited: Edited) -> np.ndarray:
    return mse(before.images, edited.images, 1 - before.regions[target])


def _local(before: Before, target: str, edited: Edited) -> np.ndarray:
    return locality(before.images, edited.images, before.regions[target])


def _clip(before: Before, target: str, edited: Edited) -> np.ndarray:
    return clip_score(edited.path[-1]["text_image"], before.texts[target][1][None])


def _direction(before: Before, target: str, edited: Edited) -> np.ndarray:
    low, high = before.texts[target]
    return directional_similarity(before.readings["text_image"], edited.path[-1]["text_image"], low, high)


def _by_code(before: Before) -> dict[str, PerCode]:
    found: dict[str, PerCode] = {
        "target_effect": _of(TargetEffect),
        "rescoring_delta": _rescored,
        "monotonicity": _monotone,
        "leakage": _of(Leakage),
        "identity": _of(IdentityPreservation),
        "perceptual": _of(PerceptualDistance),
        "guide_gap_abs": lambda b, t, e: np.abs(GuideGap().per_sample(_batch(b, t, e))),
        "mse_outside": _outside,
        "locality": _local,
    }
    return {**found, "clip_score": _clip, "directional_similarity": _direction} if before.texts else found


def _verified(before: Before, edited: dict[str, Edited]) -> np.ndarray:
    """The verification rate of each code's pairs, one a target."""
    impostors = impostor_similarities(before.readings["identity"])
    same = [identity_cosine(before.readings["identity"], edited[t].path[-1]["identity"]) for t in before.targets]
    return np.array([verification_rate(pairs, impostors, far=rules.FAR).rate for pairs in np.stack(same, 1)])


# One value a block of codes.

PerBlock = Callable[[Before, dict[str, Edited], np.ndarray], float]


def _by_target(one: Callable[[Before, str, Edited, np.ndarray], float]) -> PerBlock:
    return lambda before, edited, rows: float(np.mean([one(before, t, edited[t], rows) for t in before.targets]))


def _computed(metric: Metric, batch: EditBatch) -> float:
    metric.update(batch)
    return metric.compute()[metric.name].value


def _attribute_change(before: Before, target: str, edited: Edited, rows: np.ndarray) -> float:
    return _computed(AttributeChange(), _batch(before, target, edited, rows=rows))


def _dependency(before: Before, target: str, edited: Edited, rows: np.ndarray) -> float:
    value = _computed(AttributeDependency(rules.LEVEL), _batch(before, target, edited, rows=rows))
    return float("inf") if np.isnan(value) else value  # no code of the block gets there


def _realism(before: Before, target: str, edited: Edited, rows: np.ndarray) -> float:
    features = (one["features"][rows].astype(np.float64) for one in (edited.path[-1], before.readings))
    return float(kid_difference(*features, before.reference, np.ones((1, len(rows))))[0])


def _curve(values: list[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """The mean curve over a block's codes, [1, S + 1]; values: one [N] a strength."""
    return mean_curve(np.stack(values, 1)[rows].astype(np.float64), np.ones((1, len(rows))))


def _effects(before: Before, target: str, edited: Edited) -> list[np.ndarray]:
    each = [TargetEffect().per_sample(_batch(before, target, edited, part)) for part in range(len(edited.path))]
    return [np.zeros_like(each[0]), *each]


def _reach(before: Before, target: str, edited: Edited, rows: np.ndarray) -> float:
    return float(reach(isotonic(_curve(_effects(before, target, edited), rows)))[0])


def _at_effect(before: Before, target: str, edited: Edited, rows: np.ndarray, other: list[np.ndarray], higher: bool) -> float:
    effect, worst = _curve(_effects(before, target, edited), rows), worst_value(higher)
    strengths = np.array([0.0, *rules.FRACTIONS])
    read = read_at_level(strengths, effect, {"other": _curve(other, rows)}, rules.LEVEL, {"other": worst})
    return float(read.values["other"][0])


def _leakage_at_effect(before: Before, target: str, edited: Edited, rows: np.ndarray) -> float:
    column = before.names.index(target)
    each = [leakage(changes(_batch(before, target, edited, part)), column) for part in range(len(edited.path))]
    return _at_effect(before, target, edited, rows, [np.zeros_like(each[0]), *each], False)


def _identity_at_effect(before: Before, target: str, edited: Edited, rows: np.ndarray) -> float:
    each = [identity_cosine(before.readings["identity"], part["identity"]) for part in edited.path]
    return _at_effect(before, target, edited, rows, [np.ones_like(each[0]), *each], True)


def _scores(before: Before, edited: dict[str, Edited], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    after = np.stack([edited[t].path[-1]["attributes"][rows] for t in before.targets])
    return before.readings["attributes"][rows], after


def _matrix(before: Before, edited: dict[str, Edited], rows: np.ndarray) -> np.ndarray:
    return rescoring_matrix(*_scores(before, edited, rows), before.sigma)


def _off_diagonal(before: Before, edited: dict[str, Edited], rows: np.ndarray) -> float:
    sizes, own = np.abs(_matrix(before, edited, rows)), [before.names.index(t) for t in before.targets]
    return float(np.mean([np.delete(row, column).mean() for row, column in zip(sizes, own, strict=True)]))


def _confidence(before: Before, edited: dict[str, Edited], rows: np.ndarray) -> float:
    effects = effect_matrix(*_scores(before, edited, rows), before.sigma)
    return float(np.mean([one.confidence for one in assign(effects, before.names, before.targets).values()]))


_BY_BLOCK: dict[str, PerBlock] = {
    "reach": _by_target(_reach),
    "leakage_at_effect": _by_target(_leakage_at_effect),
    "identity_at_effect": _by_target(_identity_at_effect),
    "attribute_dependency": _by_target(_dependency),
    "attribute_change": _by_target(_attribute_change),
    "realism_loss": _by_target(_realism),
    "rescoring_matrix": _off_diagonal,
    "effect_purity": lambda before, edited, rows: effect_purity(_matrix(before, edited, rows)),
    "assignment_confidence": _confidence,
}
