"""Metrics of a representation against factors, measured anew in every block of samples.

Why blocks. Mutual information, trees and lasso paths are biased by repeated rows, so that a plain bootstrap of the samples would
shift them; and refitting readers in hundreds of half samples of each space would take hours. So the samples are cut into
disjoint blocks, each with training and test rows of its own, and every estimator runs once in each: G independent draws of the
same number, at the price of one pass over the samples. What is reported is their mean, the metric's expectation at a block's
size, bias at that size included: it is the size that scores compare at. What is resampled are blocks (see rows.py), the same
ones for every space and method, so that the samples which make one block easier drop out of differences.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from bench.errors import UnsupportedError
from bench.tasks.representation.factors import Factors, Part
from bench.tasks.representation.protocol import BINS, KEEP
from metrics.arrays import active_columns
from metrics.disentanglement import (
    boundary_accuracy,
    dci,
    effect_purity,
    explicitness_per_factor,
    fit_boundary,
    mig,
    modularity,
    sap,
    separability_entropies,
)


def alive(codes: np.ndarray, parts: Sequence[Part]) -> np.ndarray:
    """Which channels of [N, D] change within the training rows of every block, bool [D]: a dead channel carries nothing."""
    return np.all([active_columns(codes[train]) for train, _ in parts], axis=0)


def measure_blocks(
    codes: np.ndarray,
    factors: Factors,
    parts: Sequence[Part],
    *,
    regressor: str = "lasso",
    progress: Callable[[], None] = lambda: None,
) -> tuple[dict[str, np.ndarray], int]:
    """Every metric in every block: key -> [G], or [G, A] with a column an attribute; and how many hyperplanes did not settle.

    codes: [N, D], channels that change in every block (`alive`); factors: at least two, of `usable`. Channels are brought to mean
    0 and deviation 1 over all samples, so that the penalty of a hyperplane means the same in every space. DCI, explicitness and
    boundary accuracy learn from training rows, and what they find is tried on held-out ones (SAP reads training rows alone);
    mutual information and separability, which hold nothing out, take all rows of a block. Separability is scored on the rows it
    was fitted to, as the official one is: with fewer than about ten sure rows a dimension it flatters a space that knows little.
    progress: called after every block. Raises UnsupportedError where a block has fewer training rows than there are channels, so
    that any labelling could be read off, and for fewer than two channels or attributes.
    """
    shortest = min(len(train) for train, _ in parts)
    if shortest < codes.shape[1]:
        raise UnsupportedError(f"{codes.shape[1]} channels need as many train_codes in a block, and there are {shortest}")
    if codes.shape[1] < 2 or len(factors.names) < 2:
        raise UnsupportedError(f"{codes.shape[1]} channels and {len(factors.names)} attributes: two of each are needed")
    codes = (codes - codes.mean(0)) / codes.std(0)
    short = in_span(codes)
    found: list[dict[str, float | np.ndarray]] = []
    # Hundreds of small fits: with several threads each, they would spend their time on waiting for each other.
    with threadpool_limits(1), warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        for train, test in parts:
            found.append(_measure(codes, short, factors, train, test, regressor))
            progress()
    return {key: np.array([one[key] for one in found], np.float64) for key in found[0]}, _unsettled(raised)


def in_span(codes: np.ndarray) -> np.ndarray:
    """Codes [N, D] of mean 0 in an orthonormal basis of what they span, [N, R]; themselves where they span all of D.

    A hyperplane with a quadratic penalty is the same one there, and found in a tenth of the time where R is far below D (s of a
    StyleGAN is an affine function of w). Directions with less than 1e-10 of the largest variance are rounding.
    """
    sizes, basis = np.linalg.eigh(codes.T @ codes)
    kept = sizes > 1e-10 * sizes[-1]
    return codes if kept.all() else codes @ basis[:, kept]


def _measure(
    codes: np.ndarray, short: np.ndarray, factors: Factors, train: np.ndarray, test: np.ndarray, regressor: str
) -> dict[str, float | np.ndarray]:
    """One block. short: `in_span` of codes, for hyperplanes."""
    x, y, both = codes[train], codes[test], np.concatenate([train, test])
    values, values_test = factors.regressed[train], factors.regressed[test]
    classes, classes_test = factors.classes[train].astype(np.int64), factors.classes[test].astype(np.int64)
    shares = dci(x, values, y, values_test, regressor=regressor)
    # Where no reader found anything, nothing of it goes to one factor: the least purity there is.
    purity = effect_purity(shares.importance) if shares.importance.any() else 1 / len(factors.names)
    boundaries = [fit_boundary(short[train], column) for column in classes.T]
    sides = zip(boundaries, classes_test.T, strict=True)
    return {
        "disentanglement": shares.disentanglement,
        "completeness": shares.completeness,
        "informativeness": shares.informativeness,
        "purity": purity,
        "mig": mig(codes[both], factors.regressed[both], bins=BINS),
        "modularity": modularity(codes[both], factors.regressed[both], bins=BINS),
        "sap": sap(x, values, y, values_test, continuous=True),
        "explicitness": explicitness_per_factor(x, classes, y, classes_test),
        "entropy": separability_entropies(short[both], factors.classes[both], factors.certainty[both], keep=KEEP),
        "boundary": np.array([boundary_accuracy(short[test], truth, one.normal, one.offset) for one, truth in sides]),
    }


def _unsettled(raised: Sequence[warnings.WarningMessage]) -> int:
    """How many of the warnings say that a hyperplane stopped at its last iteration; the others are raised again."""
    from sklearn.exceptions import ConvergenceWarning

    count = 0
    for one in raised:
        if issubclass(one.category, ConvergenceWarning):
            count += 1
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return count
