"""Training pictures: rendered heads that are slowly replaced by fresh ones, or a file of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from bench.errors import InputError

RENDER_CHUNK = 64
# The classes of heads for class-conditional networks, in the order of their columns.
CLASSES = ("neither", "beard", "glasses", "glasses and beard")


def to_bytes(images: Tensor) -> np.ndarray:
    """Pictures [N, 3, R, R] in [-1, 1] as uint8 of the same shape."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu().numpy()


def render_heads(ids: np.ndarray, *, seed: int, size: int) -> np.ndarray:
    """Heads of the domain's own distribution, uint8 [N, 3, size, size]; picture i is a function of (seed, ids[i]) alone."""
    from bench.domains.heads.factors import sample_factors
    from bench.domains.heads.renderer import render

    with torch.no_grad():
        return to_bytes(render(sample_factors(torch.from_numpy(ids), seed=seed), size=size, supersample=2).rgb)


def head_classes(ids: np.ndarray, *, seed: int) -> Tensor:
    """One-hot rows [N, 4] of CLASSES of the heads that `render_heads` draws for these ids."""
    from bench.domains.heads.factors import INDEX, sample_factors

    worn = sample_factors(torch.from_numpy(ids), seed=seed)[:, [INDEX["glasses"], INDEX["beard"]]] > 0.5
    return torch.nn.functional.one_hot(2 * worn[:, 0].long() + worn[:, 1].long(), len(CLASSES)).float()


class Pictures(Protocol):
    """What a trainer asks of its data. `refreshed` counts the pictures that this process should have replaced so far."""

    def __len__(self) -> int: ...
    def prepare(self, refreshed: int) -> int:
        """Bring the pictures to that point; gives back how many had to be made."""

    def batch(self, index: Tensor, device: torch.device | str = "cpu") -> Tensor:
        """Pictures float32 [n, 3, R, R] in [-1, 1]."""

    def labels(self, index: Tensor, device: torch.device | str = "cpu") -> Tensor:
        """Their one-hot class rows [n, K]. Raises InputError where the data has no classes."""


class HeadPictures:
    """One process's share of the rendered pictures, in memory-mapped files of its own in `folder`.

    A training run sees each picture many times; replacing them one by one at the pace of training costs a few per cent of the
    time and lets the discriminator memorise less. Which picture a slot holds is a function of how many were replaced, so that a
    resumed run renders exactly what is missing: all of them where the folder was lost, a few where it was not.
    """

    def __init__(self, folder: Path, *, total: int, rank: int, processes: int, seed: int, size: int) -> None:
        self.count, self.total = total // processes, total
        self.rank, self.processes, self.seed, self.size = rank, processes, seed, size
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"heads-{size}-{total}-seed{seed}-{rank}of{processes}"
        self.images = _memory_map(folder / f"{stem}.npy", np.uint8, (self.count, 3, size, size))
        # A slot's id is stored plus one, so that the zeros of a new file mean an empty slot.
        self.held = _memory_map(folder / f"{stem}-ids.npy", np.int64, (self.count,))

    def __len__(self) -> int:
        return self.count

    def ids(self, refreshed: int) -> np.ndarray:
        """The id in each slot after so many replacements, made slot after slot and around again."""
        slot = np.arange(self.count)
        rounds = np.maximum(0, -(-(refreshed - slot) // self.count))
        replacement = (rounds - 1) * self.count + slot
        return np.where(rounds == 0, self.rank * self.count + slot, self.total + replacement * self.processes + self.rank)

    def prepare(self, refreshed: int) -> int:
        wanted = self.ids(refreshed)
        slots = np.flatnonzero(self.held != wanted + 1)
        for start in range(0, len(slots), RENDER_CHUNK):
            part = slots[start : start + RENDER_CHUNK]
            self.held[part] = 0
            self.images[part] = render_heads(wanted[part], seed=self.seed, size=self.size)
            self.held[part] = wanted[part] + 1
        return len(slots)

    def batch(self, index: Tensor, device: torch.device | str = "cpu") -> Tensor:
        return _to_float(self.images[index.numpy()], device)

    def labels(self, index: Tensor, device: torch.device | str = "cpu") -> Tensor:
        return head_classes(self.held[index.numpy()] - 1, seed=self.seed).to(device)


class FilePictures:
    """Pictures of a `.npy` file, uint8 [N, 3, R, R]; every process draws from all of them and none is replaced."""

    def __init__(self, path: Path, *, size: int) -> None:
        try:
            self.images = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f"the pictures {path} cannot be read as a .npy file ({error})") from error
        if self.images.dtype != np.uint8 or self.images.shape[1:] != (3, size, size):
            found = f"{self.images.dtype} {list(self.images.shape)}"
            raise InputError(f"the pictures {path} must be uint8 [N, 3, {size}, {size}], not {found}")

    def __len__(self) -> int:
        return len(self.images)

    def prepare(self, refreshed: int) -> int:
        return 0

    def batch(self, index: Tensor, device: torch.device | str = "cpu") -> Tensor:
        return _to_float(self.images[index.numpy()], device)

    def labels(self, index: Tensor, device: torch.device | str = "cpu") -> Tensor:
        raise InputError("a class-conditional network cannot learn from a file of pictures, which says nothing of classes")


def _to_float(images: np.ndarray, device: torch.device | str) -> Tensor:
    return torch.from_numpy(images).to(device).float().div_(127.5).sub_(1)


def _memory_map(path: Path, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """A writable memory map, made anew (zeros) where the file is missing, cut short or of another shape."""
    if path.exists():
        try:
            found = np.lib.format.open_memmap(path, mode="r+")
            if found.dtype == dtype and found.shape == shape:
                return found
        except ValueError:
            pass
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
