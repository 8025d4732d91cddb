"""Strengths at which an edit is measured: where the guide's mean effect reaches given levels, and the plausible range's edge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.tasks.editing.protocol import GUIDE_SHARES
from metrics.reading import crossing, isotonic

# Rounds of the guide: each next one looks closer to zero, where an edge is so wide that the levels lie below its first shares.
ROUNDS = 6
# Strengths this near to each other, as a share, are one.
SAME = 1e-2


@dataclass(frozen=True)
class Grid:
    """strengths: [levels + 1] rising, above 0, the last one the edge. placed: which of the levels the guide placed."""

    strengths: np.ndarray
    placed: tuple[bool, ...]


def guide_curve(measure: Callable[[np.ndarray], np.ndarray], edge: float, top: float) -> tuple[np.ndarray, np.ndarray]:
    """The guide's mean effect at strengths 0 to the edge: (strengths [S], effects [S]), the first of both is 0.

    measure: strengths [S] -> mean effects [S] in sigma, the way asked. Where the effect passes `top`, the highest level, in the
    very first shares of the edge, closer strengths are added, so that a wide range does not blur the small ones.
    """
    strengths = np.array(GUIDE_SHARES) * edge
    effects = measure(strengths)
    for _ in range(ROUNDS):
        if not effects[1] >= top:
            break
        closer = strengths[0] * np.array(GUIDE_SHARES[:-1])
        strengths, effects = np.concatenate([closer, strengths]), np.concatenate([measure(closer), effects])
    return np.concatenate([[0.0], strengths]), np.concatenate([[0.0], effects])


def place(strengths: np.ndarray, effects: np.ndarray, levels: tuple[float, ...]) -> Grid:
    """The grid from the guide's curve: strengths [S] from 0 to the edge, effects [S] in sigma, levels rising.

    The curve is made isotonic; level j lies at its first crossing. A level it does not reach, number j of m, becomes the fraction
    (j + 1) / (m + 1) of the edge. Strengths that coincide are spread to the middle of the widest gap, so that every grid has m +
    1.
    """
    curve, edge = isotonic(effects[None]), float(strengths[-1])
    at = [float(crossing(strengths, curve, level)[0]) for level in levels]
    placed = tuple(not np.isnan(one) for one in at)
    m = len(levels)
    wanted = [one if known else edge * (j + 1) / (m + 1) for j, (one, known) in enumerate(zip(at, placed, strict=True))]
    points: list[float] = [edge]
    for one in sorted(wanted):
        if one > 0 and all(abs(one - other) > SAME * one for other in points):
            points.append(one)
    points.sort()
    while len(points) < m + 1:
        ends = [0.0, *points]
        widest = max(range(len(points)), key=lambda i: ends[i + 1] - ends[i])
        points.insert(widest, (ends[widest] + ends[widest + 1]) / 2)
    return Grid(np.array(points), placed)
