"""What is known of a picture that is to be inverted, where it is not all of it: a part, its grey values, a smaller version.

A degradation is a function of pictures [N, 3, R, R] in [-1, 1]. An inverter compares the degraded target with the degraded
picture of its code, so that what is not known does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import InputError

Degrade = Callable[[Tensor], Tensor]

# The share of each channel in the grey value (ITU-R BT.601).
GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Mask:
    """Keeps the pixels where `known` is 1 and sets the others to 0, mid-grey. known: [N or 1, 1, R, R] in [0, 1]."""

    known: Tensor

    def __post_init__(self) -> None:
        if self.known.dim() != 4 or self.known.shape[1] != 1 or not bool(((self.known >= 0) & (self.known <= 1)).all()):
            raise InputError(f"a mask is [N or 1, 1, R, R] with values from 0 to 1, not {list(self.known.shape)}")

    def __call__(self, images: Tensor) -> Tensor:
        if self.known.shape[2:] != images.shape[2:] or len(self.known) not in (1, len(images)):
            raise InputError(f"a mask {list(self.known.shape)} does not fit pictures {list(images.shape)}")
        # Not a product: an unknown pixel may hold anything, NaN too.
        known = self.known.to(images)
        return torch.where(known > 0, images * known, torch.zeros_like(images))

    def rows(self, index: Sequence[int]) -> Mask:
        """The mask of these pictures."""
        return self if len(self.known) == 1 else Mask(self.known[list(index)])


def grey(images: Tensor) -> Tensor:
    """The grey value in all three channels."""
    weights = images.new_tensor(GREY).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True).expand_as(images)


@dataclass(frozen=True)
class Downsample:
    """Means of blocks of factor x factor pixels, [N, 3, R / factor, R / factor]."""

    factor: int

    def __call__(self, images: Tensor) -> Tensor:
        if self.factor < 1 or images.shape[-1] % self.factor or images.shape[-2] % self.factor:
            raise InputError(f"pictures {list(images.shape)} cannot be made {self.factor} times smaller")
        return F.avg_pool2d(images, self.factor)


def rows_of(degrade: Degrade | None, index: Sequence[int]) -> Degrade:
    """The degradation of these pictures: its `rows`, where it holds something for each picture; None changes nothing."""
    if degrade is None:
        return lambda images: images
    return degrade.rows(index) if hasattr(degrade, "rows") else degrade
