"""Cards: what is known of a generator or a domain without loading a network. This module imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class LayerInfo:
    """One synthesis layer that takes a style.

    rows: the rows of z+/w+ that feed it; styles: its slice of s; is_rgb: a toRGB layer (StyleSpace keeps these apart).
    """

    name: str
    resolution: int
    channels: int
    is_rgb: bool = False
    rows: tuple[int, ...] = ()
    styles: tuple[int, int] | None = None


@dataclass(frozen=True)
class GeneratorInfo:
    """A generator's card. `spaces` maps each space's name to the shape of one code in it, without the batch axis."""

    name: str
    architecture: str
    domain: str
    resolution: int
    spaces: dict[str, tuple[int, ...]]
    layers: tuple[LayerInfo, ...] = ()
    n_labels: int = 0
    description: str = ""


@dataclass(frozen=True)
class Attribute:
    """A named property of a domain's pictures.

    low, high: the range of a continuous attribute in its own units (a binary one is 0 or 1 and judged by a logit).
    region: segmentation classes that a change of it may touch. prompts: (negative, positive) text.
    """

    name: str
    kind: Literal["continuous", "binary"]
    low: float = 0.0
    high: float = 1.0
    region: tuple[str, ...] = ()
    prompts: tuple[str, str] = ("", "")
    description: str = ""


@dataclass(frozen=True)
class DomainInfo:
    """A domain's card: what its pictures are of, and which networks may guide and which judge.

    guides, judges: role -> network name, e.g. {"attributes": "heads-attributes"}; a record names its judge as `role[name]`.
    """

    name: str
    attributes: tuple[Attribute, ...]
    guides: dict[str, str] = field(default_factory=dict)
    judges: dict[str, str] = field(default_factory=dict)
    regions: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(a.name for a in self.attributes)

    def attribute(self, name: str) -> Attribute:
        """The attribute of that name. Raises InputError, with the nearest names, where there is none."""
        from bench.errors import unknown

        for attribute in self.attributes:
            if attribute.name == name:
                return attribute
        raise unknown(f"attribute of {self.name}", name, self.names)
