"""The embedded guides and judges of `heads`: six small convolutional networks on 64 px pictures.

Judges are residual networks, guides plain ones with max pooling, so that the two err in different ways. Batch normalisation is
folded into the convolutions after training, so that a row never depends on the batch beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.domains.base import Network
from bench.domains.heads.factors import FACTORS, IDENTITY, NAMES
from bench.errors import InputError, unknown

SIZE = 64
CONTINUOUS = tuple(i for i, f in enumerate(FACTORS) if f.kind == "continuous")
BINARY = tuple(i for i, f in enumerate(FACTORS) if f.kind == "binary")
N_FEATURES = 64


@dataclass(frozen=True)
class Spec:
    """One network of the domain.

    role: guide or judge. kind: attributes, identity or features. family: residual or plain. widths: channels at 32, 16, 8 and
    4 px. hidden, outputs: sizes of the last layers. independent: trained on uncorrelated factors. share: of the training time.
    """

    name: str
    role: str
    kind: str
    family: str
    widths: tuple[int, int, int, int]
    hidden: int
    outputs: int
    independent: bool
    share: float
    readings: frozenset[str]


def _spec(name: str, role: str, kind: str, widths: tuple[int, int, int, int], hidden: int, outputs: int, share: float) -> Spec:
    readings = frozenset({"perceptual", "features"}) if kind == "features" else frozenset({kind})
    judge = role == "judge"
    return Spec(name, role, kind, "residual" if judge else "plain", widths, hidden, outputs, judge, share, readings)


# In the order of training: what other work waits for comes first.
SPECS: dict[str, Spec] = {
    s.name: s
    for s in (
        _spec("heads-attributes", "judge", "attributes", (24, 48, 96, 128), 128, len(FACTORS), 0.27),
        _spec("heads-guide-attributes", "guide", "attributes", (32, 48, 80, 128), 96, len(FACTORS), 0.18),
        _spec("heads-id", "judge", "identity", (24, 48, 80, 112), 96, len(IDENTITY), 0.22),
        _spec("heads-features", "judge", "features", (20, 40, 64, 96), 96, N_FEATURES, 0.11),
        _spec("heads-guide-id", "guide", "identity", (32, 48, 64, 96), 80, len(IDENTITY), 0.15),
        _spec("heads-guide-features", "guide", "features", (24, 32, 64, 80), 80, N_FEATURES, 0.07),
    )
}


class Unit(nn.Module):
    """3x3 (or 1x1) convolution and batch normalisation; `folded` units have a bias in its place."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, folded: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=folded)
        self.norm = nn.Identity() if folded else nn.BatchNorm2d(outputs, momentum=0.05)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class ResidualStage(nn.Module):
    """Halve the side, then one residual pair of convolutions (He et al. 2016); the short cut pools and projects."""

    def __init__(self, inputs: int, outputs: int, *, folded: bool) -> None:
        super().__init__()
        self.first = Unit(inputs, outputs, stride=2, folded=folded)
        self.second = Unit(outputs, outputs, folded=folded)
        self.cut = Unit(inputs, outputs, kernel=1, folded=folded)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.cut(F.avg_pool2d(x, 2)))


class PlainStage(nn.Module):
    """Max pooling, then convolutions without short cuts (Simonyan and Zisserman 2015)."""

    def __init__(self, inputs: int, outputs: int, *, depth: int, folded: bool) -> None:
        super().__init__()
        self.units = nn.ModuleList(Unit(inputs if i == 0 else outputs, outputs, folded=folded) for i in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(x, 2)
        for unit in self.units:
            x = F.leaky_relu(unit(x), 0.1)
        return x


class Trunk(nn.Module):
    """Pictures [N, 3, 64, 64] to feature maps at 16, 8 and 4 px and an embedding [N, outputs]."""

    def __init__(self, spec: Spec, *, folded: bool = True) -> None:
        super().__init__()
        first, *rest = spec.widths
        self.stem = Unit(12, first, folded=folded)  # sees 2x2 pixels as 12 channels: a stride that loses nothing
        sizes = list(zip(spec.widths, rest, strict=False))
        if spec.family == "residual":
            self.stages = nn.ModuleList(ResidualStage(a, b, folded=folded) for a, b in sizes)
        else:
            depths = (1, 2, 2)
            self.stages = nn.ModuleList(PlainStage(a, b, depth=d, folded=folded) for (a, b), d in zip(sizes, depths, strict=True))
        self.squeeze = Unit(rest[-1], 64, kernel=1, folded=folded)
        self.hidden = nn.Linear(64 * 16, spec.hidden)
        self.out = nn.Linear(spec.hidden, spec.outputs)

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        x = F.relu(self.stem(F.pixel_unshuffle(images, 2).contiguous(memory_format=torch.channels_last)))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        x = F.relu(self.squeeze(x)).flatten(1)
        return maps, self.out(F.relu(self.hidden(x)))


def folded_state(trunk: Trunk) -> dict[str, Tensor]:
    """The state of the same network with every batch normalisation folded into the convolution before it.

    With running mean m and variance v: weight * g / sqrt(v + eps), bias = b - m g / sqrt(v + eps).
    """
    state = {k: v for k, v in trunk.state_dict().items() if ".norm." not in k}
    for name, module in trunk.named_modules():
        if isinstance(module, Unit) and isinstance(module.norm, nn.BatchNorm2d):
            norm = module.norm
            gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            state[f"{name}.conv.weight"] = module.conv.weight * gain[:, None, None, None]
            state[f"{name}.conv.bias"] = norm.bias - norm.running_mean * gain
    return {k: v.detach().clone() for k, v in state.items()}


def prepared(images: Tensor) -> Tensor:
    """Pictures [N, 3, R, R] clamped to [-1, 1] and resized to 64 px: area averages downwards, bilinear upwards.

    Raises InputError for another shape.
    """
    if images.dim() != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
        raise InputError(f"a network of heads reads pictures [N, 3, R, R], got {list(images.shape)}")
    images = images.float().clamp(-1, 1)
    side = images.shape[-1]
    if side == SIZE:
        return images
    if side > SIZE and side % SIZE == 0:
        return F.avg_pool2d(images, side // SIZE)
    return F.interpolate(images, size=(SIZE, SIZE), mode="bilinear", align_corners=False, antialias=side > SIZE)


def scales() -> tuple[Tensor, Tensor]:
    """Centre and standard deviation [18] of the uniform marginals, which standardise continuous targets; 0 and 1 for binary."""
    centre = torch.tensor([(f.low + f.high) / 2 if f.kind == "continuous" else 0.0 for f in FACTORS])
    spread = torch.tensor([(f.high - f.low) / 12**0.5 if f.kind == "continuous" else 1.0 for f in FACTORS])
    return centre, spread


class HeadsNetwork(Network):
    """A frozen guide or judge made of one trunk. Differentiable with respect to the pictures.

    attributes: [N, 18] in their own units, logits for binary ones. identity: see `identity_vectors`. perceptual: see
    `perceptual_vectors`. features: [N, 64], the last layer before the training heads.
    """

    def __init__(self, spec: Spec, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.spec, self.name, self.readings = spec, spec.name, spec.readings
        self.names = NAMES if spec.kind == "attributes" else ()
        self.trunk = Trunk(spec)
        self.trunk.load_state_dict(dict(state))
        self.trunk.to(memory_format=torch.channels_last)
        centre, spread = scales()
        self.register_buffer("centre", centre, persistent=False)
        self.register_buffer("spread", spread, persistent=False)
        self.eval().requires_grad_(False)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """Readings of pictures [N, 3, R, R] in [-1, 1], float32; a row depends on its own picture alone."""
        maps, out = self.trunk(prepared(images))
        if self.spec.kind == "attributes":
            return {"attributes": out * self.spread + self.centre}
        if self.spec.kind == "identity":
            return {"identity": identity_vectors(out)}
        return {"perceptual": perceptual_vectors(maps), "features": out}


def identity_vectors(factors: Tensor) -> Tensor:
    """Unit vectors [N, 2 K] of standardised identity factors [N, K], in which every factor weighs the same.

    A factor's whole range is half a circle, so the inner product is the mean over identity factors of the cosine of the angle
    between two faces: 1 for the same person, about (2 / pi)^2 = 0.41 for strangers, -1 where every factor is at the other end.
    """
    angle = factors * (math.pi / 12**0.5)
    return torch.cat([angle.cos(), angle.sin()], 1) * factors.shape[1] ** -0.5


def perceptual_vectors(maps: list[Tensor]) -> Tensor:
    """One vector a picture whose squared Euclidean distance is the perceptual distance, in [0, 4 * layers].

    As in LPIPS (Zhang et al. 2018, eq. 1) without learned channel weights: features are scaled to unit length at every position,
    squared differences are summed over channels, averaged over positions and summed over layers. Maps of 16 px are averaged to
    8 px after scaling, which keeps the vectors short.
    """
    parts = []
    for x in maps:
        x = x * torch.rsqrt(x.square().sum(1, keepdim=True) + 1e-8)
        if x.shape[-1] > 8:
            x = F.avg_pool2d(x, x.shape[-1] // 8)
        parts.append(x.flatten(1) * (1 / x.shape[-1]))
    return torch.cat(parts, 1)


def spec(name: str) -> Spec:
    """The network of that name. Raises InputError, with the nearest names, where there is none."""
    if name not in SPECS:
        raise unknown("network of heads", name, SPECS)
    return SPECS[name]
