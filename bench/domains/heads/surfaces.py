"""The surfaces of a head: skin with ears and nose, hair, neck and shoulders.

Each is a smooth union of ellipsoids, given as a height field over a window and a
cover or signed silhouette distance. `flat` holds each column as [N], `turn` is
the head-to-world rotation [N, 3, 3] and `shift` the head's place [N, 3].
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.domains.heads.geometry import Window, ellipsoids, put, smooth_max


class Skin(NamedTuple):
    """Height, silhouette distance and cover of skin; cover of ears and nose over their own windows."""

    height: Tensor
    distance: Tensor
    ears: Tensor
    nose: Tensor
    nose_distance: Tensor


def skin_surface(views: dict[str, Window], flat: dict[str, Tensor], turn: Tensor, shift: Tensor, big: Tensor) -> Skin:
    """Skull and jaw, with ears and a nose of size `big` [N] smoothly joined."""
    skin = views["skin"]
    age, width, jaw = flat["age"], flat["width"], flat["jaw"]
    drop = 0.07 * flat["mouth_open"]
    wide = width * (0.345 + 0.125 * jaw + 0.025 * age)
    tall = 0.465 - 0.085 * jaw + 0.03 * age + 0.5 * drop
    skull = [
        (0, 0.13, 0, 0.53 * width, 0.56, 0.58),
        (0, -0.20 - 0.10 * jaw - 0.5 * drop, 0.09, wide, tall, 0.46),
    ]
    z, s = ellipsoids(skin, turn, shift, skull)
    skin_z, skin_s = smooth_max(z[0], z[1], 0.08), smooth_max(s[0], s[1], 0.035)
    ears = [(side * 0.53 * width, -0.03, -0.05, 0.085, 0.15, 0.10) for side in (1, -1)]
    z, s = ellipsoids(views["ears"], turn, shift, ears)
    at = skin.of(views["ears"])
    ear_z, ear_s = torch.maximum(*z), torch.maximum(*s)
    ear_z = ear_z + 6 * (ear_s + 0.02).clamp_max(0)  # outside its silhouette a part must not rise above the skin
    ear_w = views["ears"].soft(ear_s) * F.hardsigmoid((ear_z - skin_z[at]) * 60)
    skin_z = put(skin_z, at, smooth_max(skin_z[at], ear_z, 0.02))
    skin_s = put(skin_s, at, torch.maximum(skin_s[at], ear_s))
    nose = [
        (0, -0.09, 0.49, 0.055 * big, 0.20, 0.09 + 0.05 * big),
        (0, -0.205, 0.55, 0.088 * big, 0.085 * big, 0.13 * big),
        (0, -0.228, 0.51, 0.135 * big, 0.056 * big, 0.085),
    ]
    z, s = ellipsoids(views["nose"], turn, shift, nose)
    at = skin.of(views["nose"])
    nose_z = torch.maximum(smooth_max(z[0], z[1], 0.05), z[2])
    nose_s = torch.maximum(torch.maximum(s[1], s[0]), s[2])
    nose_z = nose_z + 6 * (nose_s + 0.03).clamp_max(0)
    nose_w = views["nose"].soft(nose_s + 0.01, 0.05) * F.hardsigmoid((nose_z - skin_z[at]) * 50)
    skin_z = put(skin_z, at, smooth_max(skin_z[at], nose_z, 0.022))
    skin_s = put(skin_s, at, torch.maximum(skin_s[at], nose_s))
    return Skin(skin_z, skin_s, ear_w, nose_w, nose_s)


def hair_surfaces(
    views: dict[str, Window], flat: dict[str, Tensor], turn: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Height and silhouette distance of the cap, height and cover of the hair behind and beside the head."""
    full, length, width = views["full"], flat["hair_length"], flat["width"]
    volume = 0.035 + 0.06 * length
    fall = 0.05 - 0.575 * length
    lock = (0.43 + 0.08 * length) * width
    strands = (0.15 + fall, -0.06, 0.06 + 0.14 * length, 0.25 - fall, 0.12 + 0.12 * length)
    curtain = (0, 0.25 + fall, -0.25, 0.50 * width + 0.10 * length, 0.45 - fall, 0.36)
    dome = (0, 0.17, -0.05, 0.53 * width + volume, 0.55 + volume, 0.58 + volume)
    (cap_z,), (cap_s,) = ellipsoids(views["cap"], turn, shift, [dome])
    z, s = ellipsoids(full, turn, shift, [curtain, (lock, *strands), (-lock, *strands)])
    back_z = smooth_max(z[0], torch.maximum(z[1], z[2]), 0.06)
    back_a = full.soft(torch.maximum(s[0], torch.maximum(s[1], s[2])))
    return cap_z, cap_s, back_z, back_a


def body_surface(low: Window, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Height and cover of neck and shoulders, and the share of it that is clothes."""
    new, n = shift.new_tensor, len(shift)
    still = torch.eye(3, dtype=shift.dtype, device=shift.device).expand(n, 3, 3)
    torso = [(0, -0.72, -0.16, 0.25, 0.60, 0.25), (0, -1.40, -0.25, 0.98, 0.66, 0.42)]
    z, s = ellipsoids(low, still, 0.8 * shift * new([1.0, 0.0, 0.0]), torso)
    body_z = smooth_max(z[0], z[1], 0.015)
    body_a = low.soft(torch.maximum(s[0], s[1]))
    dressed = low.soft(z[1] - z[0], 0.05)
    return body_z, body_a, dressed
