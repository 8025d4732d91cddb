"""How a target is asked of an editor: by name, or through the component that was assigned to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from bench.codes import Codes, Space
from bench.streams import stream_seed
from bench.tasks.base import CellContext
from bench.tasks.editing.judged import GUIDE, guided, read_edits
from bench.tasks.editing.plausible import Plausible, find_edge
from bench.tasks.editing.protocol import ASSIGN_CODES, ASSIGN_SHARE
from methods.base import Edit, Editor, Path, Request
from metrics.assignment import Assignment, assign, effect_matrix


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


def ways_of(editor: Editor) -> tuple[int, ...]:
    """The signs of strengths that an editor's components take."""
    return (1, -1) if editor.signed else (1,)


def component_edges(cell: CellContext, plausible: Plausible, calibrate: Codes) -> dict[str, float]:
    """Each component's plausible edge, the nearer of its two; a component that has no plausible step is left out."""
    edges = {}
    for name in map(str, cell.fitted.editor.targets):
        path = Move(name).path(cell, calibrate)
        edge = min(find_edge(plausible, path, way).strength for way in ways_of(cell.fitted.editor))
        if edge > 0:
            edges[name] = edge
    return edges


def component_edits(cell: CellContext, edges: Mapping[str, float], codes: Codes, share: float = ASSIGN_SHARE) -> list[Edit]:
    """Steps of a share of its edge along every component, forward and, where the editor can, back."""
    edits = []
    for name, edge in edges.items():
        path = Move(name).path(cell, codes)
        edits += [path.at(way * share * edge) for way in ways_of(cell.fitted.editor)]
    return edits


def assigned(cell: CellContext, plausible: Plausible, calibrate: Codes, guide_sigma: np.ndarray) -> Moves:
    """Each target's component, by what steps along all components do to the guide's scores of fit codes.

    A step is ASSIGN_SHARE of the component's plausible edge (the nearer of its two), taken both ways where the editor can. The
    guide alone looks; a component that has no plausible step is left out.
    """
    editor, names = cell.fitted.editor, guided(cell.domain)
    columns = [cell.domain.info.names.index(name) for name in names]
    codes = cell.bank.codes(Space.Z)[:ASSIGN_CODES]
    edges = component_edges(cell, plausible, calibrate)
    components, edits = list(edges), [Edit(codes), *component_edits(cell, edges, codes)]
    readings, _ = read_edits(cell.passes, cell.domain, {GUIDE: cell.domain.guide("attributes")}, edits)
    scores = torch.stack([one[GUIDE] for one in readings]).double().numpy()[:, :, columns]
    scores = scores[:, np.isfinite(scores).all((0, 2))]
    if not components or not scores.shape[1]:
        reason = "no component makes a plausible step that the guide can read"
        return Moves({}, {"components": len(editor.targets), "reason": reason})
    after = scores[1:].reshape(len(components), -1, *scores.shape[1:])
    effects = effect_matrix(scores[0], after if editor.signed else after[:, 0], guide_sigma[columns])
    found = assign(effects, names, [target for target in cell.settings.targets if target in names])
    moves = {target: Move(components[one.component], one.sign) for target, one in found.items()}
    facts = assignment_facts(found, components, effects, names)
    return Moves(moves, {"components": len(editor.targets), "codes": int(scores.shape[1]), "targets": facts})


def assignment_facts(
    found: Mapping[str, Assignment], components: Sequence[str], effects: np.ndarray, names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """By target, what records say of an assignment. components: the rows of effects [K, A]; names: its columns."""
    return {
        target: {
            "component": components[one.component],
            "sign": one.sign,
            "confidence": one.confidence,
            "runner_up": None if one.runner_up is None else components[one.runner_up],
            "runner_up_confidence": one.runner_up_confidence,
            "effect": float(effects[one.component, names.index(target)]),
        }
        for target, one in found.items()
    }
