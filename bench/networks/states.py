"""Read the weights of a published network from a torch file."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor

from bench.errors import InputError


def torch_state(path: Path) -> dict[str, Tensor]:
    """The tensors by name of a state dict saved by torch, as float32 where they are floats. Only data is unpickled.

    Raises InputError where the file is missing, damaged, no torch file, or holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        said = " ".join(str(error).split())[:120]
        raise InputError(f"{path} is damaged or no file of weights that torch saved ({said})") from error
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path} holds no state dict: tensors by name")
    return {name.removeprefix("module."): value.float() if value.is_floating_point() else value for name, value in state.items()}
