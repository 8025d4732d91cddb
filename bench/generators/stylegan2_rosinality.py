"""StyleGAN2 in the form of rosinality/stylegan2-pytorch, which StyleCLIP, pSp and e4e use.

The same network as stylegan2-ada-pytorch's under other names, with axes of length one, filters that include the gain 4, and the
demodulation's epsilon over scaled weights. The mean w is no part of the network: checkpoints keep it beside, as `latent_avg`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bench.errors import InputError
from bench.generators.arguments import (
    State,
    check_ladder,
    check_taps,
    count,
    read_number,
    read_shape,
    read_truncation,
)
from bench.generators.finite import check_finite
from bench.generators.forms import Form, check_arguments
from bench.generators.stylegan2 import StyleGAN2
from bench.generators.stylegan2_convert import Entry, convert, first, with_filters

WHAT = "a rosinality StyleGAN2"


def quarter(kernel: Tensor) -> Tensor:
    """A filter that sums to one, of one that makes up for the zeros between pixels."""
    return kernel / 4


def rosinality_sizes(state: State) -> dict[str, Any]:
    """z_dim, widths and channels, read off the shapes. Raises InputError where names or numbers of axes do not fit."""
    resolutions = check_ladder(1 + count(state, r"to_rgbs\.\d+\.conv\.weight"), WHAT)
    last = ["conv1", *(f"convs.{2 * index + 1}" for index in range(len(resolutions) - 1))]
    channels = {side: read_shape(state, f"{key}.conv.weight", 5, WHAT)[1] for side, key in zip(resolutions, last, strict=True)}
    depth = max(1, count(state, r"style\.\d+\.weight"))
    dense = [read_shape(state, f"style.{index + 1}.weight", 2, WHAT) for index in range(depth)]
    return {"z_dim": dense[0][1], "widths": [outputs for outputs, _ in dense], "channels": channels}


def entries(z_dim: int, widths: Sequence[int], channels: Mapping[int, int]) -> Iterator[Entry]:
    """The table of the conversion for a network of these sizes."""
    inputs = [z_dim, *widths[:-1]]
    for index, (i, o) in enumerate(zip(inputs, widths, strict=True)):
        yield Entry(f"style.{index + 1}.weight", (o, i), f"mapping.fc{index}.weight")
        yield Entry(f"style.{index + 1}.bias", (o,), f"mapping.fc{index}.bias")
    yield Entry("input.input", (1, channels[4], 4, 4), "synthesis.b4.const", first)
    below, number = 0, 0
    for block, (side, width) in enumerate(sorted(channels.items())):
        place = f"synthesis.b{side}"
        if block:
            yield from _convolution(f"convs.{2 * block - 2}", f"{place}.conv0", below, width, widths[-1], number, side)
            yield Entry(f"convs.{2 * block - 2}.conv.blur.kernel", (4, 4), f"{place}.conv0.resample_filter", quarter)
            number += 1
        yield from _convolution(
            f"convs.{2 * block - 1}" if block else "conv1", f"{place}.conv1", width, width, widths[-1], number, side
        )
        number += 1
        colours = f"to_rgbs.{block - 1}" if block else "to_rgb1"
        yield Entry(f"{colours}.conv.weight", (1, 3, width, 1, 1), f"{place}.torgb.weight", first)
        yield Entry(f"{colours}.bias", (1, 3, 1, 1), f"{place}.torgb.bias", torch.flatten)
        yield from _affine(f"{colours}.conv", f"{place}.torgb", width, widths[-1])
        if block:
            yield Entry(f"{colours}.upsample.kernel", (4, 4), f"{place}.resample_filter", quarter)
        below = width


def _convolution(old: str, new: str, inputs: int, outputs: int, w_dim: int, number: int, side: int) -> Iterator[Entry]:
    yield Entry(f"{old}.conv.weight", (1, outputs, inputs, 3, 3), f"{new}.weight", first)
    yield Entry(f"{old}.activate.bias", (outputs,), f"{new}.bias")
    yield Entry(f"{old}.noise.weight", (1,), f"{new}.noise_strength", first)
    yield Entry(f"noises.noise_{number}", (1, 1, side, side), f"{new}.noise_const", lambda x: x[0, 0])
    yield from _affine(f"{old}.conv", new, inputs, w_dim)


def _affine(old: str, new: str, inputs: int, w_dim: int) -> Iterator[Entry]:
    yield Entry(f"{old}.modulation.weight", (inputs, w_dim), f"{new}.affine.weight")
    yield Entry(f"{old}.modulation.bias", (inputs,), f"{new}.affine.bias")


def rosinality_to_ada(state: State) -> dict[str, Tensor]:
    """A state dict in the names of stylegan2-ada-pytorch; `latent_avg`, where it is there, becomes mapping.w_avg.

    The network still needs the variant `scaled_epsilon`. Raises InputError, in the published names, for other weights.
    """
    sizes = rosinality_sizes(state)
    own = {key: value for key, value in state.items() if key != "latent_avg"}
    new = with_filters(convert(own, entries(**sizes), WHAT), sizes["channels"])
    if "latent_avg" in state:
        new["mapping.w_avg"] = mean_row(state["latent_avg"], sizes["widths"][-1])
    return new


def mean_row(value: Any, w_dim: int) -> Tensor:
    """The mean w [D] of a `latent_avg`: one row, or, as e4e writes it, one equal row for every layer."""
    try:
        rows = torch.as_tensor(value, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{WHAT}: latent_avg is {w_dim} numbers, not {type(value).__name__}") from error
    rows = rows.reshape(-1, rows.shape[-1]) if rows.dim() and rows.numel() else rows
    if rows.dim() != 2 or rows.shape[1] != w_dim or not torch.equal(rows, rows[:1].expand_as(rows)):
        raise InputError(f"{WHAT}: latent_avg is one row of {w_dim} numbers, not {list(rows.shape)}, or its rows differ")
    return rows[0]


def build_rosinality(state: State, arguments: Mapping[str, Any], name: str, domain: str) -> StyleGAN2:
    """A StyleGAN2 of rosinality's state dict.

    arguments: size, style_dim, n_mlp (told by shapes), lr_mlp (0.01), blur_kernel, channel_multiplier (widths are in the
    weights), latent_avg, and truncation, which acts on all rows of w+. Without a latent_avg, truncation draws toward the mean
    of 4096 mapped codes, as that repository's own script does, here always of the same ones.
    """
    check_finite(state, WHAT)
    sizes = rosinality_sizes(state)
    told = {"size": max(sizes["channels"]), "style_dim": sizes["widths"][-1], "n_mlp": len(sizes["widths"])}
    known = {"lr_mlp", "blur_kernel", "channel_multiplier", "latent_avg", "truncation"}
    options = check_arguments(arguments, told, known, WHAT)
    if options.get("latent_avg") is not None and "latent_avg" not in state:
        state = {**state, "latent_avg": mean_row(options["latent_avg"], sizes["widths"][-1])}
        check_finite({"latent_avg": state["latent_avg"]}, WHAT)
    new = rosinality_to_ada(state)
    check_taps(options, "blur_kernel", new[f"synthesis.b{max(sizes['channels'])}.conv1.resample_filter"], WHAT)
    return StyleGAN2.from_state_dict(
        new,
        name=name,
        domain=domain,
        lr_multiplier=read_number(options, "lr_mlp", 0.01, WHAT),
        scaled_epsilon=True,
        **read_truncation(options, "truncation", None, WHAT),
    )


ROSINALITY = Form(
    "rosinality",
    "stylegan2",
    (r"style\.1\.weight", r"input\.input", r"conv1\.conv\.modulation\.weight", r"to_rgb1\.conv\.modulation\.weight"),
    build_rosinality,
)
