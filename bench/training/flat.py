"""All parameters of a network in one flat tensor: one optimiser kernel and one all-reduce instead of a hundred."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


class Flat:
    """Moves a module's trainable parameters into one vector, in the order of named_parameters.

    vector: a Parameter whose `.grad` is the flat gradient; the module's parameters and their gradients are views into both.
    """

    def __init__(self, module: nn.Module) -> None:
        self.entries = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        size = sum(p.numel() for _, p in self.entries)
        first = self.entries[0][1]
        values = torch.empty(size, dtype=first.dtype, device=first.device)
        gradient = torch.zeros_like(values)
        for _, p, span in self.spans():
            values[span].copy_(p.detach().reshape(-1))
            p.data = values[span].view(p.shape)
            p.grad = gradient[span].view(p.shape)
        self.vector = nn.Parameter(values)
        self.vector.grad = gradient

    def spans(self) -> Iterator[tuple[str, nn.Parameter, slice]]:
        """(name, parameter, its part of the vector)."""
        start = 0
        for name, p in self.entries:
            yield name, p, slice(start, start + p.numel())
            start += p.numel()

    def named(self, vector: Tensor) -> dict[str, Tensor]:
        """A vector of this layout, such as an average of past ones, as tensors by parameter name."""
        return {name: vector[span].view(p.shape) for name, p, span in self.spans()}

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor], *, into: Tensor | None = None) -> None:
        """Set the parameters, or another vector of this layout, from tensors by name.

        Names that are no parameters are passed over, and parameters that are not named stay.
        """
        vector = self.vector if into is None else into
        for name, _, span in self.spans():
            if name in tensors:
                vector[span].copy_(tensors[name].reshape(-1))

    def zero_grad(self) -> None:
        self.vector.grad.zero_()
