"""The seam that every generator fills: sample, convert between spaces, synthesize, look inside."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from bench.cards import GeneratorInfo
from bench.codes import Codes, Space
from bench.errors import SpaceError, UnsupportedError
from bench.interventions import Intervention
from bench.streams import label_rows, normal_rows


class Generator(nn.Module, ABC):
    """A trained network with latent spaces. Parameters are frozen; gradients flow through codes.

    Subclasses set `info` and return from `settings` what changes the output without changing a weight (truncation).
    """

    info: GeneratorInfo
    # Of the columns of `factors`; those that are attributes of the domain bear their names. Empty where the truth is not known.
    factor_names: Sequence[str] = ()
    # Attributes of the domain that training lost, and how that shows: no task edits or samples them, and says so.
    lost: Mapping[str, str] = MappingProxyType({})

    def settings(self) -> dict[str, Any]:
        """What changes the output and is not a weight, as JSON values; it enters the fingerprint."""
        return {}

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over architecture, weights and settings, in hexadecimal."""
        digest = hashlib.sha256(json.dumps([asdict(self.info), self.settings()], sort_keys=True, default=str).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    @property
    def device(self) -> torch.device:
        return next((t.device for t in self.state_dict().values()), torch.device("cpu"))

    def sample(self, ids: Tensor, *, seed: int, labels: Tensor | None = None) -> Codes:
        """z codes [N, D], standard normal; row i is a function of (seed, ids[i]) alone.

        labels: class weights [N, K]; a class-conditional generator draws a class for every id where none are given.
        """
        values = normal_rows(ids, self.info.spaces["z"][0], seed=seed).to(self.device)
        if labels is None and self.info.n_labels:
            labels = label_rows(ids, self.info.n_labels, seed=seed).to(self.device)
        return Codes(Space.Z, values, ids, labels)

    def convert(self, codes: Codes, space: Space | str) -> Codes:
        """The same pictures' codes in another space, by the steps of `step`. Raises SpaceError where mathematics has no way."""
        if space not in list(Space):
            raise SpaceError(f"unknown space '{space}': {self.info.name} has {', '.join(self.info.spaces)}")
        goal, start = Space(space), codes.space
        if start not in self.info.spaces or goal not in self.info.spaces:
            known = ", ".join(self.info.spaces)
            raise SpaceError(f"{self.info.name} cannot convert {start} to {goal}: its spaces are {known}")
        if codes.values.shape[1:] != self.info.spaces[start]:
            shape, need = list(codes.values.shape[1:]), list(self.info.spaces[start])
            raise SpaceError(f"codes in {start} of {self.info.name} have the shape {need} each, not {shape}")
        if goal == start:
            return codes
        step = self.step(start, goal)
        if step is None:
            raise SpaceError(f"there is no way from {start} to {goal}: the map is not invertible, or rows differ by layer")
        middle, values = step
        return self.convert(codes.with_values(values(codes), middle), goal)

    def step(self, start: Space, goal: Space) -> tuple[Space, Callable[[Codes], Tensor]] | None:
        """The next space on the way from start to goal, and the map of codes to values there; None where there is no way."""
        return None

    def truncated(self, psi: float, cutoff: int | None = None) -> Generator:
        """Another generator, with another fingerprint, that draws w+ rows below `cutoff` (None: all) toward the mean w by psi."""
        raise SpaceError(f"{self.info.name} has no truncation")

    @abstractmethod
    def synthesize(self, codes: Codes, *, intervene: Intervention = (), noise: str = "const") -> Tensor:
        """Pictures [N, 3, R, R], nominal range [-1, 1], not clamped, differentiable. noise: const, none or random:<seed>."""

    def features(self, codes: Codes, layers: Sequence[str]) -> dict[str, Tensor]:
        """The feature maps [N, C, h, w] of the named layers. Raises SpaceError where there are none."""
        raise SpaceError(f"{self.info.name} has no feature maps to look at")

    def factors(self, codes: Codes) -> Tensor:
        """The true factors [N, len(factor_names)] behind the pictures of codes of any space, a binary one in [0, 1].

        Raises UnsupportedError where they are not known.
        """
        raise UnsupportedError(f"{self.info.name} does not know the factors behind its pictures")

    def code_weights(self, space: Space | str, layers: Sequence[str] | None = None) -> list[Tensor]:
        """The raw weights [outputs, D] that first meet a code of `space`, one per layer, in the order of info.layers (SeFa).

        Raises SpaceError where the space meets no weight.
        """
        raise SpaceError(f"{self.info.name} has no weights that meet codes of {space}")

    def __deepcopy__(self, memo):
        raise TypeError("generators are shared, not copied")
