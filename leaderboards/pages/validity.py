"""The validity page: a matrix of metrics against planted faults, what each metric can be trusted for, and every number."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence

from bench.tasks.validity.causes import CAUSES
from bench.tasks.validity.findings import Finding, findings
from bench.tasks.validity.quantities import BY_NAME
from bench.tasks.validity.verdicts import BLIND, MISLED, SEES, UNEVEN
from leaderboards.folder import Results
from leaderboards.records import format_float
from leaderboards.sections import markdown
from leaderboards.tables import Board
from leaderboards.tasks import settings_of
from leaderboards.vocabulary import title, with_interval

SYMBOLS = {SEES: "✓ sees", MISLED: "✗ misled", BLIND: "○ blind", UNEVEN: "~ uneven"}
STILL = "= still"  # blind to what is no fault to it
UNEXPECTED = " **!**"

HEADINGS = {
    "edits": "faults of edits",
    "order": "the order of edits",
    "representations": "faults of representations",
    "maps": "faults of the map from codes to pictures",
    "pictures": "faults of pictures and of sets of pictures",
    "inversions": "faults of inverted codes",
    "units": "faults of units and interventions",
}

LEGEND = (
    "**✓ sees**: the metric moves toward worse as the fault grows. **✗ misled**: it moves toward better. **○ blind**: it does "
    "not move. **= still**: it does not move, and should not: the fault is none to it. **~ uneven**: it moves, but not in step "
    "with the fault. **!**: not what was expected. Empty: not measured.\n\n"
    "A metric moves where the 95 % interval of its change leaves out 0, and the change is larger than what other codes would "
    "change (half the width of its interval at severity 0) and, in a standardised unit such as sigma or a share, than 0.01. "
    "It is monotone where Spearman's rho of severity and metric is at least 0.7."
)

COLUMNS = (
    "family", "fault", "planted", "metric", "judge", "expected", "reason", "verdict", "as_expected", "rho", "rho_low", "rho_high",
    "change", "change_low", "change_high", "start", "start_low", "start_high", "unit", "n", "was", "cause",
)  # fmt: skip


def page(results: Results, generator: str, board: Board | None) -> tuple[str, dict[str, bytes]]:
    """Matrices, trust, disagreements and numbers of one generator; the table as a file. `board` is None: nothing is ranked."""
    cells = next(iter(results.groups("validity", generator).values()))
    _, result = cells[0].parts()
    settings = settings_of(results, "validity")
    found = findings(result, settings.replicates, results.run["suite"]["seed"])
    faults, judges = result.facts["faults"], {name: one[0] for name, one in result.facts["judges"].items()}
    families = [name for name in HEADINGS if any(one[0] == name for one in faults.values())]
    parts = [_opening(found, result.facts), LEGEND]
    for family in families:
        mine = [one for one in found if faults[one.pair["fault"]][0] == family]
        parts += [f"### {HEADINGS[family].capitalize()}", _matrix(mine, faults), _planted(mine, faults)]
    parts += ["### Which metric can be trusted for what", _trust(found, faults)]
    parts += ["### Not as expected", _surprises(found, faults)]
    corrected = [one for one in found if one.pair["was"]]
    if corrected:
        parts += ["### Expectations that were corrected", _corrected(corrected, faults)]
    parts += ["### All numbers", _numbers(found, faults, judges)]
    return "\n\n".join(parts), {"validity.csv": _table(found, faults, judges)}


def _opening(found: Sequence[Finding], facts: dict) -> str:
    held, corrected = sum(one.expected for one in found), sum(bool(one.pair["was"]) for one in found)
    levels = ", ".join(f"{s:g}" for s in facts["severities"])
    lines = [
        f"Faults are planted where the truth is known, at severities {levels}, and every metric is asked whether it sees them. "
        f"What each one should do was written down, with a reason, before anything was measured. {held} of {len(found)} pairs "
        "came out as expected; the other ones are listed below, with the cause where it is known. "
        f"{corrected} words were corrected after the first measurement, where the thought behind them was wrong: they are listed "
        "too."
    ]
    if facts["absent"]:
        reasons = defaultdict(list)
        for metric, reason in facts["absent"].items():
            reasons[reason].append(title(metric))
        lines += [f"Not measured: {', '.join(metrics)} ({reason})." for reason, metrics in reasons.items()]
    return "\n\n".join(lines)


def mark(one: Finding) -> str:
    """The matrix's cell, e.g. '✓ sees', with a mark where it was not expected."""
    still = one.verdict == BLIND and one.pair["expected"] == "unchanged"
    return (STILL if still else SYMBOLS[one.verdict]) + ("" if one.expected else UNEXPECTED)


def _matrix(found: Sequence[Finding], faults: dict[str, list[str]]) -> str:
    cells = {(one.pair["metric"], one.pair["fault"]): mark(one) for one in found}
    columns = list(dict.fromkeys(one.pair["fault"] for one in found))
    metrics = sorted({one.pair["metric"] for one in found}, key=_place)
    rows = [[title(metric), *(cells.get((metric, fault), "") for fault in columns)] for metric in metrics]
    return markdown(["metric", *(faults[name][1] for name in columns)], rows)


def _place(metric: str) -> tuple[int, str]:
    """Metrics in the order of the task's own list; one that it no longer has comes last."""
    known = list(BY_NAME)
    return (known.index(metric) if metric in known else len(known), metric)


def _planted(found: Sequence[Finding], faults: dict[str, list[str]]) -> str:
    names = dict.fromkeys(one.pair["fault"] for one in found)
    return "At severity 1: " + "; ".join(f"*{faults[name][1]}*: {faults[name][2]}" for name in names) + "."


def _trust(found: Sequence[Finding], faults: dict[str, list[str]]) -> str:
    """One row a metric, from the verdicts alone."""
    by_metric: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in found:
        still = one.verdict == BLIND and one.pair["expected"] == "unchanged"
        by_metric[one.pair["metric"]]["still" if still else one.verdict].append(faults[one.pair["fault"]][1])
    kinds = (SEES, "still", BLIND, MISLED, UNEVEN)
    ordered = sorted(by_metric.items(), key=lambda item: _place(item[0]))
    rows = [[title(metric), *(", ".join(kind[one]) or "–" for one in kinds)] for metric, kind in ordered]
    return markdown(["metric", "sees", "rightly holds still under", "is blind to", "is misled by", "is uneven under"], rows)


def _surprises(found: Sequence[Finding], faults: dict[str, list[str]]) -> str:
    rows = []
    for one in (one for one in found if not one.expected):
        pair, reading = one.pair, one.reading
        cause = CAUSES.get((pair["fault"], pair["metric"]), "not known")
        change = with_interval(*reading.change)
        expected = f"{pair['expected']}: {pair['reason']}"
        rows.append([faults[pair["fault"]][1], title(pair["metric"]), expected, one.verdict, change, cause])
    if not rows:
        return "Every pair came out as expected."
    return markdown(["fault", "metric", "expected", "found", "change, + is worse", "cause"], rows)


def _corrected(found: Sequence[Finding], faults: dict[str, list[str]]) -> str:
    rows = [[faults[p["fault"]][1], title(p["metric"]), p["was"], p["expected"], p["reason"]] for p in (f.pair for f in found)]
    note = "Here the thought behind the first word was wrong, as the reason says; the first word is kept."
    return note + "\n\n" + markdown(["fault", "metric", "first word", "now", "reason"], rows)


def _numbers(found: Sequence[Finding], faults: dict[str, list[str]], judges: dict[str, str]) -> str:
    rows = []
    for one in found:
        pair, reading = one.pair, one.reading
        numbers = [with_interval(*span) for span in (reading.rho, reading.change, reading.start)]
        judge = judges.get(pair["reading"], "–")
        named = [faults[pair["fault"]][1], title(pair["metric"]), judge, pair["n"], pair["expected"]]
        rows.append([*named, *numbers, pair["unit"], mark(one)])
    header = ["fault", "metric", "judge", "n", "expected", "rho", "change, + is worse", "at severity 0", "unit", "verdict"]
    note = (
        "*rho* is Spearman's correlation of severity and metric, turned so that + is worse; *change* is from severity 0 to 1, "
        "turned likewise. Intervals are over codes, or over independent blocks of codes for what only a whole set has. The same "
        "table is in `validity.csv`."
    )
    return f"{note}\n\n<details><summary>{len(rows)} pairs</summary>\n\n{markdown(header, rows)}\n\n</details>"


def _table(found: Sequence[Finding], faults: dict[str, list[str]], judges: dict[str, str]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in found:
        pair, reading = one.pair, one.reading
        family, name, planted = faults[pair["fault"]]
        cause = "" if one.expected else CAUSES.get((pair["fault"], pair["metric"]), "")
        spans = [format_float(end) for span in (reading.rho, reading.change, reading.start) for end in span]
        judge = judges.get(pair["reading"], "")
        words = [family, pair["fault"], planted, pair["metric"], judge, pair["expected"], pair["reason"]]
        as_said = "true" if one.expected else "false"
        writer.writerow([*words, one.verdict, as_said, *spans, pair["unit"], pair["n"], pair["was"], cause])
    return out.getvalue().encode()
