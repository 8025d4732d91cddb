"""Geometry of the heads: pixel windows, ellipsoids, smooth unions, normals.

World coordinates: x to the right, y up, z to the viewer; the picture spans
[-EXTENT, EXTENT] in x and y, seen by an orthographic camera. All arrays are
[N, H, W] over a `Window`, a fixed rectangle of the picture.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

EXTENT = 0.92

# (left, right, bottom, top) in world units. Fixed rectangles large enough for
# every pose: features are evaluated only where they can be.
BOXES: dict[str, tuple[float, float, float, float]] = {
    "full": (-0.92, 0.92, -0.92, 0.92),
    "cap": (-0.92, 0.92, -0.50, 0.92),
    "body": (-0.92, 0.92, -0.92, -0.28),
    "skin": (-0.80, 0.80, -0.90, 0.54),
    "ears": (-0.80, 0.80, -0.36, 0.24),
    "nose": (-0.48, 0.48, -0.56, 0.27),
    "eyes": (-0.56, 0.56, -0.30, 0.44),
    "mouth": (-0.56, 0.56, -0.90, -0.08),
    "forehead": (-0.52, 0.52, 0.10, 0.54),
    "beard": (-0.80, 0.80, -0.90, 0.17),
    "glasses": (-0.78, 0.78, -0.35, 0.33),
}


class Window(NamedTuple):
    """A rectangle of the picture: pixel bounds, and coordinates of pixel centres."""

    top: int
    bottom: int
    left: int
    right: int
    pixel: float  # side of a pixel in world units
    x: Tensor  # [1, W]
    y: Tensor  # [H, 1]
    basis: Tensor  # [6, H * W]: 1, x, y, x^2, xy, y^2

    @property
    def shape(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left

    def of(self, inner: Window) -> tuple[object, slice, slice]:
        """Index that cuts `inner` out of an array over this window."""
        rows = slice(inner.top - self.top, inner.bottom - self.top)
        return ..., rows, slice(inner.left - self.left, inner.right - self.left)

    def affine(self, coefficients: Tensor) -> Tensor:
        """[N, K, 3] coefficients of (1, x, y) -> [N, K, H, W]."""
        return (coefficients @ self.basis[:3]).unflatten(-1, self.shape)

    def soft(self, distance: Tensor, width: float = 0.0) -> Tensor:
        """Anti-aliased step of a signed distance, a ramp `width` or 2.5 pixels wide.

        The ramp has exact zeros: a logistic's tails multiply to denormal numbers,
        which are many times slower on a CPU.
        """
        return F.hardsigmoid(distance * (6 / max(width, 2.5 * self.pixel)))


@lru_cache(maxsize=16)
def windows(side: int, device: torch.device, dtype: torch.dtype) -> dict[str, Window]:
    """Windows named in BOXES, for a picture of side x side pixels."""
    with torch.inference_mode(False):  # the cache outlives the caller's mode, and autograd may use it later
        return _windows(side, device, dtype)


def _windows(side: int, device: torch.device, dtype: torch.dtype) -> dict[str, Window]:
    pixel = 2 * EXTENT / side
    line = (torch.arange(side, device=device, dtype=dtype) + 0.5) * pixel - EXTENT
    made = {}
    for name, (left, right, bottom, top) in BOXES.items():
        a, b = (min(max(round((v + EXTENT) / pixel), 0), side) for v in (left, right))
        c, d = (min(max(round((EXTENT - v) / pixel), 0), side) for v in (top, bottom))
        x, y = line[None, a:b], -line[c:d, None]
        one = torch.ones(d - c, b - a, device=device, dtype=dtype)
        basis = torch.stack([one, one * x, one * y, one * x * x, x * y, one * y * y]).flatten(1)
        made[name] = Window(c, d, a, b, pixel, x, y, basis)
    return made


def rotation(yaw: Tensor, pitch: Tensor) -> Tensor:
    """Head-to-world rotation [N, 3, 3] from degrees [N]."""
    a, b = torch.deg2rad(yaw), torch.deg2rad(pitch)
    ca, sa, cb, sb, o = a.cos(), a.sin(), b.cos(), b.sin(), torch.zeros_like(a)
    turn = torch.stack([ca, o, sa, o, o + 1, o, -sa, o, ca], -1).view(-1, 3, 3)
    nod = torch.stack([o + 1, o, o, o, cb, sb, o, -sb, cb], -1).view(-1, 3, 3)
    return turn @ nod


Part = tuple[object, object, object, object, object, object]


def ellipsoids(window: Window, turn: Tensor, shift: Tensor, parts: list[Part]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Depth and signed silhouette distance of K ellipsoids, each K arrays [N, H, W].

    A part is (centre x, y, z, radius x, y, z) in head coordinates, numbers or [N].
    With the quadric p'Ap = 1, depth is affine in the pixel plus sqrt(E), where E
    is a quadratic polynomial of the pixel: one matrix product gives all of them.
    Outside the silhouette depth goes on smoothly, so that slopes stay finite.
    """
    n = len(turn)
    rows = [[torch.as_tensor(v, dtype=turn.dtype, device=turn.device).expand(n) for v in part] for part in parts]
    table = torch.stack([torch.stack(row, -1) for row in rows], 1)
    centre = table[..., :3] @ turn.transpose(1, 2) + shift[:, None]
    r = turn[:, None]
    quadric = (r * table[..., None, 3:] ** -2) @ r.transpose(2, 3)
    a33 = quadric[..., 2, 2]
    tilt = quadric[..., :2, 2] / a33[..., None]
    schur = quadric[..., :2, :2] - a33[..., None, None] * tilt[..., :, None] * tilt[..., None, :]
    cx, cy, cz = centre.unbind(-1)
    s11, s12, s22 = schur[..., 0, 0], schur[..., 0, 1], schur[..., 1, 1]
    tx, ty = tilt.unbind(-1)
    constant = 1 - s11 * cx * cx - 2 * s12 * cx * cy - s22 * cy * cy
    inside = torch.stack([constant, 2 * (s11 * cx + s12 * cy), 2 * (s12 * cx + s22 * cy), -s11, -2 * s12, -s22], -1)
    o = torch.zeros_like(cx)
    middle = torch.stack([cz + tx * cx + ty * cy, -tx, -ty, o, o, o], -1) + 0.1 * a33.rsqrt()[..., None] * inside
    e = (inside / a33[..., None]) @ window.basis
    depth = torch.addcmul(middle @ window.basis, e, e.abs().add_(3e-4).rsqrt_())
    size = 0.5 * a33 * (s11 * s22 - s12 * s12) ** -0.25
    distance = e * size[..., None]
    return depth.unflatten(-1, window.shape).unbind(1), distance.unflatten(-1, window.shape).unbind(1)


def smooth_max(a: Tensor, b: Tensor, k: float) -> Tensor:
    """Smooth maximum, rounded over a difference of about k."""
    d = b - a
    return torch.add(a, d + torch.sqrt(torch.addcmul(d.new_tensor(k * k), d, d)), alpha=0.5)


def slopes(height: Tensor, pixel: float) -> tuple[Tensor, Tensor, Tensor]:
    """Unit normals (x, y, z), each [N, H, W], of the height field [N, H, W]."""
    k = 0.5 / pixel
    dx = (height[:, :, :-2] - height[:, :, 2:]) * k
    dy = (height[:, 2:] - height[:, :-2]) * k
    gx = torch.cat([dx[:, :, :1], dx, dx[:, :, -1:]], 2)
    gy = torch.cat([dy[:, :1], dy, dy[:, -1:]], 1)
    length = torch.rsqrt(torch.addcmul(torch.addcmul(gx.new_tensor(1.0), gx, gx), gy, gy))
    return gx * length, gy * length, length


def along(direction: Tensor, normal: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Dot product of a direction [N, 3] with normals: [N, H, W]."""
    x, y, z = (d[:, None, None] for d in direction.unbind(1))
    return torch.addcmul(torch.addcmul(normal[2] * z, normal[0], x), normal[1], y)


def put(array: Tensor, index: tuple[object, slice, slice], patch: Tensor) -> Tensor:
    """Copy of `array` with the window `index` replaced by `patch`."""
    array = array.clone()
    array[index] = patch
    return array


def bump(squared: Tensor, width: float) -> Tensor:
    """Compact stand-in for a Gaussian of a squared distance."""
    return (1 - squared * (0.125 / width**2)).clamp_min(0).square().square()
