"""BigGAN-deep under the names of pytorch-pretrained-biggan (Hugging Face): the networks that were published on TF Hub.

Brock et al. 2019, section 4 and appendix B: z and the class embedding, concatenated, feed the first layer and every batch norm.
Batch statistics are stored for many truncations, and the truncation of the codes chooses among them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.cards import GeneratorInfo, LayerInfo
from bench.codes import Codes
from bench.errors import InputError
from bench.generators.biggan_layers import ClassConditional, StoredSpectral, attend, deep_block, standardize, truncated_normal
from bench.generators.finite import check_finite
from bench.generators.forms import Form, check_arguments, load_exactly
from bench.generators.layered import Visit, leave
from bench.generators.noise import check_noise
from bench.streams import normal_rows

WHAT = "a Hugging Face BigGAN-deep"
BOTTOM = 4  # pixels a side of the first map
FIRST = 16  # its channels, in units of the channel width
REDUCTION = 4  # a block's inner maps have this part of its input channels

# A block: whether it doubles the resolution, channels in and out (in a configuration file, in units of the channel width).
Block = tuple[bool, int, int]


def statistics(rows: Tensor, psi: float) -> Tensor:
    """The statistics [C] for truncation psi out of rows [S, C] for the truncations 0, 1/(S-1), ..., 1.

    As published, quirks included, because the networks are used (and scored) with them: between two rows the coefficient goes to
    the lower row, so that nearness counts the wrong way round; and psi is divided by the rounded step, so that for 51 rows 0.14,
    0.28, 0.56, 0.58 and 0.94 miss their own row by rounding and read a neighbour almost alone.
    """
    part, whole = math.modf(psi / (1.0 / (len(rows) - 1)))
    low = rows[int(whole)]
    # For some numbers of rows the division passes 1 by rounding: then the last row is its own neighbour.
    return low if part == 0.0 else part * low + (1 - part) * rows[min(int(whole) + 1, len(rows) - 1)]


class ConditionalNorm(nn.Module):
    """Batch norm whose gain (1 + scale) and bias are linear in the condition [N, D]."""

    def __init__(self, channels: int, condition: int, n_stats: int) -> None:
        super().__init__()
        self.register_buffer("running_means", torch.empty(n_stats, channels))
        self.register_buffer("running_vars", torch.empty(n_stats, channels))
        self.scale = StoredSpectral((channels, condition), bias=False)
        self.offset = StoredSpectral((channels, condition), bias=False)

    def forward(self, x: Tensor, condition: Tensor, psi: float, eps: float) -> Tensor:
        mean, variance = statistics(self.running_means, psi), statistics(self.running_vars, psi)
        return standardize(x, mean, variance, eps, 1 + self.scale(condition), self.offset(condition))


class Norm(nn.Module):
    """The batch norm before the last layer, which no code reaches."""

    def __init__(self, channels: int, n_stats: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(channels)), nn.Parameter(torch.empty(channels))
        self.register_buffer("running_means", torch.empty(n_stats, channels))
        self.register_buffer("running_vars", torch.empty(n_stats, channels))

    def forward(self, x: Tensor, psi: float, eps: float) -> Tensor:
        mean, variance = statistics(self.running_means, psi), statistics(self.running_vars, psi)
        return standardize(x, mean, variance, eps, self.weight, self.bias)


class GenBlock(nn.Module):
    """A residual block. x: [N, inputs, h, w] -> [N, outputs, h, w], or twice that size."""

    def __init__(self, block: Block, condition: int, n_stats: int) -> None:
        super().__init__()
        self.up, inputs, self.outputs = block
        inner = inputs // REDUCTION
        shapes = [(inner, inputs, 1, 1), (inner, inner, 3, 3), (inner, inner, 3, 3), (self.outputs, inner, 1, 1)]
        for index, shape in enumerate(shapes):
            setattr(self, f"bn_{index}", ConditionalNorm(shape[1], condition, n_stats))
            setattr(self, f"conv_{index}", StoredSpectral(shape))

    def norms(self) -> list[ConditionalNorm]:
        return [self.bn_0, self.bn_1, self.bn_2, self.bn_3]

    def forward(self, x: Tensor, condition: Tensor, psi: float, eps: float) -> Tensor:
        norms = [lambda h, norm=norm: norm(h, condition, psi, eps) for norm in self.norms()]
        return deep_block(x, norms, [self.conv_0, self.conv_1, self.conv_2, self.conv_3], self.outputs, self.up)


class SelfAttention(nn.Module):
    """Attention over the map; no code reaches it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.outputs, self.up = channels, False
        for name, outputs, inputs in [
            ("theta", channels // 8, channels),
            ("phi", channels // 8, channels),
            ("g", channels // 2, channels),
            ("o_conv", channels, channels // 2),
        ]:
            setattr(self, f"snconv1x1_{name}", StoredSpectral((outputs, inputs, 1, 1), bias=False))
        self.gamma = nn.Parameter(torch.empty(1))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value, out = self.snconv1x1_theta, self.snconv1x1_phi, self.snconv1x1_g, self.snconv1x1_o_conv
        return attend(x, query, key, value, out, self.gamma)


class BigGANDeep(ClassConditional):
    """A frozen BigGAN-deep. z+ has a row for gen_z and one for each residual block; a z gives every one of them the same row.

    blocks: in channels. attention: the place of the attention layer among the layers, or None. Class weights may be mixed: their
    embedding is linear. The last convolution has as many outputs as inputs, of which three are the picture.
    """

    def __init__(
        self,
        *,
        name: str,
        domain: str,
        z_dim: int,
        classes: int,
        width: int,
        blocks: Sequence[Block],
        attention: int | None,
        n_stats: int,
        eps: float = 1e-4,
        description: str = "",
    ) -> None:
        super().__init__()
        self.eps, self.z_dim, condition = eps, z_dim, 2 * z_dim
        self.embeddings = nn.Module()
        self.embeddings.weight = nn.Parameter(torch.empty(z_dim, classes))
        net = self.generator = nn.Module()
        net.gen_z = StoredSpectral((BOTTOM * BOTTOM * FIRST * width, condition))
        layers = [GenBlock(block, condition, n_stats) for block in blocks]
        if attention is not None:
            layers.insert(attention, SelfAttention(blocks[attention][1]))
        net.layers = nn.ModuleList(layers)
        net.bn = Norm(width, n_stats)
        net.conv_to_rgb = StoredSpectral((width, width, 3, 3))
        cards = layer_cards(layers, FIRST * width)
        self.info = GeneratorInfo(
            name=name,
            architecture="biggan-deep",
            domain=domain,
            resolution=cards[-1].resolution,
            spaces={"z": (z_dim,), "z+": (1 + len(blocks), z_dim)},
            layers=cards,
            n_labels=classes,
            description=description,
        )
        self.requires_grad_(False).eval()

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"eps": self.eps}

    def sample(self, ids: Tensor, *, seed: int, labels: Tensor | None = None) -> Codes:
        """z codes [N, D] as the published sampler draws them: psi times a normal truncated at two deviations, also at psi 1.

        Row i is a function of (seed, ids[i]) alone, and rises with the standard normal that other generators draw there.
        """
        codes = super().sample(ids, seed=seed, labels=labels)
        uniform = torch.special.ndtr(normal_rows(ids, self.z_dim, seed=seed).double())
        return codes.with_values((self.psi * truncated_normal(uniform)).float().to(codes.values.device))

    def split(self, z: Tensor) -> Tensor:
        return z[:, None].expand(-1, *self.info.spaces["z+"]).contiguous()

    def code_parts(self) -> dict[str, tuple[list[StoredSpectral], slice]]:
        columns = slice(0, self.z_dim)
        parts = {"generator.gen_z": ([self.generator.gen_z], columns)}
        for index, layer in enumerate(self.generator.layers):
            if isinstance(layer, GenBlock):
                weights = [part for norm in layer.norms() for part in (norm.scale, norm.offset)]
                parts[f"generator.layers.{index}"] = (weights, columns)
        return parts

    def run(self, codes: Codes, *, noise: str, visit: Visit = leave, last: str | None = None) -> Tensor:
        """Layers: gen_z as a map; blocks and attention; conv_to_rgb, the picture. `noise` changes nothing: there is none."""
        check_noise(noise)
        rows = self.convert(codes, "z+").values
        embedded = F.linear(self.class_weights(codes), self.embeddings.weight)
        conditions = [torch.cat([row, embedded], 1) for row in rows.unbind(1)]
        net = self.generator
        # The published weights count channels last.
        x = net.gen_z(conditions[0]).view(len(rows), BOTTOM, BOTTOM, -1).permute(0, 3, 1, 2).contiguous()
        x = visit("generator.gen_z", x)
        if last == "generator.gen_z":
            return x
        for card, layer in zip(self.info.layers[1:-1], net.layers, strict=True):
            x = visit(card.name, layer(x, conditions[card.rows[0]], self.psi, self.eps) if card.rows else layer(x))
            if card.name == last:
                return x
        x = net.conv_to_rgb(F.relu(net.bn(x, self.psi, self.eps)))
        return visit("generator.conv_to_rgb", torch.tanh(x[:, :3]))


def layer_cards(layers: Sequence[GenBlock | SelfAttention], first: int) -> tuple[LayerInfo, ...]:
    """The cards of all layers in the order in which they run."""
    cards, resolution, row = [LayerInfo("generator.gen_z", BOTTOM, first, rows=(0,))], BOTTOM, 0
    for index, layer in enumerate(layers):
        resolution *= 2 if layer.up else 1
        blocky = isinstance(layer, GenBlock)
        row += blocky
        cards.append(LayerInfo(f"generator.layers.{index}", resolution, layer.outputs, rows=(row,) if blocky else ()))
    return (*cards, LayerInfo("generator.conv_to_rgb", resolution, 3, is_rgb=True))


def sizes(state: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(constructor sizes, the published configuration's values) as shapes tell them. Raises InputError where they do not fit.

    Which blocks double the resolution no shape tells. It is the argument `layers`; without it every second block does, as in
    all three published networks.
    """
    try:
        z_dim, classes = state["embeddings.weight"].shape
        n_stats, width = state["generator.bn.running_means"].shape
        found = sorted(int(match[1]) for key in state if (match := re.fullmatch(r"generator\.layers\.(\d+)\.conv_0\.bias", key)))
        shapes = [[state[f"generator.layers.{i}.conv_{j}.weight_orig"].shape for j in (0, 3)] for i in found]
        channels = [(first[1], last[0]) for first, last in shapes]
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"not the weights of {WHAT}: {error} is missing or has another shape") from error
    places = sorted(int(match[1]) for key in state if (match := re.fullmatch(r"generator\.layers\.(\d+)\.gamma", key)))
    attention = places[0] if places else None
    if not channels or n_stats < 2 or (attention is not None and attention >= len(channels)):
        raise InputError(f"not the weights of {WHAT}: it needs residual blocks, the last layer among them, and 2 statistics")
    given = arguments.get("layers")
    ups = doublings(given, len(channels))
    for up, (inputs, outputs) in zip(ups, channels):
        if given is None and not up and inputs != outputs:
            raise InputError(f"{WHAT}: which of its blocks double the resolution shapes do not tell: give the argument layers")
        if inputs not in (outputs, 2 * outputs):
            raise InputError(f"not the weights of {WHAT}: a block from {inputs} to {outputs} channels has no shortcut")
    built = {
        "z_dim": z_dim,
        "classes": classes,
        "width": width,
        "blocks": [(up, *pair) for up, pair in zip(ups, channels)],
        "attention": attention,
        "n_stats": n_stats,
    }
    told = {
        "output_dim": BOTTOM * 2 ** sum(ups),
        "z_dim": z_dim,
        "channel_width": width,
        "num_classes": classes,
        "layers": [[up, inputs / width, outputs / width] for up, (inputs, outputs) in zip(ups, channels)],
        "attention_layer_position": attention,
        "n_stats": n_stats,
    }
    return built, told


def doublings(layers: Any, count: int) -> list[bool]:
    """Which of `count` blocks double the resolution, by the argument `layers` or, where it is None, by the published habit."""
    if layers is None:
        return [index % 2 == 1 for index in range(count)]
    if not isinstance(layers, list | tuple) or any(not isinstance(one, list | tuple) or len(one) != 3 for one in layers):
        raise InputError(f"{WHAT}: the argument layers is a list of [doubles, channels in, channels out], not {layers!r}")
    if len(layers) != count:
        raise InputError(f"{WHAT}: the argument layers has {len(layers)} blocks, but the weights have {count}")
    return [bool(one[0]) for one in layers]


def build(state: Mapping[str, Tensor], arguments: Mapping[str, Any], name: str, domain: str) -> BigGANDeep:
    """A generator of the weights; arguments: the published config.json. Raises InputError where they do not fit."""
    built, told = sizes(state, arguments)
    arguments = dict(arguments)
    if arguments.get("layers") is not None:
        arguments["layers"] = [list(one) for one in arguments["layers"]]
    if told["attention_layer_position"] is None and (arguments.get("attention_layer_position") or 0) >= len(built["blocks"]):
        del arguments["attention_layer_position"]  # a place behind the last block means no attention
    # The published code gives the class embedding the size of z, whatever class_embed_dim says.
    free = check_arguments(arguments, told, ("class_embed_dim", "eps"), WHAT)
    check_finite(state, WHAT)
    generator = BigGANDeep(name=name, domain=domain, **built, eps=float(free.get("eps") or 1e-4))
    return load_exactly(generator, state, WHAT)


HUGGINGFACE = Form(
    name="huggingface",
    architecture="biggan-deep",
    marks=(r"embeddings\.weight", r"generator\.gen_z\.weight_orig", r"generator\.layers\.0\.bn_0\.running_means"),
    build=build,
)
