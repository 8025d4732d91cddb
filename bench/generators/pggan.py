"""PGGAN (Karras et al. 2018, 'Progressive Growing of GANs'), and the two forms in which it is published.

Canonical names of parameters are genforce's; InterFaceGAN's are converted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.cards import GeneratorInfo, LayerInfo
from bench.codes import Codes, Space
from bench.errors import InputError, SpaceError
from bench.generators.arguments import read_shape, require
from bench.generators.finite import check_finite
from bench.generators.forms import Form, check_arguments, load_exactly
from bench.generators.interfacegan import pggan_state
from bench.generators.layered import Layered, Visit, leave
from bench.generators.noise import check_noise
from bench.generators.progressive import check_maps, read_channels, read_flag, read_lod
from bench.generators.stylegan_layers import GAIN, SLOPE, enlarge, fused_up, grown, pixel_norm

WHAT = "a PGGAN"


class Block(nn.Module):
    """Pixel norm, then (where `up`) doubling, then an equalised convolution; no activation.

    kernel: 4 for the first layer, which pads a 1x1 map by 3; 3; or 1 for toRGB, whose gain is 1. fused: doubling is part of the
    convolution, and the weight is [I, O, k, k].
    """

    def __init__(self, inputs: int, channels: int, kernel: int, *, up: bool = False, fused: bool = False) -> None:
        super().__init__()
        self.up, self.fused = up, up and fused
        self.padding = {4: 3, 3: 1, 1: 0}[kernel]
        axes = (inputs, channels) if self.fused else (channels, inputs)
        self.weight = nn.Parameter(torch.zeros(*axes, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.weight_gain = (1.0 if kernel == 1 else GAIN) / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor) -> Tensor:
        """[N, I, h, w] -> [N, O, h, w], doubled where `up`, [N, O, 4, 4] of [N, I, 1, 1] for the first layer."""
        x, weight = pixel_norm(x), self.weight * self.weight_gain
        if self.fused:
            return fused_up(x, weight) + self.bias[:, None, None]
        return F.conv2d(enlarge(x) if self.up else x, weight, self.bias, padding=self.padding)


class PGGAN(Layered):
    """A frozen PGGAN, with the space z alone.

    channels: of the resolutions 4, 8, ... up to the picture. n_labels: class weights that are appended to z. renormalise: z is
    normalised before labels are appended and once more in the first layer (genforce), which without labels changes it by no
    more than the norm's epsilon. fused: see Block. level: of detail, see `grown`. final_tanh: pictures end in a tanh.
    """

    def __init__(
        self,
        *,
        name: str,
        domain: str,
        z_dim: int,
        channels: Sequence[int],
        n_labels: int = 0,
        fused: bool = False,
        level: float = 0.0,
        final_tanh: bool = False,
        renormalise: bool = True,
        description: str = "",
    ) -> None:
        super().__init__()
        self.blocks, self.fused, self.final_tanh, self.renormalise = len(channels), fused, final_tanh, renormalise
        self.level, self.finest = level, self.blocks - 1 - int(level)
        self.register_buffer("lod", torch.tensor(level))
        below = z_dim + n_labels
        for k, own in enumerate(channels):
            setattr(self, f"layer{2 * k}", Block(below, own, 3 if k else 4, up=k > 0, fused=fused))
            setattr(self, f"layer{2 * k + 1}", Block(own, own, 3))
            setattr(self, f"output{k}", Block(own, 3, 1))
            below = own
        layers = [LayerInfo(layer, 4 << i // 2, channels[i // 2]) for i, (layer, _) in enumerate(self.convolutions())]
        self.info = GeneratorInfo(
            name=name,
            architecture="pggan",
            domain=domain,
            resolution=4 << self.blocks - 1,
            spaces={"z": (z_dim,)},
            layers=(*layers, LayerInfo(self.output_name, 4 << self.finest, 3, is_rgb=True)),
            n_labels=n_labels,
            description=description,
        )
        self.requires_grad_(False).eval()

    def settings(self) -> dict[str, Any]:
        return {"fused": self.fused, "final_tanh": self.final_tanh, "renormalise": self.renormalise, "level": self.level}

    @property
    def output_name(self) -> str:
        """The name of the toRGB layer that makes the picture; in a finished network those below it do nothing."""
        return f"output{self.finest}"

    def convolutions(self) -> Iterator[tuple[str, Block]]:
        """(name, module) of the layers before toRGB, in order."""
        for index in range(2 * self.blocks):
            yield f"layer{index}", self.get_submodule(f"layer{index}")

    def run(self, codes: Codes, *, noise: str, visit: Visit = leave, last: str | None = None) -> Tensor:
        """Layers: after the leaky ReLU; the toRGB layer, the picture before a final tanh. The network has no noise inputs."""
        check_noise(noise)
        codes = self.convert(codes, Space.Z)
        x = pixel_norm(codes.values) if self.renormalise else codes.values
        if self.info.n_labels:
            if codes.labels is None:
                raise InputError("a class-conditional generator needs codes with labels")
            x = torch.cat([x, codes.labels.to(x)], 1)
        x = x[:, :, None, None]
        coarse: Tensor | None = None
        fine: Tensor | None = None
        for index, (name, layer) in enumerate(self.convolutions()):
            x = visit(name, F.leaky_relu(layer(x), SLOPE))
            if name == last:
                return x
            if index == 2 * self.finest - 1 and self.level % 1:
                coarse = self.get_submodule(f"output{self.finest - 1}")(x)
            if index == 2 * self.finest + 1:
                fine = self.get_submodule(self.output_name)(x)
        image = grown(visit(self.output_name, fine), coarse, self.level)
        return image.tanh() if self.final_tanh else image

    def code_weights(self, space: Space | str, layers: Sequence[str] | None = None) -> list[Tensor]:
        """The first layer's raw weight as [16 C, Z], one row per output channel and pixel of the 4x4 map that z makes.

        Raises SpaceError where another layer is named: z meets no other.
        """
        if Space(space) != Space.Z:
            raise SpaceError(f"in {self.info.name} codes of z alone meet a weight, not of {Space(space)}")
        for name in layers or ():
            self.check_layer(name)
        if set(layers or ()) - {"layer0"}:
            raise SpaceError(f"in {self.info.name} z meets the weight of layer0 alone")
        # A 1x1 map that is padded by 3 meets the kernel from its far corner.
        weight = self.layer0.weight.flip(2, 3).permute(0, 2, 3, 1).flatten(0, 2)
        return [weight[:, : self.info.spaces["z"][0]]]


def state_sizes(state: Mapping[str, Tensor], n_labels: int) -> dict[str, Any]:
    """Constructor sizes read off the shapes of a state dict in genforce's names. `fused` only where shapes tell it."""
    channels = read_channels(state, "", WHAT)
    inputs = read_shape(state, "layer0.weight", 4, WHAT)[1]
    if isinstance(n_labels, bool) or not isinstance(n_labels, int) or not 0 <= n_labels < inputs:
        raise InputError(f"{WHAT}: label_size {n_labels!r} does not leave a z: the first layer has {inputs} inputs")
    sizes = {"z_dim": inputs - n_labels, "channels": channels, "n_labels": n_labels}
    for k in range(1, len(channels)):
        axes = read_shape(state, f"layer{2 * k}.weight", 4, WHAT)[:2]
        if channels[k] != channels[k - 1]:
            sizes["fused"] = axes == (channels[k - 1], channels[k])
    return sizes


def build_genforce(state: Mapping[str, Tensor], arguments: Mapping[str, Any], name: str, domain: str) -> PGGAN:
    """A PGGAN of a genforce or SeFa state dict.

    Where shapes do not tell fused_scale, it is false unless an argument says otherwise.
    """
    check_finite(state, WHAT)
    sizes = state_sizes(state, arguments.get("label_size") or 0)
    told = {
        "gan_type": "pggan",
        "resolution": 4 << len(sizes["channels"]) - 1,
        "z_space_dim": sizes["z_dim"],
        "image_channels": 3,
        **({"fused_scale": sizes["fused"]} if "fused" in sizes else {}),
    }
    known = {"label_size", "fused_scale", "final_tanh", "use_wscale", "fmaps_base", "fmaps_max"}
    options = check_arguments(arguments, told, known, WHAT)
    require(options, "use_wscale", True, "published weights are scaled at run time", WHAT)
    check_maps(options, sizes["channels"], WHAT)
    settings: dict[str, Any] = {
        "fused": read_flag(options, "fused_scale", WHAT),
        "final_tanh": read_flag(options, "final_tanh", WHAT),
    }
    settings["level"] = read_lod(state, "lod", len(sizes["channels"]), WHAT)
    return load_exactly(PGGAN(name=name, domain=domain, **settings | sizes), state, WHAT)


def build_interfacegan(state: Mapping[str, Tensor], arguments: Mapping[str, Any], name: str, domain: str) -> PGGAN:
    """A PGGAN of InterFaceGAN's state dict, whose names tell whether its layers are fused.

    InterFaceGAN's own sampler projects z to the sphere of radius sqrt(Z) before the network; the network's first pixel norm does
    the same but for its epsilon, so any z gives the picture of its projection.
    """
    check_finite(state, WHAT)
    converted = pggan_state(state)
    sizes = state_sizes(converted, 0)
    blocks = len(sizes["channels"])
    fused = {k for k in range(1, blocks) if f"layer{2 * k}.weight" in state}
    if fused not in (set(), set(range(1, blocks))):
        raise InputError(
            f"{WHAT}: of its upsampling layers only some are fused: {', '.join(f'layer{2 * k}' for k in sorted(fused))}"
        )
    sizes["fused"] = bool(fused)
    told = {"resolution": 4 << blocks - 1, "fused_scale": sizes["fused"], "output_channels": 3}
    options = check_arguments(arguments, told, {"final_tanh"}, WHAT)
    require(options, "final_tanh", False, "it would cut off what is out of range", WHAT)
    # InterFaceGAN does not fade: its picture is that of the last whole level.
    level = float(int(read_lod(state, "lod", blocks, WHAT)))
    return load_exactly(PGGAN(name=name, domain=domain, renormalise=False, level=level, **sizes), converted, WHAT)


GENFORCE = Form(
    name="genforce",
    architecture="pggan",
    marks=(r"layer0\.weight", r"layer1\.bias", r"output0\.weight"),
    build=build_genforce,
)
INTERFACEGAN = Form(
    name="interfacegan",
    architecture="pggan",
    marks=(r"layer0\.conv\.weight", r"layer1\.wscale\.bias", r"output0\.conv\.weight"),
    build=build_interfacegan,
)
