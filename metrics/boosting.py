"""Gradient-boosted trees as scikit-learn defines them, grown by LightGBM's histograms: importances of codes, in a tenth of the
time.

scikit-learn's GradientBoosting grows 100 trees of depth 3 at rate 0.1 on the residuals y - p, measures an importance as the
fall of squared error of those residuals, and sets leaves by one Newton step. LightGBM on its own objective chooses and measures
splits by the Newton gain, which divides by p (1 - p) and so gives late, confident trees a larger say: importances then spread
over more codes, and DCI's disentanglement and completeness fall by 0.03 to 0.05, though the cosine of importances stays above
0.999. Here LightGBM is handed residuals with unit curvature, which makes its gain the fall of squared error, and the Newton
leaves are put in afterwards: the same algorithm, with at most 1,022 thresholds a code where scikit-learn tries N - 1. Measured
against scikit-learn 1.9 on 5,000 x 512 codes and two binary factors: cosines of importances 0.99998 and 0.998, disentanglement
0.002 and completeness 0.004 lower, mean accuracy 0.003 higher, 2.6 s a factor of one core against 65 s, and 1 s for all factors
together.

Codes enter by their ranks, so that no scale, shift or sign counts, and in an order that depends on their values alone, so that
ties between codes fall the same way in whatever order they are given. Codes that order the rows alike (a copy, a multiple) are
grown on as one and share its importance, as scikit-learn's random ties share it on average.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, softmax

TREES, RATE, DEPTH, BINS = 100, 0.1, 3, 1023


class Boosted(NamedTuple):
    """importance: [D], sums to 1 (zeros where no tree found a split). predicted: [N_test] class numbers or values."""

    importance: np.ndarray
    predicted: np.ndarray


class BoostedTrees:
    """Readers of codes [N, D] and codes_test [N_test, D], binned once for every factor that is read off them.

    threads: 0 for all of OpenMP's. Answers depend neither on them nor on a seed.
    """

    def __init__(self, codes: np.ndarray, codes_test: np.ndarray, *, threads: int = 0) -> None:
        import lightgbm

        self.settings = {
            "num_threads": threads,
            "max_depth": DEPTH,
            "num_leaves": 2**DEPTH,
            "max_bin": BINS,
            "min_data_in_bin": 1,
            "min_data_in_leaf": 1,
            "min_sum_hessian_in_leaf": 0.0,
            "feature_pre_filter": False,
            "enable_bundle": False,
            "force_col_wise": True,  # a histogram is summed in the order of the rows, whatever the number of threads
            "deterministic": True,
            "verbosity": -1,
        }
        self.train, self.test, self.original = canonical(codes, codes_test)
        data = lightgbm.Dataset(self.train, np.zeros(len(self.train)), params=self.settings, free_raw_data=False)
        self.data = data.construct()

    def classes(self, labels: np.ndarray) -> Boosted:
        """Labels 0..C-1 [N], as scikit-learn's GradientBoostingClassifier with default arguments.

        Two classes take one tree a step on the logit, more take one for each class on softmax residuals (Friedman 2001,
        algorithms 5 and 6).
        """
        share = np.bincount(labels) / len(labels)
        several = len(share) > 2
        truth = np.eye(len(share))[labels] if several else labels[:, None].astype(np.float64)
        start = np.log(share) if several else np.log(share[1:] / share[:1])
        step = RATE * ((len(share) - 1) / len(share) if several else 1.0)
        booster = self._booster(objective="none", learning_rate=1.0, num_class=len(start))
        raw, raw_test = np.tile(start, (len(self.train), 1)), np.tile(start, (len(self.test), 1))
        values = []
        for tree in range(TREES):
            chance = softmax(raw, axis=1) if several else expit(raw)
            residual = truth - chance
            if _grow(booster, residual):
                break
            leaves = _leaves(booster, self.train, tree, 1, len(start))[:, 0]
            values.append(step * _newton(leaves, residual, chance))
            raw += np.take_along_axis(values[-1], leaves, 0)
        leaves = _leaves(booster, self.test, 0, len(values), len(start))
        for tree, value in enumerate(values):
            raw_test += np.take_along_axis(value, leaves[:, tree], 0)
        return Boosted(self._importance(booster), raw_test.argmax(1) if several else (raw_test[:, 0] > 0).astype(np.int64))

    def values(self, values: np.ndarray) -> Boosted:
        """Values [N], as scikit-learn's GradientBoostingRegressor, whose leaves are means of residuals."""
        mean, spread = values.mean(), values.std()
        truth = ((values - mean) / spread)[:, None]
        booster = self._booster(objective="none", learning_rate=RATE, num_class=1)
        raw = np.zeros((len(self.train), 1))
        for tree in range(TREES):
            if _grow(booster, truth - raw):
                break
            raw[:, 0] += booster.predict(self.train, start_iteration=tree, num_iteration=1, raw_score=True)
        return Boosted(self._importance(booster), booster.predict(self.test, raw_score=True) * spread + mean)

    def _booster(self, **settings: Any) -> Any:
        import lightgbm

        return lightgbm.Booster({**self.settings, **settings}, self.data)

    def _importance(self, booster: Any) -> np.ndarray:
        gain = booster.feature_importance("gain")
        gain = gain / gain.sum() if gain.sum() > 0 else gain
        return (gain / np.bincount(self.original))[self.original]


def canonical(codes: np.ndarray, codes_test: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes by their ranks: (float32 [N, U], float32 [N_test, U], the column of U that stands for each of D, int64 [D]).

    Ranks run from 0 and are the same where codes are. Each column is turned so that the first row off its middle has a low
    rank, and columns are sorted and listed once. A test code between two training codes gets a rank between theirs, in
    proportion.
    """
    ranks = np.empty(codes.shape[::-1], np.int32)
    ranks_test = np.empty(codes_test.shape[::-1], np.float32)
    for d, (column, column_test) in enumerate(zip(codes.T, codes_test.T, strict=True)):
        values, ranks[d] = np.unique(column, return_inverse=True)
        ranks_test[d] = np.interp(column_test, values, np.arange(len(values)))
        off_middle = 2 * ranks[d] - (len(values) - 1)
        if off_middle[np.argmax(off_middle != 0)] > 0:
            ranks[d], ranks_test[d] = len(values) - 1 - ranks[d], len(values) - 1 - ranks_test[d]
    unique, first, original = np.unique(ranks, axis=0, return_index=True, return_inverse=True)
    return np.ascontiguousarray(unique.T, np.float32), np.ascontiguousarray(ranks_test[first].T), original.reshape(-1)


def _grow(booster: Any, residual: np.ndarray) -> bool:
    """One more tree for each column of residual [N, C]. True where none of them found a split, and none was added."""
    gradient = -residual if residual.shape[1] > 1 else -residual[:, 0]
    return booster.update(fobj=lambda *_: (gradient, np.ones_like(gradient)))


def _leaves(booster: Any, codes: np.ndarray, first: int, steps: int, outputs: int) -> np.ndarray:
    """Which leaf each code falls in, int64 [n, steps, C]."""
    if not steps:
        return np.empty((len(codes), 0, outputs), np.int64)
    found = booster.predict(codes, pred_leaf=True, start_iteration=first, num_iteration=steps)
    return np.asarray(found, np.int64).reshape(len(codes), steps, outputs)


def _newton(leaves: np.ndarray, residual: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Sum of residuals over sum of p (1 - p) in every leaf, [2^depth, C]."""
    curvature = chance * (1 - chance)
    found = np.zeros((2**DEPTH, leaves.shape[1]))
    for k in range(leaves.shape[1]):
        top = np.bincount(leaves[:, k], residual[:, k], minlength=2**DEPTH)
        bottom = np.bincount(leaves[:, k], curvature[:, k], minlength=2**DEPTH)
        np.divide(top, bottom, out=found[:, k], where=bottom > 1e-150)  # scikit-learn's bound: a settled leaf stays
    return found
