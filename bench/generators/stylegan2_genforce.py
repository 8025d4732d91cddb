"""StyleGAN2 in the form of the genforce repositories (genforce, SeFa, InterFaceGAN's successors).

The same network as stylegan2-ada-pytorch's, but kernels of upsampling layers are stored turned round in both axes, filters are
correlated and include the gain 4, one is added to the styles at run time, and demodulation's epsilon is over scaled weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from bench.errors import InputError
from bench.generators.arguments import (
    State,
    check_ladder,
    check_widths,
    count,
    hidden_width,
    read_number,
    read_shape,
    read_truncation,
    require,
)
from bench.generators.finite import check_finite
from bench.generators.forms import Form, check_arguments
from bench.generators.stylegan2 import StyleGAN2
from bench.generators.stylegan2_convert import Entry, convert, first, same, with_filters

WHAT = "a genforce StyleGAN2"
# Arguments of the constructor that have one supported value, and why.
FIXED = {
    "architecture": ("skip", "no other was published"),
    "const_input": (True, "published networks begin with a learned constant"),
    "final_tanh": (False, "published networks have none"),
    "demodulate": (True, "published networks demodulate"),
    "use_wscale": (True, "published weights are scaled at run time"),
    "noise_type": ("spatial", "published networks add one noise map to all channels"),
    "repeat_w": (True, "a mapping with a w of its own for every layer was not published"),
    "label_size": (0, "no class-conditional network was published in this form"),
}


def turned(kernel: Tensor) -> Tensor:
    """Kernels turned round in both spatial axes."""
    return kernel.flip(-2, -1)


def genforce_sizes(state: State) -> dict[str, Any]:
    """z_dim, widths and channels, read off the shapes. Raises InputError where names or numbers of axes do not fit."""
    if "mapping.label_weight" in state or count(state, r"synthesis\.skip_layer\d+\.weight"):
        raise InputError(f"{WHAT} that is class-conditional or residual is not supported: none was published in this form")
    layers = count(state, r"synthesis\.layer\d+\.weight")
    resolutions = check_ladder((layers + 1) // 2, WHAT)
    channels = {side: read_shape(state, f"synthesis.layer{2 * k}.weight", 4, WHAT)[0] for k, side in enumerate(resolutions)}
    depth = max(1, count(state, r"mapping\.dense\d+\.weight"))
    dense = [read_shape(state, f"mapping.dense{index}.weight", 2, WHAT) for index in range(depth)]
    return {"z_dim": dense[0][1], "widths": [outputs for outputs, _ in dense], "channels": channels}


def entries(z_dim: int, widths: Sequence[int], channels: Mapping[int, int]) -> Iterator[Entry]:
    """The table of the conversion for a network of these sizes."""
    inputs, w_dim = [z_dim, *widths[:-1]], widths[-1]
    for index, (i, o) in enumerate(zip(inputs, widths, strict=True)):
        yield Entry(f"mapping.dense{index}.weight", (o, i), f"mapping.fc{index}.weight")
        yield Entry(f"mapping.dense{index}.bias", (o,), f"mapping.fc{index}.bias")
    yield Entry("truncation.w_avg", (w_dim,), "mapping.w_avg")
    yield Entry("synthesis.early_layer.const", (1, channels[4], 4, 4), "synthesis.b4.const", first)
    below = 0
    for block, (side, width) in enumerate(sorted(channels.items())):
        place = f"synthesis.b{side}"
        if block:
            layer = f"synthesis.layer{2 * block - 1}"
            yield from _convolution(layer, f"{place}.conv0", below, width, w_dim, side, up=True)
        yield from _convolution(f"synthesis.layer{2 * block}", f"{place}.conv1", width, width, w_dim, side, up=False)
        colours = f"synthesis.output{block}"
        yield Entry(f"{colours}.weight", (3, width, 1, 1), f"{place}.torgb.weight")
        yield Entry(f"{colours}.bias", (3,), f"{place}.torgb.bias")
        yield from _affine(colours, f"{place}.torgb", width, w_dim)
        if block:
            yield Entry("synthesis.upsample.kernel", (1, 1, 4, 4), f"{place}.resample_filter", lambda x: turned(x[0, 0]) / 4)
        below = width


def _convolution(old: str, new: str, inputs: int, outputs: int, w_dim: int, side: int, *, up: bool) -> Iterator[Entry]:
    yield Entry(f"{old}.weight", (outputs, inputs, 3, 3), f"{new}.weight", turned if up else same)
    yield Entry(f"{old}.bias", (outputs,), f"{new}.bias")
    yield Entry(f"{old}.noise_strength", (), f"{new}.noise_strength")
    yield Entry(f"{old}.noise", (1, 1, side, side), f"{new}.noise_const", lambda x: x[0, 0])
    if up:
        yield Entry(f"{old}.filter.kernel", (1, 1, 4, 4), f"{new}.resample_filter", lambda x: turned(x[0, 0]) / 4)
    yield from _affine(old, new, inputs, w_dim)


def _affine(old: str, new: str, inputs: int, w_dim: int) -> Iterator[Entry]:
    yield Entry(f"{old}.style.weight", (inputs, w_dim), f"{new}.affine.weight")
    yield Entry(f"{old}.style.bias", (inputs,), f"{new}.affine.bias")


def genforce_to_ada(state: State) -> dict[str, Tensor]:
    """A state dict in the names of stylegan2-ada-pytorch.

    The network still needs the variant `scaled_epsilon` and `style_offset` 1. Raises InputError, in the published names, for
    other weights.
    """
    sizes = genforce_sizes(state)
    return with_filters(convert(state, entries(**sizes), WHAT), sizes["channels"])


def build_genforce(state: State, arguments: Mapping[str, Any], name: str, domain: str) -> StyleGAN2:
    """A StyleGAN2 of genforce's state dict.

    arguments: resolution, z_space_dim, w_space_dim, mapping_layers, mapping_fmaps, image_channels (told by shapes),
    mapping_lr_mul (0.01), fmaps_base and fmaps_max (checked), trunc_psi and trunc_layers, which act only together, as
    in those repositories. fused_modulate and randomize_noise change nothing here.
    """
    check_finite(state, WHAT)
    sizes = genforce_sizes(state)
    told = {
        "gan_type": "stylegan2",
        "resolution": max(sizes["channels"]),
        "z_space_dim": sizes["z_dim"],
        "w_space_dim": sizes["widths"][-1],
        "mapping_layers": len(sizes["widths"]),
        "image_channels": 3,
    }
    known = {"mapping_fmaps", "mapping_lr_mul", "fmaps_base", "fmaps_max", "fused_modulate", "randomize_noise", *FIXED}
    if hidden_width(sizes["widths"]) is not None:
        told["mapping_fmaps"] = hidden_width(sizes["widths"])
    options = check_arguments(arguments, told, {*known, "trunc_psi", "trunc_layers"}, WHAT)
    for key, (value, reason) in FIXED.items():
        require(options, key, value, reason, WHAT)
    check_widths(options, sizes["channels"], "fmaps_base", "fmaps_max", WHAT)
    truncation = read_truncation(options, "trunc_psi", "trunc_layers", WHAT)
    return StyleGAN2.from_state_dict(
        genforce_to_ada(state),
        name=name,
        domain=domain,
        lr_multiplier=read_number(options, "mapping_lr_mul", 0.01, WHAT),
        scaled_epsilon=True,
        style_offset=1.0,
        **(truncation if truncation.get("cutoff") else {}),
    )


GENFORCE = Form(
    "genforce",
    "stylegan2",
    (r"mapping\.dense0\.weight", r"synthesis\.early_layer\.const", r"synthesis\.layer0\.style\.weight"),
    build_genforce,
)
