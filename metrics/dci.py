"""DCI: disentanglement, completeness and informativeness of codes, from the importances of codes for predicting factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from metrics.arrays import codes_matrix, factors_matrix, held_out, is_discrete, matrix

TINY = 1e-11  # what disentanglement_lib adds to every importance before it takes an entropy


class DCI(NamedTuple):
    """Three scores in [0, 1], higher is better, and the importances [D, K] behind them, each column summing to 1."""

    disentanglement: float
    completeness: float
    informativeness: float
    importance: np.ndarray


class Shares(NamedTuple):
    """The two scores that an importance matrix alone decides."""

    disentanglement: float
    completeness: float


Reading = tuple[np.ndarray, np.ndarray]  # importance of each code [D], what is predicted of the held-out rows [N_test]
Reader = Callable[[np.ndarray], Reading]  # of a factor [N]


def dci(
    codes: ArrayLike,
    factors: ArrayLike,
    codes_test: ArrayLike,
    factors_test: ArrayLike,
    *,
    regressor: str = "fast",
    seed: int = 0,
) -> DCI:
    """DCI of codes [N, D] and factors [N, K], informativeness on held-out rows; each score in [0, 1], higher is better.

    Each factor is predicted from all codes; R[d, k] is the importance of code d for factor k, |.| and columns summing to 1.
    disentanglement: 1 - entropy (base K) of a code's row of R, over codes weighted by their share of R; completeness: 1 -
    entropy (base D) of a factor's column, over factors weighted likewise; informativeness: mean over factors of the accuracy on
    the held-out rows, or for a continuous factor of R^2 there, not below 0. Eastwood and Williams 2018, with
    disentanglement_lib's classifier and weights. A factor whose values are all whole numbers holds classes.

    regressor:
        'fast', the default: the boosted trees of metrics.boosting, within 0.01 of scikit-learn's; they need no seed.
        'gradient_boosting': scikit-learn's own with default arguments; the reference, ten to thirty times slower.
        'random_forest': scikit-learn's, 100 trees, importance by impurity, sqrt(D) codes tried a split (D / 3 for regression).
        'lasso': linear, alpha 0.02 on standardised codes and factors, importance |coefficient|; class numbers are taken as
            numbers, informativeness is R^2 throughout, and what is not linear in the codes is not seen.
    Scores compare under one regressor, N and D only: with many codes trees spend importance on chance, and a small N lowers
    disentanglement. seed breaks ties of the slow trees and draws the forest; seeds move disentanglement by up to 0.0015 on
    small sets. Raises ValueError for one factor, constant columns, NaN, N < D, empty input, an unknown regressor.
    """
    if regressor not in REGRESSORS:
        raise ValueError(f"regressor must be one of {', '.join(REGRESSORS)}, not '{regressor}'")
    codes = codes_matrix(codes, columns=2)
    factors = factors_matrix(factors, len(codes), columns=2)
    codes_test, factors_test = held_out(codes_test, factors_test, codes, factors)
    read = REGRESSORS[regressor](codes, codes_test, seed)
    importance, informativeness = np.empty((codes.shape[1], factors.shape[1])), []
    for k in range(factors.shape[1]):
        truth = factors_test[:, k]
        size, predicted = read(factors[:, k])
        importance[:, k] = size / size.sum() if size.sum() > 0 else 0.0
        if is_discrete(factors[:, k]) and regressor != "lasso":
            informativeness.append(float(np.mean(predicted == truth)))
        else:
            informativeness.append(_r_squared(truth, predicted, factors[:, k].mean()))
    shares = dci_from_importance(importance)
    return DCI(shares.disentanglement, shares.completeness, float(np.mean(informativeness)), importance)


def dci_from_importance(importance: ArrayLike) -> Shares:
    """(disentanglement, completeness) of importances [D, K] of codes for factors, D and K at least 2; signs do not count.

    See dci. Columns need not sum to 1: a factor with larger importances weighs more in both. With no importance anywhere both
    are 0. Raises ValueError for NaN, empty input, one code or one factor (an entropy to base 1).
    """
    importance = np.abs(matrix(importance, "importance"))
    if min(importance.shape) < 2:
        raise ValueError(f"importance must be of two codes and two factors at least, not {importance.shape}")
    if importance.sum() == 0:
        return Shares(0.0, 0.0)
    per_code, per_factor = per_code_disentanglement(importance), per_factor_completeness(importance)
    total = importance.sum()
    return Shares(
        _bounded((per_code * importance.sum(1)).sum() / total),
        _bounded((per_factor * importance.sum(0)).sum() / total),
    )


def per_code_disentanglement(importance: np.ndarray) -> np.ndarray:
    """1 - entropy of each row over its base, [D, K] -> [D]."""
    return 1 - _entropy(np.asarray(importance).T) / np.log(np.shape(importance)[1])


def per_factor_completeness(importance: np.ndarray) -> np.ndarray:
    """1 - entropy of each column over its base, [D, K] -> [K]."""
    return 1 - _entropy(np.asarray(importance)) / np.log(np.shape(importance)[0])


def _entropy(sizes: np.ndarray) -> np.ndarray:
    sizes = np.abs(sizes) + TINY
    share = sizes / sizes.sum(0)
    return -(share * np.log(share)).sum(0)


def _bounded(value: float) -> float:
    return float(min(1.0, max(0.0, value)))  # rounding alone can leave [0, 1]


def _r_squared(truth: np.ndarray, predicted: np.ndarray, mean: float) -> float:
    """Share of the spread about the training mean that a prediction explains, not below 0."""
    spread = np.square(truth - mean).sum()
    return max(0.0, float(1 - np.square(truth - predicted).sum() / spread)) if spread > 0 else 0.0


def _fast(codes: np.ndarray, codes_test: np.ndarray, seed: int) -> Reader:
    from metrics.boosting import BoostedTrees

    trees = BoostedTrees(codes, codes_test)

    def read(factor: np.ndarray) -> Reading:
        if not is_discrete(factor):
            return trees.values(factor)
        values, labels = np.unique(factor, return_inverse=True)
        importance, predicted = trees.classes(labels)
        return importance, values[predicted]

    return read


def _gradient_boosting(codes: np.ndarray, codes_test: np.ndarray, seed: int) -> Reader:
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    draws = np.random.RandomState(seed)  # one for all factors, as numpy's global one is in disentanglement_lib

    def read(factor: np.ndarray) -> Reading:
        kind = GradientBoostingClassifier if is_discrete(factor) else GradientBoostingRegressor
        model = kind(random_state=draws).fit(codes, factor)
        return model.feature_importances_, model.predict(codes_test)

    return read


def _random_forest(codes: np.ndarray, codes_test: np.ndarray, seed: int) -> Reader:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    def read(factor: np.ndarray) -> Reading:
        if is_discrete(factor):
            model = RandomForestClassifier(random_state=seed)
        else:
            model = RandomForestRegressor(max_features=1 / 3, random_state=seed)
        model.fit(codes, factor)
        return model.feature_importances_, model.predict(codes_test)

    return read


def _lasso(codes: np.ndarray, codes_test: np.ndarray, seed: int) -> Reader:
    from sklearn.linear_model import Lasso

    centre, spread = codes.mean(0), codes.std(0)
    train, test = (codes - centre) / spread, (codes_test - centre) / spread

    def read(factor: np.ndarray) -> Reading:
        mean, scale = factor.mean(), factor.std()
        model = Lasso(alpha=0.02, max_iter=10000).fit(train, (factor - mean) / scale)
        return np.abs(model.coef_), model.predict(test) * scale + mean

    return read


REGRESSORS: dict[str, Callable[[np.ndarray, np.ndarray, int], Reader]] = {
    "fast": _fast,
    "gradient_boosting": _gradient_boosting,
    "random_forest": _random_forest,
    "lasso": _lasso,
}
