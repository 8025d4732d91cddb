"""How well factors can be read off codes by linear readers: explicitness (all codes together), SAP (one code at a time)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from metrics.arrays import codes_matrix, factors_matrix, held_out, is_discrete


def explicitness(codes: ArrayLike, factors: ArrayLike, codes_test: ArrayLike, factors_test: ArrayLike) -> float:
    """Explicitness on held-out rows, range [0, 1], 0.5 is chance, higher is better; mean over factors of
    explicitness_per_factor.

    Codes [N, D], factors [N, K] of classes (whole numbers). Ridgeway and Mozer 2018, section 3, as in disentanglement_lib,
    without the paper's rescaling of chance to 0. It does not ask how many codes a reader needs: any rotation of the codes
    scores alike. Raises ValueError for continuous factors, classes that factors_test lacks, constant columns, NaN, N < D, empty
    input.
    """
    return float(explicitness_per_factor(codes, factors, codes_test, factors_test).mean())


def explicitness_per_factor(codes: ArrayLike, factors: ArrayLike, codes_test: ArrayLike, factors_test: ArrayLike) -> np.ndarray:
    """Mean over a factor's classes of the area under the ROC curve for that class against the rest, [K].

    The reader is one logistic regression a factor (C 1) on codes standardised by the training rows.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    codes = codes_matrix(codes)
    factors = factors_matrix(factors, len(codes))
    codes_test, factors_test = held_out(codes_test, factors_test, codes, factors)
    centre, spread = codes.mean(0), codes.std(0)
    codes, codes_test = (codes - centre) / spread, (codes_test - centre) / spread
    found = []
    for k, (column, truth) in enumerate(zip(factors.T, factors_test.T, strict=True)):
        _whole(column, k)
        model = LogisticRegression().fit(codes, column)
        is_class = truth[:, None] == model.classes_
        lacking = model.classes_[~is_class.any(0) | is_class.all(0)]
        if len(lacking):
            raise ValueError(f"factors_test does not hold both rows with and rows without class {lacking[0]:g} of factor {k}")
        found.append(roc_auc_score(is_class, model.predict_proba(codes_test)))
    return np.array(found)


def sap(
    codes: ArrayLike, factors: ArrayLike, codes_test: ArrayLike, factors_test: ArrayLike, *, continuous: bool = False
) -> float:
    """Separated attribute predictability, range [0, 1], higher is better; codes [N, D], D at least 2, factors [N, K].

    Mean over factors of (score of the best code - score of the second best), scores of sap_matrix. Kumar et al. 2018 (DIP-VAE),
    section 3, as in disentanglement_lib. It is low wherever two codes share a factor. Raises ValueError for one code,
    continuous factors where `continuous` is not set, constant columns, NaN, N < D, empty input.
    """
    best = np.sort(sap_matrix(codes, factors, codes_test, factors_test, continuous=continuous), axis=0)
    if len(best) < 2:
        raise ValueError("codes has 1 column(s); at least 2 are needed")
    return float(np.mean(best[-1] - best[-2]))


def sap_matrix(
    codes: ArrayLike, factors: ArrayLike, codes_test: ArrayLike, factors_test: ArrayLike, *, continuous: bool = False
) -> np.ndarray:
    """What each code alone says of each factor, [D, K], range [0, 1].

    continuous: the squared correlation over the training rows. Otherwise the held-out accuracy of a linear SVM on that code (C
    0.01, classes balanced).
    """
    codes = codes_matrix(codes)
    factors = factors_matrix(factors, len(codes))
    codes_test, factors_test = held_out(codes_test, factors_test, codes, factors)
    if continuous:
        x, y = codes - codes.mean(0), factors - factors.mean(0)
        return np.clip(np.square(x.T @ y) / np.outer(np.square(x).sum(0), np.square(y).sum(0)), 0.0, 1.0)
    from sklearn.svm import LinearSVC

    found = np.empty((codes.shape[1], factors.shape[1]))
    for k, column in enumerate(factors.T):
        _whole(column, k)
        for d in range(codes.shape[1]):
            model = LinearSVC(C=0.01, class_weight="balanced", random_state=0).fit(codes[:, [d]], column)
            found[d, k] = np.mean(model.predict(codes_test[:, [d]]) == factors_test[:, k])
    return found


def _whole(column: np.ndarray, k: int) -> None:
    if not is_discrete(column):
        raise ValueError(f"factors holds values in column {k} that are not whole numbers: classes are needed")
