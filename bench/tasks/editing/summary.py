"""What the ranking reads: every headline of one (generator, method, variant) with its bootstrap replicates.

How leaderboards use it::

    table = headline_replicates(settings, cells, seed)      # cells: [(MethodCard, CellResult)] of one (generator, method, variant)
    one = table["smile", "+", "leakage"]                    # keys: (target, sign, headline); headline is the records' `metric`
    one.value, one.replicates, one.higher_is_better         # float, float64 [B], bool

Replicate b of every method, target and headline of one generator is the same resample of test codes, so that
`a.replicates - b.replicates` is a paired difference. `value` and replicates of a reading that does not reach its effect are the
worst there is, +inf (lower is better) or -inf (higher is better): two of them tie. Keys are missing only where a cell could not be
asked (no such target, an editor that goes one way only, too few test codes): the records say which and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.tasks.base import CellResult, MethodCard
from bench.tasks.editing.protocol import EditingSettings


class Headline(NamedTuple):
    """One headline: the point value and its replicates [B] (worst, +-inf, where unreached), and which way is better."""

    value: float
    replicates: np.ndarray
    higher_is_better: bool


def headline_replicates(
    settings: EditingSettings, cells: Sequence[tuple[MethodCard, CellResult]], seed: int
) -> dict[tuple[str, str, str], Headline]:
    """Headlines by (target, sign '+' or '-', headline name: leakage, identity, realism_loss, reach)."""
    raise NotImplementedError
