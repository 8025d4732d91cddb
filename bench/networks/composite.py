"""Several attribute networks as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.domains.base import Network
from bench.errors import InputError


class Composite(Network):
    """Attributes picked from several networks. parts: for each, what its attributes are called here, by what it calls them.

    Its fingerprint covers the parts' weights and the picks. Raises InputError where a part has no such attribute, or two give one
    name.
    """

    def __init__(self, name: str, parts: Sequence[tuple[Network, dict[str, str]]]) -> None:
        super().__init__()
        self.name, self.readings = name, frozenset({"attributes"})
        self.parts = nn.ModuleList(part for part, _ in parts)
        self.names = tuple(ours for _, picks in parts for ours in picks.values())
        for part, picks in parts:
            missing = sorted(set(picks) - set(part.names))
            if missing:
                raise InputError(f"{part.name} does not read {', '.join(missing)}; it reads {', '.join(part.names)}")
        if len(set(self.names)) < len(self.names):
            raise InputError(f"{name} would read an attribute twice: {', '.join(self.names)}")
        for i, (part, picks) in enumerate(parts):
            self.register_buffer(f"picks_{i}", torch.tensor([list(part.names).index(theirs) for theirs in picks]))
        self.eval().requires_grad_(False)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        read = [part.measure(images)["attributes"][:, self.get_buffer(f"picks_{i}")] for i, part in enumerate(self.parts)]
        return {"attributes": torch.cat(read, 1)}
