"""`latentbench score`: judges what a user already has, directions in files or pictures before and after an edit."""

from __future__ import annotations

import enum
import re
from pathlib import Path
from typing import Annotated, Any

import typer


class Sign(enum.StrEnum):
    """Which way the edit was meant to go."""

    more = "+"
    less = "-"


def score(
    context: typer.Context,
    directions: Annotated[
        Path | None, typer.Option(help="A file or folder of directions (.npy, .npz, .pt, .safetensors).")
    ] = None,
    generator: Annotated[
        str | None, typer.Option(help="What the directions edit: a name, or a checkpoint with --domain.")
    ] = None,
    space: Annotated[str | None, typer.Option(help="Where codes move (default: what the files say, else w).")] = None,
    layers: Annotated[
        str | None, typer.Option(metavar="A:B", help="Rows that move, B excluded (default: as the files say).")
    ] = None,
    match: Annotated[list[str] | None, typer.Option(help="A pattern of files' or directions' names. Repeatable.")] = None,
    name: Annotated[list[str] | None, typer.Option(metavar="THEIRS=ATTRIBUTE", help="Whose direction it is. Repeatable.")] = None,
    against: Annotated[list[str] | None, typer.Option(help="Methods to run beside: 'interfacegan,sefa'. Repeatable.")] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Neither the floor (random) nor the bound (oracle) beside.")] = False,
    test_codes: Annotated[int | None, typer.Option(help="Codes per target and sign (default: 64).")] = None,
    domain: Annotated[
        str | None, typer.Option(help="What pictures are of: a registered domain, or a YAML page of prompts.")
    ] = None,
    before: Annotated[Path | None, typer.Option(help="A folder of unedited pictures.")] = None,
    after: Annotated[Path | None, typer.Option(help="A folder of the same pictures edited, under the same names.")] = None,
    sign: Annotated[Sign | None, typer.Option(help="Whether the edit was to raise (+) or lower (-) the target.")] = None,
    reference: Annotated[str | None, typer.Option(help="Unedited pictures that set sigma: a folder, or a generator.")] = None,
    target: Annotated[
        list[str] | None, typer.Option("--target", "--targets", help="An attribute, or several with commas.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where results go (default: ./results/score-NAME).")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of codes and intervals.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    batch: Annotated[int, typer.Option(help="Pictures in memory at a time; changes no number.")] = 64,
) -> int:
    """Score directions (--directions, --generator) or picture pairs (--domain, --before, --after) that you already have."""
    from bench.errors import InputError

    of_pairs = {"--before": before, "--after": after, "--sign": sign, "--reference": reference}
    of_directions = {
        "--directions": directions, "--generator": generator, "--space": space, "--layers": layers, "--match": match,
        "--name": name, "--against": against, "--alone": alone or None, "--test-codes": test_codes,
    }  # fmt: skip
    _refuse_mixture(of_directions, of_pairs)
    targets = [one.strip() for text in target or () for one in text.split(",") if one.strip()]
    debug = bool((context.obj or {}).get("debug"))
    if directions is not None:
        options: dict[str, Any] = {"space": space, "layers": layers, "match": match}
        options = {key: value for key, value in options.items() if value}
        settings = {} if test_codes is None else {"test_codes": test_codes}
        how = {"seed": seed, "device": device, "batch": batch, "debug": debug}
        named, beside = name or [], against or []
        return _directions(directions, str(generator), domain, options, named, targets, beside, alone, settings, out, how)
    if len(targets) > 1:
        raise InputError(f"picture pairs have one target, not {len(targets)}: score the folders once for each")
    return _pairs(domain, before, after, targets, sign, reference, out, seed, device)


def _refuse_mixture(of_directions: dict[str, Any], of_pairs: dict[str, Any]) -> None:
    """Raise InputError where the options are of both forms, of neither, or of half a one."""
    from bench.errors import InputError

    first, second = ([key for key, value in part.items() if value is not None] for part in (of_directions, of_pairs))
    if first and second:
        raise InputError(f"{first[0]} is for directions and {second[0]} for picture pairs: score one of them at a time")
    if not (first or second):
        pairs = "--domain NAME --before DIR --after DIR"
        raise InputError(f"score directions with --directions FILE --generator NAME, or picture pairs with {pairs}")
    needed, given = (("--directions", "--generator"), of_directions) if first else (("--before", "--after"), of_pairs)
    for key in needed:
        if given[key] is None:
            raise InputError(f"{(first or second)[0]} needs {key} too (see latentbench score --help)")


def _out(out: Path | None, name: str) -> Path:
    from bench.library import prepare_out

    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-") or "given"
    return prepare_out(out or Path("results") / f"score-{plain}")


def _directions(
    directions: Path, generator: str, domain: str | None, options: dict[str, Any], named: list[str], targets: list[str],
    beside: list[str], alone: bool, settings: dict[str, Any], out: Path | None, how: dict[str, Any],
) -> int:  # fmt: skip
    from bench.errors import InputError
    from bench.library import check_batch
    from bench.registry import Registry
    from leaderboards.scoring import directions as scoring

    check_batch(how["batch"])
    registry = Registry()
    against, names = scoring.choices(beside), scoring.renamed(named)
    registry.check("methods", (one.name for one in against))
    entry = scoring.network(generator, domain, registry)
    if names:
        options["names"] = names
    suite, notes = scoring.directions_suite(
        directions, entry, registry, options=options, targets=targets, against=against, alone=alone, settings=settings,
        seed=how["seed"],
    )  # fmt: skip
    folder = _out(out, directions.stem)
    for note in (*registry.problems, *notes):
        typer.echo(f"latentbench: note: {note}", err=True)
    from bench.progress import make_progress
    from bench.runner import run_suite
    from leaderboards.write import write_results

    keep = {key: how[key] for key in ("device", "batch", "debug")}
    result = run_suite(suite, registry=registry, progress=make_progress(), **keep)
    write_results(result, folder)
    for cell in result.cells:
        if cell.status != "ok":
            yours = cell.method.name == scoring.FILES
            if yours and cell.status == "skipped":
                raise InputError(f"the directions cannot be scored: {cell.reason}")
            typer.echo(f"{cell.status}: {'your directions' if yours else cell.method.name}: {cell.reason}")
    for line in scoring.terminal(result, folder, f"yours: {scoring.shown(directions.name)}"):
        typer.echo(line)
    typer.echo(f"report: {folder / 'README.md'}")
    return result.exit_code


def _pairs(
    domain: str | None, before: Path, after: Path, targets: list[str], sign: Sign | None, reference: str | None, out: Path | None,
    seed: int, device: str,
) -> int:  # fmt: skip
    from bench.errors import InputError
    from bench.registry import Registry

    if domain is None:
        known = ", ".join(Registry().names("domains"))
        raise InputError(f"what are the pictures of? Say it with --domain: {known}, or a YAML page")
    if sign is not None and not targets:
        raise InputError("--sign says which way the target was to go: name it with --target")
    from bench.progress import make_progress
    from leaderboards.scoring import page
    from leaderboards.scoring.score_pairs import asked, score_pairs

    registry, way = Registry(), -1 if sign == Sign.less else 1
    given = asked(domain, before.expanduser(), after.expanduser(), registry, target="".join(targets), sign=way)
    folder = _out(out, after.resolve().name)
    scored = score_pairs(given, registry, reference=reference, device=device, seed=seed, progress=make_progress())
    page.write(scored, folder)
    for line in page.terminal(scored):
        typer.echo(line)
    typer.echo(f"report: {folder / 'README.md'}")
    return 0
