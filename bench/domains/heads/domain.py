"""The embedded domain `heads`: its card, made of the factor table, and its guides and judges, shipped with the package."""

from __future__ import annotations

from pathlib import Path

from bench.cards import Attribute, DomainInfo
from bench.domains.base import Domain
from bench.domains.heads.factors import CLASSES, FACTORS
from bench.domains.heads.networks import SPECS, HeadsNetwork, spec
from bench.errors import InputError
from bench.generators.weights import load_card, load_safetensors

WEIGHTS = Path(__file__).parent / "weights"


def heads_info() -> DomainInfo:
    """The card: one attribute a factor, and the network of every reading for guides and for judges."""
    attributes = tuple(Attribute(f.name, f.kind, f.low, f.high, f.region, f.prompts, f.description) for f in FACTORS)
    roles = ("guide", "judge")
    guides, judges = ({r: s.name for s in SPECS.values() if s.role == role for r in sorted(s.readings)} for role in roles)
    return DomainInfo("heads", attributes, guides, judges, CLASSES)


class HeadsDomain(Domain):
    """Procedural heads. weights: the folder of NAME.safetensors and NAME.json, by default the shipped one."""

    def __init__(self, weights: Path = WEIGHTS) -> None:
        super().__init__()
        self.info = heads_info()
        self.weights = Path(weights)

    def load(self, name: str) -> HeadsNetwork:
        """The network of that name. Raises InputError where it is unknown, or its files are missing, damaged or not a pair."""
        one = spec(name)
        path = self.weights / f"{name}.safetensors"
        state = load_safetensors(path, sha256=load_card(path.with_suffix(".json")).get("sha256"))
        try:
            return HeadsNetwork(one, state)
        except RuntimeError as error:
            raise InputError(f"the weights {path} do not fit the network {name}: install the package again") from error


def heads() -> HeadsDomain:
    """The domain of the registry."""
    return HeadsDomain()
