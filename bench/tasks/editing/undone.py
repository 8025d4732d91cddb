"""Whether an edit can be taken back, and whether the order of edits matters, as distances between pictures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

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


def same_codes(a: Edit, b: Edit, start: Codes) -> bool:
    """Whether two edits of `start` end in the same codes up to rounding, and neither works inside the generator."""
    if a.intervene or b.intervene or not a.codes.space == b.codes.space == start.space:
        return False
    length = max(float((edit.codes.values - start.values).norm()) for edit in (a, b))
    return float((a.codes.values - b.codes.values).norm()) <= SAME * length


def picture_distances(passes: Passes, judge: Network, first: Edit, second: Edit) -> np.ndarray:
    """The judge's perceptual distance between the pictures of two edits, [n] float64."""
    read = [passes.read({"perceptual": judge}, edit.codes, edit.intervene)["perceptual"] for edit in (first, second)]
    return squared_distance(*(one.double().numpy() for one in read))


def taken_back(cell: CellContext, judge: Network, move: Move, codes: Codes, strength: float) -> tuple[np.ndarray | None, str]:
    """What is left of an edit that is undone: [n, 2] of the distances (undone, original) and (edited, original), and a remark.

    The edited code is asked for the same edit with the opposite strength. None, with the reason, where that cannot be asked.
    """
    editor = cell.fitted.editor
    if not editor.signed:
        return None, "the method edits one way only"
    with torch.no_grad():
        path = move.path(cell, codes)
        start, edited = path.at(0.0), path.at(strength)
        if edited.intervene:
            return None, "the edit is inside the generator: without it the picture is the original by construction"
        undone = move.path(cell, edited.codes).at(-strength)
    far = picture_distances(cell.passes, judge, edited, start)
    if edited.codes.space == start.codes.space and _returns(undone, start, edited):
        return np.stack([np.zeros_like(far), far], 1), "by construction: the code itself returns"
    return np.stack([picture_distances(cell.passes, judge, undone, start), far], 1), ""


def _returns(undone: Edit, start: Edit, edited: Edit) -> bool:
    if undone.intervene or undone.codes.space != start.codes.space:
        return False
    length: Tensor = (edited.codes.values - start.codes.values).norm()
    return float((undone.codes.values - start.codes.values).norm()) <= SAME * float(length)


def in_other_order(cell: CellContext, judge: Network, moves: list[tuple[Move, float]], codes: Codes) -> tuple[np.ndarray, str]:
    """How far the order of edits changes the picture: [n, 2] of the distances (forward, backward) and (forward, original)."""
    with torch.no_grad():
        forward, backward = chained(cell, moves, codes), chained(cell, moves[::-1], codes)
        start = moves[0][0].path(cell, codes).at(0.0)
    far = picture_distances(cell.passes, judge, forward, start)
    if start.codes.space == forward.codes.space and same_codes(forward, backward, start.codes):
        return np.stack([np.zeros_like(far), far], 1), "by construction: the codes are the same in either order"
    return np.stack([picture_distances(cell.passes, judge, forward, backward), far], 1), ""
