"""The dissection task in the report: which units are which concepts, and what switching them off and on does."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from bench.records import Record
from leaderboards.folder import Cell, Results
from leaderboards.headlines import task_settings
from leaderboards.pages.dissection_plot import histogram, plot
from leaderboards.ranking import Entry
from leaderboards.sections import markdown, n_of
from leaderboards.tables import Board
from leaderboards.vocabulary import ARROWS, SKIPPED, entry, label, number, order, record_text, short, spelled_out

TASK = "dissection"
# Units of each concept that the report names; the file beside it has all of them.
LISTED = 3
Table = Mapping[tuple[Entry, str, str, str], Record]  # by entry, concept, metric, attribute
COLUMNS = ("layer", "unit", "concept", "iou", "matches", "ace", "rank")
# Metric -> title, what it is, and metrics that stand beside it in the same cell, in words.
PARTS = {
    "ablation_effect": (
        "Do the units cause the concept?",
        "Share of the concept's judged area that is gone with its units at zero, less the share that as many random units of the "
        "layer take away, on the same pictures; in parentheses the two parts.",
        ("area_removed", "area_removed_random"),
    ),
    "specificity": (
        "What else changes?",
        "Of the pixels whose judged class changes when the units are switched off, the share that was the concept.",
        (),
    ),
    "matched_units": (
        "Do the units still match?",
        "Of the units that are said to match the concept by the guide's segmentation, the share whose best class on test codes "
        "is that concept for the judge, too, with an IoU above {least}; in parentheses their mean IoU.",
        ("unit_iou",),
    ),
    "insertion_effect": (
        "What do the units add?",
        "Area that appears when the units are switched on where the concept belongs, in pictures that lack it, over the mean "
        "area of pictures that have it.",
        (),
    ),
}


def page(results: Results, generator: str, board: Board | None) -> tuple[str, dict[str, bytes]]:
    """Markdown, plots and tables of units of one generator."""
    cells = {one: group[0] for one, group in results.groups(TASK, generator).items()}
    mine = [r for r in results.records if (r.task, r.generator) == (TASK, generator)]
    table = {(entry(r), r.target, r.metric, r.attribute): r for r in mine}
    entries, concepts = order(cells), list(dict.fromkeys(r.target for r in mine if r.target))
    settings, files = task_settings(results, TASK), {}
    lines = [_intro(settings, mine), spelled_out(entries, "Below,")]
    for metric, (title, words, beside) in PARTS.items():
        text = _part(metric, beside, entries, concepts, table)
        if text:
            lines += [f"### {title}", words.format(least=number(_least())), text]
    lines += _places(entries, concepts, _regions(cells), table)
    picture = plot({one: short(one, entries) for one in entries}, concepts, table)
    if picture:
        path = f"plots/{TASK}-{generator}-ablation.png"
        files[path] = picture
        lines.append(f"![share of each concept that its units and random units remove, on {generator}]({path})")
    lines += _layers(results, generator, cells, table, files)
    lines += _units(generator, cells, files)
    lines += _strips(results, generator)
    return "\n\n".join(line for line in lines if line), files


def _least() -> float:
    from bench.tasks.dissection.protocol import LEAST_IOU

    return LEAST_IOU


def _intro(settings: Mapping, records: Sequence[Record]) -> str:
    n = n_of(r for r in records if r.metric == "area_removed")
    judge = ", ".join(sorted({r.judge for r in records if r.judge}))
    return (
        f"Up to {settings.get('ablate_units')} units of one layer are switched for each concept, on n = {n} test codes that no "
        f"method saw; areas are those of {judge}. Off: zero everywhere. On: at the values they have where the guide sees the "
        "concept."
    )


def _part(metric: str, beside: Sequence[str], entries: Sequence[Entry], concepts: Sequence[str], table: Table) -> str:
    """A row a concept, a column an entry."""
    found = [r for (_, _, name, _), r in table.items() if name == metric and r.status == "ok"]
    if not found:
        return ""
    rows = []
    for concept in concepts:
        cells = []
        for one in entries:
            extra = [table.get((one, concept, name, "")) for name in beside]
            known = [number(r.value) for r in extra if r is not None and r.value is not None]
            text = record_text(table.get((one, concept, metric, "")), SKIPPED)
            cells.append(f"{text} ({', '.join(known)})" if known else text)
        rows.append([concept, *cells])
    head = f"concept ({ARROWS[found[0].higher_is_better]}, {found[0].unit})"
    return markdown([head, *(short(one, entries) for one in entries)], rows)


def _regions(cells: Mapping[Entry, Cell]) -> list[str]:
    return next((list(cell.facts["regions"]) for cell in cells.values()), [])


def _places(entries: Sequence[Entry], concepts: Sequence[str], regions: Sequence[str], table: Table) -> list[str]:
    """The papers' question: what do units add where their concept does not belong?"""
    known = {attribute for (_, _, metric, attribute) in table if metric == "inserted_at"}
    contexts = [region for region in regions if region in known]
    rows = []
    for one in entries:
        for concept in concepts:
            here = [table.get((one, concept, "inserted_at", context)) for context in contexts]
            if any(r is not None for r in here):
                own, gap = (table.get((one, concept, m, "")) for m in ("inserted_where_it_belongs", "context_gap"))
                rows.append([short(one, entries), concept, *(record_text(r, SKIPPED) for r in (own, *here, gap))])
    if not rows:
        return []
    words = (
        "The concept's area that appears when its units are switched on at one cell of 8 x 8, in areas of that cell: at the cell "
        "where it belongs, in pictures that lack it, and at a cell of each other class, drawn in each picture. A generator that "
        "heeds context answers the first, and hardly the others; *gap* is the difference to their mean."
    )
    return ["### Does it matter where?", words, markdown(["entry", "concept", "where it belongs", *contexts, "gap ↑"], rows)]


def _layers(results: Results, generator: str, cells: Mapping[Entry, Cell], table: Table, files: dict[str, bytes]) -> list[str]:
    """Which classes the units of each layer match on test codes, by the judge: of the generator, whichever entry looked."""
    seen: dict[str, dict[str, int]] = {}
    for one in order(cells):
        for number_, layer in enumerate(cells[one].facts["layers"]):
            if layer not in seen:
                seen[layer] = _matched(cells[one], number_)
    if not seen:
        return []
    n = n_of(r for (_, _, metric, _), r in table.items() if metric == "interpretable_units")
    names = list(dict.fromkeys(name for found in seen.values() for name in found))
    rows = [[layer, sum(found.values()), *(found.get(name, 0) for name in names)] for layer, found in seen.items()]
    words = f"Units by the class that they fit best with an IoU above {number(_least())}, by the judge, n = {n} test codes."
    path = f"plots/{TASK}-{generator}-layers.png"
    files[path] = histogram(seen, names)
    return ["### Concepts by layer", words, markdown(["layer", "matching", *names], rows), f"![units by class and layer]({path})"]


def _matched(cell: Cell, number_: int) -> dict[str, int]:
    """Class -> units of a layer that match it, in the order of the classes."""
    from metrics.unit_streams import iou_of

    shared, on, area = (cell.arrays[f"layer{number_}/{name}"].astype(float).sum(0) for name in ("shared", "on", "area"))
    iou = iou_of(shared, on, area)
    best = iou.argmax(1)[iou.max(1) > _least()]
    return {name: int((best == i).sum()) for i, name in enumerate(cell.facts["regions"]) if (best == i).any()}


def _units(generator: str, cells: Mapping[Entry, Cell], files: dict[str, bytes]) -> list[str]:
    """The first units of each concept; all of them are in a file."""
    lines = []
    for place, one in enumerate(order(cells), start=1):
        table = cells[one].tables.get("units", [])
        if not table or cells[one].card["approach"] == "baseline":
            continue
        # Variants may be too long for a file's name.
        path = f"units/{TASK}-{generator}-{one[0]}-{place}.csv"
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(table)
        files[path] = text.getvalue().encode()
        shown: list[Sequence[object]] = []
        for concept in dict.fromkeys(row["concept"] for row in table):
            mine = [row for row in table if row["concept"] == concept and row["layer"] == cells[one].facts["layer"]]
            for row in sorted(mine, key=lambda row: (row["rank"] is None, row["rank"]))[:LISTED]:
                ace = "–" if row["ace"] is None else number(row["ace"])
                shown.append([concept, row["layer"], row["unit"], number(row["iou"]), "yes" if row["matches"] else "no", ace])
        words = f"The first {LISTED} of each concept in the order in which they are switched ([all]({path}))."
        head = ["concept", "layer", "unit", "IoU (guide)", "matches", "effect alone (guide)"]
        lines += [f"**Units of {label(one)}.** {words}", markdown(head, shown)]
    return ["### Units", *lines] if lines else []


def _strips(results: Results, generator: str) -> list[str]:
    sheets = [one for one in results.run["pictures"] if (one["task"], one["generator"]) == (TASK, generator)]
    lines = ["### Off and on"] if sheets else []
    for sheet in sheets:
        lines += [f"**{sheet['caption']}**{sheet['note']}.", f"![{sheet['caption']} on {generator}]({sheet['path']})"]
    return lines
