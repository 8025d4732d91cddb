"""The prompts of one cell: strengths placed as in the editing task, test codes edited and read, as arrays behind every number."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.codes import Codes
from bench.errors import UnsupportedError
from bench.tasks.base import CellContext, CellResult
from bench.tasks.editing.arrays import Question, as_bytes, question_arrays
from bench.tasks.editing.judged import GUIDE, read_edits
from bench.tasks.editing.measure import TargetMeasure
from bench.tasks.editing.moves import Move
from bench.tasks.editing.plausible import Plausible
from bench.tasks.editing.pool import Pool
from bench.tasks.editing.protocol import SIGNS, STRIP_IDS, key_of
from bench.tasks.text.asking import PromptMove, takes_prompts, text_curves, text_judge, text_vectors
from bench.tasks.text.protocol import READINGS, own_prompt
from bench.tasks.text.quantities import text_key


@dataclass(frozen=True)
class Asked:
    """One edit that answers one prompt or, where it was asked by name, all of a side. numbers: of the prompts."""

    move: Move | None
    numbers: tuple[int, ...]


class TextMeasure(TargetMeasure):
    """Measures one cell, prompt by prompt. vectors: what the judge of texts says of the pool's pictures, [P, D]."""

    def __init__(
        self, cell: CellContext, pool: Pool, plausible: Plausible, calibrate: Codes, guided: Tensor, vectors: Tensor
    ) -> None:
        wanted = {name: pool.readings[name] for name in (*READINGS, GUIDE) if name in pool.readings}
        super().__init__(cell, replace(pool, readings=wanted), plausible, calibrate, guided)
        self.judge, self.vectors = text_judge(cell.domain), vectors
        self.readers = {name: self.readers[name] for name in wanted} | {"text_image": self.judge}

    def measure(self, target: str, move: Move | None, why_not: str, result: CellResult) -> None:
        """Add every prompt of a target to the result: arrays, facts and pictures. move: how it is asked by name."""
        columns: dict[int, list[np.ndarray]] = {0: [as_bytes(self.pool.strip)]}
        placed: dict[int, list[float]] = {}
        for sign in SIGNS:
            texts = self.cell.settings.texts(self.cell.domain.info, target, sign)
            facts: list[dict[str, Any]] = [{"text": text} for text in texts]
            result.facts.setdefault("prompts", {})[key_of(target, sign)] = facts
            for one in self._asked(target, sign, texts, move):
                found = why_not if one.move is None else self._placed(target, one.move, sign)
                if not isinstance(found, Question):
                    said = found if isinstance(found, dict) else {"status": "skipped", "reason": found}
                    for number in one.numbers:
                        facts[number] |= said
                    continue
                for number in one.numbers:
                    facts[number] |= {"status": "ok", "reason": "", "edit": one.numbers[0], **found.facts}
                shown = self._read(target, one, found, texts, result, facts)
                if 0 in one.numbers:  # the strip shows the attribute's own prompts
                    columns[SIGNS[sign]] = shown
                    placed[SIGNS[sign]] = found.strengths[1:-1].tolist()
        if placed:
            result.pictures[target] = np.stack([*columns.get(-1, [])[::-1], *columns[0], *columns.get(1, [])], 1)
            strengths = [-s for s in placed.get(-1, [])[::-1]] + [0.0] + placed.get(1, [])
            strip = {"ids": self.pool.codes.ids[:STRIP_IDS].tolist(), "strengths": strengths}
            result.facts.setdefault("strips", {})[target] = strip

    def _asked(self, target: str, sign: str, texts: tuple[str, ...], move: Move | None) -> list[Asked]:
        if takes_prompts(self.cell.fitted.editor):
            return [Asked(PromptMove(target, SIGNS[sign], text), (number,)) for number, text in enumerate(texts)]
        return [Asked(move, tuple(range(len(texts))))]

    def _placed(self, target: str, move: Move, sign: str) -> Question | dict[str, Any] | str:
        """The question with its strengths, or why there is none. A prompt that the method cannot follow is not reached."""
        try:
            return self._question(target, move, sign)
        except UnsupportedError as error:
            return {"status": "unreached", "reason": str(error), "refused": True}

    def _read(
        self, target: str, asked: Asked, one: Question, texts: tuple[str, ...], result: CellResult, facts: list[dict[str, Any]]
    ) -> list[np.ndarray]:
        """Edit the test codes at all strengths, read every picture once, and give the strip's pictures."""
        start = time.perf_counter()
        edits = self._edits(asked.move, one, one.rows)
        seconds = (time.perf_counter() - start) / (len(edits) * len(one.rows))
        readings, pictures = read_edits(self.cell.passes, self.cell.domain, self.readers, edits, keep=STRIP_IDS)
        after = [reading.pop("text_image") for reading in readings]
        key = text_key(target, one.sign, asked.numbers[0])
        for name, array in question_arrays(self.cell.domain.info, self.pool, one, readings).items():
            result.arrays[f"{key}/{name}"] = array
        other = own_prompt(self.cell.domain.info, target, "-" if one.sign == "+" else "+")
        source, *goals = text_vectors(self.judge, [other, *(texts[number] for number in asked.numbers)])
        for number, goal in zip(asked.numbers, goals, strict=True):
            for name, array in text_curves(self.vectors[one.rows], after, source, goal).items():
                result.arrays[f"{text_key(target, one.sign, number)}/{name}"] = array
            # Time differs from run to run: it is a fact, and never among the values.
            facts[number]["seconds"] = seconds
        strip = torch.arange(STRIP_IDS)
        if 0 in asked.numbers and (len(one.rows) < STRIP_IDS or not torch.equal(one.rows[:STRIP_IDS], strip)):
            pictures = self._pictures(self._edits(asked.move, one, strip))
        return [as_bytes(at_strength) for at_strength in pictures[:-1]]
