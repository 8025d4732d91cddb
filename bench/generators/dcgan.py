"""DCGAN (Radford et al. 2016) in the layout of the PyTorch example: one sequence of transposed convolutions.

Convolution, batch norm, ReLU, from z as a map of one pixel to 4x4, then doubling; the last convolution ends in tanh. Checkpoints
differ in the name of the sequence (main, net, ...), in biases, and in whether each block is a sequence of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.cards import GeneratorInfo, LayerInfo
from bench.codes import Codes, Space
from bench.errors import InputError, SpaceError
from bench.generators.finite import check_finite
from bench.generators.forms import Form, check_arguments, load_exactly
from bench.generators.layered import Layered, Visit, leave
from bench.generators.noise import check_noise

WHAT = "a DCGAN"
EPSILON = 1e-5  # of the batch norms
PREFIX = r"((main|net|network|model|layers|gen|generator|deconv|decoder|seq)\.)?"


@dataclass(frozen=True)
class Conv:
    """One block of a checkpoint: names of its convolution and batch norm ('' without one), channels, kernel size, bias."""

    name: str
    norm: str
    inputs: int
    outputs: int
    kernel: int
    bias: bool


class DCGAN(Layered):
    """A frozen DCGAN with the space z. A layer is a convolution with its batch norm and activation, named as the convolution.

    Grey pictures are given as three equal colours; the layer keeps its one channel.
    """

    def __init__(self, *, name: str, domain: str, convs: Sequence[Conv], description: str = "") -> None:
        super().__init__()
        self.convs = tuple(convs)
        cards, resolution = [], 1
        for index, conv in enumerate(self.convs):
            stride, padding = (1, 0) if index == 0 else geometry(conv.kernel)
            resolution = (resolution - 1) * stride - 2 * padding + conv.kernel
            module = nn.ConvTranspose2d(conv.inputs, conv.outputs, conv.kernel, stride, padding, bias=conv.bias)
            place(self, conv.name, module)
            if conv.norm:
                place(self, conv.norm, nn.BatchNorm2d(conv.outputs, EPSILON))
            last = index == len(self.convs) - 1
            cards.append(LayerInfo(conv.name, resolution, conv.outputs, is_rgb=last))
        self.info = GeneratorInfo(
            name=name,
            architecture="dcgan",
            domain=domain,
            resolution=resolution,
            spaces={"z": (self.convs[0].inputs,)},
            layers=tuple(cards),
            description=description,
        )
        self.requires_grad_(False).eval()

    def settings(self) -> dict[str, Any]:
        return {"eps": EPSILON}

    def run(self, codes: Codes, *, noise: str, visit: Visit = leave, last: str | None = None) -> Tensor:
        """Layers after ReLU, the last one, the picture, after tanh. `noise` changes nothing: there is none."""
        check_noise(noise)
        x = self.convert(codes, "z").values[:, :, None, None]
        for conv in self.convs:
            x = self.get_submodule(conv.name)(x)
            if conv.norm:
                x = self.get_submodule(conv.norm)(x)
            x = visit(conv.name, torch.tanh(x) if conv is self.convs[-1] else F.relu(x))
            if conv.name == last:
                break
        return x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x

    def code_weights(self, space: Space | str, layers: Sequence[str] | None = None) -> list[Tensor]:
        """The first convolution as a matrix [channels * 4 * 4, D]. Raises SpaceError for other layers, which no code enters."""
        if Space(space) != Space.Z:
            raise SpaceError(f"{self.info.name} has codes of z only, not of {Space(space)}")
        for name in layers or ():
            self.check_layer(name)
        first = self.convs[0]
        if any(name != first.name for name in layers or ()):
            raise SpaceError(f"no code enters {', '.join(layers)} of {self.info.name}, only {first.name}")
        return [self.get_submodule(first.name).weight.flatten(1).t()] if layers is None or layers else []


def geometry(kernel: int) -> tuple[int, int]:
    """(stride, padding) of a convolution after the first: 4x4 doubles the resolution, 3x3 and 1x1 keep it."""
    known = {4: (2, 1), 3: (1, 1), 1: (1, 0)}
    if kernel not in known:
        raise InputError(f"{WHAT} with kernels of size {kernel} is not supported: after the first they are 4, 3 or 1")
    return known[kernel]


def place(root: nn.Module, path: str, module: nn.Module) -> None:
    """Put a module at a dotted path, with plain modules on the way."""
    *way, name = path.split(".")
    for part in way:
        if not hasattr(root, part):
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    root.add_module(name, module)


def read_convs(state: Mapping[str, Tensor]) -> list[Conv]:
    """The blocks of a state dict, in the order of the numbers in their names. Raises InputError where shapes do not chain."""
    natural = sorted(state, key=lambda key: [(int(part), "") if part.isdigit() else (-1, part) for part in key.split(".")])
    convs: list[Conv] = []
    for key in natural:
        path, _, part = key.rpartition(".")
        if not re.fullmatch(rf"{PREFIX}\d+(\.\d+)?", path):
            raise InputError(f"not the weights of {WHAT}: {key} is no member of its sequence")
        shape = state[key].shape
        if part == "weight" and len(shape) == 4:
            inputs, outputs, kernel = shape[0], shape[1], shape[2]
            if convs and convs[-1].outputs != inputs:
                raise InputError(f"not the weights of {WHAT}: {key} takes {inputs} channels, but gets {convs[-1].outputs}")
            convs.append(Conv(path, "", inputs, outputs, kernel, f"{path}.bias" in state))
        elif part == "running_mean" and convs and not convs[-1].norm:
            convs[-1] = replace(convs[-1], norm=path)
    if len(convs) < 2 or convs[-1].outputs not in (1, 3) or convs[-1].norm:
        raise InputError(f"not the weights of {WHAT}: it needs two convolutions or more, the last to 1 or 3 channels and bare")
    return convs


def build(state: Mapping[str, Tensor], arguments: Mapping[str, Any], name: str, domain: str) -> DCGAN:
    """A generator of the weights; arguments: the PyTorch example's. Raises InputError where they do not fit."""
    convs = read_convs(state)
    generator = DCGAN(name=name, domain=domain, convs=convs)
    size = generator.info.resolution
    told = {"nz": convs[0].inputs, "nc": convs[-1].outputs, "ngf": convs[-1].inputs, "image_size": size}
    check_arguments(arguments, told, ("ngpu",), WHAT)
    check_finite(state, WHAT)
    # Counters that only training uses; early checkpoints lack them.
    counters = [f"{conv.norm}.num_batches_tracked" for conv in convs if conv.norm]
    return load_exactly(generator, state, WHAT, optional=counters)


DCGAN_FORM = Form(
    name="dcgan",
    architecture="dcgan",
    marks=(rf"{PREFIX}0(\.0)?\.weight", rf"{PREFIX}(1|0\.1)\.running_mean"),
    build=build,
)
