"""From a finished run to its folder, and from a folder to its tables, plots and report again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboards import plots
from leaderboards.claims import Source, evaluate, papers
from leaderboards.costs import costs, costs_csv, costs_table, fit_times_table
from leaderboards.folder import Results, load, store
from leaderboards.headlines import readings, samples_of
from leaderboards.pages import page_of
from leaderboards.records import write_atomic
from leaderboards.report import CURVES, headline_names, render
from leaderboards.strips import strips
from leaderboards.tables import leaderboard, wide_csv

if TYPE_CHECKING:
    from bench.runner import RunResult


def write_results(result: RunResult, out: Path) -> None:
    """Write everything of a run: results.csv, samples.npz, run.json, pictures/, then <task>.csv, plots/ and README.md.

    Each file is replaced in one step. Files of an earlier run that this one does not write are removed, others are left alone.
    Raises InputError where the folder cannot be written.
    """
    out = Path(out)
    before = _listed(out)
    sheets = strips(result)
    store(result, out, [sheet.listing for sheet in sheets])
    for sheet in sheets:
        write_atomic(out / sheet.listing["path"], sheet.png)
    kept = {sheet.listing["path"] for sheet in sheets} | rebuild_report(out)
    for path in before - kept:
        (out / path).unlink(missing_ok=True)


def rebuild_report(folder: Path) -> set[str]:
    """Make tables, plots and README.md from results.csv, samples.npz, run.json and pictures/. Returns the paths written.

    Raises InputError where one of these is missing or damaged.
    """
    folder = Path(folder)
    results = load(folder)
    boards, pages, files, wide, source = {}, {}, {}, [], Source(results)
    for task in results.tasks:
        names = headline_names(results, task)
        boards[task] = {}
        for generator in results.generators:
            table = source.known[task, generator] = readings(results, task, generator)
            cells = {entry: group[0] for entry, group in results.groups(task, generator).items()}
            spaces = {entry: cell.card["space"] for entry, cell in cells.items()}
            board = boards[task][generator] = leaderboard(generator, table, spaces, names, samples_of(results, task, generator))
            pages[task, generator], beside = page_of(task, results, generator, board)
            files |= beside
            if board is None:
                continue
            files |= _plots(results, task, generator, board)
        ranked = [board for board in boards[task].values() if board]
        if ranked:
            wide.append(f"{task}.csv")
            files[f"{task}.csv"] = wide_csv(ranked, names).encode()
    files["plots/time.png"] = plots.times(results.run["seconds"], results.run["total_seconds"])
    spent = costs(results)
    files["costs.csv"] = costs_csv(spent).encode()
    told = {"costs": costs_table(spent), "fit_times": fit_times_table(folder)}
    files["README.md"] = render(results, boards, evaluate(source, papers()), pages, files, wide, **told).encode()
    for path, data in sorted(files.items()):
        write_atomic(folder / path, data)
    write_atomic(folder / "plots" / "files.json", (json.dumps(sorted(files), indent=1) + "\n").encode())
    return {*files, "plots/files.json"}


def _plots(results: Results, task: str, generator: str, board) -> dict[str, bytes]:
    mine = [r for r in results.records if (r.task, r.generator) == (task, generator)]
    targets = list(results.run["suite"]["tasks"][task].get("targets") or sorted({r.target for r in mine if r.target}))
    points = sorted({r.point for r in mine if r.headline and r.point.startswith("effect_")})
    effect = float(points[0].removeprefix("effect_")) if points else 0.0
    made = {
        "ranking": plots.forest(board),
        "tradeoff": plots.tradeoff(mine, CURVES, targets, effect),
        "rescoring": plots.heat_map(mine, points[0], targets, effect) if points else None,
    }
    return {f"plots/{task}-{generator}-{kind}.png": data for kind, data in made.items() if data is not None}


def _listed(out: Path) -> set[str]:
    """The files that an earlier run left here, by its own lists."""
    found: set[str] = set()
    try:
        found |= set(json.loads((out / "plots" / "files.json").read_text()))
        found |= {one["path"] for one in json.loads((out / "run.json").read_text())["pictures"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()  # a first run, or a folder that someone changed: nothing is removed on a guess
    inside = out.resolve()
    return {path for path in found if (out / path).resolve().is_relative_to(inside)}
