"""face-api.js: age and gender, expression, and 68 landmarks (MIT; https://github.com/justadudewhohacks/face-api.js)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.domains.base import Network
from bench.networks.faces.files import arrays, locate, prepared, window
from bench.networks.faces.layers import TensorFlowWeights, log_odds, max_pool_same
from bench.networks.windows import WHOLE, Window

EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
# Of the usual 68 points: the corners of the eyes, the lids, the brows, the inner lips' middles and the outer lips' corners.
EYES = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))
BROWS = (19, 24)
LIPS = (62, 66)
CORNERS = (48, 54)


class _FaceApi(Network):
    """Weights and the input of one network. Differentiable with respect to the pictures."""

    def __init__(self, name: str, weights: Mapping[str, np.ndarray], frame: Window) -> None:
        super().__init__()
        self.name, self.frame = name, frame
        self.readings = frozenset({"attributes"})
        self.weights = TensorFlowWeights(weights)
        self.register_buffer("window", torch.tensor(window(name, frame)))
        self.eval().requires_grad_(False)

    def separable(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        return self.weights.separable(x, f"{name}/depthwise_filter", f"{name}/pointwise_filter", f"{name}/bias", stride=stride)

    def conv(self, x: Tensor, name: str, stride: int) -> Tensor:
        return self.weights.conv(x, f"{name}/filters", f"{name}/bias", stride=stride)

    def dense(self, x: Tensor, name: str) -> Tensor:
        return self.weights.dense(x, f"{name}/weights", f"{name}/bias")


class AgeGender(_FaceApi):
    """Attributes 'age' in years and 'male', a logit: a small Xception with two middle blocks (Chollet 2017)."""

    def __init__(self, weights: Mapping[str, np.ndarray], frame: Window = WHOLE) -> None:
        super().__init__("face-api-age-gender", weights, frame)
        self.names = ("age", "male")

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        x = F.relu(self.conv(prepared(images, self.name, self.frame), "entry_flow/conv_in", 2))
        x = self._reduction(x, "entry_flow/reduction_block_0", first=True)
        x = self._reduction(x, "entry_flow/reduction_block_1")
        for block in range(2):
            kept = x
            for i in range(3):
                x = self.separable(F.relu(x), f"middle_flow/main_block_{block}/separable_conv{i}")
            x = x + kept
        x = self._reduction(x, "exit_flow/reduction_block")
        x = F.relu(self.separable(x, "exit_flow/separable_conv")).mean((2, 3))
        gender = self.dense(x, "fc/gender")
        return {"attributes": torch.cat([self.dense(x, "fc/age"), gender[:, :1] - gender[:, 1:]], 1)}

    def _reduction(self, x: Tensor, name: str, *, first: bool = False) -> Tensor:
        y = self.separable(x if first else F.relu(x), f"{name}/separable_conv0")
        y = max_pool_same(self.separable(F.relu(y), f"{name}/separable_conv1"))
        return y + self.conv(x, f"{name}/expansion_conv", 2)


class _Dense(_FaceApi):
    """Dense blocks, each at half the side: every layer adds its output to the sum that the next one reads."""

    blocks: int = 4
    layers: int = 4

    def last(self, images: Tensor) -> Tensor:
        """What the last layer gives, [N, outputs]."""
        x = prepared(images, self.name, self.frame)
        for block in range(self.blocks):
            name = f"dense{block}/conv"
            total = F.relu(self.conv(x, f"{name}0", 2) if block == 0 else self.separable(x, f"{name}0", 2))
            x = total
            for i in range(1, self.layers):
                total = total + self.separable(x, f"{name}{i}")
                x = F.relu(total)
        return self.dense(x.mean((2, 3)), "fc")


class Expression(_Dense):
    """Attributes: the logit of each of seven expressions against the six others."""

    names = EXPRESSIONS

    def __init__(self, weights: Mapping[str, np.ndarray], frame: Window = WHOLE) -> None:
        super().__init__("face-api-expression", weights, frame)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        return {"attributes": log_odds(self.last(images))}


class Landmarks68(_Dense):
    """Attributes read off 68 landmarks, in units of the distance of the eyes: mouth_open, mouth_width, eye_open, brow_height.

    tiny: the smaller of the two published networks.
    """

    names = ("mouth_open", "mouth_width", "eye_open", "brow_height")

    def __init__(self, weights: Mapping[str, np.ndarray], frame: Window = WHOLE, *, tiny: bool = False) -> None:
        super().__init__("face-api-landmark68-tiny" if tiny else "face-api-landmark68", weights, frame)
        self.blocks = self.layers = 3 if tiny else 4

    def landmarks(self, images: Tensor) -> Tensor:
        """[N, 68, 2] (x, y) in fractions of the picture, in the usual order of the 68."""
        left, top, right, bottom = self.window.unbind()
        scale, start = torch.stack([right - left, bottom - top]), torch.stack([left, top])
        return self.last(images).reshape(-1, 68, 2) * scale + start

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        points = self.landmarks(images)
        first, second = (points[:, list(eye)] for eye in EYES)
        unit = (first.mean(1) - second.mean(1)).norm(dim=1)

        def lids(eye: Tensor) -> Tensor:
            return ((eye[:, 1] - eye[:, 5]).norm(dim=1) + (eye[:, 2] - eye[:, 4]).norm(dim=1)) / 2

        brow = (points[:, list(BROWS)] - torch.stack([first.mean(1), second.mean(1)], 1)).norm(dim=2).mean(1)
        lips, corners = points[:, list(LIPS)], points[:, list(CORNERS)]
        lengths = [
            (lips[:, 0] - lips[:, 1]).norm(dim=1),
            (corners[:, 0] - corners[:, 1]).norm(dim=1),
            (lids(first) + lids(second)) / 2,
            brow,
        ]
        return {"attributes": torch.stack(lengths, 1) / unit[:, None]}


def load_age_gender(folder: Path | None = None, frame: Window = WHOLE) -> AgeGender:
    return AgeGender(arrays(locate("face-api-age-gender", folder)), frame)


def load_expression(folder: Path | None = None, frame: Window = WHOLE) -> Expression:
    return Expression(arrays(locate("face-api-expression", folder)), frame)


def load_landmarks(folder: Path | None = None, frame: Window = WHOLE, *, tiny: bool = False) -> Landmarks68:
    name = "face-api-landmark68-tiny" if tiny else "face-api-landmark68"
    return Landmarks68(arrays(locate(name, folder)), frame, tiny=tiny)
