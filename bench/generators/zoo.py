"""Generators of heads that ship with the package, of any architecture: where they lie, and what their weights make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import Tensor

from bench.errors import InputError
from bench.generators.base import Generator
from bench.generators.forms import find_form
from bench.generators.weights import load_card, load_safetensors

WEIGHTS = Path(__file__).parent / "weights"


def weights_of(name: str) -> Path:
    """Where the weights of a shipped generator lie; its card beside them ends in .json, its sample grid in .png."""
    return WEIGHTS / f"{name.replace('-', '_')}.safetensors"


def discriminator_of(name: str) -> Path:
    """Where the discriminator of a shipped generator lies, of those that another training starts from."""
    return WEIGHTS / f"{name.replace('-', '_')}_discriminator.safetensors"


def build(state: Mapping[str, Tensor], name: str, description: str = "") -> Generator:
    """A generator of heads from its weights, of the architecture that their names tell. Raises InputError where none does."""
    form = find_form(state)
    if form is None:
        raise InputError(f"the weights of {name} are of no known architecture")
    generator = form.build(dict(state), {}, name, "heads")
    generator.info = replace(generator.info, description=description)
    return generator


def shipped(name: str) -> Generator:
    """A generator of heads that ships with the package (trained by `latentbench train NAME`)."""
    path = weights_of(name)
    card = load_card(path.with_suffix(".json"))
    generator = build(load_safetensors(path, sha256=card.get("sha256")), name, card.get("description", ""))
    generator.lost = {attribute: f"{name} lost it: {how}" for attribute, how in card.get("lost", {}).items()}
    return generator


heads_stylegan2 = partial(shipped, "heads-stylegan2")
heads_dcgan = partial(shipped, "heads-dcgan")
heads_pggan = partial(shipped, "heads-pggan")
heads_pggan_hessian = partial(shipped, "heads-pggan-hessian")
heads_pggan_control = partial(shipped, "heads-pggan-control")
heads_stylegan = partial(shipped, "heads-stylegan")
heads_biggan = partial(shipped, "heads-biggan")
heads_eigengan = partial(shipped, "heads-eigengan")
