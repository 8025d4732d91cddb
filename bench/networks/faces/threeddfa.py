"""Head pose by 3DDFA_V2 (Guo et al. 2020; MIT; https://github.com/cleardusk/3DDFA_V2): a MobileNet regresses a face model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.domains.base import Network
from bench.errors import InputError
from bench.networks.faces.files import arrays, locate, prepared, window
from bench.networks.windows import WHOLE, Window

# Stages: name, output channels at width 1, stride (Howard et al. 2017, table 1).
STAGES = (
    ("dw2_1", 64, 1),
    ("dw2_2", 128, 2),
    ("dw3_1", 128, 1),
    ("dw3_2", 256, 2),
    ("dw4_1", 256, 1),
    ("dw4_2", 512, 2),
    *((f"dw5_{i}", 512, 1) for i in range(1, 6)),
    ("dw5_6", 1024, 2),
    ("dw6", 1024, 1),
)


class Stage(nn.Module):
    """A 3x3 convolution of every channel, then a 1x1 one across them, each with batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self.bn_dw = nn.BatchNorm2d(inputs)
        self.conv_sep = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn_sep = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn_dw(self.conv_dw(x)))
        return F.relu(self.bn_sep(self.conv_sep(x)))


class MobileNetV1(nn.Module):
    """Pictures [N, 3, 120, 120] to 62 face parameters; width scales the channels. A second head, of landmarks, is unused."""

    def __init__(self, width: float = 0.5) -> None:
        super().__init__()
        channels = int(32 * width)
        self.conv1 = nn.Conv2d(3, channels, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        for name, outputs, stride in STAGES:
            self.add_module(name, Stage(channels, int(outputs * width), stride))
            channels = int(outputs * width)
        self.fc_param = nn.Linear(channels, 62)
        self.fc_lm = nn.Linear(channels, 136)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        for name, _, _ in STAGES:
            x = self.get_submodule(name)(x)
        return self.fc_param(x.mean((2, 3)))


class Pose(Network):
    """Attributes yaw, pitch, roll in degrees, signs as `angles` says. Differentiable with respect to the pictures."""

    names = ("yaw", "pitch", "roll")

    def __init__(self, state: Mapping[str, Tensor], mean: Tensor, std: Tensor, frame: Window = WHOLE) -> None:
        super().__init__()
        self.name, self.readings, self.frame = "3ddfa-v2", frozenset({"attributes"}), frame
        state = {name.removeprefix("module."): value for name, value in state.items()}
        if "conv1.weight" not in state:
            raise InputError("these weights are not 3DDFA_V2's MobileNet: there is no conv1.weight")
        self.trunk = MobileNetV1(len(state["conv1.weight"]) / 32)
        self.trunk.load_state_dict(state)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.register_buffer("window", torch.tensor(window(self.name, frame)))
        self.eval().requires_grad_(False)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        parameters = self.trunk(prepared(images, self.name, self.frame)) * self.std + self.mean
        return {"attributes": angles(parameters[:, :12].reshape(-1, 3, 4))}


def angles(camera: Tensor) -> Tensor:
    """Yaw, pitch, roll in degrees, [N, 3], of scaled camera matrices [N, 3, 4] whose left 3 x 3 are a rotation times a scale.

    Positive: the face looks to the right of the picture, upwards, and leans counter-clockwise as seen. The third row is taken as
    the cross product of the first two, so that a matrix that is not quite a rotation has angles all the same.
    """
    first, second = F.normalize(camera[:, 0, :3], dim=1), F.normalize(camera[:, 1, :3], dim=1)
    third = torch.linalg.cross(first, second, dim=1)
    yaw = -torch.asin(third[:, 0].clamp(-1 + 1e-6, 1 - 1e-6))  # the published signs: left and down
    pitch = -torch.atan2(third[:, 1], third[:, 2])
    roll = torch.atan2(second[:, 0], first[:, 0])
    return torch.rad2deg(torch.stack([yaw, pitch, roll], 1))


def load_pose(folder: Path | None = None, frame: Window = WHOLE) -> Pose:
    """From the two published files. Raises UnsupportedError where one is not at hand."""
    state = torch.load(locate("3ddfa-v2", folder), map_location="cpu", weights_only=True)["state_dict"]
    scale = {name: torch.from_numpy(value) for name, value in arrays(locate("3ddfa-v2-scale", folder)).items()}
    return Pose(state, scale["mean"], scale["std"], frame)
