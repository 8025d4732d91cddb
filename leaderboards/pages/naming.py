"""The naming task in the report: what each component is called, whether rightly, and pictures of those that nobody knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.records import Record
from leaderboards.folder import Cell, Results
from leaderboards.headlines import task_settings
from leaderboards.pages.naming_plot import Panel, heat_map
from leaderboards.ranking import Entry
from leaderboards.sections import markdown
from leaderboards.tables import Board
from leaderboards.vocabulary import entry, label, number, order, short, spelled_out, with_interval

TASK = "naming"
KINDS = {"attributes": "by attributes", "text": "by words"}
# Columns of the summary: metric -> head.
SUMMARY = {
    "named_share": "named",
    "naming_hit_rate": "right, of the names",
    "naming_hit_rate_true": "right by the true factors",
    "naming_chance": "right by chance",
    "naming_hit_rate_top3": "among the three",
    "naming_hit_rate_forced": "right, were all named",
}
Table = Mapping[tuple[Entry, str, str], Record]  # by entry, kind of name, metric
RIGHT = {True: "✓", False: "✗", None: ""}


def page(results: Results, generator: str, board: Board | None) -> tuple[str, dict[str, bytes]]:
    """Markdown and effect matrices of one generator."""
    groups = results.groups(TASK, generator)
    mine = [r for r in results.records if (r.task, r.generator) == (TASK, generator)]
    table = {(entry(r), r.target, r.metric): r for r in mine}
    entries, files = order(groups), {}
    lines = [_intro(results, [groups[one][0] for one in entries])]
    lines += _summary(entries, table)
    for one in entries:
        cell, name = groups[one][0], short(one, entries)
        of_fits = f", the first of {len(groups[one])} fits" if len(groups[one]) > 1 else ""
        path = f"plots/{TASK}-{generator}-effects-{entries.index(one)}.png"
        files[path] = _matrix(cell)
        lines += [f"### Components of {name}{of_fits}", f"*{label(one)}.* {_counts(cell)}", _components(cell)]
        lines.append(f"![what components of {name} change, by guide and judge, on {generator}]({path})")
        lines += _strips(results, generator, one)
    return "\n\n".join(line for line in lines if line), files


def _intro(results: Results, cells: Sequence[Cell]) -> str:
    from bench.tasks.naming.protocol import LEAD, LEVEL  # imports torch

    settings, facts = task_settings(results, TASK), cells[0].facts
    judge = facts["judges"]["attributes"][0]
    lost = {cell.facts.get("no_text") for cell in cells} - {None}
    none = f" No names by words: {'; '.join(sorted(lost))}." if lost else ""
    return (
        f"Every component is stepped along by half of its plausible edge, both ways where it has two, on {settings.get('codes')} "
        "codes of the fit stream. It is named by the attribute that the guide sees change most, and by the statement that the "
        "guide of texts sees become truer most, both in sigma, where that is no chance: by a test of flipped signs over codes "
        f"and all candidates (p at most {LEVEL:g}), and where the same attribute leads by {LEAD - 1:.0%} in {1 - LEVEL:.0%} of "
        f"resamples of the codes. Guides never judge: a name is right where its attribute is the one that {judge} sees change "
        f"most, the way the name says, on {settings.get('test_codes')} test codes.{none}"
    )


def _summary(entries: Sequence[Entry], table: Table) -> list[str]:
    lines = ["### How many are named, how many names are right"]
    known = [metric for metric in SUMMARY if any(key[2] == metric for key in table)]
    rows = []
    for kind, words in KINDS.items():
        for one in entries:
            found = {metric: table.get((one, kind, metric)) for metric in known}
            if found.get("named_share") is not None and found["named_share"].status != "skipped":
                rows.append([words, short(one, entries), *(_cell(found[metric]) for metric in known)])
    lines.append(markdown(["names", "entry", *(SUMMARY[metric] for metric in known)], rows) if rows else "")
    lines.append(
        "*named*: share of the components that have a name; nothing is said of the others. *right by chance*: if the names were "
        "given to any components of the fit. *among the three*: it is enough that the attribute is among the three that change "
        "most. n is the number of names, or of components. Random directions change attributes, too: `random` shows how many "
        f"components have a name for no merit of a method. {spelled_out(entries, 'Here')}".rstrip()
    )
    return lines


def _cell(record: Record | None) -> str:
    if record is None or record.status == "skipped":
        return "–"
    if record.status != "ok":
        return "none named"
    return f"{with_interval(record.value, record.ci_low, record.ci_high)} (n = {record.n})"


def _counts(cell: Cell) -> str:
    offered, moved = cell.facts["components"], cell.facts["moved"]
    still = [name for name in offered if name not in moved]
    return f"{len(offered)} components." + (f" Without a plausible step: {', '.join(still)}." if still else "")


def _components(cell: Cell) -> str:
    """A row a component: names, certainty, runner-up, what the judge and the truth say, the attribute assigned to it."""
    facts, names = cell.facts, cell.facts["attributes"]
    judged = mean_effects(cell, "judged")
    true = mean_effects(cell, "true") if "true" in cell.arrays else None
    assigned = {row["component"]: (target, row) for target, row in facts.get("assignment", {}).items()}
    kinds = [kind for kind in KINDS if kind in facts.get("names", {})]
    rows = []
    for k, component in enumerate(facts["moved"]):
        row = [component]
        for kind in kinds:
            one = facts["names"][kind][k]
            row += [_name(one), _certainty(one), verdict(one, judged[k], names)]
        row.append(_most(judged[k], names))
        if true is not None:
            row.append(_most(true[k], facts["known"]))
        rows.append([*row, _assigned(*assigned[component]) if component in assigned else ""])
    head = ["component"]
    for kind in kinds:
        head += [f"name {KINDS[kind]}", "confidence (next)", "right"]
    return markdown([*head, "judged to change most", *(["truly"] if true is not None else []), "assigned"], rows)


def mean_effects(cell: Cell, array: str) -> np.ndarray:
    """[K, A] in sigma, over the codes that could be read; NaN where none could."""
    values = cell.arrays[array].astype(np.float64)
    read = np.isfinite(values)
    count = read.sum(1)
    return np.divide(np.where(read, values, 0).sum(1), count, out=np.full(count.shape, np.nan), where=count > 0)


def verdict(one: Mapping[str, Any], effects: np.ndarray, names: Sequence[str]) -> str:
    """Whether a component's name is right by effects [A]; '' for one without a name, '–' where nobody can say."""
    from bench.tasks.naming.rows import right  # imports torch

    if not one["named"]:
        return ""
    return RIGHT[bool(right(effects, names.index(one["subject"]), one["way"]))] if one["subject"] in names else "–"


def _name(one: Mapping[str, Any]) -> str:
    words = f"{'+' if one['effect'] > 0 else '−'} {one['words'].replace('_', ' ')}"
    return f"**{words}**" if one["named"] else f"unknown (*{words}?*)"


def _certainty(one: Mapping[str, Any]) -> str:
    beside = f" ({one['runner_up'].replace('_', ' ')} {one['runner_up_confidence']:.2f})" if one["runner_up"] else ""
    return f"{one['confidence']:.2f}{beside}"


def _most(effects: np.ndarray, names: Sequence[str]) -> str:
    if not np.isfinite(effects).any():
        return "unreadable"
    at = int(np.nanargmax(np.abs(effects)))
    return f"{names[at].replace('_', ' ')} {number(effects[at])}"


def _assigned(target: str, row: Mapping[str, Any]) -> str:
    """The attribute whose component this is, with confidence and the component that is next for it."""
    beside = "" if row["runner_up"] is None else f" (next: {row['runner_up']}, {row['runner_up_confidence']:.2f})"
    return f"{'+' if row['sign'] > 0 else '−'} {target.replace('_', ' ')} {row['confidence']:.2f}{beside}"


def _matrix(cell: Cell) -> bytes:
    """Guide and judge side by side; the cells of the assignment are marked in the guide's."""
    facts, panels = cell.facts, []
    if "attributes/changes" in cell.arrays:
        pairs = facts.get("assignment", {}).items()
        marked = {(facts["moved"].index(row["component"]), facts["guided"].index(target)) for target, row in pairs}
        guide = mean_effects(cell, "attributes/changes")
        panels.append(Panel(f"guide: {facts['guide'][0]}", guide, facts["guided"], marked))
    judge = facts["judges"]["attributes"][0]
    panels.append(Panel(f"judge: {judge}", mean_effects(cell, "judged"), facts["attributes"]))
    return heat_map(panels, facts["moved"])


def _strips(results: Results, generator: str, one: Entry) -> list[str]:
    sheets = [
        sheet for sheet in results.run["pictures"]
        if (sheet["task"], sheet["generator"], tuple(sheet.get("entry", ()))) == (TASK, generator, one)
    ]  # fmt: skip
    if not sheets:
        return []
    words = (
        "Components that match no attribute. The first ids, not chosen; columns are shares of the plausible edge, 0 is the "
        "unedited picture."
    )
    return [words, *(f"![pictures of {sheet['caption']}, on {generator}]({sheet['path']})" for sheet in sheets)]
