"""How a target is asked of an editor: by name, or through the component that was assigned to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from bench.codes import Codes, Space
from bench.streams import stream_seed
from bench.tasks.base import CellContext
from bench.tasks.editing.judged import GUIDE, read_edits
from bench.tasks.editing.plausible import Plausible
from bench.tasks.editing.protocol import ASSIGN_CODES, ASSIGN_SHARE
from methods.base import Editor, Path, Request
from metrics.assignment import assign


@dataclass(frozen=True)
class Move:
    """One target as this editor offers it. turn: +1 or -1, the sign of the strength that raises the target."""

    name: str
    turn: int = 1

    def path(self, cell: CellContext, codes: Codes) -> Path:
        request = Request(self.name, hold=cell.method.hold)
        return cell.fitted.editor.path(codes, [request], seed=stream_seed("edit", cell.seed, cell.method.fit_seed))


@dataclass(frozen=True)
class Moves:
    """Moves by target, and the facts of the assignment (empty where the editor knows the targets by name)."""

    by_target: dict[str, Move]
    facts: dict[str, Any] = field(default_factory=dict)


def offers_components(editor: Editor) -> bool:
    """Whether the editor's targets are component numbers, which have to be assigned to attributes."""
    return bool(editor.targets) and all(str(name).isdecimal() for name in editor.targets)


def moves_of(cell: CellContext, plausible: Plausible, calibrate: Codes, guide_sigma: np.ndarray) -> Moves:
    """The moves of a cell's editor for the targets it has; components are assigned first."""
    editor = cell.fitted.editor
    if offers_components(editor):
        return assigned(cell, plausible, calibrate, guide_sigma)
    return Moves({target: Move(target) for target in cell.settings.targets if target in editor.targets})
