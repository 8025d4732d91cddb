"""Loads a generator by its registered name or from a published checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch

from bench.checkpoints.kinds import unknown_network
from bench.checkpoints.names import is_path
from bench.checkpoints.reading import one_line, read_checkpoint
from bench.errors import InputError, unknown
from bench.generators.base import Generator
from bench.generators.forms import find_form
from bench.registry import Registry

# The domain of a generator whose pictures nobody said what they are of. It has no attributes, guides or judges.
ANY_DOMAIN = "images"
# Tensors that a checkpoint keeps beside its generator and that belong to it.
BESIDE = ("latent_avg",)


def load_generator(
    path_or_name: str | Path,
    *,
    domain: str | None = None,
    name: str | None = None,
    part: str | None = None,
    device: str | torch.device = "cpu",
    registry: Registry | None = None,
) -> Generator:
    """A generator by its registered name, or from a checkpoint in any of the forms of bench.generators.forms.

    domain: what the pictures are of, as its card says; 'images' where nobody says (a task needs a registered domain). name: on
    its card; the file's stem where none is given. part: which network of the file. These three are a checkpoint's alone. A
    registered name wins over a file of that name. Raises InputError, in one line, where there is no such name or file, where the
    file is damaged, hostile or of another network, and where its weights and its arguments do not fit together.
    """
    registry = registry or Registry()
    if isinstance(path_or_name, str) and path_or_name in registry.names("generators"):
        if (domain, name, part) != (None, None, None):
            raise InputError(f"{path_or_name} is a registered generator: domain, name and part are for checkpoint files")
        found = registry.load("generators", path_or_name)
        generator = found if isinstance(found, Generator) else found()
    else:
        path = Path(path_or_name)
        if not is_path(path_or_name) and not path.exists():
            said = unknown("generator", str(path_or_name), registry.names("generators"))
            raise InputError(f"{said}; a checkpoint's file is named with its ending or its folder")
        generator = load_checkpoint(path, domain=domain or ANY_DOMAIN, name=name, part=part)
    return generator.to(device)


def load_checkpoint(path: Path, *, domain: str, name: str | None = None, part: str | None = None) -> Generator:
    """The generator of a checkpoint file, on the CPU. Raises InputError as load_generator does."""
    checkpoint = read_checkpoint(path, part=part)
    form = find_form(checkpoint.state)
    where = f"{path} ({checkpoint.part})" if checkpoint.part else str(path)
    if form is None:
        raise InputError(one_line(f"{where}: {unknown_network([checkpoint.state])}"))
    state = checkpoint.state | {key: checkpoint.extras[key] for key in BESIDE if key in checkpoint.extras}
    try:
        return form.build(state, checkpoint.arguments, name or path.stem, domain)
    except InputError as error:
        raise InputError(one_line(f"{where}: {error}")) from error
