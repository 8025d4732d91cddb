"""Two runs into a verdict: per number old, new, the difference with its interval, and better, worse, same or cannot tell.

What is compared: every record that is `ok` or `unreached` in both runs and has the same IDENTITY columns, under one protocol, of
one version of the method, except points of the grid (see leaderboards.compare.sides.compared).

How: where both runs kept their arrays, have the same generator, fits and test codes, by a paired bootstrap of the readings at
equal judged effect, repeated in every replicate; else by the intervals in both tables, as if unpaired; else not at all. p-values
are corrected by Holm within three families, each over the whole comparison: the headlines, the other numbers with a better and
worse, and those without. Numbers that are equal to the last digit are no tests and in no family.

Verdicts:
- same: equal digits, or the difference's interval lies within the metric's tolerance;
- better, worse (changed, where there is no better and worse): Holm's p is at most alpha, the difference above the tolerance;
- cannot tell: everything else.
A number that was reached and no longer is, is worse. With arrays that is tested like any other difference, because a mean effect
near the level is reached in one resample and not in the next; without them it is so unless the intervals in the tables say that
it was not sure to be reached, or is not sure to be lost (see leaderboards.compare.verdicts).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bench.errors import InputError, unknown
from bench.records import Record
from leaderboards.compare.model import (
    ALPHA,
    CONTRADICTION,
    EQUAL,
    NOTHING,
    PAIRED,
    REACHING,
    UNPAIRED,
    Change,
    Comparison,
    Gone,
    Refused,
)
from leaderboards.compare.pairing import Pair
from leaderboards.compare.protocol import groups, method_versions
from leaderboards.compare.replicates import contradicts, place_of
from leaderboards.compare.sides import Key, Side, key_of, readable_codes
from leaderboards.compare.statistics import enough_replicates, unpaired
from leaderboards.compare.verdicts import decided
from leaderboards.ranking import Entry
from leaderboards.records import format_float


def compare(old: Side, new: Side, *, tolerances: Mapping[str, float] | None = None, alpha: float = ALPHA) -> Comparison:
    """Compare two runs. Raises InputError for a tolerance of a metric that neither holds, and for a file with a row twice."""
    tolerances = dict(tolerances or {})
    _check_tolerances(tolerances, (*old.records, *new.records))
    found, lost, was = groups(old, new), Reasons(new.records), Reasons(old.records)
    changes: list[Change] = []
    missing: list[Gone] = []
    added: list[Gone] = []
    refused: list[Refused] = []
    entries: list[tuple[Pair, list[Change]]] = []
    for group in found:
        before, after = old.numbers(group.old), new.numbers(group.new)
        both = [key for key in before if key in after]
        if group.state == "different protocol":
            refused.append(Refused(group, None, group.reasons, len(both)))
            continue
        missing += [lost.of(before[key]) for key in before if key not in after]
        added += [replace(was.of(after[key]), failed=False) for key in after if key not in before]
        versions = method_versions(group.old, group.new)
        by_entry: dict[Entry, list[Change]] = defaultdict(list)
        for key in both:
            one = Change(before[key], after[key])
            by_entry[one.entry].append(one)
        for entry, rows in by_entry.items():
            if entry in versions:
                refused.append(Refused(group, entry, (versions[entry],), len(rows)))
            else:
                entries.append((Pair(old, new, group.task, group.generator, entry), rows))
    entries = [(pair, _differences(pair, rows)) for pair, rows in entries]
    tested = sum(one.family == "headline" and one.difference.p is not None for _, rows in entries for one in rows)
    for pair, rows in entries:
        changes += _sharpened(pair, rows, tested, alpha)
    changes = decided(changes, tolerances, alpha)
    return Comparison(
        old.name, new.name, tuple(found), tuple(changes), tuple(missing), tuple(added), tuple(refused),
        tuple(_notes(old, new, changes)), tolerances,
    )  # fmt: skip


def _check_tolerances(tolerances: Mapping[str, float], records: Sequence[Record]) -> None:
    known = {one.metric for one in records if one.metric}
    for metric, value in tolerances.items():
        if metric not in known:
            raise unknown("metric in these results", metric, known)
        if not 0 <= value < float("inf"):
            raise InputError(f"the tolerance of {metric} must be a number from 0 up, not {value:g}")


class Reasons:
    """Why a run does not hold a number: by its row for it, or by that of the whole entry."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.numbers: dict[Key, Record] = {}
        self.entries: dict[tuple[str, ...], Record] = {}
        for one in records:
            if one.status in ("skipped", "error"):
                if one.metric:
                    self.numbers.setdefault(key_of(one), one)
                else:
                    self.entries.setdefault(self._entry(one), one)

    @staticmethod
    def _entry(record: Record) -> tuple[str, ...]:
        return (record.task, record.generator, record.method, record.variant)

    def of(self, record: Record) -> Gone:
        why = self.numbers.get(key_of(record)) or self.entries.get(self._entry(record))
        if why is None:
            return Gone(record, "not in the file")
        return Gone(record, f"{why.status}: {why.reason}", why.status == "error")


def _equal(one: Change) -> bool:
    """Whether the tables hold the same digits."""
    return one.old.status == one.new.status and format_float(one.old.value) == format_float(one.new.value)


def _differences(pair: Pair, rows: list[Change]) -> list[Change]:
    """The differences of one entry's numbers, by the best way there is."""
    equal, codes = [_equal(one) for one in rows], _codes([one for one in rows if one.headline])
    if all(equal) and pair.same():
        return [replace(one, how=EQUAL) for one in rows]
    if not pair.why_not:
        pair.load()
    if pair.why_not:
        return [_from_tables(one, pair.why_not, same, codes) for one, same in zip(rows, equal, strict=True)]
    same_code = pair.same_code([(one.old, one.new) for one in rows])
    found = [_from_arrays(pair, one, same_code, same, codes) for one, same in zip(rows, equal, strict=True)]
    pair.release()
    return found


def _codes(rows: Sequence[Change]) -> int:
    """The fewest test codes behind these numbers; 0 where unknown."""
    return min((n for one in rows for n in map(readable_codes, (one.old, one.new)) if n), default=0)


def _from_arrays(pair: Pair, one: Change, same_code: bool, equal: bool, codes: int) -> Change:
    found = pair.of(one.old, one.new)
    if found is None:
        return _from_tables(one, "the task keeps no samples of it", equal, codes)
    if contradicts(one.old, found[0]) or contradicts(one.new, found[1]):
        # Versions say that this code wrote both files: then one of them was changed since. Otherwise it may read differently.
        if same_code:
            return replace(_from_tables(one, CONTRADICTION, False, codes), note=CONTRADICTION)
        return _from_tables(one, "another version of the code wrote the samples", equal, codes)
    if equal:
        return replace(one, how=EQUAL)
    return replace(one, difference=pair.difference(one.old, one.new), how=PAIRED)


def _from_tables(one: Change, why: str, equal: bool, codes: int) -> Change:
    if equal:
        return replace(one, how=EQUAL)
    old, new = one.old, one.new
    if old.value is not None and new.value is not None:
        found = unpaired((old.value, old.ci_low, old.ci_high), (new.value, new.ci_low, new.ci_high), _codes([one]) or codes)
        return replace(one, difference=found, how=UNPAIRED if found.p is not None else NOTHING, note=why)
    return replace(one, how=REACHING, note=why)


def _sharpened(pair: Pair, rows: list[Change], tested: int, alpha: float) -> list[Change]:
    """The same, with more replicates where a headline is unreached in all of them and counting them cannot say enough.

    Only counting tells how sure it is that a level is reached, and among `tested` headlines it takes many replicates to do so.
    """
    floored = [one.difference.floor and one.family == "headline" for one in rows]
    if not any(floor and tested * one.difference.p > alpha for floor, one in zip(floored, rows, strict=True)):
        return rows
    wanted = {place_of(one.new) for floor, one in zip(floored, rows, strict=True) if floor}
    pair.load(enough_replicates(tested, alpha), wanted)
    again = lambda one: replace(one, difference=pair.difference(one.old, one.new))  # noqa: E731
    found = [again(one) if floor else one for floor, one in zip(floored, rows, strict=True)]
    pair.release()
    return found


def _notes(old: Side, new: Side, changes: Sequence[Change]) -> list[str]:
    """What a reader has to know of how this was compared."""
    out = []
    suites = [sorted({f"{one.suite}" for one in side.records}) for side in (old, new)]
    if suites[0] != suites[1]:
        out.append(f"the suites bear other names ({', '.join(suites[0])} and {', '.join(suites[1])}); the protocol hash decides")
    codes = [sorted({one.code_version for one in side.records}) for side in (old, new)]
    if codes[0] != codes[1]:
        out.append(f"code version {', '.join(codes[0])} → {', '.join(codes[1])}")
    devices = [sorted({one.device for one in side.records}) for side in (old, new)]
    if devices[0] != devices[1]:
        out.append(f"device {', '.join(devices[0])} → {', '.join(devices[1])}: last digits may differ")
    why: dict[str, int] = defaultdict(int)
    for one in changes:
        if one.how in (UNPAIRED, REACHING, NOTHING) and one.note:
            why[one.note] += 1
    out += [f"not paired, {count} numbers: {reason}" for reason, count in sorted(why.items())]
    return out
