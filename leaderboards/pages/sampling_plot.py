"""The plot of the sampling page: the share of samples with what was asked, by question, beside chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure

from bench.records import Record
from leaderboards.plots import _RC, colour, png, styles
from leaderboards.ranking import Entry


def plot(
    names: Mapping[Entry, str], asked: Sequence[tuple[str, str]], table: Mapping[tuple[Entry, str, str, str], Record]
) -> bytes | None:
    """A PNG: questions along x, a point with its interval for each entry, a bar at chance. None where nothing is known.

    names: of the entries, in the order of the legend.
    """
    entries = list(names)
    known = [key for key, record in table.items() if key[3] == "success" and record.value is not None]
    if not known:
        return None
    look = styles(entries)
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(1.6 + 0.55 * len(asked), 2.9), layout="constrained")
        axes = figure.add_subplot()
        for x, (target, sign) in enumerate(asked):
            chance = next((r.value for (_, t, s, m), r in table.items() if (t, s, m) == (target, sign, "base_rate")), None)
            if chance is not None:
                axes.hlines(chance, x - 0.4, x + 0.4, color="#555555", lw=1.2, label="by chance" if x == 0 else None)
        for i, one in enumerate(entries):
            offset = (i - (len(entries) - 1) / 2) * 0.6 / max(len(entries), 1)
            points = [(x + offset, table.get((one, *q, "success"))) for x, q in enumerate(asked)]
            points = [(x, r) for x, r in points if r is not None and r.value is not None]
            if not points:
                continue
            values = [r.value for _, r in points]
            low = [max(0.0, r.value - (r.value if r.ci_low is None else r.ci_low)) for _, r in points]
            high = [max(0.0, (r.value if r.ci_high is None else r.ci_high) - r.value) for _, r in points]
            fmt = {"color": colour(one[0]), "marker": look[one][1], "ms": 3.5, "lw": 0.9, "ls": "none"}
            axes.errorbar([x for x, _ in points], values, yerr=[low, high], label=names[one], **fmt)
        axes.set_xticks(range(len(asked)), [f"{t.replace('_', ' ')} {'−' if s == '-' else s}" for t, s in asked], rotation=60)
        axes.set_ylim(-0.03, 1.03)
        axes.set_ylabel("share with what was asked")
        figure.legend(loc="outside upper center", ncols=min(4, len(entries) + 1))
        return png(figure)
