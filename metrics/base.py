"""The seam of metrics: a definition with its units and direction, and a streaming accumulator over it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class Score:
    """A metric's answer. per_sample: [N] values behind it, NaN where the judge could not read one; None where there are none."""

    value: float
    per_sample: np.ndarray | None = None
    n: int = 0
    n_failed: int = 0


@dataclass(frozen=True)
class EditBatch:
    """What judges read off the same codes before and after one edit at one strength.

    before, after: reading -> [N, ...] arrays (see bench.domains.base.READINGS). names: the judged attributes. sigma: [K] the
    judged spread of each. target: the attribute asked for, sign: +1 or -1 the way asked. images are [N, 3, R, R] in [-1, 1].
    """

    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    names: tuple[str, ...]
    sigma: np.ndarray
    target: str
    sign: int
    images_before: np.ndarray | None = None
    images_after: np.ndarray | None = None
    extra: dict[str, np.ndarray] = field(default_factory=dict)


class Metric(ABC):
    """Accumulates batches, then computes. As in torchmetrics: update, compute, a fresh object for a fresh stream.

    needs: the readings or fields of a batch that it reads. reading: the judge's reading that names it in records.
    worst: the value that a sample counts as when the judge cannot read it (headlines), in the metric's own unit.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = None
    needs: ClassVar[frozenset[str]] = frozenset()
    reading: ClassVar[str] = "attributes"
    worst: ClassVar[float] = float("nan")

    @abstractmethod
    def update(self, batch: EditBatch) -> None:
        """Take in one batch."""

    @abstractmethod
    def compute(self) -> dict[str, Score]:
        """The scores of everything taken in, by name; the plain name is the metric's own, others are refinements."""
