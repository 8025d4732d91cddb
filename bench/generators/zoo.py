"""Generators of heads that ship with the package, of any architecture: where they lie, and what their weights make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from bench.errors import InputError
from bench.generators.base import Generator
from bench.generators.forms import find_form

WEIGHTS = Path(__file__).parent / "weights"


def weights_of(name: str) -> Path:
    """Where the weights of a shipped generator lie; its card beside them ends in .json, its sample grid in .png."""
    return WEIGHTS / f"{name.replace('-', '_')}.safetensors"


def build(state: Mapping[str, Tensor], name: str, description: str = "") -> Generator:
    """A generator of heads from its weights, of the architecture that their names tell. Raises InputError where none does."""
    form = find_form(state)
    if form is None:
        raise InputError(f"the weights of {name} are of no known architecture")
    generator = form.build(dict(state), {}, name, "heads")
    generator.info = replace(generator.info, description=description)
    return generator
