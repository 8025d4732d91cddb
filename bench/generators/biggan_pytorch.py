"""BigGAN and BigGAN-deep under the names of BigGAN-PyTorch (the re-implementation by an author of the paper).

Brock et al. 2019, appendix B. Classic: z is cut into chunks, the first for the first layer and one for each block, where it joins
the class embedding. Deep: the whole z joins it everywhere. One set of batch statistics: truncation changes the codes alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.cards import GeneratorInfo, LayerInfo
from bench.codes import Codes, Space
from bench.errors import InputError
from bench.generators.biggan_layers import ClassConditional
from bench.generators.biggan_pytorch_layers import Attention, Block, Norm, Sizes
from bench.generators.finite import check_finite
from bench.generators.forms import Form, check_arguments, load_exactly
from bench.generators.layered import Visit, leave
from bench.generators.noise import check_noise

WHAT = "a BigGAN of BigGAN-PyTorch"

# Constructor arguments that change nothing in a trained network; BN_eps and SN_eps do, G_depth says where resolution doubles.
IDLE = (
    *("G_init", "skip_init", "no_optim", "G_lr", "G_B1", "G_B2", "adam_eps", "G_mixed_precision", "G_fp16"),
    *("cross_replica", "mybn", "num_G_SV_itrs"),
)


class BigGAN(ClassConditional):
    """A frozen BigGAN of BigGAN-PyTorch.

    z+ has a row for the first layer and one for each residual block: the chunks of z (classic), or the whole z again (deep). It
    is absent where z feeds the first layer alone. psi scales sampled codes, as z_var does in the published sampler.
    """

    def __init__(self, *, name: str, domain: str, sizes: Sizes, bn_eps: float = 1e-5, description: str = "") -> None:
        super().__init__()
        self.sizes, self.bn_eps = sizes, bn_eps
        if sizes.shared_dim:
            self.shared = nn.Module()
            self.shared.weight = nn.Parameter(torch.empty(sizes.classes, sizes.shared_dim))
        inputs = sizes.first + (sizes.shared_dim if sizes.deep else 0)
        self.linear = sizes.weight(sizes.blocks[0][0] * sizes.bottom**2, inputs)
        self.blocks = nn.ModuleList(nn.ModuleList([Block(*block, sizes)]) for block in sizes.blocks)
        for index in sizes.attention:
            self.blocks[index].append(Attention(sizes.blocks[index][1], sizes))
        last = sizes.blocks[-1][1]
        self.output_layer = nn.Sequential(Norm(last), nn.ReLU(), sizes.weight(3, last, 3, 3))
        spaces = {"z": (sizes.z_dim,)}
        if sizes.chunk:
            spaces["z+"] = (1 + len(sizes.blocks), sizes.chunk)
        self.info = GeneratorInfo(
            name=name,
            architecture="biggan-deep" if sizes.deep else "biggan",
            domain=domain,
            resolution=sizes.resolution,
            spaces=spaces,
            layers=layer_cards(sizes),
            n_labels=sizes.classes,
            description=description,
        )
        self.requires_grad_(False).eval()

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"bn_eps": self.bn_eps, "sn_eps": self.sizes.sn_eps, "chunked": self.chunked}

    @property
    def chunked(self) -> bool:
        """Whether the rows of z+ are parts of z, and not z again."""
        return bool(self.sizes.chunk) and not self.sizes.deep

    def sample(self, ids: Tensor, *, seed: int, labels: Tensor | None = None) -> Codes:
        """z codes [N, D], normal with deviation psi; row i is a function of (seed, ids[i]) alone."""
        codes = super().sample(ids, seed=seed, labels=labels)
        return codes if self.psi == 1 else codes.with_values(codes.values * self.psi)

    def split(self, z: Tensor) -> Tensor:
        rows, width = self.info.spaces["z+"]
        return z.view(-1, rows, width) if self.chunked else z[:, None].expand(-1, rows, width).contiguous()

    def code_parts(self) -> dict[str, tuple[list[nn.Module], slice]]:
        behind = slice(self.sizes.shared_dim, None)  # the class embedding comes first
        parts: dict[str, tuple[list[nn.Module], slice]] = {}
        parts["linear"] = ([self.linear], behind if self.sizes.deep else slice(None))
        for index, (block, *_) in enumerate(self.blocks):
            if self.sizes.chunk:
                parts[f"blocks.{index}.0"] = ([part for norm in block.norms() for part in (norm.gain, norm.bias)], behind)
        return parts

    def code_weights(self, space: Space | str, layers: Sequence[str] | None = None) -> list[Tensor]:
        """As in ClassConditional. For z, of which a layer meets a chunk, the columns of the other chunks are zero."""
        weights = super().code_weights(space, layers)
        if Space(space) == Space.Z_PLUS or not self.chunked:
            return weights
        rows = [card.rows[0] for card in self.info.layers if card.rows and (layers is None or card.name in layers)]
        chunk = self.sizes.chunk
        return [F.pad(w, (row * chunk, self.sizes.z_dim - (row + 1) * chunk)) for w, row in zip(weights, rows, strict=True)]

    def conditions(self, codes: Codes) -> tuple[Tensor, list[Tensor]]:
        """The input of the first layer, and the condition of each block."""
        labels = self.class_weights(codes)
        embedded = labels @ self.shared.weight if self.sizes.shared_dim else labels
        if not self.sizes.chunk:
            return self.convert(codes, "z").values, [embedded] * len(self.blocks)
        first, *rows = self.convert(codes, "z+").values.unbind(1)
        joined = [torch.cat([embedded, row], 1) for row in rows]
        return torch.cat([embedded, first], 1) if self.sizes.deep else first, joined

    def run(self, codes: Codes, *, noise: str, visit: Visit = leave, last: str | None = None) -> Tensor:
        """Layers: linear as a map; blocks and attention; output_layer, the picture. `noise` changes nothing: there is none."""
        check_noise(noise)
        first, conditions = self.conditions(codes)
        x = visit("linear", self.linear(first).view(len(first), -1, self.sizes.bottom, self.sizes.bottom))
        if last == "linear":
            return x
        for index, stage in enumerate(self.blocks):
            for place, layer in enumerate(stage):
                name = f"blocks.{index}.{place}"
                x = visit(name, layer(x) if place else layer(x, conditions[index], self.bn_eps))
                if name == last:
                    return x
        norm, _, convolution = self.output_layer
        return visit("output_layer", torch.tanh(convolution(F.relu(norm(x, self.bn_eps)))))


def layer_cards(net: Sizes) -> tuple[LayerInfo, ...]:
    """The cards of all layers in the order in which they run."""
    row = (lambda index: (index,)) if net.chunk else (lambda index: ())
    cards, resolution = [LayerInfo("linear", net.bottom, net.blocks[0][0], rows=row(0))], net.bottom
    for index, (_, outputs, up) in enumerate(net.blocks):
        resolution *= 2 if up else 1
        cards.append(LayerInfo(f"blocks.{index}.0", resolution, outputs, rows=row(1 + index)))
        if index in net.attention:
            cards.append(LayerInfo(f"blocks.{index}.1", resolution, outputs))
    return (*cards, LayerInfo("output_layer", resolution, 3, is_rgb=True))


def unify(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with every norm's statistics as stored_mean and stored_var.

    Networks trained with the options mybn or cross_replica keep them in a module `bn` of each norm, with counters that a trained
    network does not use.
    """
    renamed = {}
    for key, value in state.items():
        if not re.search(r"\.bn\.(accumulation_counter|num_batches_tracked)$", key):
            renamed[re.sub(r"\.bn\.(?:stored|running)_(mean|var)$", r".stored_\1", key)] = value
    return renamed


def count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many names match; they must be numbered 0, 1, ... in the pattern's group."""
    numbers = sorted(int(match[1]) for key in state if (match := re.fullmatch(pattern, key)))
    if numbers != list(range(len(numbers))):
        raise InputError(f"not the weights of {WHAT}: {pattern} is numbered {numbers}")
    return len(numbers)


def read_sizes(state: Mapping[str, Tensor], depth: int | None) -> Sizes:
    """The sizes of a state dict of `unify`. depth: blocks of a resolution in the deep architecture; None is 2, as published.

    Raises InputError where shapes do not fit.
    """
    blocks = count(state, r"blocks\.(\d+)\.0\.conv1\.weight")
    deep = "blocks.0.0.conv4.weight" in state
    per = (depth or 2) if deep else 1
    try:
        last = "conv4" if deep else "conv2"
        pairs = [
            (state[f"blocks.{i}.0.conv1.weight"].shape[1], state[f"blocks.{i}.0.{last}.weight"].shape[0]) for i in range(blocks)
        ]
        rows, first = state["linear.weight"].shape
        gain = state["blocks.0.0.bn1.gain.weight"].shape
        classes, shared_dim = state["shared.weight"].shape if "shared.weight" in state else (gain[0], 0)
        chunk = gain[1] - shared_dim if shared_dim else 0
        bottom = math.isqrt(rows // pairs[0][0])
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"not the weights of {WHAT}: {error} is missing or has another shape") from error
    if per < 1 or blocks % per:
        raise InputError(f"{WHAT}: {blocks} blocks are not {per} for every resolution: give the argument G_depth")
    ups = [i % per == per - 1 for i in range(blocks)]
    for i, (inputs, outputs) in enumerate(pairs):
        if deep and (outputs > inputs or (outputs != inputs and not ups[i])):
            raise InputError(f"{WHAT}: block {i} goes from {inputs} to {outputs} channels, against a G_depth of {per}")
    return Sizes(
        deep=deep,
        first=first - shared_dim if deep else first,
        chunk=chunk,
        classes=classes,
        shared_dim=shared_dim,
        bottom=bottom,
        blocks=tuple((*pair, up) for pair, up in zip(pairs, ups)),
        attention=tuple(i for i in range(blocks) if f"blocks.{i}.1.gamma" in state),
        vectors=count(state, r"linear\.u(\d+)"),
    )


def told_by(sizes: Sizes, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the constructor's arguments as shapes tell them, the given ones in the same words)."""
    given = dict(arguments)
    rungs = [sizes.bottom * 2 ** sum(up for _, _, up in sizes.blocks[: i + 1]) for i in range(len(sizes.blocks))]
    if isinstance(given.get("G_attn"), str):
        # Resolutions that the network does not have are ignored, as there.
        asked = {int(one) for one in given["G_attn"].split("_") if one.isdigit()}
        given["G_attn"] = "_".join(str(rung) for rung in sorted(asked & set(rungs))) or "0"
    if given.get("shared_dim") == 0:
        given["shared_dim"] = given.get("dim_z")
    if given.get("dim_z") and sizes.chunk and not sizes.deep:
        given["dim_z"] = given["dim_z"] // (1 + len(sizes.blocks)) * (1 + len(sizes.blocks))
    for key in ("G_nl", "G_activation"):
        if given.get(key) == "inplace_relu":
            given[key] = "relu"
    narrowest = {32: 4, 64: 2}.get(sizes.resolution, 1)
    told = {
        "G_ch": sizes.blocks[-1][1] // narrowest,
        "dim_z": sizes.z_dim,
        "bottom_width": sizes.bottom,
        "resolution": sizes.resolution,
        "G_kernel_size": 3,
        "G_attn": "_".join(str(rungs[i]) for i in sizes.attention) or "0",
        "n_classes": sizes.classes,
        "num_G_SVs": sizes.vectors or given.get("num_G_SVs"),
        "G_shared": bool(sizes.shared_dim),
        "shared_dim": sizes.shared_dim if sizes.shared_dim else given.get("shared_dim"),
        "hier": bool(sizes.chunk),
        "G_param": "SN" if sizes.vectors else None if given.get("G_param") == "SN" else given.get("G_param"),
        "norm_style": "bn",
        "G_nl": "relu",
        "G_activation": "relu",
    }
    return told, given


def build(state: Mapping[str, Tensor], arguments: Mapping[str, Any], name: str, domain: str) -> BigGAN:
    """A generator of the weights; arguments: the official Generator's. Raises InputError where they do not fit."""
    state = unify(state)
    depth = arguments.get("G_depth")
    sizes = read_sizes(state, None if depth is None else int(depth))
    told, given = told_by(sizes, arguments)
    free = check_arguments(given, told, ("BN_eps", "SN_eps", "G_depth", *IDLE), WHAT)
    check_finite(state, WHAT)
    sizes = replace(sizes, sn_eps=float(free.get("SN_eps") or sizes.sn_eps))
    generator = BigGAN(name=name, domain=domain, sizes=sizes, bn_eps=float(free.get("BN_eps") or 1e-5))
    return load_exactly(generator, state, WHAT)


BIGGAN_PYTORCH = Form(
    name="biggan-pytorch",
    architecture="biggan",
    marks=(
        r"linear\.weight",
        r"blocks\.0\.0\.conv1\.weight",
        r"blocks\.0\.0\.bn1\.(bn\.)?(stored|running)_mean",
        r"output_layer\.2\.weight",
    ),
    build=build,
)
