"""Mean curves of one question in the point estimate and in every replicate, and their readings at equal judged effect."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from bench.tasks.editing.protocol import REACH_CAP
from bench.tasks.editing.quantities import CHANGE, CURVES, EFFECT, REALISM, Quantity, Samples
from bench.tasks.numbers import weights_of
from metrics.distribution import kid_difference_failed
from metrics.effects import attribute_dependency, monotonicity, off_target, with_worst
from metrics.reading import crossing, isotonic, mean_curve, reach, read_at
from metrics.statistics import fit_weights, over_fits, worst_value


def readable_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over the samples that could be read: values [n, ...] with NaN, weights [R, n] -> [R, ...]; NaN where there is none."""
    read = ~np.isnan(values)
    total = np.tensordot(weights, np.where(read, values, 0.0), axes=1)
    count = np.tensordot(weights, read.astype(np.float64), axes=1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


class Resampled:
    """One question of one fit. Row 0 of everything is the point (equal weights), rows 1 to B the replicates: R = B + 1."""

    def __init__(self, samples: Samples, replicates: int, seed: int) -> None:
        self.samples = samples
        self.weights = weights_of(samples.ids, replicates, seed)
        curves = {*samples.curves, *((REALISM.name,) if samples.features is not None else ())}
        self.available = tuple(one for one in CURVES if one.name in curves)
        self._curves: dict[str, np.ndarray] = {}
        self._strengths: dict[float, np.ndarray] = {}

    @property
    def n(self) -> int:
        return len(self.samples.ids)

    def curve(self, one: Quantity) -> np.ndarray:
        """The mean curve of a quantity, [R, S]."""
        if one.name not in self._curves:
            self._curves[one.name] = self._realism() if one == REALISM else self._mean(one)
        return self._curves[one.name]

    def _mean(self, one: Quantity) -> np.ndarray:
        values = self.samples.curves[one.name]
        if np.isnan(one.worst):
            return readable_mean(values, self.weights[:, : len(values)])  # some are of the first codes alone
        return mean_curve(with_worst(values, one.worst), self.weights)

    def _realism(self) -> np.ndarray:
        features, reference = self.samples.features, self.samples.reference
        steps = range(1, features.shape[1])
        each = [kid_difference_failed(features[:, s], features[:, 0], reference, self.weights)[0] for s in steps]
        return np.stack([np.zeros(len(self.weights)), *each], 1)

    def count(self, one: Quantity) -> int:
        """How many codes a curve is over: the first LOCAL_CODES alone where regions are needed."""
        return self.n if one == REALISM else len(self.samples.curves[one.name])

    def failed(self, one: Quantity) -> np.ndarray:
        """How many samples a judge could not read, at each strength [S]."""
        if one == REALISM:
            read = np.isfinite(self.samples.features).all(2)
            return (~(read & read[:, :1])).sum(0)
        return np.isnan(self.samples.curves[one.name]).sum(0)

    @cached_property
    def rising(self) -> np.ndarray:
        """The isotonic mean effect, [R, S]."""
        return isotonic(self.curve(EFFECT))

    def strength(self, level: float) -> np.ndarray:
        """Where the mean effect first reaches the level, [R]; NaN where it never does."""
        if level not in self._strengths:
            self._strengths[level] = crossing(self.samples.strengths, self.rising, level)
        return self._strengths[level]

    def read(self, one: Quantity, level: float) -> np.ndarray:
        """A quantity at the level, [R]; unreached, the worst there is, or NaN for one without better and worse."""
        return self._at(self.curve(one), level, unreached_value(one))

    def _at(self, curves: np.ndarray, level: float, worst: float) -> np.ndarray:
        strength = self.strength(level)
        return np.where(np.isnan(strength), worst, read_at(self.samples.strengths, curves, strength))

    @cached_property
    def _change(self) -> np.ndarray:
        return readable_mean(self.samples.change, self.weights)

    def read_change(self, attribute: int, level: float) -> np.ndarray:
        """Mean signed change of one attribute at the level, [R], in sigma; NaN where it is not reached."""
        return self._at(self._change[:, :, attribute], level, unreached_value(CHANGE))

    def read_size(self, attribute: int, level: float) -> np.ndarray:
        """Mean |change| of one attribute at the level, [R], in sigma; +inf where it is not reached."""
        return self._at(readable_mean(np.abs(self.samples.change[:, :, attribute]), self.weights), level, float("inf"))

    def dependency(self, level: float) -> tuple[np.ndarray, int]:
        """Attribute dependency at each sample's own change by `level` [R], NaN where none gets there, and how many do not."""
        s = self.samples
        others = np.stack([off_target(s.change[:, i], s.targets) for i in range(1, len(s.strengths))], 1)
        values = attribute_dependency(s.effect[:, 1:], others, level)[0]
        return readable_mean(values, self.weights), int(np.isnan(values).sum())

    def monotonicity(self) -> tuple[np.ndarray, int]:
        """Spearman correlation of strength and effect, mean over samples [R], and how many samples could not be read."""
        values = monotonicity(self.samples.strengths, self.samples.effect)
        return readable_mean(values, self.weights), int(np.isnan(values).sum())

    def ratio(self, pairs: np.ndarray) -> tuple[np.ndarray, int]:
        """Mean of the first over mean of the second column of pairs [m, 2], of the first m codes, [R]; and how many are NaN."""
        read = np.isfinite(pairs).all(1)
        parts = np.where(read[:, None], pairs, 0.0)
        above, below = (self.weights[:, : len(pairs)] @ parts).T
        rows = np.divide(above, below, out=np.full(len(self.weights), np.nan), where=below > 0)
        return rows, int((~read).sum())

    def reach(self) -> np.ndarray:
        """The largest effect within the plausible range, capped, [R]."""
        return reach(self.rising, REACH_CAP)


def unreached_value(one: Quantity) -> float:
    """What a replicate that does not reach the level counts as: worst of all, or NaN where there is no better and worse."""
    return float("nan") if one.higher_is_better is None else worst_value(one.higher_is_better)


def joined(parts: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Mean over fits of rows [R] each -> [R]: row 0 over all of them, the replicates over fits drawn with replacement.

    NaN where a drawn fit has none.
    """
    if len(parts) == 1:
        return parts[0]
    stacked = np.stack(parts)
    fits, rows = stacked.shape
    weights = np.concatenate([np.ones((1, fits)), fit_weights(fits, rows - 1, seed)])
    missing = np.isnan(stacked)
    mean = over_fits(np.where(missing, 0.0, stacked), weights)
    return np.where((missing & (weights.T > 0)).any(0), np.nan, mean)
