"""The report's figures as PNG bytes: the same records give the same bytes, one colour is one method in every figure.

Colours are those of Okabe and Ito (2008) and Tol's 'muted' set, which readers with colour vision deficiencies can tell apart;
variants of a method share its colour and differ in line style and marker.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from bench.clock import NETWORK_PARTS
from bench.records import Record
from leaderboards.ranking import Entry
from leaderboards.tables import Board
from leaderboards.vocabulary import CHANGE, EFFECT, entry, order, short, title

_COLOURS = {"oracle": "#000000", "random": "#8c8c8c", "interfacegan": "#0072b2", "sefa": "#d55e00", "ganspace": "#009e73"}
_OTHERS = ("#cc79a7", "#e69f00", "#56b4e9", "#882255", "#999933", "#332288", "#aa4499", "#661100", "#117733", "#6699cc")
_STYLES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"), ((0, (5, 1)), "v"), ((0, (1, 1)), "P"))
# What a metric is by definition where nothing was changed: curves start there.
UNCHANGED = {"leakage": 0.0, "identity": 1.0, "perceptual": 0.0}
_RC = {
    "font.family": "DejaVu Sans", "font.size": 8, "axes.titlesize": 8.5, "axes.labelsize": 8, "xtick.labelsize": 7,
    "ytick.labelsize": 7, "legend.fontsize": 7.5, "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7,
    "axes.edgecolor": "#555555",
    "xtick.major.width": 0.7, "ytick.major.width": 0.7, "axes.grid": True, "grid.color": "#e6e6e6", "grid.linewidth": 0.6,
    "axes.axisbelow": True, "figure.dpi": 110, "legend.frameon": False,
}  # fmt: skip


def colour(method: str) -> str:
    """The method's own colour, whatever else is in the figure."""
    return _COLOURS.get(method) or _OTHERS[hashlib.sha256(method.encode()).digest()[0] % len(_OTHERS)]


def styles(entries: Sequence[Entry]) -> dict[Entry, tuple]:
    """Line style and marker by entry: the variants of one method in the order of their names."""
    out = {}
    for method in {one[0] for one in entries}:
        for i, one in enumerate(sorted(e for e in set(entries) if e[0] == method)):
            out[one] = _STYLES[i % len(_STYLES)]
    return out


def png(figure: Figure, colours: int = 192) -> bytes:
    """The figure as a small PNG: no time stamp, no software name, a palette."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return encode(np.asarray(canvas.buffer_rgba())[..., :3], colours)


def encode(pixels: np.ndarray, colours: int = 192) -> bytes:
    """uint8 [H, W, 3] as a PNG with a palette of at most that many colours."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    out = io.BytesIO()
    image.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def curves(records: Sequence[Record], metric: str) -> dict[tuple[Entry, str, str], np.ndarray]:
    """(entry, target, sign) -> rows (effect, value, low, high) in the order of strength, from the unchanged code on."""
    at: dict[tuple, dict[str, Record]] = {}
    for record in records:
        if record.point == "grid" and record.status == "ok" and record.value is not None and not record.attribute:
            if record.metric in (EFFECT, metric):
                at.setdefault((entry(record), record.target, record.sign, record.strength), {})[record.metric] = record
    out: dict[tuple, list] = {}
    if metric in UNCHANGED:
        for one, target, sign, _ in at:
            out[one, target, sign] = [(0.0, UNCHANGED[metric], UNCHANGED[metric], UNCHANGED[metric])]
    for (one, target, sign, _), found in sorted(at.items(), key=lambda item: (item[0][:3], item[0][3] or 0.0)):
        if EFFECT in found and metric in found:
            y = found[metric]
            low, high = (y.value if end is None else end for end in (y.ci_low, y.ci_high))
            out.setdefault((one, target, sign), []).append((found[EFFECT].value, y.value, low, high))
    return {key: np.array(rows) for key, rows in out.items() if len(rows) > 1 or metric not in UNCHANGED}


def tradeoff(records: Sequence[Record], metrics: Sequence[str], targets: Sequence[str], at: float) -> bytes | None:
    """Judged effect on the target (sigma; negative edits to the left) against each metric; a panel per target, a line per entry.

    The band is the 95 % interval over codes; `at` is marked: the effect at which headlines are read. None without curves.
    """
    found = {metric: curves(records, metric) for metric in metrics}
    entries = order(key[0] for table in found.values() for key in table)
    if not entries:
        return None
    look = styles(entries)
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(1.2 + 2.1 * len(targets), 0.9 + 1.75 * len(metrics)), layout="constrained")
        axes = figure.subplots(len(metrics), len(targets), squeeze=False, sharey="row", sharex=True)
        for row, metric in enumerate(metrics):
            for column, target in enumerate(targets):
                axis = axes[row, column]
                for one in entries:
                    for sign, way in (("+", 1), ("-", -1)):
                        points = found[metric].get((one, target, sign))
                        if points is None:
                            continue
                        line, marker = look[one]
                        axis.plot(way * points[:, 0], points[:, 1], color=colour(one[0]), ls=line, lw=1.1, marker=marker, ms=2.6)
                        axis.fill_between(way * points[:, 0], points[:, 2], points[:, 3], color=colour(one[0]), alpha=0.13, lw=0)
                for x in (-at, at):
                    axis.axvline(x, color="#bbbbbb", lw=0.7, ls=(0, (2, 2)), zorder=0)
                axis.set_title(target.replace("_", " ") if row == 0 else "")
        for row, metric in enumerate(metrics):
            axes[row, 0].set_ylabel(title(metric))
        figure.supxlabel("judged effect on the target (sigma; left: negative edits)", fontsize=8)
        _legend(figure, entries, look)
        return png(figure)


def _legend(figure: Figure, entries: Sequence[Entry], look: Mapping[Entry, tuple]) -> None:
    line = {"ms": 3.5, "lw": 1.3}
    handles = [
        Line2D([], [], color=colour(e[0]), ls=look[e][0], marker=look[e][1], label=short(e, entries), **line) for e in entries
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(4, len(handles)))


def heat_map(records: Sequence[Record], point: str, targets: Sequence[str], limit: float) -> bytes | None:
    """Re-scoring: rows are the targets edited (+, then -), columns the judged attributes; a panel per entry.

    Colour is the change in sigma; the target's own change is marked, unreached rows are hatched. None without changes.
    """
    mine = [r for r in records if r.point == point and r.metric == CHANGE and r.attribute]
    entries = order(entry(r) for r in mine)
    if not entries:
        return None
    names = sorted({r.attribute for r in mine}, key=lambda name: (targets.index(name) if name in targets else len(targets), name))
    lines = [(t, s) for t in targets for s in ("+", "-") if any((r.target, r.sign) == (t, s) for r in mine)]
    columns = 2 if len(entries) > 1 else 1
    rows = math.ceil(len(entries) / columns)
    with matplotlib.rc_context({**_RC, "axes.grid": False}):
        width = max(0.19 * len(names), 0.075 * max(len(short(one, entries)) for one in entries))
        size = (1.5 + columns * (width + 0.1), 0.9 + rows * (0.35 + 0.15 * len(lines)))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        image = None
        for i, axis in enumerate(axes.ravel()):
            if i >= len(entries):
                axis.set_visible(False)
                continue
            table = {(r.target, r.sign, r.attribute): r.value for r in mine if entry(r) == entries[i] and r.status == "ok"}
            values = np.array([[table.get((t, s, n)) for n in names] for t, s in lines], dtype=float)
            image = axis.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
            for y, (target, _) in enumerate(lines):
                if np.isnan(values[y]).all():
                    axis.axhspan(y - 0.5, y + 0.5, facecolor="#f2f2f2", edgecolor="#bbbbbb", hatch="////", lw=0)
                elif target in names:
                    axis.plot(names.index(target), y, marker="o", ms=2.2, color="white", mec="black", mew=0.4)
            axis.set_title(short(entries[i], entries))
            axis.set_xticks(range(len(names)), [n.replace("_", " ") for n in names], rotation=90)
            axis.set_yticks(range(len(lines)), [f"{t.replace('_', ' ')} {'+' if s == '+' else '−'}" for t, s in lines])
            axis.tick_params(length=0, labelbottom=i + columns >= len(entries))
        figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, label="change (sigma)", extend="both")
        return png(figure)


def forest(board: Board) -> bytes:
    """Average rank with its 95 % interval, best on top; bounds are hollow."""
    rows = board.rows
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(6.2, 0.75 + 0.27 * len(rows)), layout="constrained")
        axis = figure.subplots()
        for y, row in enumerate(rows):
            tint = colour(row.entry[0])
            axis.plot([row.rank_low, row.rank_high], [y, y], color=tint, lw=1.6, solid_capstyle="butt")
            axis.plot(row.mean_rank, y, marker="o", ms=5, color=tint, mfc="white" if row.bound else tint, mew=1.3)
            axis.annotate(str(row.rank), (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=7.5)
        place = {"xycoords": ("axes fraction", "data"), "va": "center", "annotation_clip": False}
        axis.annotate("rank", (1.01, -0.85), fontsize=7, **place)
        entries = [row.entry for row in rows]
        names = [
            f"{short(one, entries)}  ({row.bound})" if row.bound else short(one, entries)
            for one, row in zip(entries, rows, strict=True)
        ]
        axis.set_yticks(range(len(rows)), names)
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.set_xlabel("average rank over targets, signs and headlines (1 is best)")
        axis.tick_params(axis="y", length=0)
        return png(figure)


def times(seconds: Mapping[str, float], total: float) -> bytes:
    """Where the time of the run went: one bar, networks and fits in colour, the rest in grey."""
    parts = dict(sorted(seconds.items(), key=lambda item: (item[0] not in NETWORK_PARTS, -item[1], item[0])))
    rest = total - sum(parts.values())
    if rest > 0:
        parts["other"] = rest
    tints = iter(("#0072b2", "#56b4e9", "#009e73", "#e69f00", "#cc79a7", "#d55e00"))
    greys = iter(np.linspace(0.45, 0.85, max(1, len(parts))))
    with matplotlib.rc_context({**_RC, "axes.grid": False}):
        figure = Figure(figsize=(7.2, 1.25), layout="constrained")
        axis = figure.subplots()
        left = 0.0
        for part, value in parts.items():
            tint = next(tints, "#882255") if part in NETWORK_PARTS else str(round(float(next(greys)), 2))
            share = value / max(total, 1e-9)
            axis.barh(0, value, left=left, color=tint, label=f"{part} {value:.1f} s ({100 * share:.0f} %)", height=0.6)
            left += value
        axis.set_yticks([])
        axis.set_xlim(0, max(left, 1e-9))
        axis.set_xlabel("seconds")
        axis.spines["left"].set_visible(False)
        figure.legend(loc="outside upper center", ncols=min(5, len(parts)))
        return png(figure)
