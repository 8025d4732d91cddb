"""The heads: a batched, differentiable renderer of 3D cartoon heads in pure torch.

A head is a smooth union of ellipsoids seen by an orthographic camera, so every
pixel's depth is closed form and nothing is searched. Features are painted in
head coordinates with soft edges. The picture is composited back to front, each
part over the window it can reach.

    rows = sample_factors(torch.arange(64), seed=0)
    picture = render(rows, size=64).rgb  # [64, 3, 64, 64] in [-1, 1]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.domains.heads import paint
from bench.domains.heads.factors import CLASSES, FACTORS, N_COLUMNS, NAMES, NUISANCE
from bench.domains.heads.geometry import Window, along, bump, put, rotation, slopes, windows
from bench.domains.heads.surfaces import body_surface, hair_surfaces, skin_surface


class Rendering(NamedTuple):
    """Pictures of N heads at R x R pixels; the maps are None unless asked for."""

    rgb: Tensor  # [N, 3, R, R] in [-1, 1]
    segmentation: Tensor | None = None  # [N, R, R] int64, index into CLASSES
    depth: Tensor | None = None  # [N, R, R], larger is nearer, background -1
    normals: Tensor | None = None  # [N, 3, R, R], unit, background (0, 0, 1)


def render(factors: Tensor, *, size: int = 64, supersample: int = 2, maps: bool = False) -> Rendering:
    """Render factor rows [N, N_COLUMNS], or [N, len(FACTORS)] with nuisance at 0.5.

    Glasses and beard are opacities, clamped to [0, 1]; other factors may go
    beyond their range. Gradients reach every column through rgb, depth and normals.
    """
    if factors.ndim != 2 or factors.shape[1] not in (len(FACTORS), N_COLUMNS):
        raise ValueError(f"expected factors [N, {N_COLUMNS}] or [N, {len(FACTORS)}], got {tuple(factors.shape)}")
    if not torch.is_floating_point(factors) or not bool(torch.isfinite(factors).all()):
        raise ValueError("factors must be finite floating point numbers")
    if factors.shape[1] < N_COLUMNS:
        factors = torch.cat([factors, factors.new_full((len(factors), len(NUISANCE)), 0.5)], 1)
    views = windows(size * supersample, factors.device, factors.dtype)
    if factors.device.type == "cpu":
        chunk = max(1, 2**16 // (size * supersample) ** 2)  # keeps the masks within the processor's cache
    else:
        chunk = max(1, 2**22 // (size * supersample) ** 2)
    parts = [_render(part, views, supersample, maps) for part in factors.split(chunk)]
    return Rendering(*(None if column[0] is None else torch.cat(column) for column in zip(*parts)))


def _shine(direction: Tensor, normal: tuple[Tensor, Tensor, Tensor], doublings: int) -> Tensor:
    """Specular highlight: a power 2**doublings of the cosine to `direction`."""
    d = along(direction, normal).clamp_min(0.1)
    for _ in range(doublings):
        d = d * d
    return d


def _lambert(direction: Tensor, normal: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Diffuse light, rounded where it turns away."""
    d = along(direction, normal)
    return 0.5 * (d + torch.sqrt(d * d + 0.01))


def _over(image: Tensor, index: tuple[object, slice, slice], colour: Tensor, alpha: Tensor) -> None:
    """Paint colour [N, 3, H or 1, W or 1] with opacity [N, H, W] into the image, in place."""
    patch = image[index].clone() if torch.is_grad_enabled() else image[index]  # autograd needs the old values
    image[index] = torch.lerp(patch, colour.expand_as(patch), alpha[:, None])


class _Part(NamedTuple):
    """A surface over the named window: cover, height, normal and class."""

    window: str
    alpha: Tensor
    height: Tensor
    normal: tuple[Tensor, ...]
    kind: str


def _maps(
    views: dict[str, Window], parts: list[_Part], details: list[paint.Layer], pool: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Segmentation, depth and normals of parts given back to front; `details` are classes painted on the skin."""
    full, first = views["full"], parts[0].height
    height = torch.full_like(first, -1.0)[:, None]
    o = torch.zeros_like(first)
    facing = torch.stack([o, o, o + 1], 1)
    for part in parts:
        at = full.of(views[part.window])
        _over(height, at, part.height[:, None], part.alpha)
        _over(facing, at, torch.stack([axis.expand_as(part.alpha) for axis in part.normal], 1), part.alpha)
    with torch.no_grad():
        votes = torch.stack([o + 1] + [o] * (len(CLASSES) - 1), 1)
        one = torch.eye(len(CLASSES), dtype=o.dtype, device=o.device)[:, :, None, None]
        for part in parts:
            _over(votes, full.of(views[part.window]), one[CLASSES.index(part.kind)], part.alpha)
            if part.kind == "skin":
                for layer in details:
                    window = views[layer.window]
                    seen = layer.alpha * part.alpha[views["skin"].of(window)]
                    _over(votes, full.of(window), one[CLASSES.index(layer.kind)], seen)
        segmentation = pool(votes).argmax(1)
    normal = pool(facing)
    normal = normal * torch.rsqrt(normal.square().sum(1, keepdim=True) + 1e-8)
    return segmentation, pool(height)[:, 0], normal


def _render(factors: Tensor, views: dict[str, Window], supersample: int, maps: bool) -> Rendering:
    new = factors.new_tensor
    flat = dict(zip(NAMES + NUISANCE, factors.unbind(1)))
    flat["width"] = 0.86 + 0.28 * flat["face_width"]
    f = {name: value[:, None, None] for name, value in flat.items()}
    full, skin, cap, low = (views[k] for k in ("full", "skin", "cap", "body"))

    # --- pose, light, colours ------------------------------------------------------
    turn = rotation(flat["yaw"], flat["pitch"])
    shift = turn[:, :, 2] * new([-0.30, -0.30, 0.0]) + new([0.0, -0.02, 0.0])
    back = turn.transpose(1, 2)
    lines = torch.cat([-(back @ shift[:, :, None]), back[:, :, :2]], 2)  # world (1, x, y) at z = 0 -> head
    deep = back[:, :, 2, None, None].unbind(1)  # world z -> head
    angle = flat["light"] * 1.05
    light = F.normalize(torch.stack([angle.sin(), torch.full_like(angle, 0.42), angle.cos()], 1), dim=1)
    half = F.normalize(light + new([0.0, 0.0, 1.0]), dim=1)
    tint = flat["warmth"][:, None] * new([0.24, 0.02, -0.34])
    ambient, direct = 0.46 * (1 - 0.25 * tint), 0.72 * (1 + tint)
    tone = paint.palette(flat["skin_tone"], paint.SKIN)
    natural = paint.palette(flat["hair_colour"], paint.HAIR)
    dye = torch.lerp(natural, new(paint.GREY), (flat["age"] * (0.45 + 0.23 * flat["age"]))[:, None])
    stubble = torch.lerp(natural, new(paint.GREY), 0.30 * flat["age"][:, None])
    iris = paint.palette(flat["iris"], paint.IRIS)
    cloth = paint.rainbow(0.25 + flat["clothes_hue"], 0.40, 0.16) * (0.55 + 0.75 * flat["clothes_shade"][:, None])
    wall = paint.rainbow(0.80 * flat["background"] - 0.02, 0.64, 0.24)

    def lit(colour: Tensor, shade: Tensor) -> Tensor:
        """Colour [N, 3] under a shade [N, H, W]: [N, 3, H, W]."""
        return torch.addcmul((ambient * colour)[..., None, None], (direct * colour)[..., None, None], shade[:, None])

    # --- surfaces ------------------------------------------------------------------
    big = 0.45 + 1.58 * flat["nose_size"]
    skin_z, skin_s, ear_w, nose_w, nose_s = skin_surface(views, flat, turn, shift, big)
    skin_a = skin.soft(skin_s)
    cap_z, cap_s, back_z, back_a = hair_surfaces(views, flat, turn, shift)
    body_z, body_a, dressed = body_surface(low, shift)

    # --- head coordinates; the hair cap is cut by a hairline -------------------------
    u, v, w = (a + b * skin_z for a, b in zip(skin.affine(lines).unbind(1), deep))
    hu, hv, hw = (a + b * cap_z for a, b in zip(cap.affine(lines).unbind(1), deep))
    hem = 0.02 - 0.34 * f["hair_length"]
    fringe = cap.soft(hv - hem, 0.05)
    top = skin_a[:, : cap.bottom - skin.top]
    at = (..., slice(skin.top - cap.top, None), slice(skin.left, skin.right))
    cu, cv, cw = hu[at], hv[at], hw[at]
    front = F.hardsigmoid((cw + 0.22 - 0.06 * f["hair_length"] - 1.05 * cu.abs() / f["width"]) * 26)
    high = 0.43 + 0.05 * f["age"] - 0.32 * torch.sqrt((cu + 0.12).square() + 0.002)
    above = cv - hem - (high - hem) * front
    cut = skin.soft(above, 0.04)
    cap_a = cap.soft(cap_s) * put(fringe, at, fringe[at] - (fringe[at] - cut).clamp_min(0) * top)
    behind = full.of(skin)
    skin_a = skin_a * (1 - back_a[behind] * F.hardsigmoid((back_z[behind] - skin_z) * 60))

    # --- skin: tone, less darkness, less redness --------------------------------------
    au = u.abs()
    dark = paint.spots(f, u, v)
    red = paint.blush(f, au, v)
    at = skin.of(views["eyes"])
    ex, ey, side = paint.eye_axes(f, u[at], v[at], w[at])
    dark[at] += paint.eye_shade(f, ex, ey)
    at = skin.of(views["forehead"])
    dark[at] += paint.wrinkles(f, u[at], v[at])
    at = skin.of(views["mouth"])
    dark[at] += paint.cheek_shade(f, au[at], v[at])
    shadow = F.hardsigmoid((above + 0.05) * 22)
    dark[:, : shadow.shape[1]] += 0.32 * shadow
    at = skin.of(views["nose"])
    nu, nv, wing = au[at], v[at], big[:, None, None]
    hole = bump((nu - 0.062 * wing).square() + (1.6 * nv + 0.40 + 0.045 * wing).square(), 0.024)
    under = bump(nu.square() * 0.5 + (1.4 * nv + 0.335 + 0.115 * wing).square(), 0.042) * (1 - nose_w)
    rim = views["nose"].soft(nose_s + 0.045, 0.11) * (1 - nose_w)  # the cheeks darken about the nose
    dark[at] += 0.75 * hole + 0.50 * under + 0.45 * rim
    red[at] += nose_w * (0.72 - red[at].clone())
    red[skin.of(views["ears"])] += 0.5 * ear_w
    tones = tone[..., None, None]
    albedo = tones - (tone * new([0.74, 0.77, 0.74]))[..., None, None] * dark.clamp(0, 1)[:, None]
    albedo = torch.addcmul(albedo, (tone * new([-0.01, -0.30, -0.32]))[..., None, None], red[:, None])

    # --- features, then light ----------------------------------------------------------
    at = skin.of(views["beard"])
    bare = torch.ones_like(u)
    bare[skin.of(views["nose"])] -= nose_w
    bare[skin.of(views["ears"])] -= ear_w
    layers = paint.eyes(views["eyes"], f, ex, ey, side, tone, dye, iris)
    at_mouth = skin.of(views["mouth"])
    layers += paint.mouth(views["mouth"], f, u[at_mouth], v[at_mouth], tone)
    layers += paint.beard(views["beard"], f, u[at], v[at], bare[at], tone, stubble)
    for layer in reversed(layers):
        _over(albedo, skin.of(views[layer.window]), layer.colour[..., None, None], layer.alpha)
    skin_n, cap_n, back_n, body_n = (slopes(z, full.pixel) for z in (skin_z, cap_z, back_z, body_z))
    surface = albedo * torch.addcmul(ambient[..., None, None], direct[..., None, None], _lambert(light, skin_n)[:, None])
    surface = surface + 0.10 * _shine(half, skin_n, 5)[:, None]

    # --- the picture, back to front -----------------------------------------------------
    vignette = 1.04 + 0.12 * full.y - 0.18 * (full.x**2 + full.y**2)
    image = wall[..., None, None] * vignette
    phase = 6.28 * f["strands"]
    hx = lines[:, 0, :, None, None].unbind(1)
    across = hx[0] + hx[1] * full.x + (hx[2] + 0.25) * full.y
    grain = 0.80 + 0.12 * torch.sin(across * 34 + phase)
    _over(image, full.of(full), lit(0.85 * dye, _lambert(light, back_n) * grain), back_a)
    at = full.of(low)
    body_a = body_a * (1 - back_a[at] * F.hardsigmoid((back_z[at] - body_z) * 60))
    body_l = _lambert(light, body_n) * (1 - 0.5 * F.hardsigmoid((low.y + 0.80) * 20))
    _over(image, at, torch.lerp(lit(tone, body_l), lit(cloth, body_l), dressed[:, None]), body_a)
    _over(image, full.of(skin), surface, skin_a)
    cap_l = (_lambert(light, cap_n) + 0.40 * _shine(half, cap_n, 4)) * (1 + 0.11 * torch.sin(hu * 34 + hv * 9 + phase))
    _over(image, full.of(cap), lit(dye, cap_l), cap_a)

    # --- glasses: rims in a plane before the face, arms along the head -----------------
    glasses = views["glasses"]
    plane = 0.60
    a, b, c, d = (turn[:, i, j] for i in (0, 1) for j in (0, 1))
    solve = torch.stack([d, -b, -c, a], -1).view(-1, 2, 2) / (a * d - b * c)[:, None, None]
    origin = -(solve @ (shift[:, :2, None] + plane * turn[:, :2, 2:]))
    pu, pv = glasses.affine(torch.cat([origin, solve], 2)).unbind(1)
    rim, pane = paint.frame(glasses, pu, pv)
    at = skin.of(glasses)
    gu, gv, visible = u[at], v[at], skin_a[at] * (1 - cap_a[cap.of(glasses)])
    hinge = 0.42 + 0.25 * (-deep[0] / deep[2]) * torch.clamp(gu * 20, -1, 1)
    arm = glasses.soft(0.024 - (gv - 0.05).abs()) * glasses.soft(gu.abs() - hinge) * visible
    worn = f["glasses"].clamp(0, 1)
    frame = worn * torch.maximum(rim, arm)
    at = full.of(glasses)
    _over(image, at, new([0.80, 0.93, 1.0])[:, None, None], 0.20 * worn * pane)
    _over(image, at, new([0.05, 0.04, 0.07])[:, None, None], frame)

    def pool(image: Tensor) -> Tensor:
        return F.avg_pool2d(image, supersample) if supersample > 1 else image

    rgb = pool(image).clamp(0, 1) * 2 - 1
    if not maps:
        return Rendering(rgb)

    rz = turn[:, 2, :, None, None].unbind(1)
    parts = [
        _Part("full", back_a, back_z, back_n, "hair"),
        _Part("body", body_a, body_z, body_n, "body"),
        _Part("skin", skin_a, skin_z, skin_n, "skin"),
        _Part("cap", cap_a, cap_z, cap_n, "hair"),
        _Part("glasses", frame, rz[0] * pu + rz[1] * pv + rz[2] * plane, turn[:, :, 2, None, None].unbind(1), "glasses"),
    ]
    details = [
        paint.Layer("ears", ear_w, tone, "body"),
        paint.Layer("nose", nose_w, tone, "nose"),
        *reversed(layers),
    ]
    return Rendering(rgb, *_maps(views, parts, details, pool))
