"""The naming task's figures: the effect matrix of components by attributes, as guide and judge see it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from leaderboards.plots import _RC, png

MOST = 2.0  # sigma at which colours end, at the latest


class Panel(NamedTuple):
    """One matrix: effects [K, A] in sigma, names of its columns, and cells (row, column) to mark."""

    title: str
    effects: np.ndarray
    names: Sequence[str]
    marked: Collection[tuple[int, int]] = ()


def heat_map(panels: Sequence[Panel], components: Sequence[str]) -> bytes:
    """Panels side by side on one scale of colour; what could not be read is grey."""
    sizes = np.concatenate([np.abs(one.effects).ravel() for one in panels])
    sizes = sizes[np.isfinite(sizes)]
    limit = min(MOST, max(1e-9, float(sizes.max()) if len(sizes) else 0.0))
    with matplotlib.rc_context({**_RC, "axes.grid": False}):
        width = sum(0.17 * len(one.names) for one in panels)
        figure = Figure(figsize=(1.4 + width, 1.4 + 0.15 * len(components)), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axis, one in zip(axes, panels, strict=True):
            axis.set_facecolor("#dddddd")
            shown = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "aspect": "auto", "interpolation": "nearest"}
            image = axis.imshow(np.ma.masked_invalid(one.effects), **shown)
            for row, column in one.marked:
                axis.plot(column, row, marker="o", ms=2.4, color="white", mec="black", mew=0.4)
            axis.set_title(one.title)
            axis.set_xticks(range(len(one.names)), [name.replace("_", " ") for name in one.names], rotation=90)
            axis.tick_params(length=0)
        axes[0].set_yticks(range(len(components)), components)
        axes[0].set_ylabel("component")
        figure.colorbar(image, ax=list(axes), shrink=0.7, aspect=30, label="change (sigma)", extend="both")
        return png(figure)
