"""Perceptual path length: how far pictures move, to a perceptual distance, for a small step along a path between two codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import avg_pool2d

from metrics.arrays import finite

Synthesize = Callable[[Tensor], Tensor]  # codes [n, ...] -> pictures [n, C, H, W]; for noise maps, the same ones at every call
Distance = Callable[[Tensor, Tensor], Tensor]  # pictures twice -> [n], in the unit of the published figures: LPIPS-like, squared

PERCENTILES = (1.0, 99.0)
LARGEST = 256  # pixels; VGG was trained on about this many


class PathLength(NamedTuple):
    """value: the mean after the filter, range [0, inf), lower is better. distances: [N], each over epsilon squared,
    unfiltered."""

    value: float
    distances: np.ndarray


def perceptual_path_length(
    synthesize: Synthesize,
    distance: Distance,
    start: Tensor,
    end: Tensor,
    *,
    t: Tensor | None = None,
    epsilon: float = 1e-4,
    interpolation: str = "lerp",
    crop: bool = False,
    batch: int = 16,
) -> PathLength:
    """Mean of distance(G(x(t)), G(x(t + epsilon))) / epsilon^2 between the 1st and the 99th percentile, x the path from start
    to end.

    start, end: codes [N, ...]; t: [N] where on the path, uniform in [0, 1) for 'full' sampling, None (0 throughout) for 'end'.
    interpolation: 'lerp' in w (codes after the mapping network), 'slerp' in z, where `synthesize` begins with the mapping.
    Pictures are cut to the centre of a face (crop), averaged down to 256 pixels where larger, and handed to `distance` in the
    range that `synthesize` gives. Karras et al. 2019, section 4.1 (N = 100,000, epsilon 1e-4, crop, full and end); Karras et
    al. 2020 takes w, end, without crop. The filter and the step to t + epsilon, also beyond the end, are those of the official
    code. The number depends on the distance, on epsilon (rounding in float32 shows below 1e-3), and on resolution: name them
    with it. Raises ValueError where shapes do not fit, for NaN codes and for empty input.
    """
    if start.shape != end.shape or start.dim() < 2 or not start.numel():
        raise ValueError(f"start and end must be codes of one shape [N, ...], not {tuple(start.shape)} and {tuple(end.shape)}")
    if not (torch.isfinite(start).all() and torch.isfinite(end).all()):
        raise ValueError("start and end hold values that are NaN or infinite")
    if not epsilon > 0:
        raise ValueError(f"epsilon must be positive, not {epsilon}")
    t = torch.zeros(len(start)) if t is None else torch.as_tensor(t)
    if t.shape != (len(start),) or not bool(torch.isfinite(t).all()):
        raise ValueError(f"t must hold {len(start)} finite numbers, one for each pair of codes, not be of shape {tuple(t.shape)}")
    between = _interpolation(interpolation)
    t = t.to(start).reshape(-1, *[1] * (start.dim() - 1))
    found = []
    with torch.no_grad():
        for first in range(0, len(start), batch):
            a, b, at = (one[first : first + batch] for one in (start, end, t))
            codes = torch.cat([between(a, b, at), between(a, b, at + epsilon)])
            pictures = shrunk(central_crop(synthesize(codes)) if crop else synthesize(codes))
            found.append(distance(*pictures.chunk(2)) / epsilon**2)
    distances = torch.cat(found).double().cpu().numpy()
    return PathLength(filtered_mean(distances), distances)


def lerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """a + (b - a) t, codes [..., D]; t [..., 1]."""
    return a + (b - a) * t


def slerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """The point at t on the great circle from a to b, codes [..., D], t [..., 1]; of length 1 whatever the lengths of a and b.

    The mapping network brings its input to one length, so that the lost length is of no matter. Shoemake 1985 by way of the
    part of b that is orthogonal to a. Codes that point the same way (or opposite) have no one circle between them: a itself.
    """
    a, b = _unit(a), _unit(b)
    cosine = (a * b).sum(-1, keepdim=True).clamp(-1, 1)
    angle = t * torch.acos(cosine)
    across = b - cosine * a
    length = across.norm(dim=-1, keepdim=True)
    across = across / torch.where(length > 0, length, torch.ones_like(length))
    return _unit(a * torch.cos(angle) + across * torch.sin(angle))


def central_crop(pictures: Tensor) -> Tensor:
    """Rows 3/8 to 7/8 and columns 2/8 to 6/8 of pictures [N, C, H, W]: where the face is on aligned faces."""
    eighth = pictures.shape[2] // 8
    if not eighth or pictures.shape[3] < 6 * eighth:
        raise ValueError(f"pictures of {tuple(pictures.shape[2:])} pixels are too small to crop")
    return pictures[:, :, 3 * eighth : 7 * eighth, 2 * eighth : 6 * eighth]


def shrunk(pictures: Tensor, largest: int = LARGEST) -> Tensor:
    """Pictures [N, C, H, W] averaged over boxes of H // largest pixels a side where that is above 1."""
    factor = pictures.shape[2] // largest
    return avg_pool2d(pictures, factor) if factor > 1 else pictures


def filtered_mean(distances: ArrayLike, low: float = PERCENTILES[0], high: float = PERCENTILES[1]) -> float:
    """Mean of the values [N] from the low to the high percentile, both ends kept; the percentiles are values of the data, the
    neighbour below for the low one and above for the high one."""
    values = np.asarray(distances, np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"distances must be a vector of one value at least, not of shape {values.shape}")
    finite(values, "distances")
    if not 0 <= low <= high <= 100:
        raise ValueError(f"percentiles must lie in order between 0 and 100, not {low} and {high}")
    bottom, top = np.percentile(values, low, method="lower"), np.percentile(values, high, method="higher")
    return float(values[(values >= bottom) & (values <= top)].mean())


def _interpolation(name: str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    found = {"lerp": lerp, "slerp": slerp}.get(name)
    if found is None:
        raise ValueError(f"interpolation must be 'lerp' or 'slerp', not '{name}'")
    return found


def _unit(codes: Tensor) -> Tensor:
    return codes / codes.norm(dim=-1, keepdim=True)
