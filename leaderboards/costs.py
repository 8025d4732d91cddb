"""What methods cost: seconds of fits and edits, pictures that guides were shown, memory; and how fits grow with their samples."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.errors import InputError
from bench.fit_times import FILE
from leaderboards.folder import Cell, Results
from leaderboards.ranking import Entry
from leaderboards.records import format_float
from leaderboards.sections import markdown
from leaderboards.vocabulary import entry, label, number, order

COLUMNS = (
    "generator", "method", "variant", "fits", "fit_seconds", "guide_calls_per_fit", "edits_per_second", "guide_calls_per_edit",
    "peak_mb", "seconds",
)  # fmt: skip
HEADER = (
    "generator", "entry", "fits", "fit, s", "guide pictures a fit", "edits a second", "guide pictures an edit", "memory, MB",
    "all cells, s",
)  # fmt: skip


def costs(results: Results) -> list[dict[str, object]]:
    """A row of COLUMNS for each generator and entry that was measured.

    fit_seconds, guide_calls_per_fit: mean over fits, without the scores of the bank, which fits share (seconds), and with them
    (pictures). edits_per_second: codes edited, over all targets and sequences, before anything is synthesized. peak_mb: the most
    of any fit or cell. seconds: of all cells and fits together. None where nothing says.
    """
    groups: dict[tuple[str, Entry], list[Cell]] = defaultdict(list)
    for cell in results.cells:
        if cell.status == "ok":
            groups[cell.generator, cell.entry].append(cell)
    rows = []
    for generator in results.generators:
        for one in order(found for g, found in groups if g == generator):
            rows.append(_costs(results, generator, one, groups[generator, one]))
    return rows


def _costs(results: Results, generator: str, one: Entry, cells: Sequence[Cell]) -> dict[str, object]:
    fits = {cell.card["fit_seed"]: cell for cell in cells}
    mine = [r for r in results.records if (r.generator, entry(r), r.task) == (generator, one, "editing")]
    slow = [r.seconds for r in mine if r.metric == "seconds_per_edit"]
    asked = [r.value for r in mine if r.metric == "guide_calls_per_edit"]
    spent = _mean(slow)
    return dict(zip(COLUMNS, (
        generator, *one, len(fits), _mean(cell.fit_seconds for cell in fits.values()),
        _mean(cell.fit_guide_calls for cell in fits.values()), 1 / spent if spent else None, _mean(asked),
        max((cell.peak_mb for cell in cells if cell.peak_mb is not None), default=None),
        sum(cell.seconds for cell in cells) + sum(cell.fit_seconds for cell in fits.values()),
    ), strict=True))  # fmt: skip


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def costs_csv(rows: Sequence[dict[str, object]]) -> str:
    """The rows as CSV; empty where nothing says."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in rows:
        table.writerow([format_float(value) if isinstance(value := row[name], float) else value for name in COLUMNS])
    return text.getvalue()


def costs_table(rows: Sequence[dict[str, object]]) -> str:
    """The rows as the report prints them."""
    if not rows:
        return "No cell was computed."
    whole = lambda value: "–" if value is None else f"{value:.0f}"  # noqa: E731
    cells = [
        [
            row["generator"], label((row["method"], row["variant"])), row["fits"], f"{row['fit_seconds']:.1f}",
            whole(row["guide_calls_per_fit"]), whole(row["edits_per_second"]), number(row["guide_calls_per_edit"]),
            whole(row["peak_mb"]), f"{row['seconds']:.1f}",
        ]
        for row in rows
    ]  # fmt: skip
    return markdown(HEADER, cells, right=tuple(range(2, len(HEADER))))


def fit_times_table(folder: Path) -> str:
    """The times that `bench.fit_times` left in the folder, a column for each size; '' where it left none.

    Raises InputError where the file is damaged.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return ""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        sizes = sorted({int(row["bank"]) for row in rows})
        times = {(row["generator"], row["method"], row["variant"], int(row["bank"])): row for row in rows}
        entries = list(dict.fromkeys(key[:3] for key in times))
        shown = []
        for generator, method, variant in entries:
            mine = [times.get((generator, method, variant, size)) for size in sizes]
            draws = any(one is not None and one["draws"] == "True" for one in mine)
            seconds = ["–" if one is None else one["reason"] or f"{float(one['seconds']):.2f}" for one in mine]
            shown.append([generator, label((method, variant)), *seconds, "yes" if draws else "no"])
        machine = sorted({f"{row['device']}, {row['threads']} thread(s)" for row in rows})
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    words = (
        f"Seconds of one fit (seed 0) by the codes of the fit stream, whose guide scores lay ready; {', '.join(machine)}. A "
        "method that does not read the stream draws as many codes of its own as its options say, whatever the column."
    )
    header = ["generator", "entry", *(f"{size:,}" for size in sizes), "reads the stream"]
    return words + "\n\n" + markdown(header, shown, right=tuple(range(2, 2 + len(sizes))))
