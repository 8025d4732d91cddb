"""What a metric of one entry is to a claim: readings with replicates, or points without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from leaderboards.claims.verdicts import Asked, Ends
from leaderboards.ranking import Reading


class Values(NamedTuple):
    """A metric of one entry by (target, sign): readings, or points, one a fit, where there are no replicates.

    metric: its full name, e.g. 'dci_disentanglement[lasso]'. judges: who read it. n: samples behind each reading. seconds: the
    points are times. ends: the 95 % interval of each point, where every fit brings one.
    """

    readings: Mapping[Asked, Reading] = {}
    points: Mapping[Asked, tuple[float, ...]] = {}
    metric: str = ""
    judges: tuple[str, ...] = ()
    n: tuple[int, ...] = ()
    seconds: bool = False
    ends: Mapping[Asked, Ends] = {}


NOTHING = Values()
