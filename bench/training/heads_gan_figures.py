"""What judges say of a generator of heads: distance to renders, coverage of attributes, neighbours; and the bars for them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

from bench.bank import stream_ids
from bench.domains.base import Domain, Network
from bench.domains.heads.factors import FACTORS
from bench.generators.base import Generator
from bench.passes import Passes
from metrics.distribution import fid
from metrics.frechet import enough_for_fid
from metrics.neighbours import density_coverage, precision_recall

PICTURES = 4096
# Renders of these ids and seed were never trained on.
HELD_OUT_SEED = 7
# Below this share of the renders' rate or spread an attribute is lost: edits of it would be of what is no longer there.
LOST = 0.2
STYLE_BASED = ("heads-stylegan", "heads-stylegan2")


def bars_of(name: str) -> dict[str, float]:
    """What a generator has to reach.

    rate, spread: of the renders' rate of each binary attribute and spread of each other one. frechet_ratio: the most that the
    Frechet distance may be, in floors. recall, coverage: of renders among the neighbours of samples.
    """
    style = name in STYLE_BASED
    return {
        "rate": 0.85 if style else 0.6,
        "spread": 0.7,
        "frechet_ratio": 15.0 if style else 40.0,
        "recall": 0.3,
        "coverage": 0.3,
    }


def attribute_coverage(
    real: Tensor, fake: Tensor, names: tuple[str, ...], bars: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    """Per attribute, what the judge reads of renders and samples [N, 18]: rates of binary ones (logit > 0), spreads of others.

    `ratio` is samples over renders; `enough` says whether it reaches its bar.
    """
    found = {}
    for factor in FACTORS:
        a, b = real[:, names.index(factor.name)], fake[:, names.index(factor.name)]
        kind = "rate" if factor.kind == "binary" else "spread"
        left, right = ((a > 0).float().mean(), (b > 0).float().mean()) if kind == "rate" else (a.std(), b.std())
        ratio = float(right / left)
        found[factor.name] = {
            "measure": kind,
            "renders": round(float(left), 4),
            "samples": round(float(right), 4),
            "ratio": round(ratio, 3),
            "enough": ratio >= bars[kind],
        }
    return found


def lost(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The attributes of `attribute_coverage` that samples hardly show, and what they show of them."""
    return {
        name: f"a {one['measure']} of {one['samples']:g} where renders have {one['renders']:g}"
        for name, one in attributes.items()
        if one["ratio"] < LOST
    }


def judges_of(domain: Domain) -> dict[str, Network]:
    return {kind: domain.judge(kind) for kind in ("features", "attributes")}


@cache
@torch.no_grad()
def renders(domain: Domain, side: int, start: int, count: int) -> dict[str, Tensor]:
    """Judges' readings [count, ...] of held-out renders; generators of one resolution share them."""
    parts = []
    for ids in torch.arange(start, start + count).split(64):
        images = domain.pictures(ids, seed=HELD_OUT_SEED, size=side).clamp(-1, 1)
        parts.append({kind: judge.measure(images)[kind] for kind, judge in judges_of(domain).items()})
    return {kind: torch.cat([part[kind] for part in parts]) for kind in parts[0]}


def measure(generator: Generator, domain: Domain, count: int = PICTURES) -> dict[str, Any]:
    """Frechet distance to held-out renders beside the floor of renders against renders, and coverage; psi 1, constant noise."""
    judges, side, bars = judges_of(domain), generator.info.resolution, bars_of(generator.info.name)
    first, second = (renders(domain, side, start, count) for start in (0, count))
    fake = Passes(generator).read(judges, generator.sample(stream_ids("reference", count), seed=0))
    scale = first["features"].std()  # so that the distance does not depend on the features' unit
    real, other, made = ((r["features"] / scale).double().numpy() for r in (first, second, fake))
    enough_for_fid(made.shape[1], len(made), len(real), len(other))
    near, balls = precision_recall(made, real), density_coverage(made, real)
    distance, floor = fid(made, real), fid(other, real)
    neighbours = {name: round(value, 4) for name, value in {**near._asdict(), **balls._asdict()}.items()}
    attributes = attribute_coverage(first["attributes"], fake["attributes"], tuple(domain.info.names), bars)
    below = [key for key, one in attributes.items() if not one["enough"]]
    below += [key for key in ("recall", "coverage") if neighbours[key] < bars[key]]
    below += ["frechet_ratio"] if distance > bars["frechet_ratio"] * floor else []
    return {
        "resolution": side,
        "bars": bars,
        "judge": f"features[{domain.info.judges['features']}]",
        "judge_sha": judges["features"].fingerprint,
        "pictures": count,
        "frechet_distance": round(distance, 4),
        "frechet_floor": round(floor, 4),
        "frechet_ratio": round(distance / floor, 2),
        "neighbours": neighbours,
        "coverage_judge": f"attributes[{domain.info.judges['attributes']}]",
        "coverage": attributes,
        "lost": lost(attributes),
        "below_their_bar": sorted(below),
    }
