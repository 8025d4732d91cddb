"""Domains: what pictures are of, and the networks that guide methods and judge results there."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from bench.cards import DomainInfo
from bench.domains.statements import Statement, attribute_statements
from bench.errors import UnsupportedError

# What a network can read off a picture, and the shape of the answer.
READINGS = {
    "attributes": "[N, K] scores in the order of Network.names: a logit for a binary attribute, own units for a continuous one",
    "identity": "[N, D] unit vectors whose inner product is identity similarity",
    "perceptual": "[N, P] vectors whose squared Euclidean distance is the perceptual distance",
    "features": "[N, D] pooled features for set distances (KID, FID)",
    "segmentation": "[N, C, h, w] class logits",
    "text_image": "[N, D] unit vectors whose cosine with a text's (TextImageNetwork.encode_text) says how well it describes them",
}


class Network(nn.Module, ABC):
    """A frozen guide or judge. Pictures come in as [N, 3, R, R] in [-1, 1]; it resizes them as it needs.

    name: goes into records, e.g. 'heads-attributes'. readings: the keys of READINGS that `measure` answers.
    names: the attributes of the reading 'attributes', in order.
    """

    name: str
    readings: frozenset[str]
    names: Sequence[str] = ()

    @abstractmethod
    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """Every reading of this network, from one pass, float32."""

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over name and weights, in hexadecimal."""
        digest = hashlib.sha256(f"{self.name}{sorted(self.readings)}".encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


class TextImageNetwork(Network):
    """A network with a text side: what `guide('text_image')` and `judge('text_image')` give.

    scale: what cosines are multiplied with to be the logits of a softmax. Differentiable with respect to the pictures.
    """

    readings = frozenset({"text_image"})
    scale: float

    @abstractmethod
    def encode_image(self, images: Tensor) -> Tensor:
        """Unit vectors [N, D] of pictures [N, 3, R, R] in [-1, 1]."""

    @abstractmethod
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors [T, D]; a row depends on its own text alone. Raises what `check_texts` does, and refuses no other text."""

    def check_texts(self, texts: Sequence[str]) -> None:
        """Raise InputError for a text that this network cannot read to its end. One that reads texts of any length has none."""

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """The words of a text that this network does not know and reads as one and the same; none where it reads by letters."""
        return ()

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        return {"text_image": self.encode_image(images)}

    def scores(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        """Cosines [N, T] of pictures and texts, in [-1, 1]."""
        return self.encode_image(images) @ self.encode_text(texts).T


def text_side(network: Network) -> TextImageNetwork:
    """The network as one with a text side. Raises UnsupportedError where it has none."""
    if not isinstance(network, TextImageNetwork):
        raise UnsupportedError(f"{network.name} has no text side")
    return network


class Domain(ABC):
    """A domain's card and its networks, loaded when first asked for."""

    info: DomainInfo

    def __init__(self) -> None:
        self._networks: dict[str, Network] = {}

    @abstractmethod
    def load(self, name: str) -> Network:
        """The network of that name, loaded from disk."""

    def pictures(self, ids: Tensor, *, seed: int, size: int) -> Tensor:
        """Pictures [N, 3, size, size] in [-1, 1] of the domain itself; row i is a function of (seed, ids[i]) alone.

        Raises UnsupportedError where the domain has none at hand.
        """
        raise UnsupportedError(f"domain {self.info.name} has no pictures of its own")

    def statements(self) -> tuple[Statement, ...]:
        """What can be said of its pictures: the prompts of its attributes, and more where a domain knows more words."""
        return attribute_statements(self.info)

    def network(self, name: str) -> Network:
        """The network of that name; loaded once."""
        if name not in self._networks:
            self._networks[name] = self.load(name)
        return self._networks[name]

    def guide(self, reading: str) -> Network:
        """The network that methods may use for a reading. Raises UnsupportedError where the domain has none."""
        return self._find("guide", self.info.guides, reading)

    def judge(self, reading: str) -> Network:
        """The network that metrics use for a reading. Raises UnsupportedError where the domain has none."""
        return self._find("judge", self.info.judges, reading)

    def _find(self, part: str, table: dict[str, str], reading: str) -> Network:
        if reading not in table:
            raise UnsupportedError(f"domain {self.info.name} has no {part} for {reading}")
        return self.network(table[reading])
