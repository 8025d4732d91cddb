"""Weights on disk: safetensors with a JSON card beside them. Stored in half precision, computed with in single."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from bench.errors import InputError


def load_card(path: Path) -> dict[str, Any]:
    """A weight file's JSON card. Raises InputError where it is absent or no JSON object."""
    try:
        card = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"no card {path}: the weights are not installed") from error
    except (OSError, ValueError) as error:
        raise InputError(f"the card {path} cannot be read ({error}): install the package again") from error
    if not isinstance(card, dict):
        raise InputError(f"the card {path} is not a JSON object: install the package again")
    return card


def load_safetensors(path: Path, *, sha256: str | None = None) -> dict[str, Tensor]:
    """Tensors by name; floating-point ones as float32.

    Raises InputError where the file is missing or damaged, is not the one that the hash is of, or holds a NaN or infinity.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"no weights at {path}: train them or install the package again") from error
    except OSError as error:
        raise InputError(f"the weights {path} cannot be read: {error.strerror}") from error
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(f"the weights {path} are not the ones of their card (SHA-256 differs): install them again")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise InputError(f"the weights {path} are damaged or no safetensors file ({error})") from error
    tensors = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    for name, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise InputError(f"the weights {path} hold a NaN or infinity in {name}: they come from a failed training")
    return tensors


def save_half(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> str:
    """Write tensors in half precision, atomically; gives back the file's SHA-256.

    Raises InputError where a value is not finite in half precision, and so could not be read back.
    """
    half = {}
    for name, value in tensors.items():
        half[name] = value.detach().cpu().half().contiguous() if value.is_floating_point() else value.detach().cpu().contiguous()
        if value.is_floating_point() and not torch.isfinite(half[name]).all():
            raise InputError(f"{name} is not finite in half precision: nothing was written to {path}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(half, partial, metadata=dict(metadata or {}))
    partial.replace(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()
