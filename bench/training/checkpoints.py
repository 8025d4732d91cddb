"""What a training leaves on disk: its exact state, and snapshots to look at and to ship."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.errors import InputError
from bench.training.data import to_bytes
from bench.training.recipe import Recipe

KEEP = 5


def write_state(state: Mapping[str, Any], path: Path) -> None:
    """Write a state of tensors and plain values so that a kill at any moment leaves the old file or the new one."""
    partial = path.with_name(path.name + ".partial")
    torch.save(dict(state), partial)
    partial.replace(path)


def read_state(path: Path, recipe: Recipe) -> dict[str, Any] | None:
    """The state at `path`, or None where there is none.

    Raises InputError where it is damaged or of a training with other settings, which are named.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found, images = dict(state["config"]), int(state["images"])
    except Exception as error:  # torch reports damage by many types
        raise InputError(f"the training state {path} is damaged ({type(error).__name__}): move it away to start anew") from error
    different = recipe.departures(found, images)
    if different:
        own = recipe.as_dict()
        what = ", ".join(f"{key} {found.get(key)} there, {own.get(key)} here" for key in different)
        raise InputError(f"the training state {path} is of another training ({what}): use another folder or the same settings")
    return state


def write_grid(images: Tensor, path: Path, *, columns: int = 8) -> None:
    """A PNG of pictures [N, 3, R, R] in [-1, 1], row after row; N is a multiple of `columns`."""
    n, c, h, w = images.shape
    tiles = to_bytes(images).reshape(n // columns, columns, c, h, w)
    sheet = np.ascontiguousarray(tiles.transpose(0, 3, 1, 4, 2)).reshape(n // columns * h, columns * w, c)
    partial = path.with_name(path.name + ".partial")
    Image.fromarray(sheet).save(partial, format="PNG")
    partial.replace(path)


def prune(folder: Path, pattern: str, *, keep: int = KEEP) -> None:
    """Delete all but the last files, by name, of a pattern."""
    for path in sorted(folder.glob(pattern))[:-keep]:
        path.unlink()
