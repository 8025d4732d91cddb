"""What the shapes and the constructor arguments of a checkpoint tell, whatever its form."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bench.errors import InputError

MAX_BLOCKS = 10  # 2048 pixels, twice what anyone published; noise maps of many more would fill the memory
State = Mapping[str, Tensor]


def read_shape(state: State, key: str, axes: int, what: str) -> tuple[int, ...]:
    """The shape of a parameter. Raises InputError where it is absent, empty, or has another number of axes."""
    if key not in state:
        raise InputError(f"not the weights of {what}: missing {key}")
    shape = tuple(state[key].shape)
    if len(shape) != axes or 0 in shape:
        raise InputError(f"not the weights of {what}: {key} has shape {list(shape)}, not {axes} axes")
    return shape


def count(state: State, pattern: str) -> int:
    """How many names match the pattern as a whole."""
    return sum(re.fullmatch(pattern, key) is not None for key in state)


def check_ladder(blocks: int, what: str) -> tuple[int, ...]:
    """The resolutions 4, 8, ... of so many blocks. Raises InputError for none and for more than anyone trains."""
    if not 1 <= blocks <= MAX_BLOCKS:
        raise InputError(f"not the weights of {what}: it has {blocks} resolutions")
    return tuple(4 << index for index in range(blocks))


def state_sizes(state: State, what: str) -> dict[str, Any]:
    """Constructor sizes of a StyleGAN2, read off the shapes of a state dict in the names of stylegan2-ada-pytorch.

    Raises InputError where names or numbers of axes do not fit.
    """
    blocks = check_ladder(count(state, r"synthesis\.b\d+\.conv1\.weight"), what)
    channels = {side: read_shape(state, f"synthesis.b{side}.conv1.weight", 4, what)[0] for side in blocks}
    colours = read_shape(state, f"synthesis.b{blocks[-1]}.torgb.weight", 4, what)[0]
    if colours != 3:
        raise InputError(f"{what} is supported for pictures of 3 colours, not of {colours} (img_channels)")
    depth = count(state, r"mapping\.fc\d+\.weight")
    dense = [read_shape(state, f"mapping.fc{index}.weight", 2, what) for index in range(max(depth, 1))]
    embed_features, n_labels = 0, 0
    if "mapping.embed.weight" in state:
        embed_features, n_labels = read_shape(state, "mapping.embed.weight", 2, what)
    if any(".skip." in key for key in state):
        architecture = "resnet"
    else:
        architecture = "skip" if len(blocks) == 1 or f"synthesis.b{blocks[0]}.torgb.weight" in state else "orig"
    return {
        "z_dim": dense[0][1] - embed_features,
        "widths": [outputs for outputs, _ in dense],
        "channels": channels,
        "n_labels": n_labels,
        "embed_features": embed_features,
        "architecture": architecture,
        "use_noise": any(key.endswith(".noise_const") for key in state),
        "mean_w": "mapping.w_avg" in state,
    }


def hidden_width(widths: Sequence[int]) -> int | None:
    """The width of all mapping layers but the last, or None where there are none or they differ."""
    hidden = set(widths[:-1])
    return hidden.pop() if len(hidden) == 1 else None


def require(arguments: Mapping[str, Any], key: str, value: Any, reason: str, what: str) -> None:
    """Raise InputError, with the reason, where an argument is given and is not the one value that is supported."""
    given = arguments.get(key)
    if given is not None and given != value:
        raise InputError(f"{what}: {key} {given!r} is not supported, only {value!r}: {reason}")


def read_number(arguments: Mapping[str, Any], key: str, default: Any, what: str) -> Any:
    """An argument that is a positive number; absent or None, the default."""
    value = arguments.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InputError(f"{what}: {key} is a positive number, not {value!r}")
    return float(value)


def read_truncation(arguments: Mapping[str, Any], psi: str, cutoff: str | None, what: str) -> dict[str, Any]:
    """The truncation that the arguments of these names ask for. Raises InputError for values that cannot be."""
    strength, rows = arguments.get(psi), arguments.get(cutoff) if cutoff else None
    if strength is not None and (isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 <= strength <= 1):
        raise InputError(f"{what}: {psi} is a number from 0 to 1, not {strength!r}")
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 0):
        raise InputError(f"{what}: {cutoff} is a number of rows of w+, not {rows!r}")
    return {} if strength is None else {"psi": float(strength), "cutoff": rows}


def check_widths(arguments: Mapping[str, Any], channels: Mapping[int, int], base: str, most: str, what: str) -> None:
    """Raise InputError where min(base // resolution, most), if both arguments are given, is not what the weights have."""
    total, top = (read_number(arguments, key, None, what) for key in (base, most))
    if total is None or top is None:
        return
    for side, width in channels.items():
        if min(total // side, top) != width:
            asked = f"{base} {total:.0f} and {most} {top:.0f}"
            raise InputError(f"{what}: its weights have {width} channels at {side} px, which {asked} do not give")


def check_taps(arguments: Mapping[str, Any], key: str, fir: Tensor, what: str) -> None:
    """Raise InputError where the argument's filter taps, if given, are not the filter [4, 4] that the weights hold."""
    taps = arguments.get(key)
    if taps is None:
        return
    try:
        row = torch.as_tensor(taps, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{what}: {key} is a list of filter taps, not {taps!r}") from error
    square = torch.outer(row, row) / row.sum().square() if row.dim() == 1 else row
    if square.shape != fir.shape or not torch.allclose(square, fir.float(), atol=1e-6):
        raise InputError(f"{what}: {key} {taps!r} is not the filter of its weights")
