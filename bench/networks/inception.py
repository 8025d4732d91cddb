"""Inception features for FID and KID exactly as clean-fid has them (Parmar et al. 2022), from pictures in memory.

clean-fid resizes bytes by PIL's antialiased bicubic filter, channel by channel in single precision, to 299 px, and does not round
again. Here the same function is applied to the same bytes, without files between.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.domains.base import Network
from bench.errors import InputError, UnsupportedError
from bench.fetch import cached

FILE = "inception-2015-12-05.pt"


class CleanFeatures(Network):
    """Reading 'features', [N, D], of a network that takes [N, 3, 299, 299] in 0..255. Not differentiable: pictures become bytes.

    A picture with a NaN is a row of NaN. net: clean-fid's InceptionV3W (D = 2048) or one in its place, which needs its own name.
    """

    def __init__(self, net: nn.Module, name: str = "inception-v3-cleanfid") -> None:
        super().__init__()
        self.name, self.readings = name, frozenset({"features"})
        self.net = net.eval().requires_grad_(False)

    @torch.no_grad()
    def measure(self, images: Tensor) -> dict[str, Tensor]:
        resize = resizer()
        resized = [torch.from_numpy(resize(one)).permute(2, 0, 1) for one in to_bytes(images)]
        if not resized:
            raise InputError("there are no pictures to read")
        features = self.net(torch.stack(resized).to(images.device)).float()
        readable = images.isfinite().flatten(1).all(1)
        return {"features": features.masked_fill(~readable[:, None], float("nan"))}


def to_bytes(images: Tensor) -> np.ndarray:
    """Pictures [N, 3, R, R] in [-1, 1] as bytes [N, R, R, 3], rounded to the nearest; NaN becomes 0.

    Raises InputError for another shape.
    """
    if images.dim() != 4 or images.shape[1] != 3:
        raise InputError(f"pictures are [N, 3, R, R], got {list(images.shape)}")
    scaled = ((images.detach().float().nan_to_num(-1.0) + 1) * 127.5).round().clamp(0, 255)
    return scaled.byte().permute(0, 2, 3, 1).cpu().numpy()


def resizer() -> Any:
    """clean-fid's own function: bytes [R, R, 3] to float32 [299, 299, 3] in 0..255."""
    try:
        from cleanfid.resize import build_resizer
    except ImportError as error:
        raise UnsupportedError("clean-fid is not installed: pip install clean-fid") from error
    return build_resizer("clean")


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
