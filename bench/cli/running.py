"""`latentbench run`: a suite from its name to its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    context: typer.Context,
    suite: Annotated[str, typer.Argument(help="A shipped suite, or a YAML file.")] = "quick",
    out: Annotated[Path | None, typer.Option(help="Where results go (default: ./results/SUITE).")] = None,
    add: Annotated[list[str] | None, typer.Option(help="A method to run beside the suite's, e.g. a plug-in. Repeatable.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the suite's.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    batch: Annotated[int, typer.Option(help="Pictures in memory at a time; changes no number.")] = 64,
    workers: Annotated[int, typer.Option(help="Processes that share the work and the cores.")] = 1,
) -> int:
    """Run a suite: fit the methods, measure them, write tables and a report. A run that was stopped goes on where it was."""
    from bench.library import check_batch, compose, prepare_out
    from bench.registry import Registry

    registry = Registry()
    chosen = compose(suite, registry, add=add or (), seed=seed)
    check_batch(batch)
    registry.check("generators", chosen.registered)
    registry.check("tasks", chosen.tasks)
    registry.check("methods", (choice.name for choice in chosen.methods))
    folder = prepare_out(out or Path("results") / chosen.name)
    for problem in registry.problems:
        typer.echo(f"latentbench: warning: {problem}", err=True)
    import time

    from bench.progress import make_progress
    from bench.runner import run_suite
    from bench.workers import shared_out

    debug = bool((context.obj or {}).get("debug"))
    told = {"progress": make_progress(), "debug": debug}
    with shared_out(workers) as executor:
        result = run_suite(chosen, registry=registry, device=device, batch=batch, executor=executor, **told)
    from leaderboards.write import write_results

    start = time.perf_counter()
    write_results(result, folder)
    _conclude(result, folder, time.perf_counter() - start)
    return result.exit_code


def _conclude(result, folder: Path, report_seconds: float) -> None:
    """What became of the cells, where the time went, and where the report is."""
    from collections import Counter

    from bench.environment import peak_mb
    from bench.runner import breakdown

    for cell in result.cells:
        if cell.status == "error":
            variant = f" ({cell.method.variant})" if cell.method.variant else ""
            typer.echo(f"failed: {cell.generator}, {cell.task}, {cell.method.name}{variant}: {cell.reason}")
    counts = Counter(cell.status for cell in result.cells)
    cached = sum(cell.cached for cell in result.cells)
    said = ", ".join(f"{counts[status]} {status}" for status in ("ok", "skipped", "error") if counts[status])
    typer.echo(f"cells: {said}{f' ({cached} found in the store)' if cached else ''}")
    parts = ", ".join(f"{part} {seconds:.1f} s ({share:.0%})" for part, seconds, share in breakdown(result) if seconds >= 0.05)
    typer.echo(f"time: {result.total_seconds:.1f} s: {parts}; then the report: {report_seconds:.1f} s")
    most = max([peak_mb(), *(cell.peak_mb for cell in result.cells)])
    typer.echo(f"in networks and fits: {result.network_share:.0%}; most memory: {most:.0f} MB")
    typer.echo(f"report: {folder / 'README.md'}")
