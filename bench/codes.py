"""Latent codes: a batch of rows in one named space, each with the id it was sampled under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import Tensor

from bench.errors import SpaceError


class Space(StrEnum):
    """The spaces of the field.

    z -> w (mapping network, untruncated) -> w+ (a w per layer; truncation acts here) -> s (style channels of all layers).
    p = LeakyReLU(w, slope 5); p_n is p whitened by the PCA of many samples (Zhu et al. 2020, 'Improved StyleGAN Embedding').
    """

    Z = "z"
    Z_PLUS = "z+"
    W = "w"
    W_PLUS = "w+"
    S = "s"
    P = "p"
    P_PLUS = "p+"
    P_N = "p_n"

    @property
    def layered(self) -> bool:
        """Whether a code of this space has a row per layer, [L, D], and not one vector, [D]."""
        return self in (Space.Z_PLUS, Space.W_PLUS, Space.P_PLUS)


@dataclass(frozen=True)
class Codes:
    """A batch of codes. Slices and concatenates with all fields together.

    values: float tensor; z, w, p, p_n: [N, D]; z+, w+, p+: [N, L, D]; s: [N, sum of style channels].
    ids: int64 [N]; a sampled row is a function of (seed, id) alone.
    labels: class weights [N, K], for conditional generators.
    """

    space: Space
    values: Tensor
    ids: Tensor
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", Space(self.space))
        if self.values.dim() != (3 if self.space.layered else 2):
            raise SpaceError(f"codes in {self.space} cannot have the shape {list(self.values.shape)}")
        if self.ids.shape != self.values.shape[:1]:
            raise SpaceError(f"{len(self.values)} codes need as many ids, got shape {list(self.ids.shape)}")

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: slice | Tensor | Sequence[int]) -> Codes:
        if isinstance(index, int):
            raise TypeError("index codes by a slice or a list, so that the batch axis stays")
        labels = None if self.labels is None else self.labels[index]
        return Codes(self.space, self.values[index], self.ids[index], labels)

    def with_values(self, values: Tensor, space: Space | str | None = None) -> Codes:
        """The same ids and labels with other values, in this space or another."""
        return replace(self, values=values, space=Space(space or self.space))

    def to(self, device: torch.device | str) -> Codes:
        labels = None if self.labels is None else self.labels.to(device)
        return Codes(self.space, self.values.to(device), self.ids, labels)

    @staticmethod
    def cat(parts: Sequence[Codes]) -> Codes:
        """Concatenate batches of one space. Raises SpaceError where the spaces differ."""
        if len({part.space for part in parts}) != 1:
            raise SpaceError(f"cannot concatenate codes of {sorted({str(p.space) for p in parts})}")
        labels = None if parts[0].labels is None else torch.cat([p.labels for p in parts])
        return Codes(parts[0].space, torch.cat([p.values for p in parts]), torch.cat([p.ids for p in parts]), labels)
