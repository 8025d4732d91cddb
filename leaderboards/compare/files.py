"""A comparison for programs: CSV with a row for every number, JUnit XML with a test for every number."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET
from collections import defaultdict

from leaderboards.compare.model import Change, Comparison, FailOn, Gone, Refused
from leaderboards.compare.sides import IDENTITY
from leaderboards.compare.words import difference, ordered, result_line, value, where
from leaderboards.records import format_float
from leaderboards.vocabulary import label, title

COLUMNS = (
    *IDENTITY, "metric_version", "protocol_hash", "headline", "unit", "higher_is_better", "old", "new", "old_status",
    "new_status", "difference", "difference_low", "difference_high", "p", "p_holm", "how", "verdict", "note",
)  # fmt: skip


def table(comparison: Comparison) -> str:
    """The text of the CSV: COLUMNS, then what both hold in the order of verdicts, what is refused, missing and new.

    Only `verdict` and `note` say more than results.csv could: verdict is also 'missing', 'failed' (missing because its cell
    failed), 'new' or 'refused'.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_change(one) for one in ordered(comparison.changes))
    for one in comparison.refused:
        writer.writerow(_refused(one))
    for kind, gone in (("missing", comparison.missing), ("new", comparison.added)):
        writer.writerows(_gone(one, kind) for one in gone)
    return out.getvalue()


def _identity(record) -> dict[str, str]:
    row = {name: str(getattr(record, name)) for name in (*IDENTITY, "metric_version", "protocol_hash", "unit")}
    way = record.higher_is_better
    return row | {"headline": _bool(record.headline), "higher_is_better": "" if way is None else _bool(way)}


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _change(one: Change) -> dict[str, str]:
    found = one.difference
    numbers = {
        "old": one.old.value, "new": one.new.value, "difference": found.diff, "difference_low": found.low,
        "difference_high": found.high, "p": found.p, "p_holm": one.p_holm,
    }  # fmt: skip
    return {
        **_identity(one.new), **{name: format_float(number) for name, number in numbers.items()},
        "old_status": one.old.status, "new_status": one.new.status, "how": one.how, "verdict": one.verdict, "note": one.note,
    }  # fmt: skip


def _gone(one: Gone, kind: str) -> dict[str, str]:
    side = "old" if kind == "missing" else "new"
    row = _identity(one.record) | {side: format_float(one.record.value), f"{side}_status": one.record.status}
    return row | {"verdict": "failed" if one.failed else kind, "note": one.reason}


def _refused(one: Refused) -> dict[str, str]:
    method, variant = one.entry or ("", "")
    row = {"task": one.group.task, "generator": one.group.generator, "method": method, "variant": variant}
    return row | {"protocol_hash": one.group.protocol_hash, "verdict": "refused", "note": "; ".join(one.reasons)}


def junit(comparison: Comparison, fail_on: FailOn) -> str:
    """JUnit XML: a suite for each group, a test for each number.

    A failure is what --fail-on names; a test is skipped where it cannot be told, or is missing without failing; what is refused
    is an error.
    """
    root = ET.Element("testsuites", name="latentbench compare")
    by_group: dict[tuple[str, str, str], list[ET.Element]] = defaultdict(list)
    for group in comparison.groups:
        case = _case(f"{group.task}.{group.generator}", "protocol")
        if group.state == "different protocol":
            _child(case, "error", "different protocol", "\n".join(group.reasons))
        elif group.state != "same protocol":
            _child(case, "skipped", group.state)
        by_group[group.task, group.generator, group.protocol_hash].append(case)
    for refused in comparison.refused:
        if refused.entry is not None:
            case = _case(_class(refused.group.task, refused.group.generator, refused.entry), "version")
            _child(case, "error", "; ".join(refused.reasons))
            by_group[refused.group.task, refused.group.generator, refused.group.protocol_hash].append(case)
    for one in ordered(comparison.changes):
        by_group[one.new.task, one.new.generator, one.new.protocol_hash].append(_of_change(one, fail_on))
    for kind, gone in (("missing", comparison.missing), ("new", comparison.added)):
        for each in gone:
            record = each.record
            by_group[record.task, record.generator, record.protocol_hash].append(_of_gone(each, kind, fail_on))
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for (task, generator, _), cases in by_group.items():
        suite = ET.SubElement(root, "testsuite", name=_clean(f"{task}, {generator}"))
        suite.extend(cases)
        found = {"tests": len(cases)}
        found |= {name: len(suite.findall(f"testcase/{tag}")) for name, tag in _TAGS.items()}
        for name, count in found.items():
            suite.set(name, str(count))
            totals[name] += count
    for name, count in totals.items():
        root.set(name, str(count))
    properties = ET.Element("properties")
    for name, text in (("old", comparison.old), ("new", comparison.new), ("result", result_line(comparison, fail_on))):
        ET.SubElement(properties, "property", name=name, value=_clean(text))
    for suite in root:
        suite.insert(0, properties)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


_TAGS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def _class(task: str, generator: str, entry: tuple[str, str]) -> str:
    return f"{task}.{generator}.{label(entry)}"


def _case(class_name: str, name: str) -> ET.Element:
    return ET.Element("testcase", classname=_clean(class_name), name=_clean(name), time="0")


def _of_change(one: Change, fail_on: FailOn) -> ET.Element:
    case = _case(_class(one.new.task, one.new.generator, one.entry), f"{title(one.new.metric)}: {where(one.new)}")
    said = f"{one.verdict}: {value(one.old)} → {value(one.new)}, difference {difference(one)}, {one.how}"
    failing = {"never": (), "worse": ("worse",), "missing": ("worse",), "changed": ("worse", "better", "changed")}[fail_on]
    if one.verdict in failing:
        _child(case, "failure", said, one.note)
    elif one.verdict == "cannot tell":
        _child(case, "skipped", said)
    return case


def _of_gone(one: Gone, kind: str, fail_on: FailOn) -> ET.Element:
    record = one.record
    class_name = _class(record.task, record.generator, (record.method, record.variant))
    case = _case(class_name, f"{title(record.metric)}: {where(record)}")
    fails = {"never": False, "worse": one.failed, "missing": kind == "missing", "changed": True}[fail_on]
    _child(case, "failure" if fails else "skipped", f"{kind}: {one.reason}")
    return case


def _child(case: ET.Element, tag: str, message: str, text: str = "") -> None:
    child = ET.SubElement(case, tag, message=_clean(message))
    child.text = _clean(text) or None


def _clean(text: str) -> str:
    """Without the characters that XML 1.0 does not allow."""
    return re.sub(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]", "�", text)
