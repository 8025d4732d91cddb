"""The application: its verbs, and how every error ends in one line and an exit code."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from bench.cli.comparing import compare
from bench.cli.doctor import doctor
from bench.cli.exporting import export
from bench.cli.fetching import fetch
from bench.cli.listing import list_names
from bench.cli.reporting import report
from bench.cli.reproducing import reproduce
from bench.cli.running import run
from bench.cli.scoring import score
from bench.cli.training import train
from bench.errors import LatentbenchError

# Exit codes beside a run's own 0 (all well) and 1 (some cell failed).
UNEXPECTED, BAD_INPUT, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="latentbench",
    help="Measures methods that make generative image models interpretable: which one changes what was asked, and nothing else.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run)
app.command("list")(list_names)
app.command("report")(report)
app.command("compare")(compare)
app.command("score")(score)
app.command("reproduce")(reproduce)
app.command("train")(train)
app.command("fetch")(fetch)
app.command("export")(export)
app.command("doctor")(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        try:
            typer.echo(f"latentbench {metadata.version('latentbench')}")
        except metadata.PackageNotFoundError:
            typer.echo("latentbench, run from its source folder")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks. May stand anywhere on the line.")] = False,
) -> None:
    """Options of every verb."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and give back its exit code: 0 all well, 1 some cell failed, 2 bad input, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    debug = "--debug" in given
    context: dict[str, Any] = {"debug": debug}
    warnings.showwarning = _show_warning
    try:
        code = app([one for one in given if one != "--debug"], prog_name="latentbench", standalone_mode=False, obj=context)
    except LatentbenchError as error:
        return _fail(str(error), error.exit_code, debug)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        return 0  # the reader of our output has seen enough
    except typer.Abort:
        code = INTERRUPTED
    # The last resort: no error that a user meets is a traceback.
    except Exception as error:
        # A wrong option or argument: an exception of the parser that typer carries.
        if hasattr(error, "format_message"):
            return _fail(f"{error.format_message()} (see latentbench --help)", BAD_INPUT, debug)
        return _fail(f"unexpected {type(error).__name__}: {error} (--debug shows where)", UNEXPECTED, debug)
    # Parsers turn an interruption into this code, or into an exception of their own, and say nothing.
    if code == INTERRUPTED:
        return _fail("interrupted: finished cells are kept, run the same command to go on", INTERRUPTED, debug)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int, debug: bool) -> int:
    if debug and sys.exc_info()[0]:
        traceback.print_exc()
    print(f"latentbench: {' '.join(message.split())}", file=sys.stderr)
    return code


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """A warning in one line. Those of libraries about themselves are for developers: python -W shows them."""
    if issubclass(category, UserWarning):
        print(f"latentbench: warning: {' '.join(str(message).split())}", file=sys.stderr)
