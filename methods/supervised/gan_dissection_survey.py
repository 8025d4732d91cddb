"""Dissection: which unit lights up where which concept is, measured over samples in streams (Bau et al. 2019, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Codes, Space
from bench.errors import InputError, UnsupportedError, unknown
from methods.base import FitContext, Method
from methods.code_streams import CodeStreams
from methods.guided import guide_of, passes_of
from methods.supervised.gan_dissection_units import feature_layers, middle_layer
from metrics.localisation import best_labels
from metrics.unit_streams import Levels, class_maps, counts, grown, iou_of, shares

STREAM = "gan_dissection"
# Codes of one pass, and bytes of feature maps that are kept rather than made anew for each of the three looks at them.
ROWS = 16
KEPT = 2**28
# A place belongs to a concept where it is at least this often as at its most frequent place.
PLACE = 0.5


class SurveyOptions(Method.Options):
    """layer: whose units are switched; 'middle' is that of gan_dissection_units.middle_layer. survey: other layers to dissect.

    concepts: regions of the domain (empty: all). least_presence: the mean share of a picture below which a concept is left out.
    samples: pictures behind IoU. size: pixels a side at which units and classes meet. quantile: share of a unit's values above
    its level. least: the IoU above which a unit matches. units: how many are switched for a concept. eval_codes: codes behind the
    effect of a concept's units together. inserted: what a unit is set to: its mean where the concept is ("mean"), or the level
    above which `inserted_quantile` of its values lie ("quantile").
    """

    layer: str = "middle"
    survey: tuple[str, ...] = ()
    concepts: tuple[str, ...] = ()
    least_presence: float = Field(0.001, ge=0, lt=1)
    samples: int = Field(10_000, ge=ROWS)
    size: int = Field(64, ge=4)
    quantile: float = Field(0.01, gt=0, le=0.5)
    least: float = Field(0.04, ge=0, lt=1)
    units: int = Field(20, ge=1)
    eval_codes: int = Field(200, ge=2)
    inserted: str = Field("mean", pattern="^(mean|quantile)$")
    inserted_quantile: float = Field(0.01, gt=0, le=0.5)


def problem(options: SurveyOptions, info: GeneratorInfo, domain: DomainInfo) -> str | None:
    """None, or in one line why this generator or domain cannot be dissected."""
    names = [layer.name for layer in feature_layers(info)]
    if not names:
        return f"{info.name} has no layers to look into"
    for name in (options.layer, *options.survey):
        if name != "middle" and name not in names:
            return f"{info.name} has no feature layer {name}: it has {', '.join(names)}"
    lost = [concept for concept in options.concepts if concept not in domain.regions]
    return f"domain {domain.name} has no region {', '.join(lost)}" if lost else None


@dataclass(frozen=True)
class Survey:
    """What `survey` found; fields are those of gan_dissection_units.ConceptUnits."""

    concepts: tuple[str, ...]
    layer: str
    iou: dict[str, Tensor]
    labels: dict[str, Tensor]
    values: Tensor
    places: Tensor
    presence: Tensor


class Features:
    """Feature maps of codes, batch after batch, as often as wanted: kept where they are few."""

    def __init__(self, context: FitContext, codes: Codes, layers: Sequence[str]) -> None:
        self.generator, self.codes, self.layers = context.generator, codes, list(layers)
        self.kept: list[dict[str, Tensor]] = []
        sides = {layer.name: layer for layer in context.generator.info.layers}
        numbers = sum(sides[name].channels * sides[name].resolution ** 2 for name in layers)
        self.keep = 4 * numbers * len(codes) <= KEPT

    def __iter__(self) -> Iterator[tuple[slice, dict[str, Tensor]]]:
        for number, start in enumerate(range(0, len(self.codes), ROWS)):
            part = slice(start, min(start + ROWS, len(self.codes)))
            yield part, self.kept[number] if number < len(self.kept) else self._make(part)

    @torch.no_grad()
    def _make(self, part: slice) -> dict[str, Tensor]:
        maps = {name: one.cpu() for name, one in self.generator.features(self.codes[part], self.layers).items()}
        if self.keep:
            self.kept.append(maps)
        return maps


def streams(context: FitContext) -> CodeStreams:
    """Codes of this method: z of streams of their own, by fit seed."""
    return CodeStreams(context.generator, Space.Z, context.seed, STREAM)


def classes_of(context: FitContext, codes: Codes, size: int) -> Tensor:
    """The guide's class of every place of the codes' pictures, uint8 [N, size, size]."""
    guide, passes, parts = {"segmentation": guide_of(context, "segmentation")}, passes_of(context), []
    for start in range(0, len(codes), passes.group):
        logits = passes.read(guide, codes[start : start + passes.group])["segmentation"]
        if logits.shape[1] != len(context.domain.regions):
            regions = len(context.domain.regions)
            raise InputError(f"the guide tells {logits.shape[1]} classes apart, {context.domain.name} names {regions} regions")
        parts.append(class_maps(logits, size))
    return torch.cat(parts)


@torch.no_grad()
def survey(context: FitContext, options: SurveyOptions) -> Survey:
    """IoU of every unit and concept, and where and how strongly units act where a concept is.

    Three looks at the maps: their range and means, histograms, and counts. Raises UnsupportedError where no concept is left.
    """
    info, regions = context.generator.info, context.domain.regions
    layer = middle_layer(info) if options.layer == "middle" else options.layer
    layers = [one.name for one in info.layers if one.name in (layer, *options.survey)]
    codes = streams(context).codes("survey", 0, options.samples)
    classes = classes_of(context, codes, options.size)
    presence = torch.stack([(classes == number).double().mean() for number in range(len(regions))])
    for name in options.concepts:
        if name not in regions:
            raise unknown(f"region of {context.domain.name}", name, regions)
    wanted = [regions.index(name) for name in options.concepts or regions]
    numbers = [number for number in wanted if presence[number] >= options.least_presence and presence[number] > 0]
    if not numbers:
        raise UnsupportedError(f"the guide sees none of {', '.join(options.concepts or regions)} in pictures of {info.name}")
    features = Features(context, codes, layers)
    low, high, means = _ranges(features, classes, layer, len(regions))
    levels = {name: Levels(low[name], high[name]) for name in layers}
    for _, maps in features:
        for name in layers:
            levels[name].update(grown(maps[name], options.size))
    iou, labels = {}, {}
    cuts = {name: levels[name].level(options.quantile) for name in layers}
    for name, found in _counted(features, classes, cuts, options.size, len(regions)).items():
        table = iou_of(*(one.numpy() for one in found)).T  # [R, U]
        # A unit's class is the best of all, so that one is not taken for a concept because its own was not asked for.
        best, _ = best_labels(np.concatenate([np.zeros((1, table.shape[1])), table]), least=options.least)
        number_of = {region + 1: concept for concept, region in enumerate(numbers)}
        iou[name] = torch.from_numpy(table[numbers])
        labels[name] = torch.tensor([number_of.get(int(one), -1) for one in best])
    values = means[numbers]
    if options.inserted == "quantile":
        values = levels[layer].level(options.inserted_quantile).expand(len(numbers), -1).clone()
    names = tuple(regions[number] for number in numbers)
    return Survey(names, layer, iou, labels, values, _places(classes, numbers), presence[numbers])


def _ranges(features: Features, classes: Tensor, layer: str, count: int) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    """Smallest and largest activation by layer [U], and the mean one of `layer` by class [R, U], weighted by presence."""
    low: dict[str, Tensor] = {}
    high: dict[str, Tensor] = {}
    total, weight = 0.0, torch.zeros(count, dtype=torch.float64)
    for part, maps in features:
        for name, one in maps.items():
            least, most = one.amin((0, 2, 3)), one.amax((0, 2, 3))
            low[name] = torch.minimum(low.get(name, least), least)
            high[name] = torch.maximum(high.get(name, most), most)
        own = maps[layer].double()
        present = shares(classes[part], count, own.shape[-1]).double()
        total = total + torch.einsum("nuhw,nchw->cu", own, present)
        weight += present.sum((0, 2, 3))
    return low, high, (total / weight.clamp(min=1e-12)[:, None]).float()


def _counted(
    features: Features, classes: Tensor, cuts: dict[str, Tensor], size: int, count: int
) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """By layer, pixels over all pictures: on and of a class [U, R], on [U], of a class [R], float64."""
    found: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
    for part, maps in features:
        for name, one in maps.items():
            each = counts(grown(one, size), classes[part], cuts[name], count)
            new = tuple(values.double().sum(0) for values in each)
            found[name] = tuple(a + b for a, b in zip(found[name], new, strict=True)) if name in found else new
    return found


def _places(classes: Tensor, numbers: Sequence[int]) -> Tensor:
    """Where each concept belongs, [C, 1, S, S] in {0, 1}: the places where it is often enough, among pictures that show it."""
    often = torch.stack([(classes == number).float().mean(0) for number in numbers])
    return (often >= PLACE * often.amax((1, 2), keepdim=True)).float()[:, None]
