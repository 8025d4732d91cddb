"""The headline ranking: mean ranks over every question, their joint bootstrap, and who is significantly better than whom.

A *question* is one (target, sign, headline). Entries, (method, variant), are ranked within each question of one generator, the
ranks averaged, and the whole repeated in every bootstrap replicate; replicate b is the same resample for every entry (see
metrics.statistics).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from metrics.statistics import interval, mean_rank, printed_rank
from metrics.stepdown import stepdown_better

# Marked in every table: the best that is possible (where the truth is known) and the floor.
BOUNDS = {"oracle": "upper bound", "random": "lower bound", "unconditional": "lower bound", "random_units": "lower bound"}

MANY = 1_000_000  # samples of which nobody said how many there are

Entry = tuple[str, str]  # method, variant
Question = tuple[str, str, str]  # target, sign, headline


class Reading(NamedTuple):
    """One headline of one entry: the point, its replicates [B] (+-inf, the worst, where unreached) and which way is better."""

    value: float
    replicates: np.ndarray
    higher_is_better: bool


@dataclass(frozen=True)
class Ranking:
    """What a ranking of E entries over Q questions says.

    mean: [E] average rank (1 is best). low, high: [E] its 95 % interval over codes. printed: [E] 1 + the number of significantly
    better entries. better: bool [E, E], [i, j] where i is significantly better than j (step-down over all pairs, see
    metrics.stepdown). asked: [E] questions that each entry could be asked. replicates: how many there are.
    """

    entries: tuple[Entry, ...]
    questions: tuple[Question, ...]
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    printed: np.ndarray
    better: np.ndarray
    asked: np.ndarray
    replicates: int

    def best(self) -> Entry | None:
        """The method that is significantly better than every other method, bounds aside; None where no one is."""
        among = [i for i, (method, _) in enumerate(self.entries) if method not in BOUNDS]
        if len(among) < 2:
            return None
        return next((self.entries[i] for i in among if all(self.better[i, j] for j in among if j != i)), None)


def rank_entries(
    readings: Mapping[Entry, Mapping[Question, Reading]],
    headlines: Sequence[str] | None = None,
    samples: Mapping[Entry, int] | None = None,
) -> Ranking | None:
    """Rank the entries of one generator; `headlines` chooses among the questions. None where there is nothing to rank.

    samples: behind each entry's readings, of which few make differences less sure; many where it does not say.

    Unreached readings (+-inf) tie last within their question. A question that an entry could not be asked (its key is missing: an
    editor that goes one way only) leaves that entry out of it. Bounds take part and are marked by whoever prints them: leaving
    them out would not change the order of the others, and their ranks show how far the field is from the best and the floor.
    Raises ValueError for NaN: what cannot be read counts as the worst.
    """
    chosen = lambda question: headlines is None or question[2] in headlines  # noqa: E731
    questions = tuple(sorted({q for table in readings.values() for q in table if chosen(q)}))
    entries = tuple(sorted(e for e, table in readings.items() if any(chosen(q) for q in table)))
    if not questions:
        return None
    count = next(len(r.replicates) for e in entries for q, r in readings[e].items() if chosen(q))
    points, sampled, directions = [], [], []
    for question in questions:
        asked = [readings[e].get(question) for e in entries]
        if any(one is not None and (np.isnan(one.value) or np.isnan(one.replicates).any()) for one in asked):
            raise ValueError(f"NaN has no rank in {question}: a value that cannot be read counts as the worst")
        directions.append(next(one.higher_is_better for one in asked if one is not None))
        points.append(np.array([np.nan if one is None else one.value for one in asked]))
        sampled.append(np.stack([np.full(count, np.nan) if one is None else one.replicates for one in asked], axis=1))
    mean = mean_rank(points, directions)
    joint = mean_rank(sampled, directions)
    low, high = interval(joint)
    known = samples or {}
    better = stepdown_better(joint, higher_is_better=False, samples=[max(2, known.get(e, MANY)) for e in entries])
    # A replicate's ranks are drawn together where entries are close; never call better what does not lead in the point ranks.
    better &= mean[:, None] < mean[None, :]
    asked = (~np.isnan(np.stack(points))).sum(0)
    return Ranking(entries, questions, mean, low, high, printed_rank(better), better, asked, count)
