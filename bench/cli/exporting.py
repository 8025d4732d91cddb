"""`latentbench export`: the directions that a method finds, in the formats in which papers release theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def export(
    method: Annotated[str, typer.Argument(help="A method, with options as in a suite: '{interfacegan: {space: z}}'.")],
    generator: Annotated[str, typer.Option(help="A generator, or a checkpoint as in a suite: '{path: FILE, domain: NAME}'.")],
    out: Annotated[Path | None, typer.Option(help="A folder (default: ./directions/METHOD-GENERATOR).")] = None,
    kind: Annotated[str, typer.Option("--format", help="npy, pt or safetensors; a JSON card lies beside.")] = "npy",
    suite: Annotated[str, typer.Option(help="The suite whose targets, bank, budget and seed the fit has.")] = "quick",
    target: Annotated[list[str] | None, typer.Option(help="An attribute, instead of the suite's targets. Repeatable.")] = None,
    fit_seed: Annotated[int, typer.Option(help="Which of the suite's fits.")] = 0,
    seed: Annotated[int | None, typer.Option(help="Instead of the suite's.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    batch: Annotated[int, typer.Option(help="Pictures in memory at a time; changes no number.")] = 64,
) -> None:
    """Fit a method as a suite does (a fit that a run has made is taken from the store) and write its directions."""
    from bench.errors import InputError
    from bench.library import check_batch, prepare_out
    from bench.registry import Registry
    from bench.store import Store
    from bench.suite import load_suite

    if kind not in ("npy", "pt", "safetensors"):
        raise InputError(f"unknown format '{kind}': npy, pt or safetensors")
    if fit_seed < 0:
        raise InputError(f"fits are counted from 0, not {fit_seed}")
    registry = Registry()
    chosen = _suite(load_suite(suite), method, generator, target, seed)
    registry.check("methods", [chosen.methods[0].name])
    registry.check("generators", chosen.registered)
    registry.check("tasks", chosen.tasks)
    folder = prepare_out(out or Path("directions") / f"{chosen.methods[0].name}-{chosen.generators[0]}")
    from bench.cell import Workbench

    bench = Workbench(chosen, registry, Store(), device=device, batch=check_batch(batch))
    for path in export_directions(bench, fit_seed, folder, kind):
        typer.echo(str(path))


def _suite(loaded: Any, method: str, generator: str, targets: list[str] | None, seed: int | None) -> Any:
    """The suite with one method and one generator."""
    import pydantic
    import yaml

    from bench.errors import InputError
    from bench.suite import MethodChoice, Suite, checked

    try:
        choice = MethodChoice.model_validate(yaml.safe_load(method))
    except (yaml.YAMLError, pydantic.ValidationError) as error:
        raise InputError(f"'{method}' is no method: a name, or '{{name: {{option: value}}}}'") from error
    try:
        network = yaml.safe_load(generator) if generator.startswith("{") else generator
    except yaml.YAMLError as error:
        raise InputError(f"'{generator}' is no generator: a name, a file, or '{{path: FILE, domain: NAME}}'") from error
    data = loaded.model_dump()
    files = {name: file for name, file in data["checkpoints"].items() if name == network}
    data |= {"generators": [network], "checkpoints": files, "methods": [choice]}
    if targets:
        data["tasks"] = {name: {**settings, "targets": targets} for name, settings in data["tasks"].items()}
    return checked(Suite, data | ({} if seed is None else {"seed": seed}), f"suite {loaded.name}")


def export_directions(bench: Any, fit_seed: int, folder: Path, kind: str) -> list[Path]:
    """Fit the first method of a workbench to its first generator, and write what edits: the files, the card last.

    Raises UnsupportedError where the method cannot run there or edits by something else than fixed directions.
    """
    from dataclasses import replace

    from bench.cell import Fit
    from bench.errors import InputError, UnsupportedError
    from methods.base import Request
    from methods.directions_io import Direction, write_directions
    from methods.editors import DirectionEditor

    fit, method = Fit(bench.suite.generators[0], 0, fit_seed), bench.method(0)
    place = bench.place(fit.generator)
    for name in bench.targets:
        place.domain.info.attribute(name)
    reason = method.supports(place.generator.info, place.domain.info)
    if reason:
        raise UnsupportedError(reason)
    outcome = bench.run_fit(fit)
    if outcome.status != "ok":
        raise (UnsupportedError if outcome.status == "skipped" else InputError)(f"{method.name}: {outcome.reason}")
    editor = _editor(bench, fit)
    if not isinstance(editor, DirectionEditor):
        raise UnsupportedError(f"{method.name} does not edit by fixed directions: there is nothing to write")
    plain, directions = replace(editor, scale=None), []
    for name in editor.targets:
        # What an edit of strength 1 adds, with what is held projected off; its length is written apart.
        values = plain.step(Request(name)).detach().cpu()
        scale = 1.0 if editor.scale is None else float(editor.scale[editor.names.index(name)])
        directions.append(Direction(name, values, "", editor.space, editor.rows, scale))
    prefix = f"{fit.generator}_{method.name}" if kind == "safetensors" else fit.generator
    return write_directions(folder, directions, kind, _card(bench, fit, editor), prefix)


def _editor(bench: Any, fit: Any) -> Any:
    """The editor of a fit, restored from the store as cells restore it."""
    from bench.clock import Clock
    from bench.errors import InputError

    entry = bench.store.get("fit", bench.fit_key(fit))
    if entry is None:
        raise InputError(f"the fit was lost from the store {bench.store.root}: run it again")
    context = bench.fit_context(fit, bench.passes(bench.place(fit.generator), Clock()))
    return bench.method(fit.method).restore(context, entry.tensors).editor


def _card(bench: Any, fit: Any, editor: Any) -> dict[str, Any]:
    """What the numbers alone do not say."""
    from bench.environment import code_version, git_commit

    method, place, suite = bench.method(fit.method), bench.place(fit.generator), bench.suite
    return {
        "format": "latentbench directions", "version": 1, "method": method.name, "method_version": method.version,
        "variant": method.variant, "citation": method.citation, "generator": fit.generator,
        "generator_sha": place.generator.fingerprint, "domain": place.domain.info.name, "space": str(editor.space),
        "hold": list(editor.hold), "targets": list(editor.targets), "suite": suite.name, "suite_version": suite.version,
        "seed": suite.seed, "fit_seed": fit.fit_seed, "bank": suite.bank,
        "code_version": code_version(), "git_commit": git_commit(),
    }  # fmt: skip
