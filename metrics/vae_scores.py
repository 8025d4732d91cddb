"""BetaVAE and FactorVAE scores: which factor was held fixed in a minibatch, read off the codes of that minibatch.

The scores take drawn minibatches; the samplers beside them draw all minibatches at once, from a known generator of data (`draw`
and `represent`, factors independent) or from a fixed table of codes and factors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from metrics.arrays import bin_count, codes_matrix, factors_matrix, finite, matrix
from metrics.information import classes

Draw = Callable[[int, np.random.Generator], np.ndarray]  # n, generator -> independent factors [n, K]
Represent = Callable[[np.ndarray], np.ndarray]  # factors [n, K] -> codes [n, D]

PRUNE = 0.05  # codes whose standard deviation is smaller cast no votes
ROWS = 1 << 14  # of codes represented at a time
MINIBATCHES = 256  # whose variances are taken at a time, so that they stay in the processor's cache
BLOCK = 1 << 23  # entries of a table gathered at a time, 64 MB


class Batches(NamedTuple):
    """values: [M, D] one row a minibatch, mean |differences| or variances of codes. fixed: [M] the factor held fixed."""

    values: np.ndarray
    fixed: np.ndarray


def beta_vae_score(differences: ArrayLike, fixed: ArrayLike, differences_test: ArrayLike, fixed_test: ArrayLike) -> float:
    """Held-out accuracy of a logistic regression that names the fixed factor, range [0, 1], chance 1 / K, higher is better.

    differences: [M, D], mean over a minibatch of |c - c'| for pairs that share one factor; fixed: [M], which factor. Higgins et
    al. 2017, section 3, as in disentanglement_lib. Linear reading makes it blind to rotations within what the regression can
    undo. Raises ValueError for fewer than two factors, NaN, empty input.
    """
    from sklearn.linear_model import LogisticRegression

    x, y = matrix(differences, "differences", rows=2), _numbers(fixed, "fixed", np.shape(differences)[0])
    x_test, y_test = (
        matrix(differences_test, "differences_test"),
        _numbers(fixed_test, "fixed_test", np.shape(differences_test)[0]),
    )
    if x_test.shape[1] != x.shape[1]:
        raise ValueError(f"differences_test has {x_test.shape[1]} columns, differences has {x.shape[1]}")
    if len(np.unique(y)) < 2:
        raise ValueError("fixed holds one factor only")
    return float(np.mean(LogisticRegression(random_state=0).fit(x, y).predict(x_test) == y_test))


def factor_vae_score(
    variances: ArrayLike,
    votes: ArrayLike,
    variances_test: ArrayLike | None = None,
    votes_test: ArrayLike | None = None,
    *,
    scale: ArrayLike | None = None,
    prune: float = PRUNE,
) -> float:
    """Accuracy of the majority vote 'this code varies least, so that factor was fixed', range [0, 1], higher is better.

    variances: [M, D], the variance of every code in a minibatch; votes: [M], the factor held fixed there. Each minibatch votes
    for its factor under the code of least variance / scale; each code then stands for the factor most often voted under it.
    scale: [D], the codes' variances over all data (None: variances are relative already, and nothing is pruned); codes with a
    root below `prune` cast no vote, and with none left the score is 0. Or votes: [M, 2] pairs (factor, code of least variance)
    with variances: [D], the codes' variances over all data. The score is read on the test minibatches where they are given,
    else on those that voted. Kim and Mnih 2018, section 4, as in disentanglement_lib. A code that never won while voting stands
    for the first factor; what a code tells besides its main factor is not seen. Raises ValueError for NaN, empty input, shapes
    that do not fit.
    """
    trained = _ballot(variances, votes, scale, prune, "variances", "votes")
    if trained is None:
        return 0.0
    judged = trained
    if (variances_test is None) != (votes_test is None) and np.ndim(votes_test) != 2:
        raise ValueError("variances_test and votes_test are given together")
    if votes_test is not None:
        given = variances if variances_test is None else variances_test
        judged = _ballot(given, votes_test, scale, prune, "variances_test", "votes_test")
        assert judged is not None
    size = 1 + max(trained.max(0).max(), judged.max(0).max())
    counts = np.zeros((size, size), np.int64)  # [factor, code]
    np.add.at(counts, (trained[:, 0], trained[:, 1]), 1)
    stands_for = counts.argmax(0)
    return float(np.mean(stands_for[judged[:, 1]] == judged[:, 0]))


def beta_vae_batches(draw: Draw, represent: Represent, n: int, *, batch: int = 64, seed: int = 0) -> Batches:
    """n minibatches of `batch` pairs that share one factor and nothing else, and the mean |difference| of their codes."""
    rng = np.random.default_rng(seed)
    first = _drawn(draw, n * batch, rng)
    second = _drawn(draw, n * batch, rng)
    fixed = rng.integers(first.shape[1], size=n)
    for k in range(first.shape[1]):
        held = np.repeat(fixed == k, batch)
        second[held, k] = first[held, k]
    apart = np.abs(_represented(represent, first) - _represented(represent, second))
    return Batches(apart.reshape(n, batch, -1).mean(1), fixed)


def factor_vae_batches(draw: Draw, represent: Represent, n: int, *, batch: int = 64, seed: int = 0) -> Batches:
    """n minibatches that share one factor's value, and the unbiased variances of their codes."""
    rng = np.random.default_rng(seed)
    factors = _drawn(draw, n * batch, rng)
    fixed = rng.integers(factors.shape[1], size=n)
    for k in range(factors.shape[1]):
        held = np.flatnonzero(fixed == k)
        factors.reshape(n, batch, -1)[held, :, k] = factors[held * batch, k][:, None]
    codes = _represented(represent, factors)
    return Batches(minibatch_variances(codes.reshape(n, batch, -1)), fixed)


def beta_vae_batches_from(
    codes: ArrayLike, factors: ArrayLike, n: int, *, batch: int = 64, bins: int = 20, seed: int = 0
) -> Batches:
    """beta_vae_batches from a table: codes [N, D], factors [N, K]. Pairs are two rows of one class (or bin) of the fixed
    factor.

    The other factors come as they lie in the table: where factors correlate, a fixed one holds others back too.
    """
    rng, table, labels = np.random.default_rng(seed), *_table(codes, factors, bins)
    fixed = rng.integers(labels.shape[1], size=n)
    first = rng.integers(len(table), size=(n, batch))
    second = _companions(labels, np.repeat(fixed, batch), first.ravel(), rng).reshape(n, batch)
    blocks = [np.abs(table[a] - table[b]).mean(1) for a, b in _blocks(batch * table.shape[1], first, second)]
    return Batches(np.concatenate(blocks), fixed)


def factor_vae_batches_from(
    codes: ArrayLike, factors: ArrayLike, n: int, *, batch: int = 64, bins: int = 20, seed: int = 0
) -> Batches:
    """factor_vae_batches from a table: rows of one class (or bin) of the fixed factor, that of a row drawn at random."""
    rng, table, labels = np.random.default_rng(seed), *_table(codes, factors, bins)
    fixed = rng.integers(labels.shape[1], size=n)
    lead = np.repeat(rng.integers(len(table), size=n), batch)
    rows = _companions(labels, np.repeat(fixed, batch), lead, rng).reshape(n, batch)
    blocks = [minibatch_variances(table[part]) for (part,) in _blocks(batch * table.shape[1], rows)]
    return Batches(np.concatenate(blocks), fixed)


def minibatch_variances(codes: ArrayLike) -> np.ndarray:
    """Unbiased variance of every code in every minibatch, [M, B, D] -> [M, D], B at least 2."""
    codes = np.asarray(codes, np.float64)
    if codes.ndim != 3 or codes.shape[1] < 2 or not codes.size:
        raise ValueError(f"codes must be [minibatches, rows, codes] with two rows at least, not {codes.shape}")
    finite(codes, "codes")
    ones = np.ones(codes.shape[1])
    found = np.empty((len(codes), codes.shape[2]))
    for start in range(0, len(codes), MINIBATCHES):
        part = codes[start : start + MINIBATCHES]
        centred = part - (ones @ part / len(ones))[:, None]
        found[start : start + MINIBATCHES] = ones @ np.square(centred)
    return found / (len(ones) - 1)


def mean_differences(codes: ArrayLike, codes_other: ArrayLike) -> np.ndarray:
    """Mean |difference| of paired codes in every minibatch, [M, B, D] twice -> [M, D]."""
    return np.abs(np.asarray(codes, np.float64) - np.asarray(codes_other, np.float64)).mean(1)


def _ballot(
    variances: ArrayLike, votes: ArrayLike, scale: ArrayLike | None, prune: float, name: str, votes_name: str
) -> np.ndarray | None:
    """Votes as pairs (factor, code), int64 [M, 2]; None where every code is pruned."""
    if np.ndim(votes) == 2:
        pairs = matrix(votes, votes_name)
        spread = np.asarray(variances, np.float64)
        if pairs.shape[1] != 2 or spread.ndim != 1 or not spread.size:
            raise ValueError(f"{votes_name} as pairs are [M, 2] beside {name} [D], not {pairs.shape} beside {spread.shape}")
        if not (np.sqrt(finite(spread, name)) >= prune).any():
            return None
        return np.stack([_numbers(pairs[:, 0], votes_name, len(pairs)), _numbers(pairs[:, 1], votes_name, len(pairs))], axis=1)
    values = matrix(variances, name)
    fixed = _numbers(votes, votes_name, len(values))
    if (values < 0).any():
        raise ValueError(f"{name} holds negative values")
    if scale is not None:
        scale = np.asarray(scale, np.float64)
        if scale.shape != values.shape[1:]:
            raise ValueError(f"scale must hold one variance for each of {values.shape[1]} codes, not {scale.shape}")
        active = np.sqrt(finite(scale, "scale")) >= prune
        if not active.any():
            return None
        values = np.where(active, values / np.where(active, scale, 1.0), np.inf)
    return np.stack([fixed, values.argmin(1)], axis=1)


def _numbers(values: ArrayLike, name: str, rows: int) -> np.ndarray:
    array = np.asarray(values)
    if array.shape != (rows,) or not rows:
        raise ValueError(f"{name} must be one number for each of {rows} minibatches, not of shape {array.shape}")
    array = np.asarray(array, np.float64)
    if not np.all(array == np.round(array)) or array.min() < 0:  # also False for NaN
        raise ValueError(f"{name} must be whole numbers from 0")
    return array.astype(np.int64)


def _drawn(draw: Draw, n: int, rng: np.random.Generator) -> np.ndarray:
    return np.array(matrix(draw(n, rng), "draw(...)", rows=n))


def _represented(represent: Represent, factors: np.ndarray) -> np.ndarray:
    parts = [matrix(represent(factors[start : start + ROWS]), "represent(...)") for start in range(0, len(factors), ROWS)]
    codes = np.concatenate(parts)
    if len(codes) != len(factors):
        raise ValueError(f"represent(...) gave {len(codes)} rows of codes for {len(factors)} rows of factors")
    return codes


def _table(codes: ArrayLike, factors: ArrayLike, bins: int) -> tuple[np.ndarray, np.ndarray]:
    table = codes_matrix(codes)
    return table, classes(factors_matrix(factors, len(table)), bin_count(bins))


def _companions(labels: np.ndarray, columns: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each (factor, row), a random row of the same class of that factor: one sort a factor, no search."""
    found = np.empty(len(rows), np.int64)
    for k in range(labels.shape[1]):
        here = columns == k
        order = np.argsort(labels[:, k], kind="stable")
        counts = np.bincount(labels[:, k])
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        group = labels[rows[here], k]
        found[here] = order[starts[group] + rng.integers(counts[group])]
    return found


def _blocks(width: int, *rows: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    step = max(1, BLOCK // width)
    return [tuple(one[start : start + step] for one in rows) for start in range(0, len(rows[0]), step)]
