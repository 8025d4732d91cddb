"""StyleGAN (Karras et al. 2019, 'A Style-Based Generator Architecture for GANs'), and the two forms in which it is published.

Canonical names of parameters are genforce's; InterFaceGAN's are converted. The forms differ in names, in the layout of fused
weights, and in truncation: InterFaceGAN has psi 0.7 on the first 8 rows built in, genforce has none unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.cards import GeneratorInfo, LayerInfo
from bench.codes import Codes, Space
from bench.errors import InputError, SpaceError
from bench.generators.arguments import count, read_number, read_shape, require
from bench.generators.arguments import read_truncation as read_strength
from bench.generators.finite import check_finite
from bench.generators.forms import Form, check_arguments, load_exactly
from bench.generators.interfacegan import FACTORS, stored_truncation, stylegan_state
from bench.generators.layered import Visit, leave
from bench.generators.noise import noise_map
from bench.generators.progressive import check_maps, fused_from, read_channels, read_flag, read_lod
from bench.generators.style_based import StyleBased, style_spaces
from bench.generators.stylegan_layers import Mapping, Synthesis

WHAT = "a StyleGAN"
# InterFaceGAN's built-in truncation.
BUILT_IN = {"truncation_psi": 0.7, "truncation_layers": 8}
NOISE_REASON = "ask for it in synthesis, as noise='random:<seed>'"


class StyleGAN(StyleBased):
    """A frozen StyleGAN with the spaces z, w, w+, s, p, p+ and p_n.

    widths: outputs of the mapping layers, the last being the width of w. channels: of the resolutions 4, 8, ... up.
    fused_from: the smallest resolution whose upsampling is part of its convolution, or None. level: of detail, see
    `grown`. final_tanh: pictures end in a tanh.
    A layer's style is 2C numbers: what is added to the scale of one, and the shift, of each of its C channels.
    """

    def __init__(
        self,
        *,
        name: str,
        domain: str,
        z_dim: int,
        widths: Sequence[int],
        channels: Sequence[int],
        n_labels: int = 0,
        lr_multiplier: float = 0.01,
        fused_from: int | None = None,
        level: float = 0.0,
        final_tanh: bool = False,
        psi: float = 1.0,
        cutoff: int | None = None,
        description: str = "",
    ) -> None:
        super().__init__()
        self.lr_multiplier, self.fused_from, self.final_tanh = lr_multiplier, fused_from, final_tanh
        self.psi, self.cutoff = psi, cutoff
        w_dim = widths[-1]
        self.mapping = Mapping(z_dim, widths, n_labels=n_labels, lr_multiplier=lr_multiplier)
        self.truncation = nn.Module()
        self.truncation.register_buffer("w_avg", torch.zeros(w_dim))
        self.synthesis = Synthesis(channels, w_dim=w_dim, fused_from=fused_from, level=level)
        layers = layer_cards(self.synthesis)
        self.info = GeneratorInfo(
            name=name,
            architecture="stylegan",
            domain=domain,
            resolution=layers[-2].resolution,
            spaces=style_spaces(z_dim, w_dim, self.synthesis.num_ws, layers[-2].styles[1]),
            layers=layers,
            n_labels=n_labels,
            description=description,
        )
        self.requires_grad_(False).eval()

    def settings(self) -> dict[str, Any]:
        own = {"lr_multiplier": self.lr_multiplier, "fused_from": self.fused_from, "final_tanh": self.final_tanh}
        return super().settings() | own | {"level": self.synthesis.level}

    @property
    def w_avg(self) -> Tensor:
        return self.truncation.w_avg

    def map(self, z: Tensor, labels: Tensor | None) -> Tensor:
        return self.mapping(z, labels)

    @property
    def strength(self) -> float:
        """psi in single precision, as published, whatever the precision of w."""
        return float(torch.tensor(self.psi, dtype=torch.float32))

    def styles(self, ws: Tensor) -> list[Tensor]:
        """One style [N, 2C] per styled layer; the toRGB layer takes none."""
        return self.synthesis.styles(ws)

    def run(self, codes: Codes, *, noise: str, visit: Visit = leave, last: str | None = None) -> Tensor:
        """Layers: after AdaIN; the toRGB layer, the picture before a final tanh."""

        def inputs(name: str, stored: Tensor) -> Tensor | None:
            return noise_map(noise, name, stored, codes.ids)

        image = self.synthesis(self.layer_styles(codes), noise=inputs, visit=visit, last=last)
        return image.tanh() if self.final_tanh else image

    def code_weights(self, space: Space | str, layers: Sequence[str] | None = None) -> list[Tensor]:
        """Raw style weights [2C, D] of the named layers (None: all that take a style), without the run-time 1/sqrt(D)."""
        if Space(space) not in (Space.W, Space.W_PLUS):
            raise SpaceError(f"in {self.info.name} the style weights meet codes of w and w+, not of {Space(space)}")
        for name in layers or ():
            self.check_layer(name)
        if self.synthesis.output_name in (layers or ()):
            raise SpaceError(f"{self.synthesis.output_name} of {self.info.name} takes no style")
        return [layer.style.weight for name, layer in self.synthesis.layers() if layers is None or name in layers]


def layer_cards(synthesis: Synthesis) -> tuple[LayerInfo, ...]:
    """The cards of the styled layers in the order of synthesis, and of the toRGB layer that makes the picture."""
    cards, start = [], 0
    for row, (name, layer) in enumerate(synthesis.layers()):
        end = start + 2 * layer.channels
        cards.append(LayerInfo(name, layer.resolution, layer.channels, rows=(row,), styles=(start, end)))
        start = end
    return (*cards, LayerInfo(synthesis.output_name, 4 << synthesis.finest, 3, is_rgb=True))


def state_sizes(state: Dict[str, Tensor]) -> dict[str, Any]:
    """Constructor sizes read off the shapes of a state dict in genforce's names. Raises InputError where they do not fit."""
    if "synthesis.layer0.weight" in state:
        raise InputError(f"{WHAT} with const_input False is not supported: its first layer convolves w itself")
    channels = read_channels(state, "synthesis.", WHAT)
    depth = count(state, r"mapping\.dense\d+\.weight")
    dense = [read_shape(state, f"mapping.dense{index}.weight", 2, WHAT) for index in range(max(depth, 1))]
    w_dim = read_shape(state, "synthesis.layer0.style.weight", 2, WHAT)[1]
    if dense[-1][0] != w_dim:
        raise InputError(f"{WHAT} with repeat_w False is not supported: it maps to {dense[-1][0]} numbers for a w of {w_dim}")
    n_labels, z_dim = 0, dense[0][1]
    if "mapping.label_weight" in state:
        n_labels, z_dim = read_shape(state, "mapping.label_weight", 2, WHAT)
    return {"z_dim": z_dim, "widths": [outputs for outputs, _ in dense], "channels": channels, "n_labels": n_labels}


def read_truncation(arguments: Dict[str, Any], psi: str, layers: str) -> dict[str, Any]:
    """Truncation by two arguments of these names: it acts where both are given. Raises InputError for values that cannot be."""
    found = read_strength(arguments, psi, layers, WHAT)
    return found if found and found["cutoff"] and found["psi"] != 1 else {}


def build_genforce(state: Dict[str, Tensor], arguments: Dict[str, Any], name: str, domain: str) -> StyleGAN:
    """A StyleGAN of a genforce or SeFa state dict.

    Unless the arguments say otherwise, fused_scale is 'auto', mapping_lr_mul 0.01, and trunc_psi and trunc_layers are off.
    """
    check_finite(state, WHAT)
    sizes = state_sizes(state)
    hidden, resolution = sizes["widths"][:-1], 4 << len(sizes["channels"]) - 1
    told = {
        "gan_type": "stylegan",
        "resolution": resolution,
        "z_space_dim": sizes["z_dim"],
        "w_space_dim": sizes["widths"][-1],
        "label_size": sizes["n_labels"],
        "mapping_layers": len(sizes["widths"]),
        **({"mapping_fmaps": hidden[0]} if hidden else {}),
        "repeat_w": True,
        "const_input": True,
        "image_channels": 3,
    }
    known = (
        "mapping_fmaps mapping_lr_mul fused_scale final_tanh use_wscale noise_type fmaps_base fmaps_max trunc_psi trunc_layers"
    )
    options = check_arguments(arguments, told, {*known.split(), "randomize_noise"}, WHAT)
    require(options, "use_wscale", True, "published weights are scaled at run time", WHAT)
    require(options, "noise_type", "spatial", "published networks add one noise map to all channels", WHAT)
    require(options, "randomize_noise", False, NOISE_REASON, WHAT)
    check_maps(options, sizes["channels"], WHAT)
    fused_scale = "auto" if options.get("fused_scale") is None else options["fused_scale"]
    settings = {
        "lr_multiplier": read_number(options, "mapping_lr_mul", 0.01, WHAT),
        "fused_from": fused_from(fused_scale, resolution, WHAT),
        "level": read_lod(state, "synthesis.lod", len(sizes["channels"]), WHAT),
        "final_tanh": read_flag(options, "final_tanh", WHAT),
    }
    truncation = read_truncation(options, "trunc_psi", "trunc_layers")
    return load_exactly(StyleGAN(name=name, domain=domain, **sizes, **settings, **truncation), state, WHAT)


def build_interfacegan(state: Dict[str, Tensor], arguments: Dict[str, Any], name: str, domain: str) -> StyleGAN:
    """A StyleGAN of InterFaceGAN's state dict, whose names tell which layers are fused.

    truncation_psi, truncation_layers: built-in truncation, by the arguments, the stored factors, or 0.7 and 8 (None: off).
    The z that InterFaceGAN's own sampler gives are projected to the sphere of radius sqrt(Z) first; the mapping network's
    normalisation makes that the same w, but for its epsilon.
    """
    check_finite(state, WHAT)
    converted = stylegan_state(state)
    sizes = state_sizes(converted)
    resolution = 4 << len(sizes["channels"]) - 1
    fused = {4 << k for k in range(1, len(sizes["channels"])) if f"synthesis.layer{2 * k}.weight" in state}
    smallest = min(fused, default=None)
    told = {"resolution": resolution, "w_space_dim": sizes["widths"][-1], "output_channels": 3}
    known = {"fused_scale", "truncation_psi", "truncation_layers", "randomize_noise"}
    options = check_arguments(arguments, told, known, WHAT)
    require(options, "randomize_noise", False, NOISE_REASON, WHAT)
    if len(fused) != sum(4 << k >= (smallest or 2 * resolution) for k in range(1, len(sizes["channels"]))):
        raise InputError(f"{WHAT}: fused layers at {sorted(fused)} px, but not at every resolution above")
    if options.get("fused_scale") is not None and fused_from(options["fused_scale"], resolution, WHAT) != smallest:
        raise InputError(f"{WHAT}: fused_scale is {options['fused_scale']}, but its weights say fused from {smallest} px")
    given = {key: options[key] for key in BUILT_IN if key in options}
    if not given and FACTORS in state:
        if read_shape(state, FACTORS, 3, WHAT) != (1, 2 * len(sizes["channels"]), 1):
            raise InputError(f"not the weights of {WHAT}: {FACTORS} has shape {list(state[FACTORS].shape)}")
        given = stored_truncation(state[FACTORS])
    truncation = read_truncation(BUILT_IN | given, "truncation_psi", "truncation_layers")
    # InterFaceGAN does not fade: its picture is that of the last whole level.
    level = float(int(read_lod(state, "synthesis.lod", len(sizes["channels"]), WHAT)))
    generator = StyleGAN(name=name, domain=domain, **sizes, fused_from=smallest, level=level, **truncation)
    return load_exactly(generator, converted, WHAT)


GENFORCE = Form(
    name="genforce",
    architecture="stylegan",
    marks=(r"mapping\.dense0\.weight", r"synthesis\.layer\d+\.apply_noise\.weight", r"synthesis\.layer0\.style\.weight"),
    build=build_genforce,
)
INTERFACEGAN = Form(
    name="interfacegan",
    architecture="stylegan",
    marks=(r"mapping\.dense0\.linear\.weight", r"synthesis\.layer0\.epilogue\.style_mod\.dense\.linear\.weight"),
    build=build_interfacegan,
)
