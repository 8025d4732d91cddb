"""StyleGAN2 (Karras et al. 2020) in the form of stylegan2-ada-pytorch, into which the other published forms are converted."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from bench.cards import GeneratorInfo, LayerInfo
from bench.codes import Codes, Space
from bench.errors import InputError, SpaceError
from bench.generators.arguments import (
    check_taps,
    check_widths,
    hidden_width,
    read_number,
    read_truncation,
    require,
    state_sizes,
)
from bench.generators.finite import check_finite
from bench.generators.forms import Form, check_arguments, load_exactly
from bench.generators.layered import Visit, leave
from bench.generators.noise import check_noise, noise_map
from bench.generators.resample import fir_filter
from bench.generators.style_based import StyleBased, style_spaces
from bench.generators.stylegan2_layers import Noise, Synthesis, ToRGB, Variant
from bench.generators.stylegan2_mapping import Mapping
from bench.streams import label_rows, normal_rows

MEAN_SAMPLES = 4096  # codes behind a mean w that the weights do not hold


class StyleGAN2(StyleBased):
    """A frozen StyleGAN2 with the spaces z, w, w+, s, p, p+ and p_n.

    channels: resolution -> feature maps, from 4 up. widths: outputs of the mapping layers, the last being the width of w.
    n_labels, embed_features: classes, and the width of their embedding (0: that of w). mean_w: whether the weights hold the
    mean w; where they do not, truncation draws toward the mean of 4096 codes. psi, cutoff: truncation of the w+ rows below
    `cutoff` (None: all) toward the mean w. conv_clamp: limit of feature maps, as trained. The rest: see Synthesis and Variant.
    """

    def __init__(
        self,
        *,
        name: str,
        domain: str,
        z_dim: int,
        widths: Sequence[int],
        channels: Dict[int, int],
        n_labels: int = 0,
        embed_features: int = 0,
        mean_w: bool = True,
        architecture: str = "skip",
        use_noise: bool = True,
        lr_multiplier: float = 0.01,
        conv_clamp: float | None = None,
        scaled_epsilon: bool = False,
        style_offset: float = 0.0,
        psi: float = 1.0,
        cutoff: int | None = None,
        description: str = "",
    ) -> None:
        super().__init__()
        self.lr_multiplier, self.conv_clamp = lr_multiplier, conv_clamp
        self.psi, self.cutoff = psi, cutoff
        self.mapping = Mapping(
            z_dim,
            widths,
            lr_multiplier=lr_multiplier,
            n_labels=n_labels,
            embed_features=(embed_features or widths[-1]) if n_labels else 0,
            mean_w=mean_w,
        )
        self.variant = Variant(conv_clamp, use_noise, scaled_epsilon, style_offset)
        self.synthesis = Synthesis(dict(channels), w_dim=widths[-1], architecture=architecture, variant=self.variant)
        layers = layer_cards(self.synthesis)
        self.info = GeneratorInfo(
            name=name,
            architecture="stylegan2",
            domain=domain,
            resolution=self.synthesis.resolutions[-1],
            spaces=style_spaces(z_dim, widths[-1], self.synthesis.num_ws, layers[-1].styles[1]),
            layers=layers,
            n_labels=n_labels,
            description=description,
        )
        self.requires_grad_(False).eval()

    @classmethod
    def from_state_dict(
        cls, state: Dict[str, Tensor], *, name: str, domain: str, what: str = "a StyleGAN2", **settings: Any
    ) -> StyleGAN2:
        """A generator of the sizes of an official state dict. settings: constructor arguments that weights do not show.

        Raises InputError where the state dict is of another architecture, incomplete, or of inconsistent shapes.
        """
        generator = cls(name=name, domain=domain, **state_sizes(state, what), **settings)
        return load_exactly(generator, state, what)

    def settings(self) -> dict[str, Any]:
        plain, own = asdict(Variant()), asdict(self.variant)
        # Only where they differ from the plain network, whose fingerprint they must not change.
        variant = {key: own[key] for key in own if key != "clamp" and own[key] != plain[key]}
        return super().settings() | {"lr_multiplier": self.lr_multiplier, "conv_clamp": self.conv_clamp} | variant

    @property
    def w_avg(self) -> Tensor:
        held = self.mapping.w_avg
        return self.remember("mean w", self._mean).to(self.synthesis.b4.const) if held is None else held

    @torch.no_grad()
    def _mean(self) -> Tensor:
        """The mean w [D] of 4096 codes, and as many classes."""
        ids, like = torch.arange(MEAN_SAMPLES), self.synthesis.b4.const
        labels = label_rows(ids, self.info.n_labels, seed=0).to(like.device) if self.info.n_labels else None
        return self.map(normal_rows(ids, self.info.spaces["z"][0], seed=0, name="mean-w").to(like), labels).mean(0)

    def map(self, z: Tensor, labels: Tensor | None) -> Tensor:
        classes = self.info.n_labels
        if not classes:
            return self.mapping(z)
        if labels is None or labels.shape != (len(z), classes):
            given = "none" if labels is None else f"the shape {list(labels.shape)}"
            raise InputError(
                f"{self.info.name} has {classes} classes: its codes need labels of shape {[len(z), classes]}, not {given}"
            )
        return self.mapping(z, labels.to(z))

    def styles(self, ws: Tensor) -> list[Tensor]:
        return self.synthesis.styles(ws)

    def run(self, codes: Codes, *, noise: str, visit: Visit = leave, last: str | None = None) -> Tensor:
        """Layers: convolutions after their activation; toRGB layers, their own part of the picture."""
        return self.synthesis(self.layer_styles(codes), noise=noise_inputs(noise, codes), visit=visit, last=last)

    def code_weights(self, space: Space | str, layers: Sequence[str] | None = None) -> list[Tensor]:
        """Raw style weights [I, D] of the named layers (None: all, every toRGB included), without the run-time 1/sqrt(D).

        SeFa's `all` takes all convolutions and the last toRGB only: name the layers to follow it.
        """
        if Space(space) not in (Space.W, Space.W_PLUS):
            raise SpaceError(f"in {self.info.name} the style weights meet codes of w and w+, not of {Space(space)}")
        for name in layers or ():
            self.check_layer(name)
        return [layer.affine.weight for name, layer, _ in self.synthesis.layers() if layers is None or name in layers]


def layer_cards(synthesis: Synthesis) -> tuple[LayerInfo, ...]:
    """The cards of all styled layers in the order of synthesis."""
    cards, start = [], 0
    for name, layer, row in synthesis.layers():
        end = start + layer.inputs
        is_rgb = isinstance(layer, ToRGB)
        cards.append(LayerInfo(name, layer.resolution, layer.channels, is_rgb, rows=(row,), styles=(start, end)))
        start = end
    return tuple(cards)


def noise_inputs(mode: str, codes: Codes) -> Noise:
    """The noise inputs of a mode; under random:<seed> a row's noise is a function of (seed, layer, id) alone."""
    check_noise(mode)
    return lambda name, layer: noise_map(mode, name, layer.noise_const, codes.ids)


# Arguments of the official constructors that change nothing here, or only the training. num_fp16_res is among them on purpose:
# it sets which layers a GPU computes in half precision, and a picture must not depend on the device that makes it.
UNUSED = frozenset({"w_avg_beta", "num_fp16_res", "fused_modconv_default", "fp16_channels_last", "use_fp16", "channels_last"})


def build_ada(state: Dict[str, Tensor], arguments: Dict[str, Any], name: str, domain: str) -> StyleGAN2:
    """A StyleGAN2 of stylegan2-ada-pytorch's or stylegan3's state dict.

    arguments: those of the official constructor, flat or with its mapping_kwargs and synthesis_kwargs. What shapes tell is
    checked; lr_multiplier (0.01) and conv_clamp (none) act; truncation_psi and truncation_cutoff set the truncation. Raises
    InputError for weights and arguments that do not fit one another, and for those that no published network has.
    """
    what = "a stylegan2-ada-pytorch StyleGAN2"
    check_finite(state, what)
    sizes = state_sizes(state, what)
    arguments = dict(arguments)
    for group in ("mapping_kwargs", "synthesis_kwargs"):
        nested = arguments.pop(group, None)
        if not isinstance(nested, Dict | None):
            raise InputError(f"{what}: {group} is a table of arguments, not {nested!r}")
        arguments |= nested or {}
    told = {
        "z_dim": sizes["z_dim"],
        "c_dim": sizes["n_labels"],
        "w_dim": sizes["widths"][-1],
        "img_resolution": max(sizes["channels"]),
        "img_channels": 3,
        "num_layers": len(sizes["widths"]),
        "use_noise": sizes["use_noise"],
        "kernel_size": 3,
    }
    if sizes["n_labels"]:
        told["embed_features"] = sizes["embed_features"]
    if hidden_width(sizes["widths"]) is not None:
        told["layer_features"] = hidden_width(sizes["widths"])
    if len(sizes["channels"]) > 1:
        told["architecture"] = sizes["architecture"]
    known = {"embed_features", "layer_features", "architecture", "activation", "lr_multiplier", "conv_clamp", "resample_filter"}
    known |= {"channel_base", "channel_max", "truncation_psi", "truncation_cutoff", *UNUSED}
    options = check_arguments(arguments, told, known, what)
    require(options, "activation", "lrelu", "every published network has it", what)
    check_widths(options, sizes["channels"], "channel_base", "channel_max", what)
    check_taps(options, "resample_filter", state.get("synthesis.b4.resample_filter", fir_filter()), what)
    return StyleGAN2.from_state_dict(
        state,
        name=name,
        domain=domain,
        what=what,
        lr_multiplier=read_number(options, "lr_multiplier", 0.01, what),
        conv_clamp=read_number(options, "conv_clamp", None, what),
        **read_truncation(options, "truncation_psi", "truncation_cutoff", what),
    )


ADA = Form(
    "ada", "stylegan2", (r"mapping\.fc0\.weight", r"synthesis\.b4\.const", r"synthesis\.b4\.conv1\.affine\.weight"), build_ada
)
