"""`latentbench fetch`: published weights, from where they are published or from a file. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def fetch(
    name: Annotated[str | None, typer.Argument(help="A name of the catalogue (--list).")] = None,
    source: Annotated[Path | None, typer.Option("--from", help="A file that you have: it is checked and copied.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the catalogue, and what is at hand.")] = False,
) -> None:
    """Fetch published weights, check them and keep them. A download that was stopped goes on where it was."""
    from bench.errors import InputError
    from bench.fetch import entry
    from bench.fetch import fetch as get
    from bench.fetch.progress import make_bytes

    if listed:
        return _list(name)
    if name is None:
        raise InputError("fetch needs a name: latentbench fetch --list shows them")
    one = entry(name)
    typer.echo(f"{name}: {one.description} (licence: {one.licence})", err=True)
    path = get(name, source=source, progress=make_bytes(name))
    typer.echo(str(path))


def _list(name: str | None) -> None:
    from bench.fetch import entry, load_catalogue
    from bench.fetch.places import places

    entries = [entry(name)] if name else list(load_catalogue().values())
    rows = [("name", "for", "domain", "px", "at hand", "size", "licence", "what")]
    for one in entries:
        here = "yes" if any(path.is_file() for path in places(one)) else "by hand" if one.by_hand else "no"
        size = one.bytes / 1e6 if one.bytes else one.megabytes
        rows.append(
            (one.name, one.role, one.domain, str(one.resolution or ""), here, f"{size:.0f} MB" if size else "", one.licence,
             one.description)
        )  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip())
