"""What every task makes its numbers with: weights of the bootstrap, intervals of replicates, records of quantities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.records import Record
from metrics.statistics import bootstrap_weights, interval, small_sample_level


@dataclass(frozen=True)
class Quantity:
    """A metric as records name it. worst: what an unreadable sample counts as; NaN: it is left out of the mean and counted."""

    name: str
    reading: str
    unit: str
    higher_is_better: bool | None
    version: int = 1
    headline: bool = False
    worst: float = float("nan")


def weights_of(ids: np.ndarray, replicates: int, seed: int) -> np.ndarray:
    """[1 + B, n]: equal weights for the point, then those of the replicates, which all methods share."""
    return np.concatenate([np.ones((1, len(ids))), bootstrap_weights(ids, replicates, seed)])


def ends_of(rows: np.ndarray, codes: int, over: str) -> dict[str, Any]:
    """A record's interval from rows [1 + B], widened to hold its 95 % over few codes; empty where no replicate is known.

    Replicates that do not reach what is read are in it as the worst, so that an end may be infinite; NaN ones are left out.
    """
    known = rows[1:][~np.isnan(rows[1:])]
    if not len(known):
        return {}
    low, high = interval(known, small_sample_level(0.95, codes, exponential=True) if codes > 1 else 0.95)
    return {"ci_low": float(low), "ci_high": float(high), "ci_over": over}


def record_of(one: Quantity, judges: Mapping[str, Sequence[str]], judge: Sequence[str] | None = None, **fields: Any) -> Record:
    """A record of a quantity. judges: (name, fingerprint) by reading; judge: where it is not that of the quantity's reading."""
    judge = judge or judges.get(one.reading)
    named = {"judge": f"{one.reading}[{judge[0]}]", "judge_sha": judge[1]} if judge else {}
    fixed = {"metric": one.name, "metric_version": one.version, "unit": one.unit, "higher_is_better": one.higher_is_better}
    return Record(**{**named, **fixed, **fields})
