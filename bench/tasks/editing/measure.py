"""One target of one cell: plausible edges, grids, and its test codes edited and read, as arrays behind every later reading."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.codes import Codes
from bench.tasks.base import CellContext, CellResult
from bench.tasks.editing.arrays import Question, as_bytes, question_arrays
from bench.tasks.editing.cost import cost_of_edits
from bench.tasks.editing.grid import guide_curve, place
from bench.tasks.editing.judged import GUIDE, guided, read_edits, readers_of
from bench.tasks.editing.moves import Move
from bench.tasks.editing.plausible import Plausible, find_edge
from bench.tasks.editing.pool import Pool, test_rows
from bench.tasks.editing.protocol import LOCAL_CODES, SEQUENCE_SIGN, SIGNS, STRIP_IDS, UNDO_CODES, is_binary, key_of, test_count
from bench.tasks.editing.regions import local_arrays
from bench.tasks.editing.undone import taken_back
from methods.base import Edit


class TargetMeasure:
    """Measures one cell target by target. calibrate: codes [C] in z; guided: the guide's scores [C, A] of them, unedited."""

    def __init__(self, cell: CellContext, pool: Pool, plausible: Plausible, calibrate: Codes, guided: Tensor) -> None:
        self.cell, self.pool, self.plausible, self.calibrate, self.guided = cell, pool, plausible, calibrate, guided
        self.readers = readers_of(cell.domain)
        self.guide = {GUIDE: self.readers[GUIDE]}
        self.names = list(cell.domain.info.names)
        self.count = test_count(cell.settings, cell.fitted.editor)
        self.raised: dict[str, Question] = {}  # by target: what sequences are made of

    def measure(self, target: str, move: Move | None, why_not: str, result: CellResult) -> None:
        """Add a target's arrays, pictures and facts to the result; why_not: the reason where the editor has no such move."""
        keys = result.facts.setdefault("questions", {})
        asked: list[Question] = []
        for sign in SIGNS:
            found = why_not if move is None else self._question(target, move, sign)
            if isinstance(found, Question):
                asked.append(found)
                keys[key_of(target, sign)] = {"status": "ok", "reason": "", **found.facts}
            else:
                keys[key_of(target, sign)] = found if isinstance(found, dict) else {"status": "skipped", "reason": found}
        if asked:
            self._edit(target, move, asked, result)
            self._take_back(target, move, asked, result)
        for one in asked:
            if one.sign == SEQUENCE_SIGN:
                self.raised[target] = one

    def _question(self, target: str, move: Move, sign: str) -> Question | dict[str, Any] | str:
        """The question, or the reason why it is not asked, or (facts) why its effect cannot be reached at all."""
        cell, column, direction = self.cell, self.names.index(target), SIGNS[sign] * move.turn
        if direction < 0 and not cell.fitted.editor.signed:
            return f"the method edits one way only, and that does not {'raise' if sign == '+' else 'lower'} {target}"
        if target not in guided(cell.domain):
            return f"the guide {self.readers[GUIDE].name} does not score {target}, so that nothing places its strengths"
        if target in cell.generator.lost:
            return cell.generator.lost[target]
        if math.isinf(float(self.pool.sigma[column])):
            return f"the judge sees no {target} change over {len(self.pool.codes)} samples"
        binary = is_binary(cell.domain.info.attributes[column])
        rows = test_rows(self.pool, column, binary, SIGNS[sign], self.count)
        if len(rows) < self.count:
            state = "lack" if sign == "+" else "have"
            return f"only {len(rows)} of {len(self.pool.codes)} samples {state} {target}, {self.count} are needed"
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
        return Question((target,), sign, direction, rows, np.concatenate([[0.0], grid.strengths]), facts)

    def _edit(self, target: str, move: Move, asked: list[Question], result: CellResult) -> None:
        """Edit the test codes of all questions of a target at all strengths, read every picture once, and keep the report's."""
        strip = torch.arange(STRIP_IDS)
        edits: list[Edit] = []
        for one in asked:
            with cost_of_edits(self.cell, key_of(target, one.sign), result) as made:
                made += self._edits(move, one, one.rows)
            edits += made
        readings, pictures = read_edits(self.cell.passes, self.cell.domain, self.readers, edits, keep=max(STRIP_IDS, LOCAL_CODES))
        count = len(edits) // len(asked)
        columns: dict[int, list[np.ndarray]] = {0: [as_bytes(self.pool.strip)]}
        for i, one in enumerate(asked):
            part = slice(i * count, (i + 1) * count)
            key = key_of(target, one.sign)
            for name, array in question_arrays(self.cell.domain.info, self.pool, one, readings[part]).items():
                result.arrays[f"{key}/{name}"] = array
            local = local_arrays(self.cell, one.targets, self.pool.codes[one.rows[:LOCAL_CODES]], pictures[part])
            result.arrays |= {f"{key}/{name}": array for name, array in local.items()}
            shown = [one_strength[:STRIP_IDS] for one_strength in pictures[part]]
            if len(one.rows) < STRIP_IDS or not torch.equal(one.rows[:STRIP_IDS], strip):
                shown = self._pictures(self._edits(move, one, strip))
            # Columns at the levels that the guide placed; the edge itself is left to the curves, it differs too much by method.
            columns[SIGNS[one.sign]] = [as_bytes(one_strength) for one_strength in shown[:-1]]
        ordered = [*columns.get(-1, [])[::-1], *columns[0], *columns.get(1, [])]
        result.pictures[target] = np.stack(ordered, 1)
        by_sign = {one.sign: one.strengths[1:-1].tolist() for one in asked}
        strengths = [-s for s in by_sign.get("-", [])[::-1]] + [0.0] + by_sign.get("+", [])
        result.facts.setdefault("strips", {})[target] = {"ids": self.pool.codes.ids[strip].tolist(), "strengths": strengths}

    def _take_back(self, target: str, move: Move, asked: list[Question], result: CellResult) -> None:
        """What is left of an edit at the second of the guide's levels when it is undone, on the first codes of each question."""
        if "perceptual" not in self.readers or self.cell.fitted.editor.per_code:
            return
        for one in asked:
            key = key_of(target, one.sign)
            codes, step = self.pool.codes[one.rows[:UNDO_CODES]], min(2, len(one.strengths) - 1)
            strength = one.direction * float(one.strengths[step])
            left, remark = taken_back(self.cell, self.readers["perceptual"], move, codes, strength)
            result.facts["questions"][key]["undone"] = remark
            if left is not None:
                edited = result.arrays[f"{key}/perceptual"][: len(codes), step]
                result.arrays[f"{key}/undone"] = np.stack([left, edited], 1).astype(np.float32)

    def _edits(self, move: Move, one: Question, rows: Tensor) -> list[Edit]:
        with torch.no_grad():
            path = move.path(self.cell, self.pool.codes[rows])
            return [path.at(one.direction * float(strength)) for strength in one.strengths[1:]]

    def _pictures(self, edits: list[Edit]) -> list[Tensor]:
        """Pictures of edits that nobody reads, [N, 3, R, R] each."""
        return read_edits(self.cell.passes, self.cell.domain, {}, edits, keep=STRIP_IDS)[1]
