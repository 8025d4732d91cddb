"""A comparison in words: what terminal, Markdown, CSV and JUnit outputs say alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from bench.records import Record
from leaderboards.compare.model import Change, Comparison, FailOn, Gone
from leaderboards.compare.protocol import SHOWN, Group
from leaderboards.vocabulary import ARROWS, label, number, title

# The order of tables: what a reader has to see first.
ORDER = ("worse", "better", "changed", "cannot tell", "same")
RESULTS = {0: "no regression", 1: "regression", 2: "cannot compare"}
HEADER = ("verdict", "generator", "method", "metric", "where", "old", "new", "difference [95 %]", "p (Holm)", "how")


@dataclass(frozen=True)
class Loss:
    """Numbers of one entry that only one run holds, for one reason."""

    task: str
    generator: str
    entry: str
    reason: str
    numbers: int
    failed: bool


def group_line(group: Group) -> str:
    """'editing, heads-oracle: same protocol (f82a3f0070c1)', or why not."""
    shown = f" ({group.protocol_hash[:SHOWN]})" if group.protocol_hash else ""
    if group.state == "same protocol":
        return f"{group.name}: same protocol{shown}"
    if group.state == "different protocol":
        return f"{group.name}: different protocol, nothing is subtracted: {'; '.join(group.reasons)}"
    return f"{group.name}: {group.state}{shown}"


def refusals(comparison: Comparison) -> list[str]:
    """What is refused within groups of the same protocol: entries whose method has another version."""
    return [
        f"{one.group.name}, {label(one.entry)}: {'; '.join(one.reasons)}, its {one.numbers} numbers are not compared"
        for one in comparison.refused
        if one.entry is not None
    ]


def counts(changes: Iterable[Change]) -> str:
    """'2 worse, 40 same'."""
    found = Counter(one.verdict for one in changes)
    return ", ".join(f"{found[name]} {name}" for name in ORDER if found[name]) or "nothing"


def result_line(comparison: Comparison, fail_on: FailOn) -> str:
    """The verdict on the whole, in one line."""
    code = comparison.exit_code(fail_on)
    said = RESULTS[code]
    if code == 1 and not (comparison.of("worse") or comparison.failed):
        said = "missing numbers" if comparison.missing else "changes"
    if code == 0 and fail_on == "never" and (comparison.of("worse") or comparison.failed):
        said = "regression (let pass by --fail-on never)"
    parts = [counts(comparison.changes)]
    parts += [f"{len(comparison.missing)} missing"] if comparison.missing else []
    parts += [f"{len(comparison.failed)} of them because cells failed"] if comparison.failed else []
    parts += [f"{len(comparison.added)} new"] if comparison.added else []
    refused = sum(one.numbers for one in comparison.refused)
    parts += [f"{refused} not comparable"] if comparison.refused else []
    return f"{said}: {', '.join(parts)}"


def where(record: Record) -> str:
    """'smile + at effect_0.5', 'age, of smile + at effect_1', 'mean of all targets'."""
    if not record.target:
        return "mean of all targets" if record.point == "summary" else record.point
    asked = f"{record.target} {record.sign}".rstrip()
    if record.attribute:
        asked = f"{record.attribute}, of {asked}"
    return asked if record.point == "summary" else f"{asked} at {record.point}"


def value(record: Record) -> str:
    return "unreached" if record.status == "unreached" else number(record.value)


def difference(one: Change) -> str:
    found = one.difference
    if found.diff is None:
        return "–"
    signed = lambda x: f"+{number(x)}" if x > 0 else number(x)  # noqa: E731
    if found.low is None or found.high is None:
        return signed(found.diff)
    return f"{signed(found.diff)} [{signed(found.low)}, {signed(found.high)}]"


def row(one: Change) -> tuple[str, ...]:
    """The cells of HEADER."""
    p = "–" if one.p_holm is None else "< 0.001" if one.p_holm < 0.001 else f"{one.p_holm:.3f}"
    metric = f"{title(one.new.metric)} {ARROWS[one.new.higher_is_better]}".rstrip()
    entry = label(one.entry)
    numbers = (value(one.old), value(one.new), difference(one), p)
    return (one.verdict, one.new.generator, entry, metric, where(one.new), *numbers, one.how)


def ordered(changes: Iterable[Change]) -> list[Change]:
    """Verdicts that matter first, headlines first among them, then as in results.csv."""
    families = ("headline", "detail", "undirected")
    return sorted(changes, key=lambda one: (ORDER.index(one.verdict), families.index(one.family), one.key))


def is_mean(one: Change) -> bool:
    """Whether a number is an entry's headline over all targets."""
    return one.headline and one.new.point == "summary" and not one.new.target


def losses(gone: Iterable[Gone]) -> list[Loss]:
    """Missing or new numbers, together by entry and reason."""
    found: dict[tuple[str, str, str, str, bool], int] = defaultdict(int)
    for one in gone:
        entry = label((one.record.method, one.record.variant))
        found[one.record.task, one.record.generator, entry, one.reason, one.failed] += 1
    return [Loss(*key[:4], count, key[4]) for key, count in sorted(found.items())]


def loss_line(one: Loss, kind: str) -> str:
    """'missing: editing, heads-oracle, sefa: 40 numbers (error: out of memory)'."""
    numbers = f"{one.numbers} number{'s' if one.numbers > 1 else ''}"
    reason = "" if kind == "new" and one.reason == "not in the file" else f" ({one.reason})"
    return f"{kind}: {one.task}, {one.generator}, {one.entry}: {numbers}{reason}"
