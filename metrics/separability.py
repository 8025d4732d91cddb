"""How cleanly hyperplanes tell attributes apart in a latent space: linear separability (StyleGAN), accuracy of a boundary."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from metrics.arrays import codes_matrix, finite, matrix


class Boundary(NamedTuple):
    """The hyperplane normal . c = offset, normal [D] of length 1; the positive class lies where normal . c > offset."""

    normal: np.ndarray
    offset: float


def linear_separability(codes: ArrayLike, labels: ArrayLike, confidences: ArrayLike | None, *, keep: float = 0.5) -> float:
    """exp of the sum over attributes of H(Y | X) in nats, range [1, 2^A], lower is better; codes [N, D].

    labels: [N, A] (or [N]) of two classes; confidences: of the same shape, larger is surer; None keeps every row. For each
    attribute the surest `keep` of the rows are kept, a linear SVM is fitted to them, and H(Y | X) is the entropy of the label Y
    given the side X on which the code falls, over the same rows. Karras et al. 2019, section 4.2 (200,000 samples, half kept,
    40 attributes; the official code sums bits and takes a power of 2: the same number). 1 is perfect; the number grows with
    attributes, so that it compares only for the same ones. Raises ValueError for one class only, NaN, N < D, constant columns,
    empty input.
    """
    return float(np.exp(separability_entropies(codes, labels, confidences, keep=keep).sum()))


def separability_entropies(
    codes: ArrayLike, labels: ArrayLike, confidences: ArrayLike | None, *, keep: float = 0.5
) -> np.ndarray:
    """H(Y | X) of each attribute in nats, [A], range [0, log 2]: see linear_separability.

    An attribute of one class only among the surest rows has none left to tell: 0.
    """
    from sklearn.svm import LinearSVC

    codes = codes_matrix(codes)
    truth = _two_classes(labels, len(codes))
    if not 0 < keep <= 1:
        raise ValueError(f"keep must lie in (0, 1], not {keep}")
    kept = max(1, int(len(codes) * keep)) if confidences is not None else len(codes)
    sure = None if confidences is None else matrix(_columns(confidences), "confidences")
    if sure is not None and sure.shape != truth.shape:
        raise ValueError(f"confidences must have the shape of labels {truth.shape}, not {sure.shape}")
    found = []
    for a in range(truth.shape[1]):
        rows = np.arange(len(codes)) if sure is None else np.argsort(-sure[:, a], kind="stable")[:kept]
        y = truth[rows, a]
        if y.all() or not y.any():
            found.append(0.0)
            continue
        x = LinearSVC(random_state=0).fit(codes[rows], y).predict(codes[rows])
        found.append(conditional_entropy(x, y))
    return np.array(found)


def conditional_entropy(x: ArrayLike, y: ArrayLike) -> float:
    """H(Y | X) in nats of paired labels, [N] each: -sum p(x, y) log p(x, y) / p(x), range [0, log of Y's classes]."""
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim != 1 or x.shape != y.shape or not x.size:
        raise ValueError(f"x and y must be vectors of one length, not {x.shape} and {y.shape}")
    _, row = np.unique(x, return_inverse=True)
    _, column = np.unique(y, return_inverse=True)
    joint = np.zeros((row.max() + 1, column.max() + 1))
    np.add.at(joint, (row, column), 1 / len(x))
    share = joint / joint.sum(1, keepdims=True)
    return max(0.0, float(-(joint * np.log(np.where(share > 0, share, 1.0))).sum()))


def fit_boundary(codes: ArrayLike, labels: ArrayLike, *, penalty: float = 1.0) -> Boundary:
    """The hyperplane of a linear SVM (hinge loss squared, C = penalty) between two classes, codes [N, D], labels [N]."""
    from sklearn.svm import LinearSVC

    codes = codes_matrix(codes)
    model = LinearSVC(C=penalty, random_state=0).fit(codes, _two_classes(labels, len(codes))[:, 0])
    length = np.linalg.norm(model.coef_[0])
    if not length:
        raise ValueError("codes give the boundary no direction: the classes lie on each other")
    return Boundary(model.coef_[0] / length, float(-model.intercept_[0] / length))


def boundary_accuracy(codes: ArrayLike, labels: ArrayLike, normal: ArrayLike, offset: float | None = 0.0) -> float:
    """Share of codes on their label's side of normal . c = offset, range [0, 1], higher is better; codes [N, D], labels [N].

    The positive side is the larger label's, so that a boundary the wrong way round scores below chance. offset None takes the
    one that is best on these very codes, for a direction whose bias was thrown away (InterFaceGAN's files): optimistic by the
    choice of one number. InterFaceGAN (Shen et al. 2020, section 4.1) reports it on held-out extremes and on all other codes;
    classes of unequal size raise it, chance is the larger class's share. Raises ValueError for one class only, a normal without
    length, NaN.
    """
    codes = matrix(codes, "codes")
    truth = _two_classes(labels, len(codes))[:, 0]
    normal = finite(np.asarray(normal, np.float64).ravel(), "normal")
    if normal.shape != codes.shape[1:] or not np.any(normal):
        raise ValueError(f"normal must be a vector of {codes.shape[1]} numbers, not all 0")
    side = codes @ normal
    if offset is not None:
        return float(np.mean((side > offset) == truth))
    order = np.argsort(side, kind="stable")
    below = np.concatenate([[0], np.cumsum(~truth[order])])  # right so far, were the offset after this many codes
    above = truth.sum() - np.concatenate([[0], np.cumsum(truth[order])])
    between = np.concatenate([[True], np.diff(side[order]) > 0, [True]])  # codes of one value cannot be parted
    return float((below + above)[between].max() / len(side))


def _two_classes(labels: ArrayLike, rows: int) -> np.ndarray:
    """Labels as bool [N, A], True for the larger of each column's two values."""
    array = matrix(_columns(labels), "labels")
    if len(array) != rows:
        raise ValueError(f"labels has {len(array)} rows for {rows} rows of codes")
    for a, column in enumerate(array.T):
        values = np.unique(column)
        if len(values) == 1:
            raise ValueError(f"labels holds one class only in column {a}")
        if len(values) > 2:
            raise ValueError(f"labels holds {len(values)} values in column {a}; two classes are needed")
    return array == array.max(0)


def _columns(values: ArrayLike) -> ArrayLike:
    return np.asarray(values)[:, None] if np.ndim(values) == 1 else values
