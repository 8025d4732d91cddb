"""Adam on one tensor (Kingma and Ba 2015, algorithm 1). torch.optim has it too, and takes seconds to be imported."""

from __future__ import annotations

import torch
from torch import Tensor

BETAS, EPSILON = (0.9, 0.999), 1e-8


class Adam:
    """The moments of one tensor, by element. step moves `values` in place against a gradient of its shape."""

    def __init__(self, values: Tensor) -> None:
        self.values, self.steps = values, 0
        self.mean, self.square = torch.zeros_like(values), torch.zeros_like(values)

    @torch.no_grad()
    def step(self, gradient: Tensor, rate: float) -> None:
        """One step of learning rate `rate`."""
        self.steps += 1
        first, second = BETAS
        self.mean.lerp_(gradient, 1 - first)
        self.square.lerp_(gradient.square(), 1 - second)
        mean, square = self.mean / (1 - first**self.steps), self.square / (1 - second**self.steps)
        self.values.sub_(rate * mean / (square.sqrt() + EPSILON))
