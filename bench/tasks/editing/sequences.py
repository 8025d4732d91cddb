"""Targets edited one after another on the same codes, read as one question: what sequences cost, and whether order counts.

Step j of a sequence takes each of its targets, in order, at that target's own j-th strength: where the guide places them, then
the edge. Each edit is asked of the code that the last one made. Effect is the mean over the sequence's targets, leakage the
change of everything else, so that sequences too are read at equal judged effect. They raise every target; test codes lack all
binary ones.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from bench.tasks.base import CellContext, CellResult
from bench.tasks.editing.arrays import Question, question_arrays
from bench.tasks.editing.cost import cost_of_edits
from bench.tasks.editing.judged import read_edits, readers_of
from bench.tasks.editing.moves import Move
from bench.tasks.editing.pool import Pool
from bench.tasks.editing.protocol import LOCAL_CODES, SEQUENCE_SIGN, is_binary, key_of, sequence_name, test_count
from bench.tasks.editing.regions import local_arrays
from bench.tasks.editing.undone import chained, in_other_order


def sequence_rows(cell: CellContext, pool: Pool, targets: tuple[str, ...]) -> Tensor:
    """The first test rows that the judge can read and says lack every binary target, at most as many as the task tests."""
    info, scores = cell.domain.info, pool.readings["attributes"]
    wanted = scores.isfinite().all(1)
    for target in targets:
        column = info.names.index(target)
        if is_binary(info.attributes[column]):
            wanted &= scores[:, column] <= 0
    return wanted.nonzero().flatten()[: test_count(cell.settings, cell.fitted.editor)]


def measure_sequence(
    cell: CellContext,
    pool: Pool,
    targets: tuple[str, ...],
    moves: dict[str, Move],
    asked: dict[str, Question],
    result: CellResult,
) -> None:
    """Add one sequence to the result. asked: by target, the questions of single targets asked with SEQUENCE_SIGN."""
    name = sequence_name(targets)
    key = key_of(name, SEQUENCE_SIGN)
    facts = result.facts.setdefault("questions", {})
    why_not = _why_not(cell, pool, targets, asked)
    if why_not:
        facts[key] = {"status": "skipped", "reason": why_not}
        return
    rows = sequence_rows(cell, pool, targets)
    codes, steps = pool.codes[rows], len(asked[targets[0]].strengths)
    plans = [[(moves[t], asked[t].direction * float(asked[t].strengths[j])) for t in targets] for j in range(1, steps)]
    with torch.no_grad(), cost_of_edits(cell, key, result) as edits:
        edits += [chained(cell, plan, codes) for plan in plans]
    readers = readers_of(cell.domain)
    readings, pictures = read_edits(cell.passes, cell.domain, readers, edits, keep=LOCAL_CODES)
    one = Question(targets, SEQUENCE_SIGN, 1, rows, np.arange(steps, dtype=np.float64))
    arrays = question_arrays(cell.domain.info, pool, one, readings)
    arrays |= local_arrays(cell, targets, codes[:LOCAL_CODES], pictures)
    facts[key] = {"status": "ok", "reason": "", "edge_found": all(asked[t].facts["edge_found"] for t in targets)}
    if "perceptual" in readers:
        # At the second of the guide's levels: large enough to be seen, inside the range of nearly every method.
        step = min(2, len(plans))
        apart, facts[key]["order"] = in_other_order(cell, readers["perceptual"], plans[step - 1], codes)
        arrays["order"] = np.stack([apart, arrays["perceptual"][:, step]], 1).astype(np.float32)
    result.arrays |= {f"{key}/{array}": values for array, values in arrays.items()}


def _why_not(cell: CellContext, pool: Pool, targets: tuple[str, ...], asked: dict[str, Question]) -> str:
    """Why a sequence cannot be asked, '' where it can."""
    if cell.fitted.editor.per_code:
        return "the method works anew for every code: sequences are not asked of it"
    lost = [target for target in targets if target not in asked]
    if lost:
        return f"{', '.join(lost)} cannot be raised by itself"
    columns = [cell.domain.info.names.index(target) for target in targets]
    if any(math.isinf(float(pool.sigma[column])) for column in columns):
        return "the judge sees no change of a target over the samples"
    rows, wanted = sequence_rows(cell, pool, targets), test_count(cell.settings, cell.fitted.editor)
    if len(rows) < wanted:
        return f"only {len(rows)} of {len(pool.codes)} samples lack all of {', '.join(targets)}, {wanted} are needed"
    return ""
