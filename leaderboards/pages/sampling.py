"""The sampling task in the report: how often samples have what was asked, beside chance and beside what a judge accepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.records import Record
from leaderboards.folder import Cell, Results
from leaderboards.headlines import task_settings
from leaderboards.pages.sampling_plot import plot
from leaderboards.ranking import Entry
from leaderboards.sections import markdown, n_of
from leaderboards.tables import Board
from leaderboards.vocabulary import ARROWS, SKIPPED, entry, number, order, record_text, short, spelled_out, with_interval

TASK = "sampling"
# Metric -> title, and the metric of accepted samples that stands beside it.
PARTS = {
    "success": ("Has it what was asked?", "base_rate"),
    "diversity_as_sampled": ("Diversity", "accepted_diversity"),
    "realism_loss_as_sampled": ("Realism loss", "accepted_realism_loss"),
    "off_target_shift": ("What else moved", "accepted_off_target_shift"),
    "target_shift": ("How far the target moved", ""),
}
Question = tuple[str, str]
Table = Mapping[tuple[Entry, str, str, str], Record]  # by entry, target, sign, metric; what is judged off target is left out


def page(results: Results, generator: str, board: Board | None) -> tuple[str, dict[str, bytes]]:
    """Markdown and plots of one generator."""
    cells = {one: group[0] for one, group in results.groups(TASK, generator).items()}
    mine = [r for r in results.records if (r.task, r.generator) == (TASK, generator) and r.target and not r.attribute]
    table = {(entry(r), r.target, r.sign, r.metric): r for r in mine}
    asked = list(dict.fromkeys((r.target, r.sign) for r in mine if r.metric == "success"))
    entries = order(cells)
    settings = task_settings(results, TASK)
    lines = [_intro(settings, mine), spelled_out(entries, "In the tables and the plot")]
    path, files = f"plots/{TASK}-{generator}-success.png", {}
    picture = plot({one: short(one, entries) for one in entries}, asked, table)
    if picture:
        files[path] = picture
    for metric, (title, beside) in PARTS.items():
        text = _part(metric, beside, entries, asked, table)
        if text:
            lines += [f"### {title}", _explained(metric, settings), text]
            if metric == "success" and picture:
                lines.append(f"![share of samples with what was asked, and by chance, on {generator}]({path})")
    lines += _strips(results, generator)
    lines += _likelihoods(cells)
    return "\n\n".join(line for line in lines if line), files


def _intro(settings: Mapping[str, Any], records: Sequence[Record]) -> str:
    samples = n_of(r for r in records if r.metric == "success")
    failed = max((r.n_failed for r in records), default=0)
    lost = f" Up to {failed} of a question's samples could not be read by a judge." if failed else ""
    return (
        f"Each target is asked for both ways, n = {samples} samples a question: a continuous attribute {settings.get('asked')} "
        "sigma above (+) or below (−) its mean over samples, a binary one with (+) and without (−). In the ranking above, "
        "diversity and realism loss count as unreached where a sampler does away with less than half of the failures that "
        f"unconditioned samples have; below they stand as they are.{lost}"
    )


def _explained(metric: str, settings: Mapping[str, Any]) -> str:
    return {
        "success": "Share of samples that the judge says are of the class that was asked for, or lie half a sigma or more beyond "
        "the median the way asked. *by chance*: of unconditioned samples.",
        "diversity_as_sampled": "Mean perceptual distance of two samples of a question, over that of two unconditioned ones. "
        "*accepted*: of unconditioned samples that the judge says have what was asked, as rejection sampling would give them.",
        "realism_loss_as_sampled": "KID to unconditioned samples of another stream, less that of unconditioned samples. What is "
        "asked for is itself no random draw: *accepted* samples lose something, too.",
        "off_target_shift": "Root mean square over the other judged attributes of their mean's distance from that of "
        "unconditioned samples, freed of chance. *accepted* samples keep what usually goes along with the target.",
        "target_shift": "Mean judged score against that of unconditioned samples, the way asked; continuous ones were asked to "
        f"be at {settings.get('asked')}.",
    }[metric]


def _part(metric: str, beside: str, entries: Sequence[Entry], asked: Sequence[Question], table: Table) -> str:
    """A row a question, a column an entry, and what accepted samples have."""
    found = [r for (_, _, _, name), r in table.items() if name == metric and r.status == "ok"]
    if not found:
        return ""
    unit = f", {found[0].unit}" if found[0].unit in ("sigma", "KID") else ""
    judge = ", ".join(sorted({r.judge for r in found if r.judge}))
    arrow = ARROWS[found[0].higher_is_better]
    head = "by chance" if beside == "base_rate" else "accepted"
    rows = []
    for target, sign in asked:
        other = next((table[one, target, sign, beside] for one in entries if (one, target, sign, beside) in table), None)
        mine = [record_text(table.get((one, target, sign, metric)), SKIPPED) for one in entries]
        extra = [record_text(other, SKIPPED) + (f" (n = {other.n})" if other is not None else "")] if beside else []
        rows.append([f"{target} {'−' if sign == '-' else sign}", *extra, *mine])
    note = " ".join(filter(None, (arrow, judge))) + unit
    return markdown([f"asked ({note})", *([head] if beside else []), *(short(one, entries) for one in entries)], rows)


def _strips(results: Results, generator: str) -> list[str]:
    sheets = [one for one in results.run["pictures"] if (one["task"], one["generator"]) == (TASK, generator)]
    if not sheets:
        return []
    lines = [
        "### Samples",
        "The first ids of the stream, not chosen. 0: nothing is asked; − and +: the target is asked for, with the same prior "
        "draw. White: not asked.",
    ]
    for sheet in sheets:
        lines += [f"**{sheet['caption']}**", f"![samples of {sheet['caption']} on {generator}]({sheet['path']})"]
    return lines


def _likelihoods(cells: Mapping[Entry, Cell]) -> list[str]:
    """What fits with a likelihood say of codes that they were not fitted to."""
    rows = []
    for one in order(cells):
        for row in cells[one].tables.get("likelihood", ()):
            value = with_interval(row["log_likelihood_nats"], row["ci_low"], row["ci_high"])
            rows.append([short(one, order(cells)), row["model"], value, row["n"], number(row.get("round_trip_error"))])
    if not rows:
        return []
    words = (
        "Mean log-likelihood of held-out codes of the bank given the guide's attributes, in nats, with its 95 % interval; the "
        "flow's is unbiased by a random trace. *round trip*: the largest relative error of a code encoded and decoded."
    )
    return ["### Likelihood of held-out codes", words, markdown(["entry", "model", "log-likelihood ↑", "n", "round trip"], rows)]
