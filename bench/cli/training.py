"""`latentbench train`: make the weights that ship with the package anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

TRAINERS = {
    "heads-stylegan2": "bench.training.stylegan2:train_stylegan2",
    "heads-dcgan": "bench.training.dcgan:train_heads_dcgan",
    "heads-pggan": "bench.training.pggan:train_heads_pggan",
    "heads-pggan-hessian": "bench.training.pggan_hessian:train_heads_pggan_hessian",
    "heads-pggan-control": "bench.training.pggan_hessian:train_heads_pggan_control",
    "heads-stylegan": "bench.training.stylegan:train_heads_stylegan",
    "heads-biggan": "bench.training.biggan:train_heads_biggan",
    "heads-eigengan": "bench.training.eigengan:train_heads_eigengan",
    "heads-networks": "bench.training.heads_networks:train_heads_networks",
    "heads-segmenters": "bench.training.heads_segmenters:train_heads_segmenters",
    "heads-text": "bench.training.heads_text:train_heads_text",
}


def train(
    name: Annotated[str, typer.Argument(help=" or ".join(TRAINERS))],
    minutes: Annotated[float, typer.Option(help="How long. A training that was stopped goes on where it was.")] = 30.0,
    out: Annotated[Path | None, typer.Option(help="Where state, logs and weights go (default: ./training/NAME).")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda, where the trainer can use it.")] = "cpu",
    steps: Annotated[
        int | None, typer.Option(help="Stop at this step of the whole training, of a generator, to compare states.", min=1)
    ] = None,
) -> None:
    """Train an embedded generator, or the guides and judges of heads."""
    import inspect
    from importlib import import_module

    from bench.errors import InputError, unknown
    from bench.library import prepare_out

    if name not in TRAINERS:
        raise unknown("training", name, TRAINERS)
    if not minutes > 0:
        raise InputError(f"a training takes more than 0 minutes, not {minutes:g}")
    folder = prepare_out(out or Path("training") / name)
    module, _, attribute = TRAINERS[name].partition(":")
    trainer = getattr(import_module(module), attribute)
    accepted = inspect.signature(trainer).parameters
    more: dict[str, Any] = {}
    for option, value, without in (("device", device, "cpu"), ("max_steps", steps, None)):
        if option in accepted:
            more[option] = value
        elif value != without:
            raise InputError(f"the training of {name} takes no {option.removeprefix('max_')}: it is by the clock, on the CPU")
    trainer(folder, minutes=minutes, **more)
    typer.echo(f"trained: {folder}")
