"""Rendered pictures for the training and the measuring of the `heads` networks, kept as a memory-mapped file."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.domains.heads.factors import BINARY_RATE, FACTORS, IDENTITY, INDEX, N_COLUMNS, correlation_matrix, normal_to_factors
from bench.domains.heads.networks import scales
from bench.domains.heads.renderer import render
from bench.streams import normal_rows, stream_rng

SEEDS = {"judge": 101, "guide": 202}  # of the training pictures; initialisation and batches have the network's name as seed
SOFT_EVERY = 8  # one row in so many has glasses and beard of an opacity between 0 and 1, where soft rows are asked for


@dataclass(frozen=True)
class Pool:
    """Pictures uint8 [N, 3, 64, 64] and their factor rows [N, N_COLUMNS]; rows 2k and 2k + 1 are one person."""

    images: np.ndarray
    factors: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def pictures(self, index: slice | np.ndarray) -> Tensor:
        """Pictures of some rows as float32 in [-1, 1]."""
        return torch.from_numpy(np.array(self.images[index])).float().mul_(2 / 255).sub_(1)


def to_bytes(images: Tensor) -> Tensor:
    """[-1, 1] to uint8, rounded, as a picture file would hold it."""
    return images.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def person_factors(pairs: int, *, seed: int, independent: bool, soft: bool = False) -> Tensor:
    """Factor rows [2 * pairs, N_COLUMNS]; rows 2k and 2k + 1 share the identity factors, and all else is drawn anew.

    The second row of a pair is a draw given the identity of the first, under the copula C: with y ~ N(0, C),
    x2 = y + C[:, I] C[I, I]^-1 (x1_I - y_I) (Matheron's rule). `soft` gives every eighth row opacities between 0 and 1.
    """
    matrix = torch.eye(N_COLUMNS) if independent else correlation_matrix()
    white = normal_rows(torch.arange(2 * pairs), N_COLUMNS, seed=seed, name="heads-networks").double()
    normal = white @ torch.linalg.cholesky(matrix.double()).T
    person = [INDEX[name] for name in IDENTITY]
    gain = torch.linalg.solve(matrix[person][:, person].double(), matrix[person].double())
    normal[1::2] += (normal[0::2][:, person] - normal[1::2][:, person]) @ gain
    rows = normal_to_factors(normal.float())
    if soft:
        binary = [INDEX[name] for name in BINARY_RATE]
        opacity = stream_rng("heads-soft", seed).random((len(rows[::SOFT_EVERY]), len(binary)))
        rows[::SOFT_EVERY, binary] = torch.from_numpy(opacity).float()
    return rows


def standardised(factors: Tensor) -> Tensor:
    """Factor rows whose continuous columns and nuisance have mean 0 and deviation 1 when uniform; binary ones as they are."""
    centre, spread = scales()
    extra = factors.shape[1] - len(FACTORS)
    return (factors - F.pad(centre, (0, extra), value=0.5)) / F.pad(spread, (0, extra), value=12**-0.5)


@torch.no_grad()
def render_bytes(factors: Tensor, tell: Callable[[int], None] = lambda done: None) -> np.ndarray:
    """uint8 pictures [N, 3, 64, 64] of factor rows; `tell` hears how many are done."""
    parts = []
    for start in range(0, len(factors), 256):
        parts.append(to_bytes(render(factors[start : start + 256], size=64, supersample=2).rgb).numpy())
        tell(min(start + 256, len(factors)))
    return np.concatenate(parts)


def renderer_look(seed: int = 0) -> str:
    """Eight hexadecimal digits that change when the renderer's pictures or the factor table do."""
    factors = person_factors(4, seed=seed, independent=True, soft=True)
    return hashlib.sha256(factors.numpy().tobytes() + render_bytes(factors).tobytes()).hexdigest()[:8]


def load_pool(folder: Path, *, pairs: int, seed: int, independent: bool, soft: bool = False) -> Pool:
    """The pool of these settings, rendered into `folder` the first time (3 to 4 ms a picture and core)."""
    factors = person_factors(pairs, seed=seed, independent=independent, soft=soft)
    kind = ("independent" if independent else "correlated") + ("-soft" if soft else "")
    path = folder / f"{kind}-{seed}-{2 * pairs}-{renderer_look()}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)

        def tell(done: int) -> None:
            if done % 4096 == 0 or done == len(factors):
                print(f"rendering {path.stem}: {done} of {len(factors)}", file=sys.stderr, flush=True)

        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, render_bytes(factors, tell))
        partial.replace(path)
    return Pool(np.load(path, mmap_mode="r", allow_pickle=False), factors)
