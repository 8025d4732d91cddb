"""What is known of a generator's units: which concept each one is, which ones cause it, and how to switch them off and on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.cards import Attribute, DomainInfo, GeneratorInfo, LayerInfo
from bench.errors import InputError, unknown
from bench.interventions import Unit
from methods.base import pack_json, unpack_json

PREFIX = "units/"
# Pixels a side of the layer that the papers switch.
MIDDLE = 8


def feature_layers(info: GeneratorInfo) -> list[LayerInfo]:
    """The layers whose channels are units: all but those that are the picture itself."""
    return [layer for layer in info.layers if not layer.is_rgb]


def middle_layer(info: GeneratorInfo) -> str:
    """The last layer whose map is at most MIDDLE pixels a side: layer 4 of a Progressive GAN, which the papers dissect.

    What small things are made of can lie in a later layer: name it, or survey several.
    """
    layers = feature_layers(info)
    return [layer.name for layer in layers if layer.resolution <= max(MIDDLE, layers[0].resolution)][-1]


def concept_of(attribute: Attribute, regions: Sequence[str]) -> str | None:
    """The region that an attribute is the presence or the size of: the one of its name, or the only one that it may change."""
    if attribute.name in regions:
        return attribute.name
    return attribute.region[0] if len(attribute.region) == 1 and attribute.region[0] in regions else None


def targets_of(domain: DomainInfo, concepts: Sequence[str]) -> dict[str, str]:
    """What can be edited, and the concept behind each: concepts, then attributes that map to one of them."""
    found = {concept: concept for concept in concepts}
    for attribute in domain.attributes:
        concept = concept_of(attribute, domain.regions)
        if concept in concepts and attribute.name not in found:
            found[attribute.name] = concept
    return found


@dataclass(frozen=True)
class ConceptUnits:
    """Units and concepts of one generator: Fitted.units.

    concepts: C names of regions. layer: whose units are switched. iou: by layer [C, U], of the guide's segmentation. labels: by
    layer [U] int64, the concept (a number into concepts) that each unit is said to match, -1 for none. ranking: [C, K] int64, the
    units of `layer` in the order in which they are switched for a concept. values: [C, U] what a unit is set to where a concept
    is inserted. places: [C, 1, S, S] in {0, 1}, where the concept belongs. presence: [C] its mean share of pictures.
    effects: (concept, unit) numbers -> average causal effect, for the units it was measured of.
    """

    concepts: tuple[str, ...]
    layer: str
    iou: Mapping[str, Tensor]
    labels: Mapping[str, Tensor]
    ranking: Tensor
    values: Tensor
    places: Tensor
    presence: Tensor
    count: int
    effects: Mapping[tuple[int, int], float] = field(default_factory=dict)

    def index(self, concept: str) -> int:
        """The concept's number. Raises InputError where there is none of that name."""
        if concept not in self.concepts:
            raise unknown("concept", concept, self.concepts)
        return self.concepts.index(concept)

    def top(self, concept: str, count: int | None = None, without: Sequence[str] = ()) -> Tensor:
        """The first `count` units for a concept (None: as many as the fit switches), less those of other concepts to leave alone.

        Raises InputError where none is left.
        """
        first = self.ranking[self.index(concept), : count or self.count]
        held = [self.ranking[self.index(one), : count or self.count] for one in without if one != concept]
        if held:
            first = first[~torch.isin(first, torch.cat(held))]
        if not len(first):
            raise InputError(f"no unit of {concept} is left without those of {', '.join(without)}: hold less")
        return first

    def ablation(self, units: Tensor, strength: Tensor | float = 1.0) -> Unit:
        """Activations scaled by 1 - strength, everywhere; strength in [0, 1], a number or [N]."""
        keep = 1 - torch.as_tensor(strength, dtype=torch.float32).reshape(-1, 1)
        return Unit(self.layer, units, keep.expand(-1, len(units)) if len(keep) > 1 else keep[0].expand(len(units)), "scale")

    def insertion(self, concept: str, units: Tensor, mask: Tensor | None = None, strength: Tensor | float = 1.0) -> Unit:
        """Activations moved by `strength` of the way to the concept's values, inside the mask [N or 1, 1, h, w].

        mask: None for where the concept belongs. strength: in [0, 1], a number or [N].
        """
        row = self.index(concept)
        place = self.places[row : row + 1] if mask is None else mask.float()
        part = torch.as_tensor(strength, dtype=torch.float32).reshape(-1, 1, 1, 1).to(place.device)
        return Unit(self.layer, units, self.values[row][units], "set", place * part)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each unit that matches a concept or whose effect was measured: layer, unit, concept, IoU, ACE, rank."""
        found = []
        for layer, labels in self.labels.items():
            for unit, label in enumerate(labels.tolist()):
                mine = {c for c, u in self.effects if u == unit and layer == self.layer} | ({label} if label >= 0 else set())
                for concept in sorted(mine):
                    row = {"layer": layer, "unit": unit, "concept": self.concepts[concept]}
                    row |= {"iou": float(self.iou[layer][concept, unit]), "matches": concept == label}
                    place = (self.ranking[concept] == unit).nonzero() if layer == self.layer else ()
                    row |= {"ace": self.effects.get((concept, unit)) if layer == self.layer else None}
                    found.append(row | {"rank": int(place[0]) + 1 if len(place) else None})
        return sorted(found, key=lambda row: (row["layer"] != self.layer, row["layer"], row["concept"], -row["iou"], row["unit"]))

    def state(self) -> dict[str, Tensor]:
        """As tensors; `of_state` reads them again."""
        pairs = sorted(self.effects.items())
        card = {"concepts": self.concepts, "layer": self.layer, "layers": list(self.iou), "count": self.count}
        card |= {"effects": [[c, u, value] for (c, u), value in pairs]}
        parts = {"card": pack_json(card), **{name: getattr(self, name) for name in ("ranking", "values", "places", "presence")}}
        for i, layer in enumerate(self.iou):
            parts |= {f"iou/{i}": self.iou[layer], f"labels/{i}": self.labels[layer]}
        return {PREFIX + name: tensor for name, tensor in parts.items()}

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor | np.ndarray]) -> ConceptUnits:
        card = unpack_json(state[f"{PREFIX}card"])
        part = lambda name: torch.as_tensor(state[PREFIX + name])  # noqa: E731
        by_layer = lambda kind: {layer: part(f"{kind}/{i}") for i, layer in enumerate(card["layers"])}  # noqa: E731
        effects = {(int(c), int(u)): float(value) for c, u, value in card["effects"]}
        rest = (part(name) for name in ("ranking", "values", "places", "presence"))
        concepts = tuple(card["concepts"])
        return cls(concepts, card["layer"], by_layer("iou"), by_layer("labels"), *rest, count=card["count"], effects=effects)
