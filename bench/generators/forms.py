"""Forms: the ways in which published checkpoints name a generator's parameters, told apart by those names alone.

An architecture's module lists its forms; the table below says where, so that looking for one imports only what is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from torch import Tensor

from bench.errors import InputError
from bench.generators.base import Generator

# In the order in which they are tried; a state dict that fits two is an error of these marks, and a test looks for it.
FORMS: tuple[str, ...] = (
    "bench.generators.stylegan2:ADA",
    "bench.generators.stylegan2_rosinality:ROSINALITY",
    "bench.generators.stylegan2_genforce:GENFORCE",
    "bench.generators.stylegan:GENFORCE",
    "bench.generators.stylegan:INTERFACEGAN",
    "bench.generators.pggan:GENFORCE",
    "bench.generators.pggan:INTERFACEGAN",
    "bench.generators.biggan_deep:HUGGINGFACE",
    "bench.generators.biggan_pytorch:BIGGAN_PYTORCH",
    "bench.generators.eigengan:EIGENGAN",
    "bench.generators.dcgan:DCGAN_FORM",
)

Loaded = TypeVar("Loaded", bound=Generator)


@dataclass(frozen=True)
class Form:
    """One published way of naming.

    marks: regular expressions, each of which must match the whole of some parameter's name; absent: none of which may.
    build: (state, arguments, name, domain) -> Generator. state: float32 tensors under the published names, without prefixes.
    arguments: the official constructor's keyword arguments, from the checkpoint or its JSON file, flat; those that shapes
    already tell are checked against them, and a disagreement or an argument that the form does not know raises InputError.
    """

    name: str
    architecture: str
    marks: tuple[str, ...]
    build: Callable[..., Generator]
    absent: tuple[str, ...] = ()

    def fits(self, names: Iterable[str]) -> bool:
        """Whether a state dict with these names can be of this form."""
        names = list(names)
        found = [any(re.fullmatch(mark, name) for name in names) for mark in (*self.marks, *self.absent)]
        return all(found[: len(self.marks)]) and not any(found[len(self.marks) :])


def known_forms() -> list[Form]:
    """All forms of the table."""
    forms = []
    for target in FORMS:
        module, _, attribute = target.partition(":")
        forms.append(getattr(import_module(module), attribute))
    return forms


def find_form(names: Iterable[str]) -> Form | None:
    """The form of a state dict with these names, or None."""
    names = list(names)
    return next((form for form in known_forms() if form.fits(names)), None)


def load_exactly(generator: Loaded, state: Mapping[str, Tensor], what: str, optional: Iterable[str] = ()) -> Loaded:
    """The generator with a state dict of exactly its names and shapes. optional: names that may be absent (they keep theirs).

    Raises InputError that names up to five of the missing, unexpected and misshapen parameters.
    """
    own, optional = generator.state_dict(), set(optional)
    problems = [f"missing {key}" for key in own.keys() - state.keys() - optional]
    problems += [f"unexpected {key}" for key in state.keys() - own.keys()]
    problems += [
        f"{key} has shape {list(state[key].shape)}, not {list(own[key].shape)}"
        for key in own.keys() & state.keys()
        if state[key].shape != own[key].shape
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise InputError(f"not the weights of {what}: {'; '.join(sorted(problems)[:5])}{more}")
    generator.load_state_dict({**own, **state})
    return generator


def check_arguments(arguments: Mapping[str, Any], told: Mapping[str, Any], accepted: Iterable[str], what: str) -> dict[str, Any]:
    """The arguments that shapes do not tell, out of a checkpoint's flat constructor arguments.

    told: arguments that shapes tell, with their values. accepted: the others that the form knows. Raises InputError for an
    argument that is neither, or that contradicts the shapes.
    """
    accepted = set(accepted)
    for key, value in arguments.items():
        if key in told and value is not None and value != told[key]:
            raise InputError(f"{what}: {key} is {value} in the checkpoint's arguments, but its weights say {told[key]}")
        if key not in told and key not in accepted:
            known = ", ".join(sorted({*told, *accepted}))
            raise InputError(f"{what} has no argument '{key}' (known: {known})")
    return {key: value for key, value in arguments.items() if key in accepted}
