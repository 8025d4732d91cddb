"""Interventions: changes inside a generator's forward pass, as data. They slice with the batch, hash and travel to workers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from bench.codes import Codes


@dataclass(frozen=True)
class Unit:
    """Change chosen channels of a layer's feature map (GAN Dissection, StyleSpace of features).

    layer: a name of GeneratorInfo.layers. channels: int64 [C]. value: [C] or [N, C]. mode: set, add to or scale the activations.
    mask: [N, 1, h, w] or [1, 1, h, w] in [0, 1], resized to the layer where its size differs; None is the whole map.
    """

    layer: str
    channels: Tensor
    value: Tensor
    mode: Literal["set", "add", "scale"] = "set"
    mask: Tensor | None = None

    def rows(self, index) -> Unit:
        """This intervention for a part of the batch."""
        value = self.value[index] if self.value.dim() == 2 else self.value
        mask = self.mask if self.mask is None or len(self.mask) == 1 else self.mask[index]
        return replace(self, value=value, mask=mask)


@dataclass(frozen=True)
class Blend:
    """Take the feature map of `other` inside the mask at one layer (Paint by Word). mask: [N, 1, h, w] in [0, 1]."""

    layer: str
    mask: Tensor
    other: Codes

    def rows(self, index) -> Blend:
        """This intervention for a part of the batch."""
        mask = self.mask if len(self.mask) == 1 else self.mask[index]
        return replace(self, mask=mask, other=self.other[index])


Intervention = tuple[Unit | Blend, ...]


def rows(interventions: Iterable[Unit | Blend], index) -> Intervention:
    """The same interventions for a part of the batch: `index` is a slice or a list of rows."""
    return tuple(one.rows(index) for one in interventions)
