"""The embedded domain `heads`: its card, made of the factor table, and its guides and judges, shipped with the package."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from bench.cards import Attribute, DomainInfo
from bench.domains.base import Domain, Network
from bench.domains.heads.captions import heads_statements
from bench.domains.heads.factors import CLASSES, FACTORS, sample_factors
from bench.domains.heads.networks import SPECS, HeadsNetwork
from bench.domains.heads.renderer import render
from bench.domains.heads.segmenter import SEGMENTERS, HeadsSegmenter
from bench.domains.heads.text_networks import TEXT_SPECS, HeadsTextImage
from bench.domains.statements import Statement
from bench.errors import InputError, unknown
from bench.generators.weights import load_card, load_safetensors

RENDER_CHUNK = 64  # heads rendered at a time
WEIGHTS = Path(__file__).parent / "weights"
KINDS = ((HeadsNetwork, SPECS), (HeadsSegmenter, SEGMENTERS), (HeadsTextImage, TEXT_SPECS))
# Name -> (what makes the network of its spec and state, its spec).
NETWORKS = {name: (kind, one) for kind, specs in KINDS for name, one in specs.items()}


def heads_info() -> DomainInfo:
    """The card: one attribute a factor, and the network of every reading for guides and for judges."""
    attributes = tuple(Attribute(f.name, f.kind, f.low, f.high, f.region, f.prompts, f.description) for f in FACTORS)
    tables: dict[str, dict[str, str]] = {"guide": {}, "judge": {}}
    for name, (_, one) in NETWORKS.items():
        tables[one.role] |= dict.fromkeys(sorted(one.readings), name)
    return DomainInfo("heads", attributes, tables["guide"], tables["judge"], CLASSES)


class HeadsDomain(Domain):
    """Procedural heads. weights: the folder of NAME.safetensors and NAME.json, by default the shipped one."""

    def __init__(self, weights: Path = WEIGHTS) -> None:
        super().__init__()
        self.info = heads_info()
        self.weights = Path(weights)

    @torch.no_grad()
    def pictures(self, ids: Tensor, *, seed: int, size: int) -> Tensor:
        """Renders of the domain's own distribution."""
        factors = sample_factors(ids, seed=seed)
        parts = [render(part, size=size, supersample=2).rgb for part in factors.split(RENDER_CHUNK)]
        return torch.cat(parts).clamp(-1, 1)

    def statements(self) -> tuple[Statement, ...]:
        """Every claim that captions make, in the wordings that both text-image networks were trained on."""
        return heads_statements()

    def load(self, name: str) -> Network:
        """The network of that name. Raises InputError where it is unknown, or its files are missing, damaged or not a pair."""
        if name not in NETWORKS:
            raise unknown("network of heads", name, NETWORKS)
        kind, one = NETWORKS[name]
        path = self.weights / f"{name}.safetensors"
        state = load_safetensors(path, sha256=load_card(path.with_suffix(".json")).get("sha256"))
        try:
            return kind(one, state)
        except RuntimeError as error:
            raise InputError(f"the weights {path} do not fit the network {name}: install the package again") from error


def heads() -> HeadsDomain:
    """The domain of the registry."""
    return HeadsDomain()
