"""Named random streams. A row of a stream depends on (name, seed, id) alone, whatever else is drawn beside it.

Rows come from numpy's counter-based Philox generator, keyed by the stream and the id, and are drawn on the CPU, so that every
device, batch size and order of work sees the same codes.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor


def stream_seed(name: str, *parts: int | str) -> int:
    """A 64-bit seed for the stream `name`, refined by `parts` (seed, fold, ...)."""
    text = "\x1f".join([name, *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def stream_rng(name: str, *parts: int | str) -> np.random.Generator:
    """A numpy generator for the stream `name`, for draws that belong to no id (bootstrap, shuffles, directions)."""
    return np.random.Generator(np.random.Philox(key=stream_seed(name, *parts)))


def normal_rows(ids: Tensor, width: int, *, seed: int, name: str = "z") -> Tensor:
    """Standard normal rows [N, width] float32 on the CPU; row i is a function of (name, seed, ids[i]) alone.

    Raises ValueError for ids that are not one-dimensional integers or are negative.
    """
    if ids.dim() != 1 or ids.is_floating_point() or (ids.numel() and int(ids.min()) < 0):
        raise ValueError("ids must be a vector of non-negative integers")
    key = stream_seed(name, seed)
    rows = np.empty((len(ids), width), np.float32)
    for row, one in zip(rows, ids.tolist(), strict=True):
        row[:] = np.random.Generator(np.random.Philox(key=np.array([key, one], np.uint64))).standard_normal(width)
    return torch.from_numpy(rows)


def label_rows(ids: Tensor, classes: int, *, seed: int) -> Tensor:
    """One-hot class rows [N, classes] float32, every class as likely; row i is a function of (seed, ids[i]) alone."""
    key = stream_seed("label", seed)
    drawn = [np.random.Generator(np.random.Philox(key=np.array([key, one], np.uint64))).integers(classes) for one in ids.tolist()]
    return torch.nn.functional.one_hot(torch.tensor(drawn, dtype=torch.int64), classes).float()
