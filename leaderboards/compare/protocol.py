"""Whether two runs asked the same question: per group 'same protocol' or 'different protocol', and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.records import Record
from leaderboards.compare.sides import Side, compared

State = Literal["same protocol", "different protocol", "only in OLD", "only in NEW"]
# Characters of a hash that are shown.
SHOWN = 12


@dataclass(frozen=True)
class Group:
    """The numbers of one (task, generator) under one protocol hash in either run. reasons: why the protocols differ."""

    task: str
    generator: str
    state: State
    old: tuple[Record, ...]
    new: tuple[Record, ...]
    protocol_hash: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.task}, {self.generator}"


def groups(old: Side, new: Side) -> list[Group]:
    """Pair the numbers of two runs by (task, generator) and protocol hash.

    A hash that both files hold is paired with itself. Of what is left, the first of each side are a pair under different
    protocols where no hash is shared, and everything else is only in one of them.
    """
    sides = [_by_hash(old.records), _by_hash(new.records)]
    out = []
    for place in sorted({*sides[0], *sides[1]}):
        before, after = (side.get(place, {}) for side in sides)
        shared = [one for one in before if one in after]
        pairs: list[tuple[str | None, str | None]] = [(one, one) for one in sorted(shared)]
        rest = [[one for one in sorted(hashes) if one not in shared] for hashes in (before, after)]
        if not shared and all(rest):
            pairs.append((rest[0].pop(0), rest[1].pop(0)))
        pairs += [(one, None) for one in rest[0]] + [(None, one) for one in rest[1]]
        out += [_group(place, before.get(a, ()), after.get(b, ()), old, new) for a, b in pairs]
    return out


def _by_hash(records: Iterable[Record]) -> dict[tuple[str, str], dict[str | None, tuple[Record, ...]]]:
    found: dict[tuple[str, str], dict[str | None, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if compared(record):
            found[record.task, record.generator][record.protocol_hash].append(record)
    return {place: {one: tuple(rows) for one, rows in hashes.items()} for place, hashes in found.items()}


def _group(place: tuple[str, str], before: Sequence[Record], after: Sequence[Record], old: Side, new: Side) -> Group:
    task, generator = place
    shown = (after or before)[0].protocol_hash
    if not before or not after:
        state: State = "only in OLD" if before else "only in NEW"
        return Group(task, generator, state, tuple(before), tuple(after), shown)
    reasons = tuple(differences(before, after, old, new, task))
    state = "different protocol" if reasons else "same protocol"
    return Group(task, generator, state, tuple(before), tuple(after), shown, reasons)


def differences(before: Sequence[Record], after: Sequence[Record], old: Side, new: Side, task: str) -> list[str]:
    """What keeps two groups of records from being compared, empty where nothing does.

    The protocol hash covers the question. The versions, the judges and the generator's fingerprint are checked beside it: a table
    that was made by hand may carry a hash that its rows do not keep.
    """
    out = []
    hashes = [_values(rows, "protocol_hash") for rows in (before, after)]
    if hashes[0] != hashes[1]:
        out.append(_change("protocol hash", *hashes))
    if _values(before, "suite") == _values(after, "suite"):
        out += _differ("suite version", before, after, "suite_version")
    out += _differ("generator fingerprint", before, after, "generator_sha")
    for title, fields in (("version of", ("metric_version",)), ("judge of", ("judge", "judge_sha"))):
        out += _by_metric(title, before, after, fields)
    if out:  # these are covered by the hash: they say what is behind it
        out += _differ("seed", before, after, "seed")
        out += _settings(old.run, new.run, task)
    if len(out) == 1 and hashes[0] != hashes[1]:
        out.append("nothing in these files says which rule, setting or version is behind it")
    return out


def method_versions(before: Sequence[Record], after: Sequence[Record]) -> dict[tuple[str, str], str]:
    """(method, variant) -> why its numbers are not compared: another version of a method is another method."""
    found: list[dict[tuple[str, str], set[int]]] = []
    for rows in (before, after):
        versions = defaultdict(set)
        for one in rows:
            versions[one.method, one.variant].add(one.method_version)
        found.append(versions)
    shared = sorted(entry for entry in found[0] if entry in found[1] and found[0][entry] != found[1][entry])
    text = [[_listed(map(str, sorted(side[entry]))) for side in found] for entry in shared]
    return {entry: f"method version {a} → {b}" for entry, (a, b) in zip(shared, text, strict=True)}


def _values(rows: Iterable[Record], name: str) -> list[str]:
    return sorted({_short(getattr(one, name)) for one in rows})


def _differ(title: str, before: Iterable[Record], after: Iterable[Record], name: str) -> list[str]:
    a, b = _values(before, name), _values(after, name)
    return [_change(title, a, b)] if a != b else []


def _by_metric(title: str, before: Sequence[Record], after: Sequence[Record], fields: Sequence[str]) -> list[str]:
    """Differences of the metrics that both have; one line for all metrics that differ alike."""
    found: list[dict[str, set[str]]] = []
    for rows in (before, after):
        side = defaultdict(set)
        for one in rows:
            side[one.metric].add(" ".join(_short(getattr(one, name)) for name in fields).strip() or "none")
        found.append(side)
    alike: dict[str, list[str]] = defaultdict(list)
    for metric in sorted(found[0]):
        if metric in found[1] and found[0][metric] != found[1][metric]:
            alike[f"{_listed(sorted(found[0][metric]))} → {_listed(sorted(found[1][metric]))}"].append(metric)
    return [f"{title} {_listed(metrics)} {change}" for change, metrics in alike.items()]


def _settings(old: dict[str, Any], new: dict[str, Any], task: str) -> list[str]:
    """Settings of the task that both run.json give differently."""
    try:
        a, b = (dict(run["suite"]["tasks"][task]) for run in (old, new))
    except (KeyError, TypeError, ValueError):
        return []  # a table without run.json says nothing of its settings
    names = sorted(name for name in {*a, *b} - {"metrics"} if a.get(name) != b.get(name))
    return [f"{name} {_setting(a, name)} → {_setting(b, name)}" for name in names]


def _setting(settings: dict[str, Any], name: str) -> str:
    value = settings.get(name, "its default")
    return _listed(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _short(value: Any) -> str:
    """A hash in its first characters; anything else as it is."""
    text = str(value)
    is_hash = len(text) > SHOWN and set(text) <= set("0123456789abcdef")
    return text[:SHOWN] if is_hash else text


def _change(title: str, before: Sequence[str], after: Sequence[str]) -> str:
    return f"{title} {_listed(before)} → {_listed(after)}"


def _listed(values: Iterable[str]) -> str:
    return ", ".join(one or "none" for one in values)
