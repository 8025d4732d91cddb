"""From differences to verdicts: Holm's correction by family, tolerances, and what is reached in one run and not in the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from leaderboards.compare.model import CONTRADICTION, EQUAL, REACHING, Change, Verdict
from leaderboards.compare.sides import Key
from metrics.statistics import holm

FAMILIES = ("headline", "detail", "undirected")
REACH, EFFECT_POINT = "reach", "effect_"


def decided(changes: Sequence[Change], tolerances: Mapping[str, float], alpha: float) -> list[Change]:
    """Correct p by family, then decide every number."""
    corrected: dict[int, float] = {}
    for family in FAMILIES:
        mine = [i for i, one in enumerate(changes) if one.family == family and one.difference.p is not None]
        if mine:
            corrected |= dict(zip(mine, holm([changes[i].difference.p for i in mine]).tolist(), strict=True))
    changes = [replace(one, p_holm=corrected.get(i)) for i, one in enumerate(changes)]
    reaching = Reaching(changes)
    out = []
    for one in changes:
        verdict = reaching.verdict(one) if one.how == REACHING else _verdict(one, tolerances.get(one.new.metric, 0.0), alpha)
        out.append(replace(one, verdict=verdict))
    return out


def _verdict(one: Change, tolerance: float, alpha: float) -> Verdict:
    if one.how == EQUAL:
        return "same"
    found = one.difference
    if found.diff is None or found.low is None or found.high is None:
        return "cannot tell"
    if -tolerance <= found.low and found.high <= tolerance and tolerance > 0 and one.note != CONTRADICTION:
        return "same"
    if one.p_holm is None or one.p_holm > alpha or abs(found.diff) <= tolerance:
        return "cannot tell"
    if one.new.higher_is_better is None:
        return "changed"
    return "better" if (found.diff > 0) == one.new.higher_is_better else "worse"


class Reaching:
    """Decides what is reached in one run and not in the other by the tables alone.

    It is sure where the run that reaches the level does so in nearly all of its resamples (an end of its interval is infinite
    otherwise) and the interval of the other's reach, where there is one, ends below the level. Where the level is as likely
    reached as not, either is so by chance in one of 40 runs, and both in one of 1,600. A mean over targets is lost with any of
    its targets.
    """

    def __init__(self, changes: Sequence[Change]) -> None:
        self.reach = {_question(one): one for one in changes if one.new.metric == REACH and one.new.sign}
        self.parts: dict[Key, list[Change]] = defaultdict(list)
        for one in changes:
            if one.how == REACHING and one.headline and one.new.sign:
                self.parts[_mean(one)].append(one)

    def verdict(self, one: Change) -> Verdict:
        if one.new.higher_is_better is None or one.old.status == one.new.status:
            return "cannot tell"
        said: Verdict = "worse" if one.old.status == "ok" else "better"
        parts = self.parts.get(_mean(one), []) if not one.new.sign else []
        if parts:
            return said if any(self.verdict(part) == said for part in parts) else "cannot tell"
        there, gone = (one.old, one.new) if said == "worse" else (one.new, one.old)
        end = there.ci_low if there.higher_is_better else there.ci_high
        if end is not None and not np.isfinite(end):
            return "cannot tell"
        reach = self.reach.get(_question(one))
        if reach is None or reach.how == EQUAL or not gone.point.startswith(EFFECT_POINT):
            return said
        highest = (reach.new if said == "worse" else reach.old).ci_high
        level = float(gone.point.removeprefix(EFFECT_POINT))
        return "cannot tell" if highest is not None and highest >= level else said


def _question(one: Change) -> Key:
    record = one.new
    return (record.protocol_hash, record.task, record.generator, record.method, record.variant, record.target, record.sign)


def _mean(one: Change) -> Key:
    """What names a metric of an entry over all targets."""
    return (*_question(one)[:5], one.new.metric)
