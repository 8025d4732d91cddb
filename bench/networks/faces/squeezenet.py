"""SqueezeNet 1.1's ImageNet features (Iandola et al. 2016; the Keras conversion of the Caffe weights, MIT), for perceptual and
set distances without a large download. Not LPIPS: its linear weights were fitted on other features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.domains.base import Network
from bench.networks.faces.files import arrays, convention, locate, prepared
from bench.networks.faces.layers import TensorFlowWeights
from bench.networks.lpips_ import unit_channels
from bench.networks.windows import WHOLE

FIRES = range(2, 10)
POOLED_BEFORE = (2, 4, 6)  # 3x3 maxima, 2 apart, without padding
TAPPED = (3, 5, 6, 7, 8, 9)  # with conv1, the seven places of LPIPS-squeeze


class SqueezeNet(Network):
    """Reading 'perceptual', [N, P]: every tapped map at unit length over channels, divided by the root of its positions.

    The squared distance of two pictures is the sum over the seven maps of the mean over positions of the squared difference
    (Zhang et al. 2018, eq. 1, all weights 1), in [0, 14], as maps are not negative. 'features': the last map's mean, [N, 512].
    side: pictures are brought to this size, the table's 64 px where left out; P is 118,976 there and grows with its square.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], side: int | None = None) -> None:
        super().__init__()
        self.name, self.readings = "squeezenet-caffe", frozenset({"perceptual", "features"})
        self.register_buffer("side", torch.tensor(side or convention(self.name).size))
        self.weights = TensorFlowWeights({_short(name): value for name, value in weights.items()})
        self.eval().requires_grad_(False)

    def maps(self, images: Tensor) -> list[Tensor]:
        """The seven maps, by depth."""
        x = prepared(images, self.name, WHOLE, int(self.side))
        x = F.relu(self.weights.conv(x, "conv1/kernel:0", "conv1/bias:0", stride=2, same=False))
        taken = [x]
        for fire in FIRES:
            if fire in POOLED_BEFORE:
                x = F.max_pool2d(x, 3, 2)
            x = self._conv(x, f"fire{fire}/squeeze1x1")
            x = torch.cat([self._conv(x, f"fire{fire}/expand1x1"), self._conv(x, f"fire{fire}/expand3x3")], 1)
            if fire in TAPPED:
                taken.append(x)
        return taken

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        maps = self.maps(images)
        vectors = [(unit_channels(x) * (x.shape[2] * x.shape[3]) ** -0.5).flatten(1) for x in maps]
        return {"perceptual": torch.cat(vectors, 1), "features": maps[-1].mean((2, 3))}

    def _conv(self, x: Tensor, name: str) -> Tensor:
        return F.relu(self.weights.conv(x, f"{name}/kernel:0", f"{name}/bias:0"))


def _short(name: str) -> str:
    """'fire2/expand1x1/fire2/expand1x1_3/bias:0' is fire2/expand1x1/bias:0, 'conv1/conv1_3/bias:0' conv1/bias:0."""
    parts = name.split("/")
    return "/".join([*parts[: 2 if parts[0].startswith("fire") else 1], parts[-1]])


def load_squeezenet(folder: Path | None = None, side: int | None = None) -> SqueezeNet:
    return SqueezeNet(arrays(locate("squeezenet-caffe", folder)), side)
