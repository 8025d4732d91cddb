"""Decided claims as tables of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from leaderboards.claims.evaluate import Decision
from leaderboards.claims.model import FIT, Claim, Column, Constant, Paper
from leaderboards.claims.verdicts import FALSE_SHARE
from leaderboards.sections import markdown
from leaderboards.vocabulary import label, number, title, with_interval

HEADER = ("generator", "left", "right", "by", "n", "won", "difference", "verdict")
NO_INTERVAL = "no interval"
NOT_CORRECTED = "not after correction"


def mark(verified: bool | None) -> str:
    """Whether the text that a claim or a figure is taken from was read."""
    return {True: "verified", False: "**unverified**", None: "not from a paper"}[verified]


def stated(claim: Claim) -> str:
    """The claim with its place and mark, and how it is read here where that is not quite what the paper compared."""
    place = mark(None) if claim.verified is None else f"{claim.location}; {mark(claim.verified)}"
    reading = claim.select.reading if claim.select else ""
    return f"`{claim.id}`: {claim.statement} *({place})*" + (f" Read here: {reading}." if reading else "")


def metric_title(name: str) -> str:
    """A metric in words; of a fit's table its name, its column, and which of its rows."""
    try:
        table, column, where = Column.of(name)
    except ValueError:
        return title(name)
    return ", ".join(dict.fromkeys([title(table), title(column), *([" ".join(where)] if where else [])]))


def _side(decision: Decision, right: bool) -> str:
    """'interfacegan (space=z)', with the metric or target where the sides are asked for different ones."""
    chosen = decision.claim.select
    side = chosen.right if right else chosen.left
    if isinstance(side, Constant):
        return number(side.value)
    name = label(decision.right if right else decision.left)
    name += f": {metric_title(decision.metrics[right])}" if side.metric else ""
    name += f": {side.target}" if side.target else ""
    name += f" on {side.generator}" if side.generator else ""
    return f"{chosen.times:g} x {name}" if right and chosen.times != 1 else name


def _count(decision: Decision) -> str:
    n = decision.n
    shown = "–" if not n else str(n[0]) if len(n) == 1 else f"{n[0]} to {n[-1]}"
    if decision.claim.select.task == FIT:
        return f"{shown} fit" + ("" if n == (1,) else "s")
    return shown


def line(decision: Decision) -> list[str]:
    """The cells of one decision, under HEADER."""
    d, result = decision, decision.result
    names = list(dict.fromkeys(metric_title(name) for name in d.metrics))
    by = ", ".join([" against ".join(names), *d.judges])
    won = f"{with_interval(result.share, result.share_low, result.share_high)} of {result.questions}"
    unit = " s" if d.seconds else ""
    gap = f"{with_interval(result.difference, result.low, result.high)}{unit} over {result.both}" if result.both else "–"
    verdict = f"**{result.verdict}**" + (", by reach alone" if result.by_reach else "")
    verdict += f", {NO_INTERVAL}" if result.share_low is None and result.low is None else ""
    verdict += f", {NOT_CORRECTED}" if d.outlasts is False else ""
    return [" and ".join(dict.fromkeys(d.generators)), _side(d, False), _side(d, True), by, _count(d), won, gap, verdict]


def by_claim(decisions: Iterable[Decision]) -> list[tuple[Claim, str]]:
    """Each claim that was decided, and the table of its lines."""
    found: dict[str, list[Decision]] = {}
    for decision in decisions:
        found.setdefault(decision.claim.id, []).append(decision)
    return [(mine[0].claim, markdown(HEADER, map(line, mine))) for mine in found.values()]


def sections(decisions: Iterable[Decision]) -> list[dict[str, str]]:
    """A part for each paper, in the order of the decisions: {source, text}, a table a claim."""
    by_paper: dict[str, list[Decision]] = {}
    for decision in decisions:
        by_paper.setdefault(decision.paper.name, []).append(decision)
    return [
        {"source": name, "text": "\n\n".join(f"{stated(claim)}\n\n{table}" for claim, table in by_claim(mine))}
        for name, mine in by_paper.items()
    ]


def summary(papers: Iterable[Paper], decisions: Sequence[Decision]) -> str:
    """A row a paper: what became of its claims here."""
    rows = []
    for paper in papers:
        mine = [one for one in decisions if one.paper.id == paper.id]
        met, selected = len({one.claim.id for one in mine}), sum(claim.select is not None for claim in paper.claims)
        count = Counter(one.result.verdict for one in mine)
        verdicts = [count[word] for word in ("holds", "fails", "undecided")]
        total = len(paper.claims)
        rows.append([f"`{paper.id}`", total, met, selected - met, total - selected, *verdicts])
    header = ["paper", "claims", "decided here", "not measured here", "not evaluated", "lines: holds", "fails", "undecided"]
    return "\n\n".join(filter(None, [markdown(header, rows, right=range(1, 8)), many(decisions)]))


def many(decisions: Sequence[Decision]) -> str:
    """What so many lines mean for one of them; '' where none has replicates."""
    asked = sum(one.result.p is not None for one in decisions)
    decided = [one.outlasts for one in decisions if one.outlasts is not None]
    if not asked:
        return ""
    return (
        f"Each verdict is of its own 95 % interval. {asked} lines have one from replicates; corrected for one another (Benjamini "
        f"and Hochberg: of those that stay at most {FALSE_SHARE:.0%} are false on average), {sum(decided)} of {len(decided)} "
        f"verdicts stay, and the others say *{NOT_CORRECTED}*."
    )
