"""The editing task's metrics on batches: what edits at one strength did to the target, to everything else and to who it is.

Each accumulates per-sample values (metrics.effects). A sample that the judge could not read is NaN there and counts in n_failed;
in the mean it counts as the metric's `worst`, where it has one (headlines). Metrics without a worst average over the readable
samples, and n and n_failed say how many those were.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from bench.errors import InputError
from metrics.base import EditBatch, Metric, Score
from metrics.effects import (
    attribute_dependency,
    changes,
    identity_cosine,
    leakage,
    off_target,
    reading,
    target_effect,
    target_index,
    with_worst,
)
from metrics.perceptual import squared_distance
from metrics.rescoring import signed_change


def summary(values: np.ndarray, worst: float) -> Score:
    """Mean of per-sample values [N], failures as `worst`, or left out of the mean and counted where worst is NaN."""
    failed = np.isnan(values)
    used = values[~failed] if np.isnan(worst) else with_worst(values, worst)
    return Score(float(used.mean()) if len(used) else float("nan"), values, len(values), int(failed.sum()))


class PerSample(Metric):
    """A metric that is a mean of one value per sample: subclasses say which."""

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []

    @abstractmethod
    def per_sample(self, batch: EditBatch) -> np.ndarray:
        """The values of one batch, [N] or [N, columns]; NaN where the judge could not read."""

    def update(self, batch: EditBatch) -> None:
        self._parts.append(self.per_sample(batch))

    def values(self) -> np.ndarray:
        """All values taken in so far, [N] or [N, columns]. Raises InputError where there are none."""
        if not self._parts:
            raise InputError(f"{self.name} has seen no batch")
        return np.concatenate(self._parts)

    def compute(self) -> dict[str, Score]:
        return {self.name: summary(self.values(), self.worst)}


class TargetEffect(PerSample):
    """Signed change of the target in sigma, the way asked: sign (F_t(after) - F_t(before)) / sigma_t. Range (-inf, inf).

    An unreadable sample counts as 0, no effect: the least that the headline `reach`, which is capped to [0, 1], can be.
    Source: the change of logit of InterFaceGAN's and StyleSpace's re-scoring, in units of the attribute's own spread.
    """

    name: ClassVar[str] = "target_effect"
    unit: ClassVar[str] = "sigma"
    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[frozenset[str]] = frozenset({"attributes"})
    worst: ClassVar[float] = 0.0

    def per_sample(self, batch: EditBatch) -> np.ndarray:
        return target_effect(changes(batch), target_index(batch), batch.sign)


class Leakage(PerSample):
    """What else changed: mean over the other judged attributes k of |F_k(after) - F_k(before)| / sigma_k. Range [0, inf), sigma.

    An unreadable sample counts as 10 sigma: beyond anything that a judge reads off a picture, yet finite, so that one picture of
    many costs in proportion. The judge's own cross-talk is the floor. Source: this benchmark; StyleSpace's attribute dependency
    without its conditioning on each picture.
    """

    name: ClassVar[str] = "leakage"
    unit: ClassVar[str] = "sigma"
    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[frozenset[str]] = frozenset({"attributes"})
    worst: ClassVar[float] = 10.0

    def per_sample(self, batch: EditBatch) -> np.ndarray:
        return leakage(changes(batch), target_index(batch))


class AttributeChange(PerSample):
    """Signed change of every judged attribute, (F_k(after) - F_k(before)) / sigma_k, in its own direction (not turned by the sign
    asked).

    compute: 'attribute_change/<attribute>' for each, the row of the signed re-scoring matrix, and as the plain name the mean over
    the others of |mean change|: what moves the same way in every picture, range [0, inf), at most the leakage of readable
    samples. per_sample of the plain name is the matrix [N, K]. Source: the re-scoring matrices of InterFaceGAN and SeFa.
    """

    name: ClassVar[str] = "attribute_change"
    unit: ClassVar[str] = "sigma"
    higher_is_better: ClassVar[bool | None] = None
    needs: ClassVar[frozenset[str]] = frozenset({"attributes"})

    def __init__(self) -> None:
        super().__init__()
        self._asked: tuple[tuple[str, ...], int] | None = None

    def per_sample(self, batch: EditBatch) -> np.ndarray:
        asked = (tuple(batch.names), target_index(batch))
        if self._asked not in (None, asked):
            raise InputError("one accumulator cannot hold batches of different targets or attributes")
        self._asked = asked
        return changes(batch)

    def compute(self) -> dict[str, Score]:
        values = self.values()
        names, target = self._asked
        each = {f"{self.name}/{name}": summary(values[:, k], self.worst) for k, name in enumerate(names)}
        means = np.array([[score.value for score in each.values()]])
        failed = int(np.isnan(values).any(1).sum())
        return {self.name: Score(float(leakage(means, target)[0]), values, len(values), failed), **each}


class IdentityPreservation(PerSample):
    """Cosine of the identity embeddings before and after. Range [-1, 1], 1 is the same person to the judge.

    An unreadable sample (no face found) counts as -1. Source: the identity similarity of ArcFace-type networks used by pSp and
    e4e.
    """

    name: ClassVar[str] = "identity"
    unit: ClassVar[str] = "cosine"
    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[frozenset[str]] = frozenset({"identity"})
    reading: ClassVar[str] = "identity"
    worst: ClassVar[float] = -1.0

    def per_sample(self, batch: EditBatch) -> np.ndarray:
        return identity_cosine(*reading(batch, "identity"))


class PerceptualDistance(PerSample):
    """Squared Euclidean distance of the judge's perceptual vectors before and after. Range [0, inf), 0 for the same picture.

    Its unit is the judge's own. Not a headline: unreadable samples are counted and left out of the mean. Source: LPIPS (Zhang et
    al. 2018) has this form, with channel-normalised features scaled by the roots of its weights as the vectors.
    """

    name: ClassVar[str] = "perceptual"
    unit: ClassVar[str] = "distance"
    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[frozenset[str]] = frozenset({"perceptual"})
    reading: ClassVar[str] = "perceptual"

    def per_sample(self, batch: EditBatch) -> np.ndarray:
        return squared_distance(*reading(batch, "perceptual"))


class AttributeDependency(PerSample):
    """StyleSpace's attribute dependency at a change of the target by `level` sigma in *each* picture; see attribute_dependency.

    compute: the mean over codes and others, and 'attribute_dependency_max', the largest of the others' means (the paper's mean-AD
    and max-AD). Range [0, inf), sigma. A picture is read on the line from unchanged to this batch's strength, where its own
    effect is `level`; one that does not get there counts in n_failed, and 'attribute_dependency_reached' is the share that does.
    """

    name: ClassVar[str] = "attribute_dependency"
    unit: ClassVar[str] = "sigma"
    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[frozenset[str]] = frozenset({"attributes"})

    def __init__(self, level: float = 0.5) -> None:
        super().__init__()
        self.level = level

    def per_sample(self, batch: EditBatch) -> np.ndarray:
        change, target = changes(batch), target_index(batch)
        if change.shape[1] < 2:
            raise InputError("attribute dependency needs a judge that reads more than the target")
        effect = target_effect(change, target, batch.sign)[:, None]
        return attribute_dependency(effect, off_target(change, target)[:, None], self.level)[1]

    def compute(self) -> dict[str, Score]:
        each = self.values()
        mean = summary(each.mean(1), self.worst)
        reached = ~np.isnan(each).any(1)
        largest = float(each[reached].mean(0).max()) if reached.any() else float("nan")
        return {
            self.name: mean,
            f"{self.name}_max": Score(largest, None, mean.n, mean.n_failed),
            f"{self.name}_reached": Score(float(reached.mean()), reached.astype(np.float64), mean.n, 0),
        }


class GuideGap(PerSample):
    """The guide's effect minus the judge's, on the target, the way asked, each in its own sigma. Range (-inf, inf), 0 is
    agreement.

    Above 0 the edit pleases the network that methods may fit to more than the one that they never see: it fools the guide.
    Neither way is better, so that the plain value has no direction; 'guide_gap_abs' is the mean |gap|. batch.extra: guide_before,
    guide_after [N] scores of the guide for the target; guide_sigma, its own spread (one number). Source: this benchmark.
    """

    name: ClassVar[str] = "guide_gap"
    unit: ClassVar[str] = "sigma"
    higher_is_better: ClassVar[bool | None] = None
    needs: ClassVar[frozenset[str]] = frozenset({"attributes", "guide_before", "guide_after", "guide_sigma"})

    def per_sample(self, batch: EditBatch) -> np.ndarray:
        missing = sorted({"guide_before", "guide_after", "guide_sigma"} - set(batch.extra))
        if missing:
            raise InputError(f"guide_gap needs {', '.join(missing)} in the batch")
        change, target = changes(batch), target_index(batch)
        before, after = (np.asarray(batch.extra[key], np.float64) for key in ("guide_before", "guide_after"))
        if before.shape != change.shape[:1] or after.shape != before.shape or np.size(batch.extra["guide_sigma"]) != 1:
            raise InputError("the guide's scores of the target must be [N] and its sigma one number")
        guide = signed_change(before[:, None], after[:, None], np.reshape(batch.extra["guide_sigma"], 1))[:, 0]
        gap = batch.sign * guide - target_effect(change, target, batch.sign)
        return np.where(np.isfinite(gap), gap, np.nan)

    def compute(self) -> dict[str, Score]:
        values = self.values()
        return {self.name: summary(values, self.worst), f"{self.name}_abs": summary(np.abs(values), self.worst)}


class ReScoring(PerSample):
    """HiGAN's delta of the target: mean of max(sign (F_t(after) - F_t(before)), 0) in the score's own units, range [0, inf).

    sign = +1 is the paper's; -1 counts falls. What goes the wrong way counts as 0, so that a random direction scores above 0 too.
    Not a headline: unreadable samples are counted and left out. Source: Yang, Shen and Zhou 2021 (HiGAN), equation 2.
    """

    name: ClassVar[str] = "rescoring_delta"
    unit: ClassVar[str] = "score"
    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[frozenset[str]] = frozenset({"attributes"})

    def per_sample(self, batch: EditBatch) -> np.ndarray:
        before, after = reading(batch, "attributes")
        k = target_index(batch)
        return np.maximum(batch.sign * (after[:, k] - before[:, k]), 0.0)
