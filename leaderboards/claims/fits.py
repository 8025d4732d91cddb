"""What fits leave to claims: their seconds, and columns of their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from leaderboards.claims.model import FIT_SECONDS, OFF_DIAGONAL, Column
from leaderboards.claims.values import NOTHING, Values
from leaderboards.claims.verdicts import Asked
from leaderboards.folder import Cell

# Whose 95 % interval the columns ci_low and ci_high of a table are.
INTERVALS = {
    "activeness": "activeness", "active_components": "count", "layer_depth": "depth", "layerwise_rescoring": "delta",
    "likelihood": "log_likelihood_nats", "penalty": "penalty",
}  # fmt: skip


def of_fits(cells: Sequence[Cell], metric: str) -> Values:
    """The seconds of an entry's fits, or a column of one of their tables (Column), a question for each row.

    TABLE.mean_abs_off_diagonal is the mean |value| of a square table's pairs. NOTHING where a fit lacks it.
    """
    if metric == FIT_SECONDS:
        times = tuple(cell.fit_seconds for cell in cells)
        return Values(points={("", ""): times}, metric=metric, n=(len(cells),), seconds=True)
    wanted = Column.of(metric)
    found: dict[Asked, list[float]] = {}
    ends: dict[Asked, list[tuple[float, float]]] = {}
    for cell in cells:
        rows = cell.tables.get(wanted.table, [])
        if wanted.column == OFF_DIAGONAL:
            pairs = _off_diagonal(rows)
            if pairs:
                found.setdefault(("", ""), []).append(float(np.mean(np.abs(pairs))))
            continue
        for row in rows if wanted.where is None else [row for row in rows if str(row.get(wanted.where[0])) == wanted.where[1]]:
            value = row.get(wanted.column)
            if _is_number(value):
                asked = (_name(row), "")
                found.setdefault(asked, []).append(float(value))
                if INTERVALS.get(wanted.table) == wanted.column and _is_number(row["ci_low"]) and _is_number(row["ci_high"]):
                    ends.setdefault(asked, []).append((float(row["ci_low"]), float(row["ci_high"])))
    count = len(cells)
    whole = {asked: tuple(values) for asked, values in found.items() if len(values) == count}
    known = {asked: tuple(each) for asked, each in ends.items() if asked in whole and len(each) == count}
    return Values(points=whole, metric=metric, n=(count,), ends=known) if whole else NOTHING


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _name(row: Mapping[str, Any]) -> str:
    """What a row of a fit's table is about: its first text, 'attribute' before others."""
    texts = [value for key, value in sorted(row.items(), key=lambda item: item[0] != "attribute") if isinstance(value, str)]
    return texts[0] if texts else ""


def _off_diagonal(rows: list[dict[str, Any]]) -> list[float]:
    """The values of a square table above its diagonal: rows named as its columns are."""
    names = [_name(row) for row in rows]
    return [float(row[other]) for i, row in enumerate(rows) for other in names[i + 1 :] if _is_number(row.get(other))]
