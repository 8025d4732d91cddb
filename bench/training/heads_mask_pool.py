"""Rendered pictures with the class of every pixel, for the networks that segment heads and those that know words for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.domains.heads.renderer import render
from bench.training.heads_pool import Pool, person_factors, renderer_look, to_bytes

SIDE = 64


@dataclass(frozen=True)
class MaskPool(Pool):
    """A Pool with the classes uint8 [N, 64, 64] of its pixels, numbered as in factors.CLASSES."""

    classes: np.ndarray

    def labels(self, index: slice | np.ndarray) -> Tensor:
        """The classes of some rows, int64 [n, 64, 64]."""
        return torch.from_numpy(np.array(self.classes[index])).long()


@torch.no_grad()
def rendered(factors: Tensor, chunk: int = 256) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pictures uint8 [n, 3, 64, 64] and classes uint8 [n, 64, 64] of factor rows, a chunk at a time."""
    for part in factors.split(chunk):
        out = render(part, size=SIDE, supersample=2, maps=True)
        yield to_bytes(out.rgb).numpy(), out.segmentation.to(torch.uint8).numpy()


def mask_pool(factors: Tensor) -> MaskPool:
    """The pool of these factor rows, in memory."""
    images, classes = zip(*rendered(factors), strict=True)
    return MaskPool(np.concatenate(images), factors, np.concatenate(classes))


def load_mask_pool(folder: Path, *, pairs: int, seed: int, independent: bool, soft: bool = False) -> MaskPool:
    """The pool of these settings, rendered into `folder` the first time (6 to 7 ms a picture and core); see heads_pool.

    Two files, pictures and classes; the second one is complete only when both are.
    """
    factors = person_factors(pairs, seed=seed, independent=independent, soft=soft)
    kind = ("independent" if independent else "correlated") + ("-soft" if soft else "")
    stem = f"masks-{kind}-{seed}-{2 * pairs}-{renderer_look()}"
    paths = [folder / f"{stem}.{part}.npy" for part in ("pictures", "classes")]
    if not paths[1].exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = [path.with_suffix(".partial") for path in paths]
        shapes = ((len(factors), 3, SIDE, SIDE), (len(factors), SIDE, SIDE))
        files = [np.lib.format.open_memmap(p, "w+", np.uint8, s) for p, s in zip(partial, shapes, strict=True)]
        done = 0
        for images, classes in rendered(factors):
            files[0][done : done + len(images)], files[1][done : done + len(images)] = images, classes
            done += len(images)
            if done % 4096 == 0 or done == len(factors):
                print(f"rendering {stem}: {done} of {len(factors)}", file=sys.stderr, flush=True)
        for file, temporary, path in zip(files, partial, paths, strict=True):
            file.flush()
            temporary.replace(path)
    images, classes = (np.load(path, mmap_mode="r", allow_pickle=False) for path in paths)
    return MaskPool(images, factors, classes)
