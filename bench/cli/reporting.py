"""`latentbench report`: tables, plots and the report again, from the numbers of a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(folder: Annotated[Path, typer.Argument(help="A folder that `latentbench run` wrote.")]) -> None:
    """Rebuild tables, plots and README.md of a results folder."""
    from bench.errors import InputError

    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: give the one that `latentbench run` wrote")
    from bench.library import prepare_out
    from leaderboards.write import rebuild_report

    rebuild_report(prepare_out(folder))
    typer.echo(f"report: {folder / 'README.md'}")
