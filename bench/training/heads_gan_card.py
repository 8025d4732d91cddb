"""Ship a trained GAN of heads: weights, a card of what judges say of it, and a sample grid, into the package.

`python -m bench.training.heads_gan_card --run DIR` replaces the shipped weights by those of a training folder, whose log says
which generator they are.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.bank import stream_ids
from bench.clock import Clock
from bench.domains.base import Domain, Network
from bench.domains.heads.domain import heads
from bench.domains.heads.factors import FACTORS
from bench.errors import InputError, LatentbenchError
from bench.generators.base import Generator
from bench.generators.weights import load_safetensors, save_half
from bench.generators.zoo import build, weights_of
from bench.passes import Passes
from bench.training.checkpoints import write_grid
from metrics.distribution import fid
from metrics.frechet import enough_for_fid
from metrics.neighbours import density_coverage, precision_recall

PICTURES = 4096
GRID_IDS = 64
# Renders of these ids and seed were never trained on.
HELD_OUT_SEED = 7
DESCRIPTIONS = {
    "heads-stylegan2": "StyleGAN2",
    "heads-dcgan": "DCGAN",
    "heads-pggan": "PGGAN, grown from 4 px",
    "heads-stylegan": "StyleGAN, grown from 8 px",
    "heads-biggan": "BigGAN of four classes (neither, beard, glasses, both)",
    "heads-eigengan": "EigenGAN",
}
LOSSES = {
    "heads-stylegan2": "non-saturating, lazy R1, one pass of the discriminator for both networks",
    "heads-dcgan": "non-saturating, lazy R1",
    "heads-pggan": "Wasserstein with gradient penalty and drift",
    "heads-stylegan": "non-saturating, lazy R1",
    "heads-biggan": "hinge, projection discriminator, orthogonal regularisation",
    "heads-eigengan": "hinge, lazy R1, orthogonal subspaces",
}
# What samples have to reach of the renders' own rates and spreads.
BARS = {"rate": 0.7, "spread": 0.7}


def readings(judges: dict[str, Network], count: int, pictures: Callable[[slice], Tensor], passes: Passes) -> dict[str, Tensor]:
    """Judges' readings [count, ...] of pictures that `pictures` makes for a slice of rows."""
    parts = [passes.measure(judges, pictures(slice(i, min(i + 64, count))).clamp(-1, 1)) for i in range(0, count, 64)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def coverage(real: Tensor, fake: Tensor, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
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
            "enough": ratio >= BARS[kind],
        }
    return found


def measure(generator: Generator, domain: Domain, count: int = PICTURES) -> dict[str, Any]:
    """Frechet distance to held-out renders beside the floor of renders against renders, and coverage; psi 1, constant noise."""
    judges = {"features": domain.judge("features"), "attributes": domain.judge("attributes")}
    passes = Passes(generator, clock=Clock())

    side = generator.info.resolution

    @torch.no_grad()
    def rendered(rows: slice, start: int) -> Tensor:
        return domain.pictures(torch.arange(start + rows.start, start + rows.stop), seed=HELD_OUT_SEED, size=side)

    codes = generator.sample(stream_ids("reference", count), seed=0)
    first = readings(judges, count, lambda rows: rendered(rows, 0), passes)
    second = readings(judges, count, lambda rows: rendered(rows, count), passes)
    fake = readings(judges, count, lambda rows: passes.synthesize(codes[rows]), passes)
    scale = first["features"].std()  # so that the distance does not depend on the features' unit
    real, other, made = ((r["features"] / scale).double().numpy() for r in (first, second, fake))
    enough_for_fid(made.shape[1], len(made), len(real), len(other))
    near, balls = precision_recall(made, real), density_coverage(made, real)
    return {
        "resolution": side,
        "judge": f"features[{domain.info.judges['features']}]",
        "judge_sha": judges["features"].fingerprint,
        "pictures": count,
        "frechet_distance": round(fid(made, real), 4),
        "frechet_floor": round(fid(other, real), 4),
        "neighbours": {name: round(value, 4) for name, value in {**near._asdict(), **balls._asdict()}.items()},
        "coverage_judge": f"attributes[{domain.info.judges['attributes']}]",
        "coverage": coverage(first["attributes"], fake["attributes"], tuple(domain.info.names)),
    }


def ship(run: Path, target: Path | None = None, count: int = PICTURES) -> dict[str, Any]:
    """Measure the averaged weights of a training folder and write weights, card and grid. Gives back the card.

    target: where the weights go, the others beside them (None: into the package).
    """
    run = Path(run)
    log = (run / "log.txt").read_text(encoding="utf-8") if (run / "log.txt").exists() else ""
    images = re.findall(r"stopped at step \d+, ([\d.]+) kimg", log)
    if not images:
        raise InputError(f"{run / 'log.txt'} does not say how many pictures the training has seen: train a little more first")
    recipe = (re.findall(r"Config\((.*)\)", log) or [""])[-1]
    # Logs of the first trainings say no name.
    name = (re.findall(r"name='([^']+)'", recipe) or ["heads-stylegan2"])[0]
    if name not in DESCRIPTIONS:
        raise InputError(f"{run / 'log.txt'} is of {name}, which does not ship with the package")
    target = weights_of(name) if target is None else target
    # With the settings and the half precision that it is loaded with, so that the card's generator is the shipped one.
    state = {key: value.half().float() for key, value in load_safetensors(run / "ema.safetensors").items()}
    generator = build(state, name)
    description = f"{DESCRIPTIONS[name]} trained from scratch on rendered heads, {generator.info.resolution} px, averaged weights"
    figures = measure(generator, heads(), count)
    target.parent.mkdir(parents=True, exist_ok=True)
    card = {
        "name": name,
        "description": description,
        "sha256": save_half(state, target),
        "settings": {},
        "kimg": float(images[-1]),
        "recipe": recipe,
        "loss": f"{LOSSES[name]}; exponential moving average",
        "data": "renders of correlated factors, glasses and beard on 45 % each, replaced while training",
        "parameters": sum(p.numel() for p in generator.parameters()),
        "bars": BARS,
        **figures,
        "below_their_bar": sorted(key for key, one in figures["coverage"].items() if not one["enough"]),
    }
    target.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    codes = generator.sample(torch.arange(GRID_IDS), seed=0)
    with torch.no_grad():
        write_grid(generator.synthesize(codes), target.with_suffix(".png"))
    discriminator = run / "discriminator.safetensors"
    if name == "heads-stylegan2" and discriminator.exists():
        # With it another training can start from these weights.
        target.with_name(f"{target.stem}_discriminator.safetensors").write_bytes(discriminator.read_bytes())
    return card


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.training.heads_gan_card", description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="the training folder")
    parser.add_argument("--target", type=Path, help="where the weights go; into the package by default")
    parser.add_argument("--pictures", type=int, default=PICTURES)
    args = parser.parse_args(arguments)
    try:
        card = ship(args.run, args.target, args.pictures)
    except LatentbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(card, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
