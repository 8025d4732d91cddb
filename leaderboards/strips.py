"""Which pictures of a run go on which sheet: sheets of one target on one generator, a few ids each, rows are methods."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leaderboards.pictures import sheet, small_png
from leaderboards.ranking import Entry
from leaderboards.tasks import task_of
from leaderboards.vocabulary import label, order, short

if TYPE_CHECKING:
    from bench.runner import CellOutcome, RunResult

IDS_A_SHEET = 4
NOTE = (
    ". Columns are strengths, not effects: 0 is the unedited picture, the others lie where the guide sees the mean effect of the "
    "caption, in sigma, or, where it never does, at fractions of the edge. White: the method does not go that way"
)
REBUILT_NOTE = ". First row: the pictures that were inverted, the first ids, not chosen; below, what each entry's codes give back"
SWITCHED_NOTE = (
    ". The first ids, not chosen: unchanged, with the concept's units switched off everywhere, and with them on where it belongs"
)
COMPONENTS_A_SHEET = 8
COMPONENTS_NOTE = ". The first ids, not chosen, from one plausible edge to the other, in shares of it; 0 is the unedited picture"


@dataclass(frozen=True)
class Sheet:
    """A sheet's file and what run.json says of it (task, generator, target, path, caption, note)."""

    listing: dict[str, Any]
    png: bytes


def strips(result: RunResult) -> list[Sheet]:
    """The sheets of every task that kept pictures, in the order of suite and targets; of several fits the first one's."""
    out = []
    for task, settings in result.suite.tasks.items():
        for generator in result.suite.generators:
            cells: dict[Entry, CellOutcome] = {}
            for cell in sorted(result.cells, key=lambda c: c.method.fit_seed, reverse=True):
                if (cell.task, cell.generator) == (task, generator) and cell.result and "strips" in cell.result.facts:
                    cells[cell.method.name, cell.method.variant] = cell
            kinds = {name: facts for cell in cells.values() for name, facts in cell.result.facts["strips"].items()}
            for target in settings.get("targets", ()):
                if "strengths" in kinds.get(target, ()):
                    out += _target(task, generator, target, cells, _levels(task, settings))
            for source, facts in kinds.items():
                if "rows" in facts:
                    out += _rebuilt(task, generator, source, cells)
                if "columns" in facts:
                    out += _switched(task, generator, source, cells, facts["columns"])
                if "components" in facts:
                    out += _components(task, generator, source, cells)
    return out


def _target(task: str, generator: str, target: str, cells: dict[Entry, CellOutcome], levels: Sequence[float]) -> list[Sheet]:
    shown = {e: c.result for e, c in cells.items() if target in c.result.facts["strips"] and target in c.result.pictures}
    if not shown:
        return []
    facts = {entry: one.facts["strips"][target] for entry, one in shown.items()}
    ids = next(iter(facts.values()))["ids"]
    sides = {entry: [sum(s < 0 for s in one["strengths"]), sum(s > 0 for s in one["strengths"])] for entry, one in facts.items()}
    below, above = (max(side[i] for side in sides.values()) for i in (0, 1))
    keep = chosen_columns(below, above)
    # Entries that were not asked for this target keep their row, empty, so that sheets of one generator line up.
    rows = []
    for entry in order(cells):
        pictures = _filled(shown[entry].pictures[target], *sides[entry], below, above)[:, keep] if entry in shown else None
        rows.append((short(entry, cells).replace(" (", "\n("), pictures))
    captions = column_captions(below, above, levels)
    out = []
    for start in range(0, len(ids), IDS_A_SHEET):
        part = slice(start, start + IDS_A_SHEET)
        picked = [(name, None if pictures is None else pictures[part]) for name, pictures in rows]
        pixels = sheet(picked, [f"id {one}" for one in range(start, start + len(ids[part]))], [captions[i] for i in keep])
        listing = {
            "task": task, "generator": generator, "target": target, "note": NOTE,
            "path": f"pictures/{task}-{generator}-{target}-{start}.png",
            "caption": f"{target.replace('_', ' ')}, ids {start} to {start + len(ids[part]) - 1}",
        }  # fmt: skip
        out.append(Sheet(listing, small_png(pixels)))
    return out


def _rebuilt(task: str, generator: str, source: str, cells: dict[Entry, CellOutcome]) -> list[Sheet]:
    """One sheet of a source: the originals, and below them what every entry's codes give back."""
    shown = {e: c.result for e, c in cells.items() if source in c.result.pictures and source in c.result.facts["strips"]}
    if not shown:
        return []
    ids = next(iter(shown.values())).facts["strips"][source]["ids"]
    pictures = {entry: shown[entry].pictures[source] for entry in order(shown)}
    spaces = {entry: (entry[0], str(one.facts.get("space", ""))) for entry, one in shown.items()}
    rows = [("original", next(iter(pictures.values()))[:1])]
    for entry, one in pictures.items():
        # A space is name enough, where no other entry of the method has it.
        alone = list(spaces.values()).count(spaces[entry]) == 1
        name = " ".join(spaces[entry]) if alone else label(entry).replace(" (", "\n(")
        rows.append((name, one[1:2]))
    pixels = sheet(rows, [f"{source} pictures"], [str(one) for one in ids])
    listing = {
        "task": task, "generator": generator, "target": source, "note": REBUILT_NOTE,
        "path": f"pictures/{task}-{generator}-{source}.png", "caption": f"{source}, ids {ids[0]} to {ids[-1]}",
    }  # fmt: skip
    return [Sheet(listing, small_png(pixels))]


def _switched(task: str, generator: str, concept: str, cells: dict[Entry, CellOutcome], columns: Sequence[str]) -> list[Sheet]:
    """Sheets of one concept: every entry's pictures as they are and under each of its interventions, side by side."""
    shown = {e: c.result for e, c in cells.items() if concept in c.result.pictures and concept in c.result.facts["strips"]}
    ids, out = next(iter(shown.values())).facts["strips"][concept]["ids"], []
    # A method's name is enough, where it has one variant.
    alone = {e: [other[0] for other in cells].count(e[0]) == 1 for e in cells}
    names = {e: e[0] if alone[e] else label(e).replace(" (", "\n(") for e in cells}
    for start in range(0, len(ids), IDS_A_SHEET):
        part = slice(start, start + IDS_A_SHEET)
        rows = [(names[e], shown[e].pictures[concept][part] if e in shown else None) for e in order(cells)]
        pixels = sheet(rows, [f"id {one}" for one in ids[part]], list(columns))
        listing = {
            "task": task, "generator": generator, "target": concept, "note": SWITCHED_NOTE,
            "path": f"pictures/{task}-{generator}-{concept}-{start}.png",
            "caption": f"{concept}, ids {ids[part][0]} to {ids[part][-1]}",
        }  # fmt: skip
        out.append(Sheet(listing, small_png(pixels)))
    return out


def _components(task: str, generator: str, source: str, cells: dict[Entry, CellOutcome]) -> list[Sheet]:
    """Sheets of one entry each: a row a component, a block an id."""
    out = []
    for one in order(cells):
        result = cells[one].result
        if source not in result.pictures:
            continue
        facts = result.facts["strips"][source]
        columns = [f"{share:g}".replace("-", "−") for share in facts["shares"]]
        for start in range(0, len(facts["components"]), COMPONENTS_A_SHEET):
            part = slice(start, start + COMPONENTS_A_SHEET)
            names = facts["components"][part]
            rows = list(zip(names, result.pictures[source][part], strict=True))
            pixels = sheet(rows, [f"id {number}" for number in facts["ids"]], columns)
            slug = re.sub(r"[^\w.+=-]+", "-", label(one)).strip("-")
            listing = {
                "task": task, "generator": generator, "target": source, "entry": list(one), "note": COMPONENTS_NOTE,
                "path": f"pictures/{task}-{generator}-{source}-{slug}-{start}.png",
                "caption": f"{label(one)}: components {', '.join(names)}",
            }  # fmt: skip
            out.append(Sheet(listing, small_png(pixels)))
    return out


def _levels(task: str, settings: dict[str, Any]) -> Sequence[float]:
    """The guide's effects, in sigma, that placed the strengths."""
    known = task_of(task)
    return () if known is None else getattr(known.Settings(**settings), "grid_levels", ())


def chosen_columns(below: int, above: int) -> list[int]:
    """Of columns -below .. 0 .. above: the unedited one and the two strongest each way, where most can be seen."""
    steps = range(-below, above + 1)
    return [i for i, step in enumerate(steps) if step == 0 or step <= -max(1, below - 1) or step >= max(1, above - 1)]


def column_captions(below: int, above: int, levels: Sequence[float]) -> list[str]:
    """'−1.4' .. '0' .. '+1.4' by the levels that placed the strengths, or their numbers where these are unknown."""
    most = max(below, above)
    names = [f"{level:.2g}" for level in levels] if len(levels) >= most else [str(i + 1) for i in range(most)]
    return [f"−{names[i]}" for i in range(below)][::-1] + ["0"] + [f"+{names[i]}" for i in range(above)]


def _filled(pictures: np.ndarray, below: int, above: int, most_below: int, most_above: int) -> np.ndarray:
    """Pictures [ids, below + 1 + above, R, R, 3] in a frame of most_below + 1 + most_above columns; white elsewhere."""
    frame = np.full((len(pictures), most_below + 1 + most_above, *pictures.shape[2:]), 255, np.uint8)
    frame[:, most_below - below : most_below + 1 + above] = pictures
    return frame
