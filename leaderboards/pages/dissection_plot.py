"""The plots of the dissection page: what switching units off removes, and which classes the units of each layer match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from bench.records import Record
from leaderboards.plots import _RC, colour, png, styles
from leaderboards.ranking import Entry


def plot(
    names: Mapping[Entry, str], concepts: Sequence[str], table: Mapping[tuple[Entry, str, str, str], Record]
) -> bytes | None:
    """A PNG: concepts along x, the share of its area that each entry's units remove, and a bar at that of random units.

    names: of the entries, in the order of the legend. None where nothing is known.
    """
    entries = list(names)
    removed = {(one, c): table.get((one, c, "area_removed", "")) for one in entries for c in concepts}
    shown = [c for c in concepts if any((r := removed[one, c]) is not None and r.value is not None for one in entries)]
    if not shown:
        return None
    look = styles(entries)
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(1.8 + 0.7 * len(shown), 2.9), layout="constrained")
        axes = figure.add_subplot()
        for i, one in enumerate(entries):
            offset = (i - (len(entries) - 1) / 2) * 0.7 / max(len(entries), 1)
            for x, concept in enumerate(shown):
                random = table.get((one, concept, "area_removed_random", ""))
                if random is not None and random.value is not None:
                    marked = "random units of its layer" if i == x == 0 else None
                    axes.hlines(random.value, x + offset - 0.06, x + offset + 0.06, color="#555555", lw=1.2, label=marked)
            points = [(x + offset, removed[one, c]) for x, c in enumerate(shown)]
            points = [(x, r) for x, r in points if r is not None and r.value is not None]
            spans = [
                [max(0.0, r.value - (r.value if r.ci_low is None else r.ci_low)) for _, r in points],
                [max(0.0, (r.value if r.ci_high is None else r.ci_high) - r.value) for _, r in points],
            ]
            fmt = {"color": colour(one[0]), "marker": look[one][1], "ms": 3.5, "lw": 0.9, "ls": "none"}
            axes.errorbar([x for x, _ in points], [r.value for _, r in points], yerr=spans, label=names[one], **fmt)
        axes.axhline(0, color="#bbbbbb", lw=0.6, zorder=0)
        axes.set_xticks(range(len(shown)), [c.replace("_", " ") for c in shown], rotation=60)
        axes.set_ylabel("share of the area removed")
        figure.legend(loc="outside upper center", ncols=min(3, len(entries) + 1))
        return png(figure)


def histogram(seen: Mapping[str, Mapping[str, int]], classes: Sequence[str]) -> bytes:
    """A PNG: for each layer, stacked, the number of units that match each class. seen: layer -> class -> units."""
    layers, colours = list(seen), matplotlib.colormaps["tab20"]
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(2.2 + 0.8 * len(layers), 2.9), layout="constrained")
        axes = figure.add_subplot()
        floor = np.zeros(len(layers))
        for i, name in enumerate(classes):
            height = np.array([seen[layer].get(name, 0) for layer in layers])
            axes.bar(range(len(layers)), height, 0.7, floor, color=colours(i % 20), label=name)
            floor += height
        axes.set_xticks(range(len(layers)), [layer.removeprefix("synthesis.") for layer in layers], rotation=30)
        axes.set_ylabel("units that match")
        figure.legend(loc="outside right upper")
        return png(figure)
