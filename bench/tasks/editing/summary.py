"""What the ranking reads: every headline of one (generator, method, variant) with its bootstrap replicates.

How leaderboards use it::

    table = headline_replicates(settings, cells, seed)  # cells: [(MethodCard, CellResult)] of one (generator, method, variant)
    one = table["smile", "+", "leakage"]                    # keys: (target, sign, headline); headline is the records' `metric`
    one.value, one.replicates, one.higher_is_better         # float, float64 [B], bool

Replicate b of every method, target and headline of one generator is the same resample of test codes, so that
`a.replicates - b.replicates` is a paired difference. `value` and replicates of a reading that does not reach its effect are the
worst there is, +inf (lower is better) or -inf (higher is better): two of them tie. Keys are missing only where a cell could not
be asked (no such target, an editor that goes one way only, too few test codes): the records say which and why.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.tasks.base import Cells, Headline, Question
from bench.tasks.editing.protocol import EditingSettings, key_of, targets_of
from bench.tasks.editing.quantities import IDENTITY, LEAKAGE, REACH, REALISM, Quantity, samples_of
from bench.tasks.editing.resample import Resampled, joined, unreached_value


class Asked:
    """One (target, sign) over the fits of a variant. fits: None for a fit that has no plausible step at all.

    status: ok; unreached, no fit has a plausible step; skipped, it could not be asked.
    """

    def __init__(self, settings: EditingSettings, cells: Cells, seed: int, target: str, sign: str) -> None:
        self.target, self.sign, self.seed = target, sign, seed
        self.rows = settings.replicates + 1
        self.readings = frozenset(cells[0][1].facts["judges"])
        facts = [result.facts["questions"].get(key_of(target, sign), {}) for _, result in cells]
        # What cannot be asked of one fit (a component that was not assigned, say) cannot be averaged with the others.
        skipped = [one for one in facts if one.get("status", "skipped") == "skipped"]
        self.status = "skipped" if skipped else "unreached" if all(one["status"] == "unreached" for one in facts) else "ok"
        self.reason = skipped[0].get("reason", "not measured") if skipped else facts[0]["reason"]
        self.fits: list[Resampled | None] = []
        for _, result in cells if not skipped else ():
            samples = samples_of(result, target, sign)
            self.fits.append(None if samples is None else Resampled(samples, settings.replicates, seed))

    @property
    def measured(self) -> list[Resampled]:
        return [one for one in self.fits if one is not None]

    @property
    def n(self) -> int:
        return sum(one.n for one in self.measured)

    def available(self, one: Quantity) -> bool:
        """Whether the judges that this quantity needs were there."""
        return one.reading in self.readings and all(one in fit.available for fit in self.measured)

    def join(self, parts: Sequence[np.ndarray | None], missing: float) -> np.ndarray:
        """Rows [R] over all fits; a fit without any counts as `missing` throughout."""
        return joined([np.full(self.rows, missing) if part is None else part for part in parts], self.seed)

    def headline(self, one: Quantity, level: float) -> np.ndarray:
        """A headline, [R]: reach in itself, the others at the level."""
        if one == REACH:
            return self.join([fit and fit.reach() for fit in self.fits], 0.0)
        return self.join([fit and fit.read(one, level) for fit in self.fits], unreached_value(one))


def questions(settings: EditingSettings, cells: Cells, seed: int) -> list[Asked]:
    """Every (target, sign) of the settings, with its resamples."""
    return [Asked(settings, cells, seed, target, sign) for target, sign in settings.questions] if cells else []


def headline_replicates(settings: EditingSettings, cells: Cells, seed: int) -> dict[Question, Headline]:
    """Headlines by (target, sign '+' or '-', headline name: leakage, identity, realism_loss, reach)."""
    table = {}
    for asked in questions(settings, cells, seed):
        if asked.status == "skipped":
            continue
        for one in (LEAKAGE, IDENTITY, REALISM, REACH):
            if one == REACH or asked.available(one):
                rows = asked.headline(one, settings.headline_effect)
                table[asked.target, asked.sign, one.name] = Headline(float(rows[0]), rows[1:], bool(one.higher_is_better))
    return table


def change_replicates(settings: EditingSettings, cells: Cells, seed: int, attribute: str) -> dict[Question, Headline]:
    """Mean |change| of one attribute, in sigma, when others are edited, at the headline effect: does holding it help?

    Keys: (target, sign, 'change of <attribute>') for every target but the attribute itself.
    """
    table = {}
    for asked in questions(settings, cells, seed):
        if asked.status == "skipped" or attribute in targets_of(asked.target):
            continue
        column = cells[0][1].facts["attributes"].index(attribute)
        parts = [fit and fit.read_size(column, settings.headline_effect) for fit in asked.fits]
        rows = asked.join(parts, float("inf"))
        table[asked.target, asked.sign, f"change of {attribute}"] = Headline(float(rows[0]), rows[1:], False)
    return table
