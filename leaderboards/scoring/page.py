"""The folder of scored pairs: pairs.csv, summary.csv, the report, a strip of the first pairs; and the table in the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bench.records import Record
from leaderboards.pictures import sheet, small_png
from leaderboards.records import format_float, records_csv, write_atomic
from leaderboards.scoring.folders import counted
from leaderboards.scoring.numbers import LEVEL, Column
from leaderboards.scoring.pairs import Panel, Readings
from leaderboards.scoring.spread import Spread
from leaderboards.sections import environment, markdown
from leaderboards.vocabulary import ARROWS, number, title, with_interval

# Rows of the terminal's table of attributes; the report has all.
MOST_CHANGED = 6
# Side of a picture in the report's strip, in px.
STRIP = 128
SIGNS = {"+": "raise", "-": "lower"}


@dataclass(frozen=True)
class Scored:
    """What was scored. before, after: the folders as the user named them. facts: of the environment."""

    domain: str
    before: str
    after: str
    readings: Readings
    columns: dict[str, Column]
    records: list[Record]
    panel: Panel
    spread: Spread | None
    facts: dict[str, Any]


def write(scored: Scored, out: Path) -> None:
    """Write everything, each file in one step. Raises InputError where the folder cannot be written."""
    write_atomic(out / "pairs.csv", pairs_csv(scored).encode())
    write_atomic(out / "summary.csv", records_csv(scored.records).encode())
    write_atomic(out / "pictures" / "pairs.png", _strip(scored.readings))
    write_atomic(out / "README.md", report(scored).encode())


def pairs_csv(scored: Scored) -> str:
    """A row a pair: its name, every metric, and the judge's scores before and after. Empty: the judge could not read."""
    readings, names = scored.readings, scored.panel.names
    told = ("score_change", "change_size")  # by the scores and the change
    made = {name: column.values for name, column in scored.columns.items() if not name.startswith(told)}
    for side, scores in (("before", readings.before), ("after", readings.after)):
        made |= {f"{side}/{name}": scores["attributes"][:, k] for k, name in enumerate(names)}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["pair", *made])
    for i, name in enumerate(readings.names):
        writer.writerow([name, *("" if np.isnan(values[i]) else format_float(values[i]) for values in made.values())])
    return out.getvalue()


def _strip(readings: Readings) -> bytes:
    pictures = []
    for images in readings.first or ():
        small = F.interpolate(images, (STRIP, STRIP), mode="area" if images.shape[-1] >= STRIP else "nearest")
        pictures.append(((small.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy())
    names = [f"{name[:11]}…" if len(name) > 12 else name for name in readings.names[: len(pictures[0])]]
    return small_png(sheet([("before", pictures[0][:, None]), ("after", pictures[1][:, None])], names, [""]))


def headline_rows(records: Sequence[Record]) -> list[list[str]]:
    """metric, value with its interval, n, n failed, judge, note: all but what is told by attribute."""
    rows = [["metric", "value [95 %]", "unit", "n", "n failed", "judge", "note"]]
    for r in records:
        if not r.attribute and r.status == "ok":
            value = with_interval(r.value, r.ci_low, r.ci_high)
            name = f"{name_of(r)} {ARROWS[r.higher_is_better]}".strip()
            rows.append([name, value, r.unit, str(r.n), str(r.n_failed), r.judge or "none", r.reason])
    return rows


def name_of(record: Record) -> str:
    """'leakage'; 'attribute dependency at 0.5 sigma' for what is read at an effect."""
    at = f" at {record.point.removeprefix('effect_')} sigma" if record.point.startswith("effect_") else ""
    return f"{title(record.metric)}{at}"


def attribute_rows(records: Sequence[Record]) -> list[list[str]]:
    """attribute, signed change and size of the change in sigma, change in the judge's units; the most changed first."""
    kinds = ("attribute_change", "attribute_change_size", "score_change")
    table: dict[str, dict[str, Record]] = {}
    for r in records:
        if r.attribute and r.status == "ok":
            table.setdefault(r.attribute, {})[r.metric] = r
    size = lambda found: max((abs(r.value or 0.0) for m, r in found.items() if m == kinds[1]), default=0.0)  # noqa: E731
    rows = [["attribute", "change, sigma", "size of change, sigma", "change, judge's units", "n", "n failed"]]
    for name, found in sorted(table.items(), key=lambda item: -size(item[1])):
        cells = [with_interval(r.value, r.ci_low, r.ci_high) if (r := found.get(kind)) else "–" for kind in kinds]
        one = found[kinds[2]]
        rows.append([name, *cells, str(one.n), str(one.n_failed)])
    return rows


def sigma_note(spread: Spread | None) -> str:
    """Where sigma comes from, in a sentence."""
    if spread is None:
        return "There is no sigma: changes are in the judge's own units alone."
    rule = "their standard deviation, for binary attributes the distance of the judged class means"
    return f"One sigma is the judged spread of an attribute among {spread.source} (n = {spread.n}): {rule}."


def doubts(spread: Spread | None) -> list[str]:
    """What is wrong with sigma, a line for every reason."""
    found: dict[str, list[str]] = {}
    for name, why in (spread.doubt if spread else {}).items():
        found.setdefault(why, []).append(name)
    every = len(spread.rules) if spread else 0
    return [f"{'all attributes' if len(names) == every else ', '.join(names)}: {why}" for why, names in found.items()]


def terminal(scored: Scored) -> list[str]:
    """Lines for the terminal: headline numbers, the attributes that changed most, and what is missing."""
    from leaderboards.compare.text import plain_table

    rows = headline_rows(scored.records)
    lines = [_asked(scored), ""]
    lines += plain_table([row[:6] for row in rows]) if len(rows) > 1 else ["nothing could be measured"]
    attributes = attribute_rows(scored.records)
    if len(attributes) > 1:
        judge = next((r.judge for r in scored.records if r.attribute), "")
        of = f"the {MOST_CHANGED} most changed of {len(attributes) - 1}" if len(attributes) - 1 > MOST_CHANGED else "all"
        lines += ["", f"attributes by {judge}, {of}:", *plain_table(attributes[: MOST_CHANGED + 1])]
    lines += ["", sigma_note(scored.spread)]
    lines += [f"sigma in doubt: {one}" for one in doubts(scored.spread)]
    told = set(scored.spread.doubt.values() if scored.spread else ())
    noted = [r for r in scored.records if r.status == "ok" and not r.attribute and r.reason and r.reason not in told]
    lines += [f"note: {metrics}: {why}" for why, metrics in by_reason(noted)]
    lines += [f"skipped: {metrics}: {why}" for why, metrics in by_reason(_skipped(scored.records))]
    return lines


def _asked(scored: Scored) -> str:
    first = scored.records[0]
    asked = f", meant to {SIGNS[first.sign]} {first.target}" if first.target else ""
    return f"{counted(len(scored.readings), 'pair')} of {scored.domain}: {scored.before} -> {scored.after}{asked}"


def _skipped(records: Sequence[Record]) -> list[Record]:
    return [r for r in records if r.status == "skipped"]


def by_reason(records: Sequence[Record]) -> list[tuple[str, str]]:
    """(reason, metrics) of records."""
    found: dict[str, list[str]] = {}
    for r in records:
        found.setdefault(r.reason, []).append(name_of(r))
    return [(why, ", ".join(dict.fromkeys(names))) for why, names in found.items()]


def report(scored: Scored) -> str:
    """README.md."""
    first = scored.records[0]
    asked = f" The edit was meant to {SIGNS[first.sign]} *{first.target}*." if first.target else ""
    attributes = attribute_rows(scored.records)
    judge = next((r.judge for r in scored.records if r.attribute), "none")
    parts = [
        "# Picture pairs, scored",
        f"{counted(len(scored.readings), 'pair')} of *{scored.domain}*: `{_code(scored.before)}` → `{_code(scored.after)}`, "
        f"matched by name.{asked} Networks of the domain judged them; they are named beside every number, with n and a 95 % "
        "bootstrap interval over pairs.",
        "![The first pairs by name, never chosen: before (above), after (below)](pictures/pairs.png)",
        "## Numbers",
        markdown(*_split(headline_rows(scored.records))),
        "An arrow says which way is better. A pair whose after picture a judge cannot read counts in *n failed*, and as the "
        "worst value where the metric has one (identity −1, leakage 10 sigma, effect 0); one whose before picture it cannot "
        "read is passed over. *Identity of others* is what identity would be for somebody else.",
        "These numbers are read at the strength that the pairs have. Two methods compare only where their target effects are "
        f"alike; attribute dependency reads every pair at an effect of {LEVEL:g} sigma, on the straight line from its before "
        "picture's scores.",
    ]
    if len(attributes) > 1:
        parts += [f"## Every attribute, by {judge}", markdown(*_split(attributes))]
    parts += ["## Sigma", sigma_note(scored.spread), *_sigma_table(scored)]
    missing = by_reason(_skipped(scored.records))
    if missing:
        parts += ["## Not measured", markdown(["metrics", "reason"], [[names, why] for why, names in missing])]
    parts += [
        "## How it was made", environment(scored.facts),
        "`pairs.csv` holds every pair's numbers, `summary.csv` the means in the columns of a run's `results.csv`.",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _sigma_table(scored: Scored) -> list[str]:
    if scored.spread is None:
        return []
    spread = scored.spread
    rows = [
        [name, number(float(sigma)), rule, spread.doubt.get(name, "")]
        for name, sigma, rule in zip(scored.panel.names, spread.sigma, spread.rules, strict=True)
    ]
    return [markdown(["attribute", "sigma, judge's units", "rule", "doubt"], rows)]


def _split(rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    return rows[0], rows[1:]


def _code(text: str) -> str:
    return " ".join(text.split()).replace("`", "'")
