"""One target of one cell: plausible edges, grids, and its test codes edited and read, as arrays behind every later reading."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.codes import Codes
from bench.tasks.base import CellContext, CellResult
from bench.tasks.editing.grid import guide_curve, place
from bench.tasks.editing.judged import GUIDE, guided, read_edits, readers_of
from bench.tasks.editing.moves import Move
from bench.tasks.editing.plausible import Plausible, find_edge
from bench.tasks.editing.pool import Pool, test_rows
from bench.tasks.editing.protocol import SIGNS, STRIP_IDS, is_binary, key_of
from methods.base import Edit
from metrics.effects import identity_cosine
from metrics.perceptual import squared_distance
from metrics.rescoring import signed_change


@dataclass(frozen=True)
class Question:
    """One (target, sign) that can be asked: where it is tested and how far. rows: of the pool. direction: the strength's sign.

    strengths: [S + 1] from 0 to the edge, in the editor's own unit.
    """

    sign: str
    direction: int
    rows: Tensor
    strengths: np.ndarray
    facts: dict[str, Any]


class TargetMeasure:
    """Measures one cell target by target. calibrate: codes [C] in z; guided: the guide's scores [C, A] of them, unedited."""

    def __init__(self, cell: CellContext, pool: Pool, plausible: Plausible, calibrate: Codes, guided: Tensor) -> None:
        self.cell, self.pool, self.plausible, self.calibrate, self.guided = cell, pool, plausible, calibrate, guided
        self.readers = readers_of(cell.domain)
        self.guide = {GUIDE: self.readers[GUIDE]}
        self.names = list(cell.domain.info.names)

    def measure(self, target: str, move: Move | None, why_not: str, result: CellResult) -> None:
        """Add a target's arrays, pictures and facts to the result; why_not: the reason where the editor has no such move."""
        keys = result.facts.setdefault("questions", {})
        asked = []
        for sign in SIGNS:
            found = why_not if move is None else self._question(target, move, sign)
            if isinstance(found, Question):
                asked.append(found)
                keys[key_of(target, sign)] = {"status": "ok", "reason": "", **found.facts}
            else:
                keys[key_of(target, sign)] = found if isinstance(found, dict) else {"status": "skipped", "reason": found}
        if asked:
            self._edit(target, move, asked, result)

    def _question(self, target: str, move: Move, sign: str) -> Question | dict[str, Any] | str:
        """The question, or the reason why it is not asked, or (facts) why its effect cannot be reached at all."""
        cell, column, direction = self.cell, self.names.index(target), SIGNS[sign] * move.turn
        if direction < 0 and not cell.fitted.editor.signed:
            return f"the method edits one way only, and that does not {'raise' if sign == '+' else 'lower'} {target}"
        if target not in guided(cell.domain):
            return f"the guide {self.readers[GUIDE].name} does not score {target}, so that nothing places its strengths"
        if math.isinf(float(self.pool.sigma[column])):
            return f"the judge sees no {target} change over {len(self.pool.codes)} samples"
        binary = is_binary(cell.domain.info.attributes[column])
        rows = test_rows(self.pool, column, binary, SIGNS[sign], cell.settings.test_codes)
        if len(rows) < cell.settings.test_codes:
            state = "lack" if sign == "+" else "have"
            return f"only {len(rows)} of {len(self.pool.codes)} samples {state} {target}, {cell.settings.test_codes} are needed"
        path = move.path(cell, self.calibrate)
        edge = find_edge(self.plausible, path, direction)
        facts = {"edge": edge.strength, "edge_found": edge.found, "move": move.name, "turn": move.turn}
        if not edge.strength > 0:
            return {"status": "unreached", "reason": "not even the smallest step is plausible", **facts}
        sigma = float(self.pool.guide_sigma[column])

        def effects(strengths: np.ndarray) -> np.ndarray:
            edits = [path.at(direction * float(one)) for one in strengths]
            readings, _ = read_edits(cell.passes, cell.domain, self.guide, edits)
            change = torch.stack([one[GUIDE][:, column] for one in readings]) - self.guided[:, column]
            # What the guide cannot read shows no effect; the judge's own failures are counted where it reads.
            return SIGNS[sign] * torch.nan_to_num(change.double(), 0.0, 0.0, 0.0).mean(1).numpy() / sigma

        levels = cell.settings.grid_levels
        grid = place(*guide_curve(effects, edge.strength, levels[-1]), levels)
        facts["placed"] = list(grid.placed)
        return Question(sign, direction, rows, np.concatenate([[0.0], grid.strengths]), facts)

    def _edit(self, target: str, move: Move, asked: list[Question], result: CellResult) -> None:
        """Edit the test codes of all questions of a target at all strengths, read every picture once, and keep the report's."""
        strip = torch.arange(STRIP_IDS)
        edits: list[Edit] = []
        seconds = []
        for one in asked:
            start = time.perf_counter()
            edits += self._edits(move, one, one.rows)
            seconds.append(time.perf_counter() - start)
        readings, pictures = read_edits(self.cell.passes, self.cell.domain, self.readers, edits, keep=STRIP_IDS)
        count = len(edits) // len(asked)
        columns: dict[int, list[np.ndarray]] = {0: [_bytes(self.pool.strip)]}
        for i, one in enumerate(asked):
            part = slice(i * count, (i + 1) * count)
            key = key_of(target, one.sign)
            for name, array in self._arrays(target, one, readings[part]).items():
                result.arrays[f"{key}/{name}"] = array
            result.facts.setdefault("seconds", {})[key] = seconds[i] / (count * len(one.rows))
            shown = pictures[part]
            if len(one.rows) < STRIP_IDS or not torch.equal(one.rows[:STRIP_IDS], strip):
                shown = self._pictures(self._edits(move, one, strip))
            # Columns at the levels that the guide placed; the edge itself is left to the curves, it differs too much by method.
            columns[SIGNS[one.sign]] = [_bytes(one_strength) for one_strength in shown[:-1]]
        ordered = [*columns.get(-1, [])[::-1], *columns[0], *columns.get(1, [])]
        result.pictures[target] = np.stack(ordered, 1)
        by_sign = {one.sign: one.strengths[1:-1].tolist() for one in asked}
        strengths = [-s for s in by_sign.get("-", [])[::-1]] + [0.0] + by_sign.get("+", [])
        result.facts.setdefault("strips", {})[target] = {"ids": self.pool.codes.ids[strip].tolist(), "strengths": strengths}

    def _edits(self, move: Move, one: Question, rows: Tensor) -> list[Edit]:
        with torch.no_grad():
            path = move.path(self.cell, self.pool.codes[rows])
            return [path.at(one.direction * float(strength)) for strength in one.strengths[1:]]

    def _pictures(self, edits: list[Edit]) -> list[Tensor]:
        """Pictures of edits that nobody reads, [N, 3, R, R] each."""
        return read_edits(self.cell.passes, self.cell.domain, {}, edits, keep=STRIP_IDS)[1]

    def _arrays(self, target: str, one: Question, readings: list[dict[str, Tensor]]) -> dict[str, np.ndarray]:
        """Everything that was read of one question; see `summary` for the shapes. Strength 0 is the pool's own reading."""
        column, sigma = self.names.index(target), self.pool.sigma.numpy()
        before = {name: values[one.rows].numpy() for name, values in self.pool.readings.items()}
        after = {name: np.stack([reading[name].numpy() for reading in readings], 1) for name in before}
        curve = {name: np.concatenate([before[name][:, None], after[name]], 1) for name in before}
        arrays = {"ids": self.pool.codes.ids[one.rows].numpy(), "strengths": one.strengths}
        change = signed_change(curve["attributes"][:, :1], curve["attributes"], sigma)
        arrays["change"] = np.where(np.isfinite(change).all(2, keepdims=True), change, np.nan).astype(np.float32)
        guide = curve[GUIDE][:, :, column].astype(np.float64)
        arrays["guide"] = (SIGNS[one.sign] * (guide - guide[:, :1]) / float(self.pool.guide_sigma[column])).astype(np.float32)
        steps = range(len(one.strengths))
        for name, distance in (("identity", identity_cosine), ("perceptual", squared_distance)):
            if name in curve:
                values = [distance(curve[name][:, 0], curve[name][:, s]) for s in steps]
                arrays[name] = np.stack(values, 1).astype(np.float32)
        if "features" in after:
            arrays["features_after"] = after["features"].astype(np.float32)
        return arrays


def _bytes(images: Tensor) -> np.ndarray:
    """uint8 [N, R, R, 3] of pictures in [-1, 1]."""
    return ((images.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
