"""Colour and brightness of places in a picture: plain functions of pixels, the same for every network that uses them."""

from __future__ import annotations

import torch
from torch import Tensor

# Linear sRGB to CIE XYZ (IEC 61966-2-1), rows X, Y, Z, each divided by the white point D65, so that white is (1, 1, 1).
TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
WHITE = (0.95047, 1.0, 1.08883)
# ITU-R BT.601 luma.
LUMA = (0.299, 0.587, 0.114)


def lab(images: Tensor) -> Tensor:
    """CIE 1976 L*a*b* [N, 3, h, w] of sRGB pictures [N, 3, h, w] in [-1, 1]: L* in [0, 100]; a* red, b* yellow where positive."""
    s = (images.clamp(-1, 1) + 1) / 2
    linear = torch.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    matrix = linear.new_tensor(TO_XYZ) / linear.new_tensor(WHITE)[:, None]
    xyz = torch.einsum("ij,njhw->nihw", matrix, linear)
    # The cube root, continued by its tangent near black (CIE 15:2004, equation 8.6).
    f = torch.where(xyz > (6 / 29) ** 3, xyz.clamp_min(1e-12) ** (1 / 3), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def luma(images: Tensor) -> Tensor:
    """Brightness [N, h, w] in [0, 1] of pictures [N, 3, h, w] in [-1, 1], of the gamma-coded values."""
    weights = images.new_tensor(LUMA)[:, None, None]
    return ((images.clamp(-1, 1) + 1) / 2 * weights).sum(1)


def disc_means(maps: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
    """Means [N, P, C] of maps [N, C, h, w] over soft discs.

    centres: [N, P, 2] (x, y) and radii: [N, P], in fractions of the side. A pixel's weight falls linearly from 1 to 0 over the
    pixel that the rim crosses, so that a mean moves smoothly with its disc. NaN where a centre is NaN or no pixel lies under it.
    """
    height, width = maps.shape[2:]
    y = (torch.arange(height, device=maps.device, dtype=maps.dtype) + 0.5) / height
    x = (torch.arange(width, device=maps.device, dtype=maps.dtype) + 0.5) / width
    away = (x - centres[..., None, None, 0]).square() + (y[:, None] - centres[..., None, None, 1]).square()
    inside = ((radii[..., None, None] - away.sqrt()) * width + 0.5).clamp(0, 1)
    return torch.einsum("nphw,nchw->npc", inside, maps) / inside.sum((2, 3))[..., None]
