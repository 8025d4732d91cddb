"""What fits of the editing task tell of the generator itself: which layers carry which attribute, which channels act where.

A method says it by the names of its tables: 'layerwise_rescoring' (attribute, layers, delta, random, edited; a heat map),
'layer_levels', 'localised_counts' and 'channels'. No interval here is over fits: each fit's own table lies in run.json.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from leaderboards.folder import Cell, Results
from leaderboards.plots import _RC, png
from leaderboards.ranking import Entry
from leaderboards.sections import markdown
from leaderboards.tables import Board
from leaderboards.vocabulary import label, number

TASK = "editing"
LAYERS, LEVELS = "layerwise_rescoring", "layer_levels"
# run.json sorts the columns of tables by name: these come first here, in this order, and FACTS last.
FIRST = (
    "attribute", "level", "attributes", "region", "layer", "channel", "style", "channels", "signal_to_noise", "rank", "of",
    "side", "effect", "others", "shift",
)  # fmt: skip
FACTS = ("peak", "positives", "n", "guide")
Row = Mapping[str, Any]


def page(results: Results, generator: str, board: Board | None) -> tuple[str, dict[str, bytes]]:
    """Markdown and plots of one generator; empty where no fit has such a table."""
    groups = results.groups(TASK, generator)
    layered = _distinct({one: cells for one, cells in groups.items() if LAYERS in cells[0].tables}, LAYERS)
    parts, files = [], {}
    if layered:
        path = f"plots/{TASK}-{generator}-layers.png"
        files[path] = heat_map(layered)
        parts.append(_layers(layered, path))
    for name, heading in (
        ("channels", "Single style channels"), ("localised_counts", "Style channels by the region that they act in"),
    ):  # fmt: skip
        found = _distinct({one: cells for one, cells in groups.items() if cells[0].tables.get(name)}, name)
        if found:
            shown = [f"**{label(one)}**{_of_fits(cells)}\n\n{table(cells[0].tables[name])}" for one, cells in found.items()]
            parts.append("\n\n".join([f"### {heading}", *shown]))
    return "\n\n".join(parts), files


def _distinct(groups: Mapping[Entry, Sequence[Cell]], name: str) -> dict[Entry, Sequence[Cell]]:
    """The entries whose tables differ in more than which rows they edit: variants may share one verification."""
    kept: dict[str, Entry] = {}
    for one, cells in sorted(groups.items(), key=lambda item: len(item[0][1])):  # the plainest variant stands for the others
        key = str([[{k: v for k, v in row.items() if k != "edited"} for row in cell.tables.get(name, ())] for cell in cells])
        kept.setdefault(key, one)
    return {one: groups[one] for one in kept.values()}


def _of_fits(cells: Sequence[Cell]) -> str:
    return f", the first of {len(cells)} fits" if len(cells) > 1 else ""


def table(rows: Sequence[Row], middle: Sequence[str] = ()) -> str:
    """Rows of a fit's table; a row may lack columns. middle: the order of columns that are neither in FIRST nor in FACTS."""
    present = dict.fromkeys(key for row in rows for key in row)
    order = [*FIRST, *middle, *(key for key in present if key not in FACTS), *FACTS]
    columns = [key for key in dict.fromkeys(order) if key in present]
    return markdown(columns, [[_cell(row.get(column)) for column in columns] for row in rows])


def _cell(value: Any) -> Any:
    return "–" if value is None else number(value) if isinstance(value, float) else value


def matrix(cells: Sequence[Cell], value: str) -> tuple[list[str], list[str], np.ndarray]:
    """Attributes, layers and the mean over fits of a column of 'layerwise_rescoring'; NaN where a fit says nothing."""
    rows = [row for cell in cells for row in cell.tables[LAYERS]]
    attributes, layers = (list(dict.fromkeys(row[key] for row in rows)) for key in ("attribute", "layers"))
    sums, counts = np.zeros((2, len(attributes), len(layers)))
    for row in rows:
        place = attributes.index(row["attribute"]), layers.index(row["layers"])
        sums[place] += float(row[value])
        counts[place] += 1
    return attributes, layers, np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def heat_map(groups: Mapping[Entry, Sequence[Cell]]) -> bytes:
    """Attribute by layers, a panel per entry: rise of the score beyond chance, in sigma; edited rows are marked."""
    tables = {
        one: (*matrix(cells, "delta"), matrix(cells, "random")[2], matrix(cells, "edited")[2]) for one, cells in groups.items()
    }
    limit = max(1e-9, max(float(np.nanmax(delta - chance)) for _, _, delta, chance, _ in tables.values()))
    with matplotlib.rc_context({**_RC, "axes.grid": False}):
        tallest = max(len(attributes) for attributes, *_ in tables.values())
        figure = Figure(figsize=(0.8 + 3.0 * len(tables), 1.3 + 0.24 * tallest), layout="constrained")
        axes = figure.subplots(1, len(tables), squeeze=False)[0]
        for axis, (one, (attributes, layers, delta, chance, edited)) in zip(axes, tables.items(), strict=True):
            image = axis.imshow(delta - chance, cmap="viridis", vmin=0, vmax=limit, aspect="auto", interpolation="nearest")
            for y, x in np.argwhere(edited >= 0.5):
                axis.plot(x, y, marker="o", ms=3, color="white", mec="black", mew=0.5)
            axis.set_xticks(range(len(layers)), layers, rotation=45, ha="right")
            axis.set_yticks(range(len(attributes)), [name.replace("_", " ") for name in attributes])
            axis.set_title("\n".join(textwrap.wrap(label(one).replace(",", ", "), 40)))
            axis.tick_params(length=0)
        figure.colorbar(image, ax=list(axes), shrink=0.8, label="rise (sigma)")
        return png(figure)


def _layers(groups: Mapping[Entry, Sequence[Cell]], path: str) -> str:
    first = next(iter(groups.values()))[0].tables[LAYERS]
    read = sorted({row["n"] for cells in groups.values() for cell in cells for row in cell.tables[LAYERS]})
    n = str(read[0]) if len(read) == 1 else f"{read[0]} to {read[-1]}"
    layers = list(dict.fromkeys(row["layers"] for row in first))
    rows = dict.fromkeys(f"{row['layers']}: rows {row['rows'].replace('+', ', ')}" for row in first if row["layers"] != "all")
    parts = [
        "### Which layers carry which attribute",
        "HiGAN's verification by re-scoring: every code moves along an attribute's boundary in one group of layers alone "
        f"({'; '.join(rows)}). Shown is the mean rise of the score of `{first[0]['guide']}` (a guide, not a judge), falls "
        f"counted as none, minus what random directions of the same length reach; n = {n} codes a fit, mean over fits. Marked: "
        "the rows that edits move.",
        f"![which layers carry which attribute]({path})",
    ]
    for one, cells in groups.items():
        levels = [row for row in cells[0].tables.get(LEVELS, ()) if row["level"] != "none"]
        if levels:
            parts += [
                f"**{label(one)}**{_of_fits(cells)}: share of the rise that each group of layers has, by level of attributes "
                "(those of no level are left out). The paper's levels are those of scenes (layout, objects, attributes, colour "
                "scheme); here groups of attributes of this domain stand in for them.",
                table(levels, layers),
            ]
    return "\n\n".join(parts)
