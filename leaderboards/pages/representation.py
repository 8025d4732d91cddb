"""The representation task in the report: what each space tells of the factors, and whether S > W > Z holds on this generator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from bench.codes import Space
from bench.records import Record
from leaderboards.folder import Cell, Results
from leaderboards.headlines import Readings, readings
from leaderboards.ranking import Entry
from leaderboards.sections import markdown, n_of
from leaderboards.tables import Board
from leaderboards.vocabulary import ARROWS, NOT_OK, entry, label, number, record_text
from metrics.statistics import holm, replicate_difference, replicates_needed

TASK = "representation"
SPACES = tuple(map(str, Space))
TITLES = {"judged": "Factors as judged", "true": "True factors", "pictures": "Paths through the space"}
# What is read attribute by attribute: enough to see which ones a space hides.
BY_ATTRIBUTE = "explicitness"
# The order of StyleSpace Analysis (Wu et al. 2021, table 1) and of StyleGAN (Karras et al. 2019, table 4).
CHAIN = ("s", "w", "z")
# The order of columns; what is not here comes last.
COLUMNS = (
    "mig", "separability", "explicitness", "boundary_accuracy", "sap", "modularity", "dci_disentanglement", "dci_completeness",
    "dci_informativeness", "importance_purity", "ppl_full", "ppl_end", "hessian_penalty",
)  # fmt: skip
# The method `native` with this option mixes codes at random into as many channels as another space has.
CONTROL = "as_many_as="
NOTES = (
    "*DCI*, *importance purity*, *mig*, *modularity* and *sap* ask whether single channels carry single attributes: a rotation "
    "changes them, and edits along directions do not notice one. DCI and importance purity also rise with the number of channels "
    "alone, and so compare only between spaces of as many, or with the control. *explicitness*, *boundary accuracy* and "
    "*separability* ask for hyperplanes: no rotation changes them, and since s of a StyleGAN is an affine function of w they see "
    "one space in both. *separability* is a product over attributes. Straight paths in s and w are the same; the Hessian penalty "
    "sums over pairs of channels, and so compares only between spaces of as many."
)


def page(results: Results, generator: str, board: Board | None) -> tuple[str, dict[str, bytes]]:
    """Markdown of one generator: a table of spaces for each target, what is said attribute by attribute, and the verdict."""
    cells = {one: group[0] for one, group in results.groups(TASK, generator).items()}
    records = [r for r in results.records if (r.task, r.generator) == (TASK, generator) and entry(r) in cells]
    parts = []
    for target in dict.fromkeys(r.target for r in records if r.target):
        mine = [r for r in records if r.target == target]
        parts += [f"### {TITLES.get(target, target)}", _target(mine, cells)]
    parts += ["### Is S more disentangled than W, and W than Z?", verdicts(readings(results, TASK, generator), cells), NOTES]
    return "\n\n".join(part for part in parts if part), {}


def in_order(cells: Mapping[Entry, Cell]) -> list[Entry]:
    """Baselines, then the others, each by space in the order of the field (z, w, w+, s, ...)."""
    place = {space: i for i, space in enumerate(SPACES)}
    key = lambda one: (cells[one].card["approach"] != "baseline", place.get(cells[one].card["space"], len(place)), one)  # noqa: E731
    return sorted(cells, key=key)


def _target(records: Sequence[Record], cells: Mapping[Entry, Cell]) -> str:
    summaries = [r for r in records if not r.attribute]
    if all(r.status != "ok" for r in summaries):
        return f"Not measured: {'; '.join(sorted({r.reason for r in summaries if r.reason}))}."
    table = {(entry(r), r.metric): r for r in summaries}
    entries = [one for one in in_order(cells) if any(who == one for who, _ in table)]
    metrics = columns({r.metric for r in summaries})
    heads = [f"{metric} {ARROWS[_any(table, metric).higher_is_better]}".strip() for metric in metrics]
    rows = [
        [cells[one].card["space"], label(one), _channels(cells[one])]
        + [record_text(table.get((one, metric)), NOT_OK) for metric in metrics]
        for one in entries
    ]
    control = _controls(table, cells)
    parts = [_sizes(summaries), markdown(["space", "entry", "channels", *heads], rows), control, _attributes(records, entries)]
    return "\n\n".join(part for part in parts if part)


def columns(metrics: Iterable[str]) -> list[str]:
    """Metrics in the order of COLUMNS, those that are not there last."""
    place = {name: i for i, name in enumerate(COLUMNS)}
    return sorted(metrics, key=lambda name: (place.get(name.split("[")[0], len(place)), name))


def control_of(one: Entry) -> str:
    """The space whose number of channels an entry borrows; empty for all others."""
    return next((part.removeprefix(CONTROL) for part in one[1].split(",") if part.startswith(CONTROL)), "")


def native(cells: Mapping[Entry, Cell]) -> dict[str, Entry]:
    """The entry that is a space itself, by space."""
    return {cells[one].card["space"]: one for one in in_order(cells) if one[0] == "native" and not control_of(one)}


def _controls(table: Mapping[tuple[Entry, str], Record], cells: Mapping[Entry, Cell]) -> str:
    """What disentanglement owes to the number of channels, where a control was measured beside the space it stands for."""
    said = []
    for one in in_order(cells):
        space = control_of(one)
        for (who, metric), record in table.items():
            if not space or who != native(cells).get(space) or not metric.startswith("dci_disentanglement"):
                continue
            other = table.get((one, metric))
            if other is None or "ok" != record.status or "ok" != other.status:
                continue
            mixed = f"as many random mixtures of {cells[one].card['space']} as {space} has channels score {record_text(other)}"
            beyond = record.ci_low > other.ci_high
            what = f"{space} is beyond what its channels alone give" if beyond else "it is no evidence for " + space
            said.append(f"*{metric}*: {mixed}, {space} itself {record_text(record)}: **{what}**.")
    return "\n".join(said)


def _channels(cell: Cell) -> str:
    """How many channels were measured, and of how many where some never change."""
    every, active = cell.facts["channels"]
    return str(active) if active == every else f"{active} of {every}"


def _any(table: Mapping[tuple[Entry, str], Record], metric: str) -> Record:
    return next(record for (_, name), record in table.items() if name == metric)


def _sizes(records: Sequence[Record]) -> str:
    """Who judged, on how many samples, over what the intervals are, and which attributes are left out."""
    said = []
    for judge in dict.fromkeys(r.judge for r in records if r.status == "ok"):
        mine = [r for r in records if r.status == "ok" and r.judge == judge]
        over = " and ".join(dict.fromkeys(r.ci_over for r in mine))
        failed = max(r.n_failed for r in mine)
        what = f"Read by {judge}" if judge else f"Read off the pixels ({', '.join(dict.fromkeys(r.metric for r in mine))})"
        lost = f", {failed} more could not be read" if failed else ""
        said.append(f"{what}: n = {n_of(mine)}{lost}; 95 % intervals over {over}.")
    reasons = sorted({r.reason for r in records if r.status == "ok" and r.reason})
    return " ".join([*said, *(f"{reason[0].upper()}{reason[1:]}." for reason in reasons)])


def _attributes(records: Sequence[Record], entries: Sequence[Entry]) -> str:
    """Attribute by entry: how well a linear reader finds each. Empty where nothing was read by attribute."""
    table = {(r.attribute, entry(r)): r for r in records if r.attribute and r.metric == BY_ATTRIBUTE}
    names = list(dict.fromkeys(name for name, _ in table))
    rows = [[name, *(record_text(table.get((name, one)), NOT_OK) for one in entries)] for name in names]
    head = f"*{BY_ATTRIBUTE}* of each attribute (area under the curve of a linear reader, 0.5 is chance):"
    return f"{head}\n\n{markdown(['attribute', *map(label, entries)], rows)}" if rows else ""


def verdicts(found: Readings, cells: Mapping[Entry, Cell]) -> str:
    """A sentence for every headline and target: does the chain of spaces hold, by paired tests, Holm over its steps?"""
    entries = {space: one for space, one in native(cells).items() if one in found}
    chain = [space for space in CHAIN if space in entries]
    if len(chain) < 2:
        return "Not asked: fewer than two of the spaces s, w and z were measured."
    questions = [q for q in found[entries[chain[0]]] if all(q in found[entries[space]] for space in chain)]
    return "\n".join(f"- {_verdict(q, [found[entries[space]][q] for space in chain], chain)}" for q in questions)


def _verdict(question: tuple[str, str, str], asked: Sequence, chain: Sequence[str]) -> str:
    up = asked[0].higher_is_better
    tests = [replicate_difference(a.replicates, b.replicates, point_a=a.value, point_b=b.value) for a, b in pairwise(asked)]
    corrected = holm([one.p for one in tests])
    steps, words = [], []
    for (better, worse), one, p in zip(pairwise(chain), tests, corrected, strict=True):
        ahead = (one.diff > 0) == up and one.diff != 0
        words.append("cannot tell" if p > 0.05 or one.diff == 0 else "holds" if ahead else "does not hold")
        ends = f"[{number(one.low)}, {number(one.high)}]"
        steps.append(f"{better.upper()} − {worse.upper()} = {number(one.diff)} {ends}, {words[-1]}")
    whole = "does not hold" if "does not hold" in words else "cannot tell" if "cannot tell" in words else "holds"
    count, needed = len(asked[0].replicates), replicates_needed(len(tests))
    few = f" {count} replicates are too few for {len(tests)} comparisons: {needed} are needed." if count < needed else ""
    order = " > ".join(space.upper() for space in chain)
    return f"{order} by {question[2]} ({question[0]}) **{whole}** here: {'; '.join(steps)}.{few}"
