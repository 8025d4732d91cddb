"""One entry's arrays in both runs: whether they can be resampled together, and the paired differences of all its numbers.

Weights of the bootstrap are keyed by (seed, code id), so that replicate b of two runs on the same test codes is the same resample
of codes in both: their difference is paired.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np

from bench.records import Record
from leaderboards.compare.replicates import Place, Reading, place_of, readings
from leaderboards.compare.sides import Side, readable_codes
from leaderboards.compare.statistics import Difference, paired
from leaderboards.folder import Cell
from leaderboards.ranking import Entry
from leaderboards.tasks import task_of

# What reading arrays of another layout raises.
UNREADABLE = (ValueError, KeyError, TypeError, IndexError)


class Pair:
    """The arrays of one (task, generator, entry) in both runs. why_not: why they cannot be resampled together, '' where they can.

    codes: the fewest test codes behind any question.
    """

    def __init__(self, old: Side, new: Side, task: str, generator: str, entry: Entry) -> None:
        self.sides, self.task = (old, new), task
        self.cells: list[list[Cell]] = []
        self.read: tuple[dict[Place, Reading], ...] = ()
        self.fits: list[tuple[dict[Place, Reading], ...]] = []
        self.codes = 0
        self.why_not = next((side.why_not or f"{side.name} kept no arrays" for side in self.sides if side.results is None), "")
        if not self.why_not:
            self.cells = [side.results.groups(task, generator).get(entry, []) for side in self.sides]
            self.why_not = why_not_paired(task, *self.cells, [side.run["suite"]["seed"] for side in self.sides])
        if not self.why_not:
            self.codes = min((len(ids) for cells in self.cells for ids in codes_of(cells).values()), default=1)

    def same(self) -> bool:
        """Whether both runs left the same arrays to the bit, so that nothing they say can differ."""
        return not self.why_not and all(_same_arrays(a, b) for a, b in zip(*self.cells, strict=True))

    def load(self, replicates: int | None = None, wanted: Container[Place] | None = None) -> None:
        """Read the numbers of both, and each fit's where there are several; sets why_not where that cannot be done."""
        try:
            self.read = self._each(self.cells, replicates, wanted)
            if len(self.cells[0]) > 1 and not self.fits:
                self.fits = [self._each([[a], [b]], 1) for a, b in zip(*self.cells, strict=True)]
        except UNREADABLE as error:
            self.why_not = f"arrays that the task cannot read ({type(error).__name__}: {' '.join(str(error).split())})"

    def release(self) -> None:
        """Forget what was read: replicates of hundreds of numbers are not kept for every entry at once."""
        self.read = ()

    def _each(
        self, cells: Sequence[Sequence[Cell]], replicates: int | None, wanted: Container[Place] | None = None
    ) -> tuple[dict[Place, Reading], ...]:
        pairs = zip(self.sides, cells, strict=True)
        return tuple(readings(side.results, self.task, each, replicates, wanted) for side, each in pairs)

    def of(self, old: Record, new: Record) -> tuple[Reading, Reading] | None:
        """A number as read from both; None where the task keeps no samples of it."""
        found = [read.get(place_of(record)) for read, record in zip(self.read, (old, new), strict=True)]
        return None if None in found else (found[0], found[1])

    def difference(self, old: Record, new: Record) -> Difference:
        a, b = self.of(old, new)
        fits = [one[1][place_of(new)].value - one[0][place_of(old)].value for one in self.fits if self._known(one, old, new)]
        codes = min(n for n in (self.codes, readable_codes(old), readable_codes(new)) if n)
        return paired(a.replicates, b.replicates, a.value, b.value, codes, np.array(fits) if fits else None)

    @staticmethod
    def _known(fit: tuple[dict[Place, Reading], ...], old: Record, new: Record) -> bool:
        """Whether one fit alone reads a number in both runs."""
        found = [read.get(place_of(record)) for read, record in zip(fit, (old, new), strict=True)]
        return all(one is not None and np.isfinite(one.value) for one in found)

    def same_code(self, rows: Sequence[tuple[Record, Record]]) -> bool:
        """Whether the code that reads the arrays now is, by every version it bears, the one that wrote the records."""
        from bench.environment import code_version

        now = code_version()
        for pair in rows:
            for read, record in zip(self.read, pair, strict=True):
                reading = read.get(place_of(record))
                if record.code_version != now or (reading and reading.metric_version != record.metric_version):
                    return False
        return True


def codes_of(cells: Sequence[Cell]) -> dict[tuple[int, str], frozenset[int]]:
    """The ids of the test codes of every question, by (fit seed, name of the array)."""
    return {
        (cell.card["fit_seed"], name): frozenset(np.asarray(array).ravel().tolist())
        for cell in cells
        for name, array in cell.arrays.items()
        if name.rsplit("/", 1)[-1] == "ids"
    }


def why_not_paired(task: str, old: Sequence[Cell], new: Sequence[Cell], seeds: Sequence[int]) -> str:
    """Why two runs of an entry cannot be resampled together, '' where they can. The generator is the same, by the protocol."""
    if task_of(task) is None:
        return f"nothing repeats the readings of task {task}"
    if not old or not new:
        return "no arrays were kept for it"
    if seeds[0] != seeds[1]:
        return "the runs' seeds differ"
    fits = [[cell.card["fit_seed"] for cell in cells] for cells in (old, new)]
    if fits[0] != fits[1]:
        return f"other fits ({'+'.join(map(str, fits[0]))} and {'+'.join(map(str, fits[1]))})"
    codes = [codes_of(cells) for cells in (old, new)]
    # A question that only one of them could measure is unreached in the other, which needs no codes.
    if any(codes[1].get(name, ids) != ids for name, ids in codes[0].items()):
        return "other test codes"
    return ""


def _same_arrays(a: Cell, b: Cell) -> bool:
    def alike(x: np.ndarray, y: np.ndarray) -> bool:
        return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()

    return a.arrays.keys() == b.arrays.keys() and all(alike(x, b.arrays[name]) for name, x in a.arrays.items())
