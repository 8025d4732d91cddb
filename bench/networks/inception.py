"""Inception features for FID and KID exactly as clean-fid has them (Parmar et al. 2022), from pictures in memory.

clean-fid resizes bytes by PIL's antialiased bicubic filter, channel by channel in single precision, to 299 px, and does not round
again. Here the same numbers come from the same bytes, bit for bit, without files between (bench.networks.clean_resize).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from bench.domains.base import Network
from bench.errors import InputError
from bench.fetch import cached
from bench.networks.clean_resize import SIDE, clean_resize

FILE = "inception-2015-12-05.pt"


class CleanFeatures(Network):
    """Reading 'features', [N, D], of a network that takes [N, 3, 299, 299] in 0..255. Not differentiable: pictures become bytes.

    A picture with a NaN is a row of NaN. net: clean-fid's InceptionV3W (D = 2048) or one in its place, which needs its own name.
    """

    def __init__(self, net: nn.Module, name: str = "inception-v3-cleanfid") -> None:
        super().__init__()
        self.name, self.readings = name, frozenset({"features"})
        self.net = net.eval().requires_grad_(False)
        self._memory: list[Tensor] = []  # of the last resized pictures; taken out while in use, so that threads never share it

    @torch.no_grad()
    def measure(self, images: Tensor) -> dict[str, Tensor]:
        pixels = to_bytes(images)
        if not len(pixels):
            raise InputError("there are no pictures to read")
        try:
            memory = self._memory.pop()
        except IndexError:
            memory = torch.empty(0)
        if len(memory) < len(pixels):
            memory = torch.empty(len(pixels), 3, SIDE, SIDE)
        features = self.net(clean_resize(pixels, memory).to(images.device)).float()
        readable = images.isfinite().flatten(1).all(1)
        found = features.masked_fill(~readable[:, None], float("nan"))  # a copy, whatever the network returned
        self._memory[:] = [memory]
        return {"features": found}


def to_bytes(images: Tensor) -> np.ndarray:
    """Pictures [N, 3, R, R] in [-1, 1] as bytes [N, R, R, 3], rounded to the nearest; NaN becomes 0.

    Raises InputError for another shape.
    """
    if images.dim() != 4 or images.shape[1] != 3:
        raise InputError(f"pictures are [N, 3, R, R], got {list(images.shape)}")
    scaled = ((images.detach().float().nan_to_num(-1.0) + 1) * 127.5).round().clamp(0, 255)
    return scaled.byte().permute(0, 2, 3, 1).cpu().numpy()


def load_inception() -> CleanFeatures:
    """With the fetched network (`latentbench fetch inception-cleanfid`), which is TorchScript.

    Loading TorchScript runs what the file holds, so only the file in the cache is taken, whose hash is checked against the one
    recorded when it was fetched. Raises UnsupportedError where it is not at hand.
    """
    path = cached("inception-cleanfid")
    if path.name != FILE:
        raise InputError(f"clean-fid looks for {FILE}, the fetched file is {path}")
    from bench.torchvision_shim import ensure_torchvision

    ensure_torchvision()
    from cleanfid.inception_torchscript import InceptionV3W

    return CleanFeatures(InceptionV3W(str(path.parent), download=False, resize_inside=False))
