"""Whether an edit can be taken back, and whether the order of edits matters, as distances between pictures."""

from __future__ import annotations

import numpy as np
import torch

from bench.codes import Codes
from bench.domains.base import Network
from bench.passes import Passes
from bench.tasks.base import CellContext
from bench.tasks.editing.moves import Move
from methods.base import Edit
from metrics.perceptual import squared_distance

# Codes that differ by less than this share of the edit's own length are the same up to rounding.
SAME = 1e-4


def chained(cell: CellContext, moves: list[tuple[Move, float]], codes: Codes) -> Edit:
    """Edits one after another, each asked of what the last one made: (move, signed strength) in order."""
    edit = Edit(codes)
    for move, strength in moves:
        step = move.path(cell, edit.codes).at(strength)
        edit = Edit(step.codes, (*edit.intervene, *step.intervene))
    return edit


def same_codes(a: Edit, b: Edit, length: float) -> bool:
    """Whether two edits end in the same codes up to rounding of moves this long, and neither works inside the generator."""
    if a.intervene or b.intervene or a.codes.space != b.codes.space:
        return False
    return float((a.codes.values - b.codes.values).norm()) <= SAME * length


def moved(start: Edit, edited: Edit) -> float:
    """How far codes moved in all; infinite between spaces."""
    if start.codes.space != edited.codes.space:
        return float("inf")
    return float((edited.codes.values - start.codes.values).norm())


def picture_distances(passes: Passes, judge: Network, first: Edit, second: Edit) -> np.ndarray:
    """The judge's perceptual distance between the pictures of two edits, [n] float64."""
    read = [passes.read({"perceptual": judge}, edit.codes, edit.intervene)["perceptual"] for edit in (first, second)]
    return squared_distance(*(one.double().numpy() for one in read))


def taken_back(cell: CellContext, judge: Network, move: Move, codes: Codes, strength: float) -> tuple[np.ndarray | None, str]:
    """What is left of an edit that is undone: the distance of (undone, original) [n], and a remark.

    The edited code is asked for the same edit with the opposite strength. None, with the reason, where that cannot be asked.
    """
    if not cell.fitted.editor.signed:
        return None, "the method edits one way only"
    with torch.no_grad():
        path = move.path(cell, codes)
        start, edited = path.at(0.0), path.at(strength)
        if edited.intervene:
            return None, "the edit is inside the generator: without it the picture is the original by construction"
        undone = move.path(cell, edited.codes).at(-strength)
    if same_codes(undone, start, moved(start, edited)):
        return np.zeros(len(codes)), "by construction: the code itself returns"
    return picture_distances(cell.passes, judge, undone, start), ""


def in_other_order(cell: CellContext, judge: Network, moves: list[tuple[Move, float]], codes: Codes) -> tuple[np.ndarray, str]:
    """How far the order of edits changes the picture: the distance of (forward, backward) [n], and a remark."""
    with torch.no_grad():
        forward, backward = chained(cell, moves, codes), chained(cell, moves[::-1], codes)
        start = moves[0][0].path(cell, codes).at(0.0)
    if same_codes(forward, backward, moved(start, forward)):
        return np.zeros(len(codes)), "by construction: the codes are the same in either order"
    return picture_distances(cell.passes, judge, forward, backward), ""
