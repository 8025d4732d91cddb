"""Codes of a method's own: named streams of a generator, apart from the bank and from all that is judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from bench.cards import GeneratorInfo
from bench.codes import Codes, Space
from bench.generators.base import Generator
from bench.streams import stream_seed

# Codes of one pass through the generator when activations are read.
FEATURE_BATCH = 50


def code_space(space: Space, info: GeneratorInfo) -> Space:
    """The space that a method works in: z where it is asked for w and the generator has none."""
    return Space.Z if space == Space.W and Space.W not in info.spaces else Space(space)


def vector_problem(space: Space, info: GeneratorInfo) -> str | None:
    """None, or in one line why a method that needs one vector a code cannot work in this space of this generator."""
    return None if space in info.spaces and not space.layered else f"{info.name} has no space {space} with one vector a code"


def class_problem(label: int | None, info: GeneratorInfo) -> str | None:
    """None, or in one line why codes of this generator cannot be of the class `label` (None: of classes as they are drawn)."""
    if label is None or 0 <= label < info.n_labels:
        return None
    known = f"the classes 0 to {info.n_labels - 1}, not {label}" if info.n_labels else "no classes to choose from"
    return f"{info.name} has {known}"


@dataclass(frozen=True)
class CodeStreams:
    """Streams of codes in one space; a row is a function of (name, stream, fit seed, number) alone.

    name: the method's. label: the class of all codes of a class-conditional generator; None: every code draws its own.
    """

    generator: Generator
    space: Space
    seed: int
    name: str = "ganspace"
    label: int | None = None

    @property
    def dimension(self) -> int:
        """Numbers in a code of this space."""
        return self.generator.info.spaces[self.space][0]

    def codes(self, stream: str, start: int, stop: int) -> Codes:
        """Rows start to stop - 1 of a stream, in this space, with their classes."""
        labels = None
        if self.label is not None:
            chosen = torch.full((stop - start,), self.label)
            labels = F.one_hot(chosen, self.generator.info.n_labels).float().to(self.generator.device)
        seed = stream_seed(self.name, stream, self.seed)
        z = self.generator.sample(torch.arange(start, stop), seed=seed, labels=labels)
        with torch.no_grad():
            return self.generator.convert(z, self.space)

    def draw(self, stream: str, start: int, stop: int) -> np.ndarray:
        """The same rows' values [stop - start, D]."""
        return self.codes(stream, start, stop).values.cpu().numpy()

    def activations(self, codes: Codes, layer: str) -> np.ndarray:
        """A layer's feature maps, one flat row [C * h * w] per code, from small passes."""
        parts = (codes[i : i + FEATURE_BATCH] for i in range(0, len(codes), FEATURE_BATCH))
        with torch.no_grad():
            return np.concatenate([self.generator.features(p, [layer])[layer].flatten(1).cpu().numpy() for p in parts])
