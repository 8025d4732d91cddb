"""`latentbench list`: what can be named, and where each comes from. Imports no torch."""

from __future__ import annotations

from typing import Annotated

import typer


def list_names(
    kind: Annotated[str, typer.Argument(help="generators, methods, metrics, domains, tasks or suites")],
) -> None:
    """List the names of a kind, what each is, and where it comes from."""
    from bench.registry import KINDS, Registry
    from bench.suite import load_suite, shipped

    if kind == "suites":
        rows = [(name, "built-in", load_suite(name).description, "") for name in sorted(shipped())]
        problems: list[str] = []
    else:
        from bench.errors import unknown

        if kind not in KINDS:
            raise unknown("kind", kind, (*KINDS, "suites"))
        registry = Registry()
        rows = [(entry.name, entry.origin, entry.description, entry.problem) for entry in registry.entries(kind)]
        problems = registry.problems
    names, origins = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    for name, origin, description, problem in rows:
        typer.echo(f"{name:<{names}}  {origin:<{origins}}  {f'BROKEN: {problem}' if problem else description}".rstrip())
    for problem in problems:
        typer.echo(f"latentbench: warning: {problem}", err=True)
