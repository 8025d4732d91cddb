"""`latentbench compare`: two runs into a verdict."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import InputError, LatentbenchError


class FailOn(enum.StrEnum):
    """What ends in exit code 1; each includes the one before it."""

    worse = "worse"
    missing = "missing"
    changed = "changed"
    never = "never"


def compare(
    old: Annotated[Path, typer.Argument(help="A folder that `latentbench run` wrote, or a results.csv.")],
    new: Annotated[Path, typer.Argument(help="The same, of the run that is judged.")],
    fail_on: Annotated[
        FailOn, typer.Option(help="What is exit code 1: a worse number, also a missing one, any change at all, nothing.")
    ] = FailOn.worse,
    tolerance: Annotated[
        list[str] | None, typer.Option(metavar="METRIC=VALUE", help="Differences up to VALUE count as none. Repeatable.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write Markdown that fits a comment on a pull request.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write a table of every number.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML, a test for every number.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show every number, not only what changed.")] = False,
) -> int:
    """Compare two runs number by number. Exit code: 0 no regression, 1 a regression, 2 something cannot be compared."""
    tolerances = dict(_tolerance(one) for one in tolerance or ())
    try:
        return _compare(old, new, fail_on.value, tolerances, markdown, csv, junit, everything)
    except (LatentbenchError, BrokenPipeError):
        raise
    except Exception as error:
        # 1 would be read as a regression: whatever else goes wrong, nothing was compared.
        raise InputError(f"cannot compare, unexpected {type(error).__name__}: {error} (--debug shows where)") from error


def _compare(
    old: Path,
    new: Path,
    fail_on: str,
    tolerances: dict[str, float],
    markdown: Path | None,
    csv: Path | None,
    junit: Path | None,
    everything: bool,
) -> int:
    from rich.console import Console

    from leaderboards.compare.comparison import compare as compare_sides
    from leaderboards.compare.files import junit as junit_text
    from leaderboards.compare.files import table
    from leaderboards.compare.sides import read_side
    from leaderboards.compare.text import comment, show
    from leaderboards.records import write_atomic

    found = compare_sides(read_side(old), read_side(new), tolerances=tolerances)
    files = ((markdown, lambda: comment(found, fail_on)), (csv, lambda: table(found)))
    for path, text in (*files, (junit, lambda: junit_text(found, fail_on))):
        if path is not None:
            write_atomic(path, text().encode())
    try:
        show(found, fail_on, Console(highlight=False), everything=everything)
    except (BrokenPipeError, SystemExit):
        pass  # the reader of the table (`| head`) has seen enough, which rich answers with an exit of 1: the verdict stands
    return found.exit_code(fail_on)


def _tolerance(text: str) -> tuple[str, float]:
    """'leakage=0.01' as ('leakage', 0.01). Raises InputError."""
    metric, equals, value = text.partition("=")
    try:
        return metric.strip(), float(value if equals and metric.strip() else "")
    except ValueError:
        raise InputError(f"--tolerance {text}: write METRIC=VALUE, such as leakage=0.01") from None
