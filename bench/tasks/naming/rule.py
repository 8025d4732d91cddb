"""When does a component get a name, and which? One rule for what a guide of attributes scores and for what words say.

A component changes every column (an attribute, or a statement) of every code a little. It is named by the subject that it changes
most, in sigma, if that is no chance:

- over codes: were the change as often one way as the other, the largest mean change over all columns would be as large in at most
  LEVEL of cases. Signs are flipped code by code, all columns together, so that the search for the best column is in the null.
- over subjects: resampling the codes, the same subject leads in at least 1 - LEVEL of cases, with LEAD times the change of the
  next one, as sigma itself is an estimate. What mixes several subjects has no name, however much it moves.

LEAD was chosen on heads-oracle and the shipped StyleGAN2 of heads, with 16 codes to name on and 32 to judge: both guides named
all 18 planted factors rightly and none of the four nuisance directions, under each of three values. Of 336 components of sefa,
ganspace and random directions LEAD 1 gave 123 names, six of them wrong; 1.1 gave 69 and 1.25 gave 45, none of them wrong.

Random directions are no null here: they change attributes, too, and where one of them moves glasses before all else, 'glasses' is
its right name. They are the floor of how many components can be named at all: read a method's share beside that of `random`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.streams import stream_rng
from bench.tasks.naming.protocol import FLIPS, LEAD, LEAST, LEVEL
from metrics.assignment import normalised_effects
from metrics.replicates import bootstrap_weights


@dataclass(frozen=True)
class Naming:
    """What K components would be named, and whether they are.

    subject: [K] numbers of the leading subjects. column: [K] the column that speaks for it. effect: [K] its mean change in sigma,
    signed. confidence: [K] in [0, 1], |normalised effect| of the subject (metrics.assignment). runner_up: [K] the next subject,
    -1 where there is one only. stability: [K] share of resamples in which the subject leads by LEAD. p: [K] of the flipped signs.
    effects: [K, S], by subject that of the column that changes most.
    """

    subject: np.ndarray
    column: np.ndarray
    effect: np.ndarray
    confidence: np.ndarray
    runner_up: np.ndarray
    runner_up_confidence: np.ndarray
    stability: np.ndarray
    p: np.ndarray
    effects: np.ndarray

    @property
    def named(self) -> np.ndarray:
        """[K] bool."""
        return (self.p <= LEVEL) & (self.stability >= 1 - LEVEL) & (np.abs(self.effect) >= LEAST)


def leading_columns(effects: np.ndarray, subjects: np.ndarray, count: int) -> np.ndarray:
    """The column of each subject whose |effect| is largest: [..., C] and the subjects' numbers [C] -> [..., count]."""
    own = subjects == np.arange(count)[:, None]
    return np.where(own, np.abs(effects)[..., None, :], -1.0).argmax(-1)


def name_components(changes: np.ndarray, subjects: Sequence[int], seed: int) -> Naming:
    """Names of components. changes: [K, N, C] of what C columns say of N codes, in sigma. subjects: [C] of columns, 0 to S - 1.

    Raises ValueError for fewer than two codes, what is not finite, and a subject without a column.
    """
    changes, subjects = np.asarray(changes, np.float64), np.asarray(subjects)
    count = int(subjects.max()) + 1
    if changes.shape[1] < 2 or not np.isfinite(changes).all() or len(np.unique(subjects)) != count:
        raise ValueError("names need finite changes of two codes or more, and a column for every subject")
    means, rows = changes.mean(1), np.arange(len(changes))
    columns = leading_columns(means, subjects, count)
    effects = np.take_along_axis(means, columns, 1)
    shares = np.abs(normalised_effects(effects))
    order = np.argsort(-np.abs(effects), 1, kind="stable")
    first, second = order[:, 0], order[:, 1] if count > 1 else np.full(len(order), -1)
    found = [_chance(one, subjects, leader, seed) for one, leader in zip(changes, first, strict=True)]
    stability, p = np.array(found).reshape(-1, 2).T
    beside = np.where(second >= 0, shares[rows, second], 0.0)
    return Naming(
        first, columns[rows, first], effects[rows, first], shares[rows, first], second, beside, stability, p, effects
    )  # fmt: skip


def _chance(changes: np.ndarray, subjects: np.ndarray, leader: int, seed: int) -> tuple[float, float]:
    """One component's share of resamples in which the subject leads by LEAD, and the p of flipped signs. changes: [N, C]."""
    codes = np.arange(len(changes))
    weights = bootstrap_weights(codes, FLIPS, seed)
    resampled = np.abs(weights @ changes)
    own = subjects == leader
    leads = resampled[:, own].max(1) >= LEAD * resampled[:, ~own].max(1, initial=0.0)
    signs = stream_rng("naming-signs", seed, len(changes)).choice([-1.0, 1.0], size=(FLIPS, len(changes)))
    largest = np.abs(signs @ changes).max(1)
    # What all signs give alike, up to rounding, is as large: a component that changes nothing has no name.
    reached = largest >= np.abs(changes.sum(0)).max() * (1 - 1e-9)
    return float(leads.mean()), float((1 + reached.sum()) / (FLIPS + 1))
