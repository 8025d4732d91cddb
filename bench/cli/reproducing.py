"""`latentbench reproduce`: a paper's tables and claims beside what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def reproduce(
    paper: Annotated[str, typer.Argument(help="A paper's id, such as interfacegan; an unknown one lists them all.")],
    results: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A folder that `latentbench run` wrote; repeatable. Default: those of the checkout."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the page, Markdown, there; do not print it.")] = None,
) -> None:
    """Print what a paper reports beside what was measured: its tables, its claims with verdicts, and what cannot be evaluated."""
    from leaderboards.claims import find_paper

    found = find_paper(paper)
    from leaderboards.records import write_atomic
    from leaderboards.reproduce import page, reference_folders

    text = page(found, results or reference_folders())
    if out is None:
        typer.echo(text, nl=False)
        return
    write_atomic(out, text.encode())
    typer.echo(f"{found.id}: {out}")
