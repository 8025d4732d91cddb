"""A comparison for people: in a terminal, in plain lines, and as Markdown that fits a comment on a pull request."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from leaderboards.compare.model import Change, Comparison, FailOn
from leaderboards.compare.words import (
    HEADER,
    group_line,
    is_mean,
    loss_line,
    losses,
    ordered,
    refusals,
    result_line,
    row,
)
from leaderboards.sections import markdown
from leaderboards.vocabulary import label

COLOURS = {"worse": "red", "better": "green", "changed": "yellow", "cannot tell": "dim", "same": "dim"}
# Comments hold 65,536 characters; room is left for what a workflow puts around it, and for signs of more than one byte.
COMMENT = 55_000
# Rows of a table in a terminal, unless all are asked for.
SHOWN_ROWS = 60


def shown(comparison: Comparison) -> list[Change]:
    """What a short table shows: all that changed, and of what cannot be told the headlines over all targets."""
    moved = ("worse", "better", "changed")
    return [one for one in ordered(comparison.changes) if one.verdict in moved or (is_mean(one) and one.verdict != "same")]


def _above(comparison: Comparison) -> list[str]:
    """What is said before any number: groups and their protocols, what is refused, how it was compared."""
    lines = [f"OLD: {comparison.old}", f"NEW: {comparison.new}"]
    lines += [group_line(one) for one in comparison.groups]
    lines += [f"refused: {one}" for one in refusals(comparison)]
    lines += [f"tolerance of {metric}: {value:g}" for metric, value in sorted(comparison.tolerances.items())]
    return lines + [f"note: {one}" for one in comparison.notes]


def _below(comparison: Comparison) -> list[str]:
    lines = [loss_line(one, "failed" if one.failed else "missing") for one in losses(comparison.missing)]
    return lines + [loss_line(one, "new") for one in losses(comparison.added)]


def show(comparison: Comparison, fail_on: FailOn, console: Console, *, everything: bool = False) -> None:
    """Print a comparison: a coloured table in a terminal, aligned plain lines elsewhere."""
    rows = ordered(comparison.changes) if everything else shown(comparison)
    cut = len(rows) if everything else SHOWN_ROWS
    left = len(rows) - len(rows[:cut])
    more = [f"{left} more rows: --all shows them, --csv writes them"] if left else []
    say = lambda lines: [console.print(_plain(line), soft_wrap=True) for line in lines]  # noqa: E731
    say(_above(comparison))
    if console.is_terminal:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in HEADER:
            table.add_column(name, justify="right" if name in ("old", "new", "p (Holm)") else "left")
        for one in rows[:cut]:
            table.add_row(*(_plain(cell) for cell in row(one)), style=COLOURS[one.verdict])
        console.print(table)
    elif rows:
        say(plain_table([HEADER, *(row(one) for one in rows[:cut])]))
    say([*more, *_below(comparison), result_line(comparison, fail_on)])


def _plain(text: str) -> Text:
    """Text without control characters, which in a file's names and reasons could command the terminal."""
    return Text(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text))


def plain_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns two spaces apart."""
    widths = [max(len(one[i]) for one in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(one, widths, strict=True)).rstrip() for one in rows]


def comment(comparison: Comparison, fail_on: FailOn, limit: int = COMMENT) -> str:
    """Markdown of at most `limit` characters: the verdict, a table of what changed, the details folded.

    Rows that do not fit are left out from the end, and the text says how many.
    """
    said = result_line(comparison, fail_on)
    top = [f"### latentbench compare: {_escaped(said)}", "", f"`{_code(comparison.old)}` → `{_code(comparison.new)}`", ""]
    top += [f"- {_escaped(group_line(one))}" for one in comparison.groups]
    top += [f"- refused: {_escaped(one)}" for one in refusals(comparison)]
    top += [f"- tolerance of {_escaped(metric)}: {value:g}" for metric, value in sorted(comparison.tolerances.items())]
    top += [f"- {_escaped(line)}" for line in _below(comparison)]
    text = _cut("\n".join(top), limit // 3, "… more lines of this kind are in the terminal's output") + "\n"
    tables = [("", _summary(comparison))]
    moved = [one for one in ordered(comparison.changes) if one.verdict in ("worse", "better", "changed")]
    if moved:
        tables.append(("", [HEADER, *(row(one) for one in moved)]))
    rest = [one for one in ordered(comparison.changes) if one.headline and one.verdict in ("cannot tell", "same")]
    if rest:
        title = f"{len(rest)} headlines that cannot be told apart or are the same"
        tables.append((title, [HEADER, *(row(one) for one in rest)]))
    notes = [f"- {_escaped(one)}" for one in comparison.notes]
    if notes:
        text += "\n" + _cut("\n".join(["<details><summary>How it was compared</summary>", "", *notes]), limit // 6, "- …")
        text += "\n\n</details>\n"
    for title, rows in tables:
        room = limit - len(text)
        text += _table(title, rows, room)
    return text


def _summary(comparison: Comparison) -> list[Sequence[str]]:
    """Verdicts by entry."""
    found: dict[tuple[str, str, str], list[Change]] = defaultdict(list)
    for one in comparison.changes:
        found[one.new.task, one.new.generator, label(one.entry)].append(one)
    names = ("worse", "better", "changed", "cannot tell", "same")
    header = ("task", "generator", "method", *names)
    if not found:
        return []
    tally = lambda rows, name: str(sum(one.verdict == name for one in rows) or "")  # noqa: E731
    return [header, *((*key, *(tally(rows, name) for name in names)) for key, rows in sorted(found.items()))]


def _table(title: str, rows: Sequence[Sequence[str]], room: int) -> str:
    """A table that takes at most `room` characters, folded where it has a title; '' where not even a few rows fit."""
    if not rows:
        return ""
    before = f"\n<details><summary>{_escaped(title)}</summary>\n\n" if title else "\n"
    after = "\n\n</details>\n" if title else "\n"
    header, *body = ([_escaped(cell) for cell in one] for one in rows)
    lines = markdown(header, body).split("\n")
    full = len(lines)
    budget = room - len(before) - len(after) - 80
    size = 0
    for keep, line in enumerate(lines):
        size += len(line) + 1
        if size > budget:
            lines = lines[:keep]
            break
    left = full - len(lines)
    if len(lines) <= 2 and full > 2:
        return f"\n{full - 2} rows are left out here: see --csv\n" if room > 60 else ""
    more = f"\n\n{left} more rows: see --csv" if left else ""
    return before + "\n".join(lines) + more + after


def _cut(text: str, limit: int, more: str) -> str:
    """Whole lines of a text, at most `limit` characters of them and a line that says that there are more."""
    if len(text) <= limit:
        return text
    kept = text[: max(0, limit - len(more) - 1)].rsplit("\n", 1)[0]
    return f"{kept}\n{more}"


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is: names and reasons come from files, and must not become links, mentions or HTML."""
    text = re.sub(r"\s+", " ", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]#@~])", r"\\\1", text)


def _code(text: str) -> str:
    """Text between backticks."""
    return re.sub(r"\s+", " ", text).replace("`", "'")
