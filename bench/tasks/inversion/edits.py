"""The edits that tell whether codes can be edited: a direction per target, fitted in closed form, at a placed strength."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.bank import stream_ids
from bench.codes import Codes, Space
from bench.generators.base import Generator
from bench.tasks.base import CellContext
from bench.tasks.editing.protocol import is_binary
from bench.tasks.inversion.protocol import (
    BINARY_EFFECT,
    EFFECT,
    FIRST_STRENGTH,
    LAST_STRENGTH,
    MOST_TRIES,
    RIDGE,
    TOLERANCE,
)
from bench.tasks.inversion.sources import Spreads, find_guide, find_judges, read, sampled

# The space in which the step of another one is fitted: one row's for layered spaces, w for the styles that are linear in it.
BASES = {Space.W_PLUS: Space.W, Space.P_PLUS: Space.P, Space.Z_PLUS: Space.Z, Space.S: Space.W}
# Codes over which a step is carried to the styles: one would do, but for rounding.
CARRIED = 16


@dataclass(frozen=True)
class Placed:
    """One edit of a space. step: what is added to a code; None, for the reason, where no strength has the effect.

    effect: the guide's mean effect on sampled codes, in sigma. changes: [M, A] what the judge sees on the sampled codes of the
    test stream, in sigma.
    """

    step: Tensor | None
    reason: str
    effect: float
    changes: Tensor


def slopes(codes: Tensor, scores: Tensor) -> Tensor:
    """The step that raises each score by one at least length, by linear regression: [N, D] and [N, A] -> [A, D] float64.

    Scores are regressed on codes with a ridge, RIDGE times the codes' mean variance, so that an axis along which samples hardly
    vary does not decide alone; with the normal b of one score, the step is b / |b|^2. A score that says nothing has a step of 0.
    Rows with a score that is not finite are left out. Raises ValueError where fewer than two rows are left.
    """
    kept = scores.isfinite().all(1)
    codes, scores = codes[kept].double(), scores[kept].double()
    if len(codes) < 2:
        raise ValueError(f"{len(codes)} codes with scores give no direction")
    x, y = codes - codes.mean(0), scores - scores.mean(0)
    gram = x.T @ x
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    normals = torch.linalg.solve(gram + ridge, x.T @ y).T
    length = normals.square().sum(1, keepdim=True)
    return torch.where(length > 0, normals / length.clamp(min=torch.finfo(length.dtype).tiny), 0.0)


def fitted_steps(generator: Generator, bank: Any, space: Space) -> Tensor:
    """Steps in a space, one for each score of the bank, [A, ...] of the shape of a code.

    Layered spaces get the step of one row in every row, and s that of w, carried over by the generator's own map, which is linear
    from w to the styles: so the edit is one and the same in w, w+ and s. Other spaces have a regression of their own.
    """
    base = BASES.get(space, space)
    if base not in generator.info.spaces:
        base = space
    codes = bank.codes(base).to("cpu")
    steps = slopes(codes.values.flatten(1), bank.scores).float().view(-1, *codes.values.shape[1:])
    if base == space:
        return steps
    if space.layered:
        return steps[:, None].expand(-1, *generator.info.spaces[space]).contiguous()
    few = codes[:CARRIED].to(generator.device)
    with torch.no_grad():
        start = generator.convert(few, space).values
        ends = [generator.convert(few.with_values(few.values + step.to(few.values)), space).values for step in steps]
    return torch.stack([(end - start).mean(0) for end in ends]).cpu()


def find_strength(effect: Callable[[float], float], level: float) -> tuple[float, float]:
    """(strength, effect there): where a rising effect meets the level, within TOLERANCE, by doubling and then false position.

    effect: strength -> mean effect; 0 at 0. The strength is NaN where the effect stays below up to LAST_STRENGTH; the effect is
    then the largest one seen. Where an effect is not monotone, the crossing is one that the search meets, not the first.
    """
    low, below, high = 0.0, -level, FIRST_STRENGTH
    above = seen = effect(high) - level
    while above < 0 and 2 * high <= LAST_STRENGTH:
        low, below, high = high, above, 2 * high
        above = effect(high) - level
        seen = max(seen, above)
    if not above >= 0:
        return math.nan, seen + level
    tries, last = 0, 0
    strength, off = high, above
    while abs(off) > TOLERANCE and tries < MOST_TRIES:
        strength = low + (high - low) * below / (below - above)
        off = effect(strength) - level
        # An end that stays twice counts half (Illinois), or the search would creep along a curve that bends.
        if off < 0:
            low, below, above, last = strength, off, above / 2 if last < 0 else above, -1
        else:
            high, above, below, last = strength, off, below / 2 if last > 0 else below, 1
        tries += 1
    return strength, off + level


def load_edits(cell: CellContext, space: Space, spreads: Spreads) -> dict[str, Placed]:
    """The edits of a space by target, fitted and placed once for all cells of one fit stream.

    The domain must have a judge of attributes. Without a guide, or where it does not score a target, nothing places the edit.
    """
    guide, targets = find_guide(cell.domain), cell.settings.targets
    name = f"inversion-edits-{space}-{cell.method.fit_seed}"
    known = () if guide is None else guide.names
    found = cell.share(name, lambda: _place_all(cell, space, spreads)) if guide is not None else {}
    out = {}
    for target in targets:
        if target not in known:
            who = f"the guide {guide.name} does not score {target}" if guide else "the domain has no guide for attributes"
            out[target] = Placed(None, f"{who}, so that nothing places its strength", math.nan, torch.empty(0))
            continue
        strength, effect = found[f"placed-{target}"].tolist()
        reason = "" if math.isfinite(strength) else f"the guide's mean effect on sampled codes ends at {effect:.2f} sigma"
        step = None if reason else found[f"step-{target}"]
        out[target] = Placed(step, reason, effect, found[f"changes-{target}"])
    return out


def _place_all(cell: CellContext, space: Space, spreads: Spreads) -> dict[str, Tensor]:
    """step-<target>, placed-<target> (strength in steps of one sigma, effect) and changes-<target> of every target scored."""
    guide, bank = find_guide(cell.domain), cell.bank
    assert guide is not None
    steps = fitted_steps(cell.generator, bank, space)
    convert = lambda one: cell.generator.convert(one.to(cell.generator.device), space).to("cpu")  # noqa: E731
    with torch.no_grad():
        calibrate = convert(cell.generator.sample(stream_ids("calibrate", cell.settings.calibrate_codes), seed=cell.seed))
        test = convert(sampled(cell))
    before = cell.passes.read({"attributes": guide}, calibrate)["attributes"]
    judges = {"attributes": find_judges(cell.domain)[0]["attributes"]}
    unedited = read(cell, judges, cell.passes.synthesize(test))["attributes"]
    out: dict[str, Tensor] = {}
    for target in cell.settings.targets:
        if target not in guide.names:
            continue
        column, sigma = list(guide.names).index(target), spreads.guide[target]
        step = steps[list(bank.names).index(target)] * (sigma if math.isfinite(sigma) else 0.0)

        def effect(strength: float, step: Tensor = step, column: int = column, sigma: float = sigma) -> float:
            after = cell.passes.read({"attributes": guide}, moved(calibrate, strength * step))["attributes"]
            # What the guide cannot read shows no effect.
            return float(torch.nan_to_num((after - before)[:, column].double(), 0.0, 0.0, 0.0).mean() / sigma)

        level = BINARY_EFFECT if is_binary(cell.domain.info.attribute(target)) else EFFECT
        strength, reached = find_strength(effect, level)
        step = step * (strength if math.isfinite(strength) else 0.0)
        changes = read(cell, judges, cell.passes.synthesize(moved(test, step)))["attributes"] - unedited
        out[f"step-{target}"] = step
        out[f"placed-{target}"] = torch.tensor([strength, reached], dtype=torch.float64)
        out[f"changes-{target}"] = changes.double() / spreads.sigma
    return out


def moved(codes: Codes, step: Tensor) -> Codes:
    """Codes with the step added to every one."""
    return codes.with_values(codes.values + step.to(codes.values))
