"""The plot of the inversion page: how well codes give the picture back against how well they can be edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure

from bench.records import Record
from leaderboards.plots import _RC, png

X, Y = "perceptual", "editability_excess"


def plot(rows: Sequence[tuple[str, Mapping[str, Record]]]) -> bytes | None:
    """A PNG with a point for each row, with the intervals of both readings; None where no row has both."""
    points = [(name, table[X], table[Y]) for name, table in rows if _known(table.get(X)) and _known(table.get(Y))]
    if not points:
        return None
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for name, x, y in points:
            bars = {"xerr": _bars(x), "yerr": _bars(y)}
            axes.errorbar(x.value, y.value, **bars, fmt="o", ms=4, lw=0.8, color="#0072b2", ecolor="#9ab8d0")
            axes.annotate(name, (x.value, y.value), xytext=(4, 4), textcoords="offset points", fontsize=7)
        axes.axhline(0, color="#555555", lw=0.7)
        if min(x.value for _, x, _ in points) > 0:
            axes.set_xscale("log")
        axes.set_xlabel("perceptual distance (left is a better reconstruction)")
        axes.set_ylabel("excess leakage (0: edits like samples)")
        return png(figure)


def _known(record: Record | None) -> bool:
    return record is not None and record.value is not None


def _bars(record: Record) -> list[list[float]] | None:
    """Lengths below and above the value; none where there is no finite interval."""
    low, high = record.ci_low, record.ci_high
    if low is None or high is None or abs(low) == float("inf") or abs(high) == float("inf"):
        return None
    return [[max(0.0, record.value - low)], [max(0.0, high - record.value)]]
