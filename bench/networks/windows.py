"""Cut a window out of pictures and resize it, as PIL does it, in torch: batched and differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.errors import InputError

Window = tuple[float, float, float, float]
WHOLE: Window = (0.0, 0.0, 1.0, 1.0)


def triangle_weights(side: int, start: float, stop: float, size: int) -> Tensor:
    """Weights [size, side] that resample the stretch start..stop (in pixels, edges may lie within one) of a row of `side` pixels.

    Bilinear with antialiasing: every output pixel is the mean of the pixels in the stretch under a triangle centred on it, one
    pixel wide to each side, or as wide as the reduction where pixels are merged. This is PIL's BILINEAR with a box. float64.
    """
    scale = (stop - start) / size
    reach = max(scale, 1.0)
    centre = start + (torch.arange(size, dtype=torch.float64) + 0.5) * scale
    pixel = torch.arange(side, dtype=torch.float64)
    first = (centre - reach + 0.5).floor().clamp(min=0)
    last = (centre + reach + 0.5).floor().clamp(max=side)
    weights = (1 - (pixel + 0.5 - centre[:, None]).abs() / reach).clamp(min=0)
    weights = weights * ((pixel >= first[:, None]) & (pixel < last[:, None]))
    return weights / weights.sum(1, keepdim=True)


def take(images: Tensor, window: Window, size: int) -> Tensor:
    """The window (left, top, right, bottom, in fractions of the side) of pictures [N, C, R, R], as [N, C, size, size] float32.

    Raises InputError where pictures are not square or the window is not in them.
    """
    if images.dim() != 4 or images.shape[2] != images.shape[3]:
        raise InputError(f"a network reads pictures [N, 3, R, R], got {list(images.shape)}")
    left, top, right, bottom = window
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise InputError(f"a window is (left, top, right, bottom) in fractions of the picture, not {window}")
    side = images.shape[-1]
    images = images.float()
    across = triangle_weights(side, left * side, right * side, size).to(images)
    down = triangle_weights(side, top * side, bottom * side, size).to(images)
    return down @ images @ across.T


def placed(window: Window, frame: Window) -> Window:
    """A window of the frame as one of the picture in which the frame lies at `frame`, cut where it leaves the picture."""
    left, top, right, bottom = frame
    edges = (left + window[0] * (right - left), top + window[1] * (bottom - top))
    ends = (left + window[2] * (right - left), top + window[3] * (bottom - top))
    clipped = [min(max(edge, 0.0), 1.0) for edge in (*edges, *ends)]
    return clipped[0], clipped[1], clipped[2], clipped[3]
