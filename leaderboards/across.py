"""Across generators: the same methods side by side on each of them, and what each of their spaces is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from bench.records import Record
from leaderboards.folder import Results
from leaderboards.pages.representation import SPACES, TITLES, columns, control_of, in_order
from leaderboards.pages.representation import TASK as SPACES_TASK
from leaderboards.ranking import Entry
from leaderboards.sections import markdown, n_of
from leaderboards.tables import Board, Row
from leaderboards.vocabulary import ARROWS, NOT_OK, entry, record_text, short, spelled_out, title, with_interval

EDITING = "editing"
NONE = "–"

Boards = Mapping[str, Mapping[str, Board | None]]  # task -> generator


def methods_by_generators(boards: Boards) -> str:
    """For every task that ranks entries on two generators or more: average rank, and its first headline, by entry and generator.

    Entries are in the order of their average rank as a share of the entries beside them, over the generators that they ran on.
    """
    parts = []
    for task, by_generator in boards.items():
        ranked = {generator: board for generator, board in by_generator.items() if board is not None}
        if len(ranked) < 2:
            continue
        entries = _by_rank(ranked)
        parts += [f"### {task}: average rank", _table(ranked, entries, _rank)]
        metric = _headlines(ranked)[0]
        parts += [f"### {task}: {title(metric)}", _table(ranked, entries, partial(_mean, metric=metric))]
        parts.append(spelled_out(entries, "In these tables"))
    return "\n\n".join(filter(None, parts))


def _table(ranked: Mapping[str, Board], entries: Sequence[Entry], shown: Callable[[Row], str]) -> str:
    rows = {(generator, row.entry): row for generator, board in ranked.items() for row in board.rows}
    cells = lambda one: [shown(rows[g, one]) if (g, one) in rows else NONE for g in ranked]  # noqa: E731
    heads = [f"{generator} ({len(board.rows)} entries)" for generator, board in ranked.items()]
    return markdown(["entry", *heads], [[short(one, entries), *cells(one)] for one in entries])


def _headlines(ranked: Mapping[str, Board]) -> list[str]:
    """The headlines of a task, in their order, which every row has."""
    return list(next(iter(ranked.values())).rows[0].means)


def _rank(row: Row) -> str:
    return with_interval(row.mean_rank, row.rank_low, row.rank_high)


def _mean(row: Row, metric: str) -> str:
    """A headline's mean over what the entry reaches, and how much of what was asked that is where it is not all."""
    mean = row.means[metric]
    if mean.value is None:
        return "unreached"
    part = "" if mean.reached == mean.asked else f" ({mean.reached} of {mean.asked})"
    return with_interval(mean.value, mean.low, mean.high) + part


def _by_rank(ranked: Mapping[str, Board]) -> list[Entry]:
    shares: dict[Entry, list[float]] = {}
    for board in ranked.values():
        for row in board.rows:
            shares.setdefault(row.entry, []).append(row.mean_rank / len(board.rows))
    return sorted(shares, key=lambda one: (float(np.mean(shares[one])), one))


def spaces_by_metrics(results: Results, boards: Boards) -> str:
    """Every space of every generator: what its channels tell of the factors, and how well methods edit in one and another."""
    parts = []
    for target, records in _of_spaces(results).items():
        table = {(r.generator, entry(r), r.metric): r for r in records}
        ways = {r.metric: r.higher_is_better for r in records}
        metrics = columns(ways)
        rows = []
        for generator in results.generators:
            cells = {one: group[0] for one, group in results.groups(SPACES_TASK, generator).items()}
            for one in in_order(cells):
                shown = [record_text(table.get((generator, one, metric)), NOT_OK) for metric in metrics]
                if set(shown) != {NONE}:
                    mixed = f", mixed into as many channels as {control_of(one)}" if control_of(one) else ""
                    rows.append([generator, cells[one].card["space"] + mixed, *shown])
        if len(rows) > 1:
            heads = [f"{metric} {ARROWS[ways[metric]]}".strip() for metric in metrics]
            judges = ", ".join(sorted({r.judge for r in records if r.judge and r.status == "ok"})) or "none, read off the pixels"
            said = f"Judge: {judges}; n = {n_of(records)}. What each number can compare stands beside each generator's own table."
            parts.append(f"### {TITLES.get(target, target)}\n\n{said}\n\n" + markdown(["generator", "space", *heads], rows))
    edits = _edits(boards.get(EDITING, {}))
    return "\n\n".join([*parts, edits] if edits else parts)


def _of_spaces(results: Results) -> dict[str, list[Record]]:
    """What the task on spaces read of whole codes, by target."""
    found: dict[str, list[Record]] = {}
    for record in results.records:
        if record.task == SPACES_TASK and record.method == "native" and record.target and not record.attribute:
            found.setdefault(record.target, []).append(record)
    return found


def _edits(by_generator: Mapping[str, Board | None]) -> str:
    """Methods whose variants differ in the space alone, by space."""
    rows = []
    for generator, board in by_generator.items():
        found: dict[str, list[Row]] = {}
        for row in board.rows if board else ():
            if row.entry[1] in ("", f"space={row.space}"):
                found.setdefault(row.entry[0], []).append(row)
        for method, mine in sorted(found.items()):
            if len(mine) < 2:
                continue
            for row in sorted(mine, key=lambda one: SPACES.index(one.space)):
                rows.append([generator, method, row.space, _rank(row), *(_mean(row, metric) for metric in row.means)])
    if not rows:
        return ""
    metrics = map(title, _headlines({generator: board for generator, board in by_generator.items() if board}))
    head = "### The same method in two spaces\n\nMeans over the questions that are reached, as in the rankings."
    return f"{head}\n\n" + markdown(["generator", "method", "space", "average rank", *metrics], rows)
