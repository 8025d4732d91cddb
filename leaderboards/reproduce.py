"""A paper's tables and claims beside what was measured: the page of `latentbench reproduce`, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import InputError
from leaderboards.claims import Decision, Paper, Source, evaluate
from leaderboards.claims.model import FIT, Measure, Select, Side, Table
from leaderboards.claims.readings import is_metric
from leaderboards.claims.selectors import matches, select
from leaderboards.claims.text import by_claim, many, mark, metric_title, stated
from leaderboards.folder import load
from leaderboards.headlines import readings
from leaderboards.sections import markdown, n_of
from leaderboards.tables import mean_reading
from leaderboards.vocabulary import ARROWS, entry, label, number, title, with_interval

Folders = Sequence[tuple[str, Source]]  # by the name that the page calls them


def reference_folders() -> list[Path]:
    """The reference results of a checkout: beside this code, or in the current folder where the code is installed elsewhere.

    Raises InputError where there are none: packages ship without them.
    """
    for folder in (Path(__file__).parent / "results", Path("leaderboards/results")):
        found = sorted(path.parent for path in folder.glob("*/run.json"))
        if found:
            return found
    raise InputError("no reference results lie here: give --results DIR, a folder that `latentbench run` wrote")


def page(paper: Paper, folders: Sequence[Path]) -> str:
    """The page of a paper beside results folders. Raises InputError for a folder that cannot be read."""
    sources = [(folder.name, Source(load(folder))) for folder in folders]
    decided = [(name, evaluate(source, [paper])) for name, source in sources]
    parts = [_head(paper, folders), *_tables(paper, sources), *_headlines(paper, sources), *_claims(paper, decided)]
    if paper.defaults:
        rows = [[name, _plain(one.value), one.where] for name, one in paper.defaults.items()]
        parts.append(f"## Settings of the paper and its code\n\n{markdown(['setting', 'value', 'where'], rows)}")
    if paper.notes:
        parts.append(f"## What a reproduction trips over\n\n{paper.notes.strip()}")
    return "\n\n".join(parts) + "\n"


def _plain(value: Any) -> str:
    """A setting in words: 'a, b', or 'key: value, key: value'."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_plain(one)}" for key, one in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)


def _head(paper: Paper, folders: Sequence[Path]) -> str:
    arxiv = f", arXiv {paper.arxiv}" if paper.arxiv else ""
    return "\n\n".join([
        f"# {paper.title}",
        f"{paper.authors}; {paper.venue}{arxiv}.",
        paper.setting.strip(),
        f"Measured here: {', '.join(f'`{folder.name}`' for folder in folders)}. What a paper reports is of its own generators, "
        "data and classifiers: it stands beside what was measured here, and is never subtracted from it. **Unverified** figures "
        "are recalled, not read, and may be off.",
    ])  # fmt: skip


# Tables.


def _tables(paper: Paper, sources: Folders) -> list[str]:
    if not paper.tables:
        return [] if paper.system == "own" else ["## Reported\n\nNo table of this paper could be read or recalled."]
    parts = ["## Reported"]
    for table in paper.tables:
        parts.append(_reported(table))
        if table.measured:
            parts += _beside(table.measured, sources)
    return parts


def _reported(table: Table) -> str:
    same = isinstance(table.higher_is_better, bool)
    facts = [", ".join(dict.fromkeys(table.metric)), table.unit, "higher is better" if same and table.higher_is_better else ""]
    facts += ["lower is better"] if same and not table.higher_is_better else []
    ways = table.higher_is_better if isinstance(table.higher_is_better, tuple) else (None,) * len(table.columns)
    header = ["", *(f"{name} {ARROWS[way]}".strip() for name, way in zip(table.columns, ways, strict=True))]
    rows = [[row.name, *("–" if value is None else value for value in row.values)] for row in table.rows]
    source = "" if table.source == "recalled" else f": {table.source}"
    return (
        f"### {table.id}\n\n{table.location}; {mark(table.verified)}{source}. {'; '.join(filter(None, facts))}.\n\n"
        f"{table.protocol.strip()}\n\n{markdown(header, rows, right=range(1, len(header)))}"
    )


def _beside(measure: Measure, sources: Folders) -> list[str]:
    parts = []
    for name, source in sources:
        found = _fits(measure, source) if measure.task == FIT else _records(measure, source)
        note = f" ({measure.note})" if measure.note else ""
        if found:
            parts.append(f"Measured in {name}{note}:\n\n" + "\n\n".join(found))
    return parts or ["Nothing of this was measured in these results."]


def _records(measure: Measure, source: Source) -> list[str]:
    """Records of the metrics with their judges, n and intervals; times stand as they were taken, with none."""
    rows = []
    for generator in source.results.generators:
        chosen = set(select(measure.of, source.cards(measure.task, generator)))
        for record in source.results.records:
            mine = (record.task, record.generator) == (measure.task, generator) and entry(record) in chosen
            named = any(is_metric(record.metric, metric) for metric in measure.metrics)
            whole = record.value is not None and record.point != "grid" and not record.attribute
            if mine and named and whole and record.status == "ok":
                question = f"{record.target} {record.sign}".strip()
                value = with_interval(record.value, record.ci_low, record.ci_high)
                way = f"{title(record.metric)} {ARROWS[record.higher_is_better]}".strip()
                rows.append([generator, label(entry(record)), question, way, value, record.judge or "–", record.n])
        for one in sorted(chosen):
            for metric in measure.metrics:
                values = source.values(measure.task, generator, one, metric)
                for asked, times in sorted(values.points.items()):
                    shown = f"{number(sum(times) / len(times))} s, no interval"
                    rows.append([generator, label(one), " ".join(asked).strip(), title(metric), shown, "–", n_text(values.n)])
    header = ["generator", "entry", "of", "metric", "value", "judge", "n"]
    return [markdown(header, rows)] if rows else []


def n_text(n: Sequence[int]) -> str:
    return "–" if not n else str(n[0]) if len(n) == 1 else f"{n[0]} to {n[-1]}"


def _fits(measure: Measure, source: Source) -> list[str]:
    """Tables of fits as they are, and single numbers of them."""
    parts, rows = [], []
    for generator in source.results.generators:
        for one, cells in source.cells(FIT, generator).items():
            if not matches(measure.of, cells[0].card):
                continue
            for metric in measure.metrics:
                if metric in cells[0].tables:
                    parts += [_fit_table(cell.tables[metric], generator, label(one), cell.card["fit_seed"]) for cell in cells]
                    continue
                for asked, values in source.values(FIT, generator, one, metric).points.items():
                    shown = ", ".join(map(number, values))
                    rows.append([generator, label(one), asked[0], metric_title(metric), shown, len(values)])
    if rows:
        parts.append(markdown(["generator", "entry", "of", "metric", "value of each fit, no interval", "fits"], rows))
    return parts


def _fit_table(table: Sequence[dict], generator: str, name: str, seed: int) -> str:
    if not table:
        return f"{generator}, {name}, fit {seed}: empty."
    columns = sorted(table[0], key=lambda column: not isinstance(table[0][column], str))
    rows = [[number(row.get(c)) if isinstance(row.get(c), float) else row.get(c, "–") for c in columns] for row in table]
    return f"{generator}, {name}, fit {seed}, no interval:\n\n{markdown(columns, rows)}"


# What the paper's method did here.


def _headlines(paper: Paper, sources: Folders) -> list[str]:
    """A table a task: the headlines of the paper's methods, each the mean over the questions that it reaches."""
    if not paper.methods:
        return []
    side, parts = Side(method=paper.methods), []
    for name, source in sources:
        for task in source.results.tasks:
            rows, metrics = [], []
            for generator in source.results.generators:
                chosen = select(side, source.cards(task, generator))
                if not chosen:
                    continue
                table = source.known.setdefault((task, generator), readings(source.results, task, generator))
                metrics += [q[2] for one in chosen for q in table.get(one, {})]
                rows += [(generator, one, table.get(one, {})) for one in chosen]
            names = list(dict.fromkeys(metrics))
            if names:
                parts.append(f"{name}, {task}:\n\n{_means(source, task, rows, names)}")
    if not parts:
        return ["## Measured here\n\nThese results have no entry of the paper's method."]
    note = "Each number is the mean over the questions, (target, sign), that an entry reaches, with its 95 % interval over codes."
    return ["## Measured here", note, *parts]


def _means(source: Source, task: str, rows: Sequence[tuple], metrics: Sequence[str]) -> str:
    records = [r for r in source.results.records if r.task == task and r.headline and r.target]
    header = ["generator", "entry"]
    for metric in metrics:
        mine = [r for r in records if r.metric == metric]
        judges = sorted({r.judge for r in mine if r.judge})
        ways = {r.higher_is_better for r in mine}
        header.append(" ".join(filter(None, [title(metric), ARROWS[ways.pop()] if len(ways) == 1 else "", *judges])))
    lines = []
    for generator, one, table in rows:
        means = [mean_reading(table, metric) for metric in metrics]
        cells = [f"{with_interval(m.value, m.low, m.high)} ({m.reached} of {m.asked})" if m.asked else "–" for m in means]
        lines.append([generator, label(one), *cells, n_of(r for r in records if (r.generator, entry(r)) == (generator, one))])
    return markdown([*header, "n"], lines)


# Claims.


def _claims(paper: Paper, decided: Sequence[tuple[str, list[Decision]]]) -> list[str]:
    if not paper.claims:
        return []
    parts = [
        "## Claims",
        "*Won* is the share of questions that go as the claim says; the verdict is whether its paired 95 % interval lies above "
        "one half (holds), below (fails), or covers it (undecided). Both sides are measured: no figure of the paper enters.",
    ]
    met = set()
    for name, decisions in decided:
        met |= {one.claim.id for one in decisions}
        parts += [f"{stated(claim)}\n\nIn {name}:\n\n{table}" for claim, table in by_claim(decisions)]
        parts += [f"All lines of {name}: {note}" for note in filter(None, [many(decisions)])]
    waiting = [claim for claim in paper.claims if claim.select and claim.id not in met]
    if waiting:
        lines = [f"- {stated(claim)} Asks for {_wanted(claim.select)}." for claim in waiting]
        parts += ["### Not measured in these results", "\n".join(lines)]
    silent = [claim for claim in paper.claims if claim.not_evaluated]
    if silent:
        parts += ["### Not evaluated", "\n".join(f"- {stated(claim)} Why: {claim.not_evaluated}." for claim in silent)]
    return parts


def _wanted(chosen: Select) -> str:
    """What a results folder would have to hold: the task, and the entries of either side."""
    sides = dict.fromkeys(_described(side) for side in (chosen.left, chosen.right) if isinstance(side, Side))
    where = f" on {', '.join(chosen.generators)}" if chosen.generators else ""
    more = f", two of them that differ in {chosen.larger}" if chosen.larger else ""
    return ("fits" if chosen.task == FIT else f"the task {chosen.task}") + where + " with " + " and ".join(sides) + more


def _described(side: Side) -> str:
    """A side in words, e.g. '(method interfacegan; space w; hold absent)'."""
    given = side.model_dump(exclude_defaults=True, exclude={"metric", "target", "options"}) | side.options
    flat = lambda value: " or ".join(map(str, value)) if isinstance(value, tuple) else value  # noqa: E731
    return "(" + "; ".join(f"{key} {flat(value)}" for key, value in given.items()) + ")"
