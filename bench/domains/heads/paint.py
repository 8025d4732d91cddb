"""Colours and painted features: eyes, brows, mouth, beard, wrinkles, glasses.

Features are painted in head coordinates (u, v: across and up the face) as soft
masks over a window of the picture. `f` holds each column as [N, 1, 1].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.domains.heads.geometry import Window, bump

Columns = dict[str, Tensor]
SKIN = ((1.0, 0.84, 0.73), (0.95, 0.73, 0.57), (0.80, 0.55, 0.38), (0.62, 0.40, 0.28), (0.46, 0.29, 0.20))
HAIR = ((0.09, 0.07, 0.09), (0.36, 0.19, 0.09), (0.95, 0.74, 0.34), (0.80, 0.24, 0.07))
IRIS = ((0.25, 0.50, 0.70), (0.28, 0.55, 0.38), (0.45, 0.27, 0.12))
GREY = (0.86, 0.86, 0.89)
LIPS = (0.80, 0.20, 0.25)


class Layer(NamedTuple):
    """A feature over the named window: opacity [N, H, W], colour [N, 3], its class."""

    window: str
    alpha: Tensor
    colour: Tensor
    kind: str


def palette(value: Tensor, colours: tuple[tuple[float, float, float], ...]) -> Tensor:
    """Piecewise linear colour ramp: [N] in 0..1 -> [N, 3]."""
    knots = torch.arange(len(colours), dtype=value.dtype, device=value.device)
    weight = (1 - (value.clamp(0, 1)[:, None] * (len(colours) - 1) - knots).abs()).clamp_min(0)
    return weight @ value.new_tensor(colours)


def rainbow(hue: Tensor, middle: float, swing: float) -> Tensor:
    """Colour [N, 3] of a hue [N] in turns: 0 is red, 1/3 blue, 2/3 green."""
    phase = hue[:, None] + hue.new_tensor([0.0, 1 / 3, 2 / 3])
    return middle + swing * torch.cos(2 * math.pi * phase)


def eye_axes(f: Columns, u: Tensor, v: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Coordinates about the nearer eye, and the side (-1, 1) it is on.

    Across the face the coordinate grows with the angle, not with u alone, so that
    the far eye of a turned head is not squeezed at the edge.
    """
    across = u * (1.45 - 0.9 * w)
    side = torch.clamp(u * 20, -1, 1)
    centre = (0.143 + 0.142 * f["eye_spacing"]) * (0.66 + 0.34 * f["width"])
    return across.abs() - centre, v - 0.02, side


def eyes(win: Window, f: Columns, ex: Tensor, ey: Tensor, side: Tensor, tone: Tensor, dye: Tensor, iris: Tensor) -> list[Layer]:
    """Eyes and brows, front to back."""
    ex2 = ex * ex
    opening = 0.013 + 0.142 * f["eye_open"]
    lid = opening * (1 - ex2 * (1 / 0.135**2))
    white = win.soft(lid - ey) * win.soft(ey + 0.72 * lid)
    radius = torch.sqrt(ex2 + ey * ey + 1e-6)
    glint = torch.sqrt((ex * side - 0.026).square() + (ey - 0.030).square() + 1e-6)
    crease = 0.95 * win.soft(0.017 - (ey - lid - 0.006).abs()) * win.soft(0.135 - ex.abs())
    bx = ex - 0.012
    lift = 0.154 + 0.098 * f["eye_open"]
    brow = 0.95 * win.soft(0.032 - 0.07 * bx - (ey - lift + 1.2 * (bx - 0.02).square()).abs()) * win.soft(0.135 - bx.abs())
    bright = torch.full_like(tone, 1.1)
    return [
        Layer("eyes", white * win.soft(0.022 - glint), bright * 1.15, "eyes"),
        Layer("eyes", white * win.soft(0.036 - radius), bright * 0.04, "eyes"),
        Layer("eyes", white * win.soft(0.078 - radius), iris, "eyes"),
        Layer("eyes", white, bright, "eyes"),
        Layer("eyes", crease, tone * 0.22, "eyes"),
        Layer("eyes", brow, dye * 0.55, "brows"),
    ]


def mouth(win: Window, f: Columns, u: Tensor, v: Tensor, tone: Tensor) -> list[Layer]:
    """Teeth, mouth cavity and lips, front to back."""
    smile, gap = f["smile"], f["mouth_open"]
    glad = F.softplus(smile * 5) / 5
    mx = u * u / (0.222 + 0.058 * smile - 0.012 * gap).square()
    bow = 1 - mx
    t = v + 0.435 + 0.03 * gap - 0.118 * smile * (mx - 0.45)
    gape = 0.006 + 0.165 * gap + 0.062 * glad
    inner = win.soft(0.30 * gape * bow - t) * win.soft(t + gape * bow)
    teeth = win.soft(t + (0.012 + 0.22 * gape) * bow)
    lips = win.soft((0.30 * gape + 0.050) * bow - t) * win.soft(t + (gape + 0.064) * bow)
    white = torch.full_like(tone, 1.08)
    return [
        Layer("mouth", inner * teeth, white, "mouth"),
        Layer("mouth", inner, tone.new_tensor([0.30, 0.06, 0.08]).expand_as(tone), "mouth"),
        Layer("mouth", 0.97 * lips, 0.35 * tone + 0.65 * tone.new_tensor(LIPS), "mouth"),
    ]


def beard(win: Window, f: Columns, u: Tensor, v: Tensor, bare: Tensor, tone: Tensor, dye: Tensor) -> list[Layer]:
    """Full beard below a hard edge from the ears over the upper lip.

    Always darker than the skin around it, and more so on dark skin, so that it
    reads at any light; curls of two tones tell it from a shadow.
    """
    depth = 1.25 * u * u - 0.300 - v  # below the edge, in world units
    alpha = f["beard"].clamp(0, 1) * win.soft(depth) * bare
    light = tone.mean(1, keepdim=True)
    deep = dye * (0.26 + 0.36 * light)
    curl = F.hardsigmoid(torch.sin(u * 56 + 2 * torch.sin(v * 19)) * 4)
    edge = win.soft(0.022 - depth)  # a darker rim along the edge
    shade = 1 - (1 - 0.38 * curl) * (1 - 0.75 * edge)
    return [Layer("beard", alpha * shade, deep * 0.45, "beard"), Layer("beard", alpha, deep, "beard")]


def wrinkles(f: Columns, u: Tensor, v: Tensor) -> Tensor:
    """Darkness of the lines across the forehead."""
    lines = F.hardsigmoid((torch.cos((v - 0.335 + 0.25 * u * u) * 84) - 0.3) * 10)
    return 0.52 * f["age"] * lines * bump(0.28 * u * u + 2.0 * (v - 0.335).square(), 0.11)


def eye_shade(f: Columns, ex: Tensor, ey: Tensor) -> Tensor:
    """Darkness about the eyes: sockets, and with age bags and crow's feet."""
    ex2 = ex * ex
    bag = bump((ey + 0.135 - 1.6 * ex2).square(), 0.016) * bump(ex2, 0.08)
    crow = F.hardsigmoid((torch.cos((ey + 0.01) * 90) - 0.3) * 12) * bump((ex - 0.185).square() + 0.5 * ey * ey, 0.038)
    return f["age"] * (0.55 * bag + 0.40 * crow) + 0.13 * bump(0.5 * ex2 + (ey - 0.03).square(), 0.085)


def cheek_shade(f: Columns, au: Tensor, v: Tensor) -> Tensor:
    """Darkness of the folds from the nose to the mouth: of age, and of a smile."""
    glad = F.softplus(f["smile"] * 5) / 5
    fold = bump((au + 0.55 * v - 0.055 - 0.03 * glad).square(), 0.017) * bump((v + 0.30).square(), 0.085)
    return (0.55 * f["age"] + 0.45 * glad * (1 - 0.4 * f["age"])) * fold


def spots(f: Columns, u: Tensor, v: Tensor) -> Tensor:
    """Darkness of the mottling of old skin."""
    pattern = torch.sin(u * 23 + 2) * torch.sin(v * 19 + 1 + 7 * u)
    return 0.20 * f["age"] * F.hardsigmoid((pattern - 0.45) * 10)


def blush(f: Columns, au: Tensor, v: Tensor) -> Tensor:
    """Redness of the cheeks, which a smile lifts and rounds."""
    smile = f["smile"]
    amount = (0.58 + 0.42 * smile) * (1 - 0.4 * f["age"])
    return amount * bump((au - 0.29).square() + (v + 0.19 - 0.055 * smile).square(), 0.090)


def frame(win: Window, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Rims with bridge, and panes, of glasses in their own plane."""
    gx, gy = ((u.abs() - 0.232) / 0.188).square(), ((v - 0.015) / 0.172).square()
    reach = (gx * gx + gy * gy + 1e-6).sqrt().sqrt() - 1
    rim = win.soft(0.032 - 0.18 * reach.abs())
    bridge = win.soft(0.028 - (v - 0.05 + 0.5 * u * u).abs()) * win.soft(0.06 - u.abs())
    return torch.maximum(rim, bridge), win.soft(-0.18 * reach)
