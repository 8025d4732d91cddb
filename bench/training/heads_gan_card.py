"""Ship a trained heads-stylegan2: weights, a card of what judges say of it, and a sample grid, into the package.

`python -m bench.training.heads_gan_card --run DIR` replaces the shipped weights by those of a training folder.
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
from bench.domains.heads.factors import FACTORS, sample_factors
from bench.domains.heads.renderer import render
from bench.errors import InputError, LatentbenchError
from bench.generators.base import Generator
from bench.generators.stylegan2 import StyleGAN2
from bench.generators.weights import load_safetensors, save_half
from bench.passes import Passes
from bench.training.checkpoints import write_grid
from metrics.distribution import fid
from metrics.frechet import enough_for_fid

SHIPPED = Path(__file__).parents[1] / "generators" / "weights" / "heads_stylegan2.safetensors"
PICTURES = 4096
GRID_IDS = 64
# Renders of these ids and seed were never trained on.
HELD_OUT_SEED = 7
DESCRIPTION = "StyleGAN2 trained from scratch on rendered heads, 64 px, averaged weights"
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

    @torch.no_grad()
    def rendered(rows: slice, start: int) -> Tensor:
        return render(sample_factors(torch.arange(start + rows.start, start + rows.stop), seed=HELD_OUT_SEED)).rgb

    codes = generator.sample(stream_ids("reference", count), seed=0)
    first = readings(judges, count, lambda rows: rendered(rows, 0), passes)
    second = readings(judges, count, lambda rows: rendered(rows, count), passes)
    fake = readings(judges, count, lambda rows: passes.synthesize(codes[rows]), passes)
    scale = first["features"].std()  # so that the distance does not depend on the features' unit
    real, other, made = ((r["features"] / scale).double().numpy() for r in (first, second, fake))
    enough_for_fid(made.shape[1], len(made), len(real), len(other))
    return {
        "judge": f"features[{domain.info.judges['features']}]",
        "judge_sha": judges["features"].fingerprint,
        "pictures": count,
        "frechet_distance": round(fid(made, real), 4),
        "frechet_floor": round(fid(other, real), 4),
        "coverage_judge": f"attributes[{domain.info.judges['attributes']}]",
        "coverage": coverage(first["attributes"], fake["attributes"], tuple(domain.info.names)),
    }


def ship(run: Path, target: Path = SHIPPED, count: int = PICTURES) -> dict[str, Any]:
    """Measure the averaged weights of a training folder and write weights, card and grid at `target`. Gives back the card."""
    run = Path(run)
    state = load_safetensors(run / "ema.safetensors")
    log = (run / "log.txt").read_text(encoding="utf-8") if (run / "log.txt").exists() else ""
    images = re.findall(r"stopped at step \d+, ([\d.]+) kimg", log)
    if not images:
        raise InputError(f"{run / 'log.txt'} does not say how many pictures the training has seen: train a little more first")
    # With the settings and the half precision that it is loaded with, so that the card's generator is the shipped one.
    state = {name: value.half().float() for name, value in state.items()}
    generator = StyleGAN2.from_state_dict(state, name="heads-stylegan2", domain="heads", description=DESCRIPTION)
    figures = measure(generator, heads(), count)
    target.parent.mkdir(parents=True, exist_ok=True)
    card = {
        "name": "heads-stylegan2",
        "description": DESCRIPTION,
        "sha256": save_half(state, target),
        "settings": {},
        "kimg": float(images[-1]),
        "recipe": (re.findall(r"Config\((.*)\)", log) or [""])[-1],
        "loss": "non-saturating, lazy R1, one pass of the discriminator for both networks, exponential moving average",
        "data": "renders of correlated factors, glasses and beard on 45 % each, replaced while training",
        "parameters": sum(p.numel() for p in generator.parameters()),
        "bars": BARS,
        **figures,
        "below_their_bar": sorted(name for name, one in figures["coverage"].items() if not one["enough"]),
    }
    target.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    codes = generator.sample(torch.arange(GRID_IDS), seed=0)
    with torch.no_grad():
        write_grid(generator.synthesize(codes), target.with_suffix(".png"))
    discriminator = run / "discriminator.safetensors"
    if discriminator.exists():
        # With it another training can start from these weights.
        target.with_name("heads_stylegan2_discriminator.safetensors").write_bytes(discriminator.read_bytes())
    return card


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.training.heads_gan_card", description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="the training folder")
    parser.add_argument("--target", type=Path, default=SHIPPED, help="where to write; the package by default")
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
