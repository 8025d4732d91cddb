"""Damage to pictures in [-1, 1], each by an amount that is 0 for none."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.passes import chunks


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Pictures [N, C, h, w] under a Gaussian of deviation `sigma` px, mirrored at the border."""
    if not sigma:
        return images
    radius = math.ceil(3 * sigma)
    at = torch.arange(-radius, radius + 1, dtype=images.dtype)
    taps = torch.exp(-0.5 * (at / sigma) ** 2)
    taps = taps / taps.sum()
    n, c, h, w = images.shape
    flat = F.pad(images.reshape(n * c, 1, h, w), (radius,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(flat, taps[None, None, :, None]), taps[None, None, None]).view(n, c, h, w)


def noisy(images: Tensor, sigma: float, rng: np.random.Generator) -> Tensor:
    """Normal noise of deviation `sigma` on every value, clamped to [-1, 1]."""
    noise = rng.standard_normal(tuple(images.shape), dtype=np.float32)
    return (images + sigma * torch.from_numpy(noise)).clamp(-1, 1)


def brighter(images: Tensor, amount: float) -> Tensor:
    """Every value higher by `amount`, clamped to [-1, 1]."""
    return (images + amount).clamp(-1, 1)


def shifted(images: Tensor, pixels: int) -> Tensor:
    """Every picture `pixels` to the right, the left column repeated."""
    if not pixels:
        return images
    return torch.cat([images[..., :1].expand(*images.shape[:-1], pixels), images[..., :-pixels]], -1)


def rounded(images: Tensor) -> Tensor:
    """As a file of 8 bits holds them."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def fooling_direction(network: torch.nn.Module, column: int, images: Tensor, device: torch.device) -> Tensor:
    """The sign of the gradient of one attribute's score with respect to every pixel, [N, 3, h, w]: Goodfellow et al. 2015."""
    out = torch.empty_like(images)
    for part, index in chunks(len(images)):
        pixels = images[index].to(device).requires_grad_(True)
        with torch.enable_grad():
            score = network.measure(pixels)["attributes"][:, column].sum()
        (gradient,) = torch.autograd.grad(score, pixels)
        out[part] = gradient[: part.stop - part.start].sign().cpu()
    return out
