"""What StyleFlow's flow is conditioned on: attribute scores of a guide, standardised; and which rows of w+ each edit takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor

import torch
from torch import Tensor

from bench.errors import InputError, unknown

# Rows of an 18-row w+ that an edit of each attribute changes (published code, real_time_editing and real_time_lighting).
EDIT_ROWS = {
    "gender": (0, 7), "glasses": (2, 3), "yaw": (0, 3), "pitch": (0, 3), "baldness": (0, 5), "beard": (5, 9), "age": (4, 7),
    "expression": (4, 5), "lighting": (7, 11),
}  # fmt: skip
PAPER_ROWS = 18
# Other domains' words for those attributes; 'expression' is the smile value of the paper's attribute service.
SAME_AS = {"smile": "expression", "light": "lighting", "warmth": "lighting", "male": "gender", "bald": "baldness"}
# A spread below this share of the scores' own size is rounding, not spread.
FLAT = 1e-6


def edit_rows(attribute: str, rows: int) -> tuple[int, ...]:
    """The rows, of `rows`, that an edit of the attribute changes: those at the paper's depths, all where the paper names none.

    Row r of 18 covers the depths r / 18 to (r + 1) / 18; every row is taken that meets the paper's range.
    """
    known = EDIT_ROWS.get(SAME_AS.get(attribute, attribute))
    if known is None:
        return tuple(range(rows))
    first, last = floor(known[0] * rows / PAPER_ROWS), ceil((known[1] + 1) * rows / PAPER_ROWS)
    return tuple(range(first, max(last, first + 1)))


@dataclass(frozen=True)
class Conditions:
    """Standardised attributes, C of them. names: of the columns. mean, spread: [C] float32 of the guide's scores over the bank.

    binary: which are logits. has, lacks: [C] the mean standardised score of the bank's codes above and up to 0, of binary ones;
    where there is no such code, 1 and -1.
    """

    names: tuple[str, ...]
    mean: Tensor
    spread: Tensor
    binary: tuple[bool, ...]
    has: Tensor
    lacks: Tensor

    @classmethod
    def of(cls, scores: Tensor, names: Sequence[str], wanted: Sequence[str], binary: Mapping[str, bool]) -> Conditions:
        """From a bank's finite scores [N, K] with columns `names`. Columns that never change are left out.

        Raises InputError where a wanted attribute is unknown or none is left.
        """
        for name in wanted:
            if name not in names:
                raise unknown("attribute of the guide", name, names)
        scores = scores[:, [list(names).index(name) for name in wanted]].double()
        mean, spread = scores.mean(0), scores.std(0)
        alive = spread > FLAT * scores.abs().amax(0).clamp(min=1.0)
        if not bool(alive.any()):
            raise InputError("no attribute of the guide varies over the bank: there is nothing to condition on")
        kept = tuple(name for name, keep in zip(wanted, alive.tolist(), strict=True) if keep)
        mean, spread, scores = mean[alive], spread[alive], scores[:, alive]
        standard = (scores - mean) / spread
        logits = tuple(bool(binary.get(name, False)) for name in kept)
        has, lacks = torch.ones(len(kept)), -torch.ones(len(kept))
        for i in range(len(kept)):
            above = scores[:, i] > 0
            if logits[i] and bool(above.any()):
                has[i] = standard[above, i].mean()
            if logits[i] and not bool(above.all()):
                lacks[i] = standard[~above, i].mean()
        return cls(kept, mean.float(), spread.float(), logits, has, lacks)

    def column(self, name: str) -> int:
        """The column of an attribute. Raises InputError, with the nearest names, where the flow does not know it."""
        if name not in self.names:
            raise unknown("attribute that the flow is conditioned on", name, self.names)
        return self.names.index(name)

    def standard(self, scores: Tensor, names: Sequence[str]) -> Tensor:
        """Scores [N, K] with columns `names` as contexts [N, C]; a score that the guide could not read counts as average."""
        chosen = scores[:, [list(names).index(name) for name in self.names]].float()
        return torch.nan_to_num((chosen - self.mean.to(chosen)) / self.spread.to(chosen), 0.0, 0.0, 0.0)

    def value(self, name: str, wanted: float) -> float:
        """The standardised score that is asked for: of a continuous attribute as it is, of a binary one that of its class."""
        column = self.column(name)
        if not self.binary[column]:
            return wanted
        return float(self.has[column] if wanted > 0 else self.lacks[column])

    def state(self) -> dict[str, Tensor]:
        return {"conditions": torch.stack([self.mean, self.spread, self.has, self.lacks])}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], names: Sequence[str], binary: Sequence[bool]) -> Conditions:
        mean, spread, has, lacks = torch.as_tensor(state["conditions"])
        return cls(tuple(names), mean, spread, tuple(binary), has, lacks)
