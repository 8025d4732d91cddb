"""Wide leaderboards: one row an entry, pivoted from the readings, ranked; as CSV and as rows for the report."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leaderboards.headlines import Readings
from leaderboards.ranking import BOUNDS, Entry, Question, Ranking, Reading, rank_entries
from leaderboards.records import format_float
from metrics.statistics import interval


@dataclass(frozen=True)
class Mean:
    """A headline averaged over the (target, sign) that an entry reaches. reached of asked: what the average is over."""

    value: float | None
    low: float | None
    high: float | None
    reached: int
    asked: int


@dataclass(frozen=True)
class Row:
    """One entry of a leaderboard. unreached, asked: over (target, sign) at the headline effect."""

    generator: str
    entry: Entry
    space: str
    bound: str
    rank: int
    mean_rank: float
    rank_low: float
    rank_high: float
    unreached: int
    asked: int
    means: dict[str, Mean]


@dataclass(frozen=True)
class Board:
    """A generator's leaderboard, best first. best: headline -> the method that is significantly better than every other one."""

    generator: str
    rows: list[Row]
    ranking: Ranking
    best: dict[str, Entry | None]


def mean_reading(table: Mapping[Question, Reading], headline: str) -> Mean:
    """The mean over the questions of one headline that the entry reaches, and its interval.

    An unreached reading has no value to average: it counts as worst in the ranks and is counted beside the mean. Where a
    replicate does not reach what the point does, the point stands in for it: the interval is of the same questions throughout.
    """
    asked = [one for question, one in sorted(table.items()) if question[2] == headline]
    finite = [one for one in asked if np.isfinite(one.value)]
    if not finite:
        return Mean(None, None, None, 0, len(asked))
    low, high = interval(np.mean([np.where(np.isfinite(r.replicates), r.replicates, r.value) for r in finite], axis=0))
    return Mean(float(np.mean([one.value for one in finite])), float(low), float(high), len(finite), len(asked))


def leaderboard(
    generator: str,
    readings: Readings,
    spaces: Mapping[Entry, str],
    headlines: Sequence[str],
    samples: Mapping[Entry, int] | None = None,
) -> Board | None:
    """Rank one generator's entries. None where nothing was measured."""
    ranking = rank_entries(readings, samples=samples)
    if ranking is None:
        return None
    rows = []
    for i, entry in enumerate(ranking.entries):
        table = readings[entry]
        asked = {question[:2] for question in table}
        unreached = {question[:2] for question, one in table.items() if np.isinf(one.value)}
        rows.append(
            Row(
                generator,
                entry,
                spaces.get(entry, ""),
                BOUNDS.get(entry[0], ""),
                int(ranking.printed[i]),
                float(ranking.mean[i]),
                float(ranking.low[i]),
                float(ranking.high[i]),
                len(unreached),
                len(asked),
                {headline: mean_reading(table, headline) for headline in headlines},
            )  # fmt: skip
        )
    rows.sort(key=lambda row: (row.rank, row.mean_rank, row.entry))
    best = {}
    for headline in headlines:
        part = rank_entries(readings, [headline], samples)
        best[headline] = part.best() if part else None
    return Board(generator, rows, ranking, {"": ranking.best(), **best})


def wide_csv(boards: Sequence[Board], headlines: Sequence[str]) -> str:
    """The text of <task>.csv: interval ends beside each value; `<headline>_reached`: over how many (target, sign) it averages."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = ["generator", "method", "variant", "space", "bound", "rank", "mean_rank", "rank_low", "rank_high"]
    columns += ["unreached", "asked"]
    for headline in headlines:
        columns += [headline, f"{headline}_low", f"{headline}_high", f"{headline}_reached"]
    writer.writerow(columns)
    for board in boards:
        for row in board.rows:
            cells = [row.generator, *row.entry, row.space, row.bound, row.rank]
            cells += [format_float(v) for v in (row.mean_rank, row.rank_low, row.rank_high)] + [row.unreached, row.asked]
            for headline in headlines:
                mean = row.means[headline]
                cells += [format_float(mean.value), format_float(mean.low), format_float(mean.high), mean.reached]
            writer.writerow(cells)
    return out.getvalue()
