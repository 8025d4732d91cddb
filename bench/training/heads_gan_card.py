"""Ship a trained GAN of heads: weights, a card of what judges say of it, and a sample grid, into the package.

`python -m bench.training.heads_gan_card --run DIR` replaces the shipped weights by those of a training folder, whose log says
which generator they are; `--check` measures all shipped ones again and compares with their cards.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from bench.domains.base import Domain
from bench.domains.heads.domain import heads
from bench.errors import InputError, LatentbenchError
from bench.generators.weights import load_card, load_safetensors, save_half
from bench.generators.zoo import build, discriminator_of, shipped, weights_of
from bench.training.biggan import BigGANRecipe
from bench.training.checkpoints import write_grid
from bench.training.dcgan import DCGANRecipe
from bench.training.eigengan import EigenGANRecipe
from bench.training.heads_gan_figures import PICTURES, measure
from bench.training.pggan import PGGANRecipe
from bench.training.pggan_hessian import ControlRecipe, HessianRecipe
from bench.training.recipe import Recipe
from bench.training.stylegan import StyleGANRecipe
from bench.training.stylegan2 import Config

GRID_IDS = 64
RECIPES: dict[str, type[Recipe]] = {
    recipe.name: recipe
    for recipe in (
        Config,
        DCGANRecipe,
        PGGANRecipe,
        HessianRecipe,
        ControlRecipe,
        StyleGANRecipe,
        BigGANRecipe,
        EigenGANRecipe,
    )
}
# Those whose discriminators ship too, so that another training can start from them.
STARTS = ("heads-stylegan2", "heads-pggan", "heads-stylegan")
# How far a figure that is measured again may be from its card: of its value, and for small ones absolutely.
TOLERANCE = 0.01


def minutes_of(log: str) -> float:
    """Wall-clock minutes of a training by its log, rendering included, the times that it was resumed together."""
    parts = [re.findall(r"  min ([\d.]+)  ", part) for part in re.split(r"^start at step", log, flags=re.MULTILINE)]
    return sum(float(found[-1]) for found in parts if found)


def start_of(log: str) -> dict[str, Any]:
    """The weights that a training began with, by its log, and the pictures that those had seen; empty where it began anew."""
    found = re.search(r"^begins with (\S+) of sha256 (\w+) and ([\d.]+) kimg$", log, flags=re.MULTILINE)
    return {"file": found[1], "sha256": found[2], "kimg": float(found[3])} if found else {}


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
    if name not in RECIPES:
        raise InputError(f"{run / 'log.txt'} is of {name}, which does not ship with the package")
    target = weights_of(name) if target is None else target
    # With the settings and the half precision that it is loaded with, so that the card's generator is the shipped one.
    state = {key: value.half().float() for key, value in load_safetensors(run / "ema.safetensors").items()}
    generator = build(state, name)
    description = f"{RECIPES[name].title}, trained on rendered heads, {generator.info.resolution} px, averaged weights"
    figures = measure(generator, heads(), count)
    target.parent.mkdir(parents=True, exist_ok=True)
    card = {
        "name": name,
        "description": description,
        "sha256": save_half(state, target),
        **({"start": start} if (start := start_of(log)) else {}),
        "kimg": float(images[-1]),
        "minutes": round(minutes_of(log), 1),
        "recipe": recipe,
        "loss": f"{RECIPES[name].objective}; exponential moving average",
        "data": "renders of correlated factors, glasses and beard on 45 % each, replaced while training",
        "parameters": sum(p.numel() for p in generator.parameters()),
        **figures,
        **({"tried": RECIPES[name].tried} if figures["below_their_bar"] else {}),
    }
    target.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    codes = generator.sample(torch.arange(GRID_IDS), seed=0)
    with torch.no_grad():
        write_grid(generator.synthesize(codes), target.with_suffix(".png"))
    discriminator = run / "discriminator.safetensors"
    if name in STARTS and discriminator.exists():
        target.with_name(discriminator_of(name).name).write_bytes(discriminator.read_bytes())
    return card


def differences(name: str, domain: Domain, count: int = PICTURES) -> list[str]:
    """Measure a shipped generator again; gives back a line for each figure of its card that is not the same to TOLERANCE."""
    card = load_card(weights_of(name).with_suffix(".json"))
    found = measure(shipped(name), domain, count)
    return [f"{name}: {key}: {old} on the card, {new} now" for key, old, new in _pairs(card, found, "") if not _alike(old, new)]


def _pairs(card: Any, found: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Figures of two nested tables side by side, by the keys of the second one."""
    if not isinstance(found, dict):
        yield path, card, found
        return
    for key, value in found.items():
        yield from _pairs(card.get(key) if isinstance(card, dict) else None, value, f"{path}.{key}".lstrip("."))


def _alike(old: Any, new: Any) -> bool:
    if isinstance(new, float) and isinstance(old, int | float):
        return abs(new - old) <= TOLERANCE * max(abs(old), 1.0)
    return old == new


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.training.heads_gan_card", description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", type=Path, help="the training folder")
    what.add_argument("--check", action="store_true", help="measure the shipped generators again")
    parser.add_argument("--target", type=Path, help="where the weights go; into the package by default")
    parser.add_argument("--pictures", type=int, default=PICTURES)
    args = parser.parse_args(arguments)
    try:
        if args.check:
            names, domain = [name for name in RECIPES if weights_of(name).exists()], heads()
            lines = [line for name in names for line in differences(name, domain, args.pictures)]
            print("\n".join([*lines, f"{len(names)} cards, {len(lines)} figures that differ"]))
            return 1 if lines else 0
        print(json.dumps(ship(args.run, args.target, args.pictures), indent=1))
    except LatentbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
