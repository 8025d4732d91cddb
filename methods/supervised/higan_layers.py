"""Layers of HiGAN: the paper's groups at any depth, what a step in w is in each row of w+, and edits in rows of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from bench.codes import Space
from bench.errors import InputError
from bench.generators.base import Generator
from methods.base import Request
from methods.editors import DirectionEditor, in_rows

# Groups of the 14 layers of the paper's StyleGAN: bottom 0-1, lower 2-5, upper 6-11, top 12-13.
PAPER_LAYERS = 14
PAPER_GROUPS = (("bottom", 0), ("lower", 2), ("upper", 6), ("top", 12))


def layer_groups(rows: int) -> list[tuple[str, tuple[int, ...]]]:
    """The paper's four groups of layers, scaled to this many rows; where there are fewer than four, every row is its own."""
    if rows < len(PAPER_GROUPS):
        return [(f"row {row}", (row,)) for row in range(rows)]
    starts = [round(start * rows / PAPER_LAYERS) for _, start in PAPER_GROUPS] + [rows]
    return [(name, tuple(range(first, last))) for (name, _), first, last in zip(PAPER_GROUPS, starts, starts[1:], strict=False)]


@torch.no_grad()
def row_strengths(generator: Generator, single: Space, plus: Space) -> Tensor:
    """How much of a step in `single` arrives in each row of `plus`, [L]: psi in truncated rows, else 1 (official editor).

    Measured with one step, so that any truncation that is affine in w is followed. Raises InputError for one that is not.
    """
    codes = generator.convert(generator.sample(torch.arange(2), seed=0), single)
    near, far = (generator.convert(codes.with_values(values), plus).values for values in (codes.values, codes.values.flip(0)))
    step, arrived = (codes.values.flip(0) - codes.values)[0], (far - near)[0]
    placed = in_rows(step, arrived.shape)
    strengths = (arrived * placed).sum(1) / placed.square().sum(1)
    if not torch.allclose(arrived, strengths[:, None] * placed, atol=1e-4 * float(step.norm())):
        raise InputError(f"rows of {plus} of {generator.info.name} are not multiples of one code, so that no boundary fits them")
    return strengths.round(decimals=5).cpu()


@dataclass(frozen=True)
class LayeredEditor(DirectionEditor):
    """A DirectionEditor of directions [K, D] or [K, L, D] in w+ (or z+) that moves every direction in rows of its own.

    placement: [K, L] what strength 1 adds to each row, in lengths of the direction. Held directions are projected off in w,
    before the rest is placed.
    """

    placement: Tensor = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = (len(self.names), self.generator.info.spaces[self.space][0])
        if self.placement is None or tuple(self.placement.shape) != shape:
            raise InputError(f"{len(self.names)} directions in {shape[1]} rows need a placement {list(shape)}")

    def step(self, request: Request) -> Tensor:
        """What strength 1 adds to a code, [L, D]."""
        step = super().step(request)
        return self.placement[self.names.index(request.target)].to(step)[:, None] * step

    def rows_of(self, target: str) -> Sequence[int]:
        """The rows that an edit of the target moves."""
        return self.placement[self.names.index(target)].nonzero().flatten().tolist()

    def state(self) -> dict[str, Tensor]:
        return super().state() | {"placement": self.placement}

    @classmethod
    def from_state(cls, generator: Generator, state: dict[str, Tensor]) -> LayeredEditor:
        plain = DirectionEditor.from_state(generator, state)
        parts = {one.name: getattr(plain, one.name) for one in fields(plain)}
        return cls(**parts, placement=torch.as_tensor(state["placement"]))
