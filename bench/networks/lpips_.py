"""LPIPS, the learned perceptual distance (Zhang et al. 2018, arXiv:1801.03924), as vectors whose squared distance it is.

The linear weights ship in the lpips package; the trunks are torchvision's ImageNet networks, fetched once.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.domains.base import Network
from bench.errors import InputError, UnsupportedError
from bench.fetch import cached
from bench.networks.states import torch_state
from bench.torchvision_shim import ensure_torchvision

Trunk = Literal["alex", "vgg", "squeeze"]
TRUNKS: tuple[Trunk, ...] = ("alex", "vgg", "squeeze")


def unit_channels(x: Tensor, epsilon: float = 1e-10) -> Tensor:
    """Maps [N, C, h, w] scaled to unit length over channels at every position; epsilon is added to the length, as LPIPS does."""
    # Far below epsilon squared: it changes no value, and keeps the gradient of the root finite where all channels are 0.
    return x / ((x.square().sum(1, keepdim=True) + 1e-30).sqrt() + epsilon)


class Lpips(Network):
    """Reading 'perceptual': [N, P] with |a - b|^2 the LPIPS distance, in [0, inf), of pictures in [-1, 1].

    Every tapped map is scaled to unit length over channels, multiplied by the root of its channel's linear weight and divided by
    the root of its positions; maps are concatenated. P grows with the square of the pictures' side: alex has 31,872 numbers at
    64 px and 640,128 at 256 px (2.4 MiB a picture), vgg 7,995,392 there (30 MiB). Read large pictures in small batches, or use
    `distance`, which keeps no vectors. net: a module of the lpips package.
    """

    def __init__(self, trunk: Trunk, net: nn.Module) -> None:
        super().__init__()
        self.name, self.readings = f"lpips-{trunk}", frozenset({"perceptual"})
        self.net = net.eval().requires_grad_(False)
        for i, line in enumerate(self._lines()):
            if (line < 0).any():
                raise InputError(f"the linear weights of {self.name} at map {i} are negative: no vectors have that distance")

    def _lines(self) -> list[Tensor]:
        return [line.model[-1].weight for line in self.net.lins]

    def maps(self, images: Tensor) -> list[Tensor]:
        """The tapped maps of pictures [N, 3, R, R] in [-1, 1], scaled to unit length over channels."""
        return [unit_channels(x) for x in self.net.net(self.net.scaling_layer(images.float()))]

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        parts = []
        for x, line in zip(self.maps(images), self._lines(), strict=True):
            parts.append((x * line.sqrt() * (x.shape[2] * x.shape[3]) ** -0.5).flatten(1))
        return {"perceptual": torch.cat(parts, 1)}

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """LPIPS of pairs of pictures [N, 3, R, R] in [-1, 1], [N], map by map."""
        total = torch.zeros(len(a), device=a.device)
        for x, y, line in zip(self.maps(a), self.maps(b), self._lines(), strict=True):
            total = total + F.conv2d((x - y).square(), line).mean((1, 2, 3))
        return total


def load_lpips(trunk: Trunk, path: Path | None = None) -> Lpips:
    """From the trunk's published file: the one given, or the fetched one (`latentbench fetch lpips-alex`).

    Raises UnsupportedError where it is not at hand, InputError where it is another file.
    """
    if trunk not in TRUNKS:
        raise InputError(f"LPIPS has the trunks {', '.join(TRUNKS)}, not {trunk}")
    path = cached(f"lpips-{trunk}") if path is None else Path(path)
    check_hub_name(path)
    return Lpips(trunk, build(trunk, torch_state(path)))


def check_hub_name(path: Path) -> None:
    """Check a file against the eight hexadecimal digits of its SHA-256 in its name, as torch hub's files have them.

    Raises InputError where they differ, or the name has none.
    """
    wanted = path.stem.rpartition("-")[2]
    if len(wanted) != 8 or set(wanted) - set("0123456789abcdef"):
        raise InputError(f"{path.name} has no hash in its name: keep the published one, as in alexnet-owt-7be5be79.pth")
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not found.startswith(wanted):
        raise InputError(f"{path} is damaged or another file: its SHA-256 begins with {found[:8]}, its name says {wanted}")


def build(trunk: Trunk, state: Mapping[str, Tensor]) -> nn.Module:
    """The lpips package's module with the weights of a torchvision classifier in its trunk; the classifier's head is left out.

    Raises UnsupportedError where lpips is not installed, InputError where the weights are not of that trunk.
    """
    ensure_torchvision()
    try:
        import lpips
    except ImportError as error:
        raise UnsupportedError("lpips is not installed: pip install lpips") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package calls torchvision by arguments of an older release
        net = lpips.LPIPS(net=trunk, pnet_rand=True, verbose=False)
    wanted = net.net.state_dict()
    # Slices keep the numbers that layers have in torchvision's `features`: slice2.3.weight is features.3.weight.
    given = {name: state.get("features." + name.split(".", 1)[1]) for name in wanted}
    wrong = sorted(name for name, value in given.items() if value is None or value.shape != wanted[name].shape)
    if wrong:
        first = "features." + wrong[0].split(".", 1)[1]
        raise InputError(f"these are not the weights of LPIPS's {trunk}: {first} is missing or of another shape")
    net.net.load_state_dict(given)
    return net
