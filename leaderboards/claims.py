"""Claims of papers, decided by what was just measured: each is a paired comparison of two entries of one generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from leaderboards.folder import Cell
from leaderboards.headlines import Readings
from leaderboards.ranking import Entry, Question, Reading
from metrics.statistics import interval

Verdict = Literal["holds", "does not hold", "cannot tell"]
Pair = tuple[Entry, Entry]


@dataclass(frozen=True)
class Claim:
    """A comparison that a program can decide. pairs: the (left, right) entries that it is about; left should win."""

    source: str
    statement: str
    headline: str
    pairs: Callable[[dict[Entry, Cell]], list[Pair]]


@dataclass(frozen=True)
class Decision:
    """What the numbers say.

    share: of the questions, the share that left wins (a tie counts half, an unreached side loses), with its paired 95 % interval
    over codes; the verdict is whether that interval lies above or below one half. difference: left minus right, mean over the
    `both` questions that both reach. by_reach: the verdict comes from what only one side reaches; where both do, it is not so.
    """

    generator: str
    claim: Claim
    left: Entry
    right: Entry
    questions: int
    share: float
    share_low: float
    share_high: float
    both: int
    difference: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    by_reach: bool


def compare(left: dict[Question, Reading], right: dict[Question, Reading], headline: str) -> dict | None:
    """The fields of a Decision from two entries' readings of one headline; None where no question was asked of both."""
    shared = sorted(q for q in left if q in right and q[2] == headline)
    if not shared:
        return None
    ups = [1.0 if left[q].higher_is_better else -1.0 for q in shared]
    points = np.array([[up * left[q].value, up * right[q].value] for q, up in zip(shared, ups, strict=True)])
    a = np.stack([up * left[q].replicates for q, up in zip(shared, ups, strict=True)])
    b = np.stack([up * right[q].replicates for q, up in zip(shared, ups, strict=True)])
    wins = (points[:, 0] > points[:, 1]) + 0.5 * (points[:, 0] == points[:, 1])
    share = float(wins.mean())
    share_low, share_high = interval(((a > b) + 0.5 * (a == b)).mean(0))
    both = np.isfinite(points).all(1)
    difference = low = high = None
    if both.any():
        sign = np.array(ups)[both]
        difference = float(((points[both, 0] - points[both, 1]) * sign).mean())
        # The point stands in where a replicate does not reach what the point does: the same questions throughout.
        ours, theirs = (np.where(np.isfinite(x[both]), x[both], points[both, i : i + 1]) for i, x in enumerate((a, b)))
        low, high = (float(end) for end in interval(((ours - theirs) * sign[:, None]).mean(0)))
    # Where nobody reaches anything there is nothing to tell apart.
    decided = np.isfinite(points).any()
    verdict: Verdict = "cannot tell"
    if decided and share_low > 0.5:
        verdict = "holds"
    elif decided and share_high < 0.5:
        verdict = "does not hold"
    among = float(wins[both].mean()) if both.any() else 0.5
    by_reach = (verdict == "holds" and among <= 0.5) or (verdict == "does not hold" and among >= 0.5)
    return {
        "questions": len(shared), "share": share, "share_low": float(share_low), "share_high": float(share_high),
        "both": int(both.sum()), "difference": difference, "low": low, "high": high, "verdict": verdict, "by_reach": by_reach,
    }  # fmt: skip


def _select(cells: dict[Entry, Cell], **wanted) -> list[Entry]:
    """Entries whose cards have these fields; hold=False asks for no hold, hold=True for some."""
    out = []
    for entry, cell in cells.items():
        card = cell.card
        fits = all(bool(card["hold"]) == v if k == "hold" else card[k] == v for k, v in wanted.items())
        if fits:
            out.append(entry)
    return out


def _product(left: Sequence[Entry], right: Sequence[Entry]) -> list[Pair]:
    return [(a, b) for a in left for b in right if a != b]


def _over_random(approach: str) -> Callable[[dict[Entry, Cell]], list[Pair]]:
    return lambda cells: _product(_select(cells, approach=approach), _select(cells, name="random"))


def _w_over_z(cells: dict[Entry, Cell]) -> list[Pair]:
    ours = {"name": "interfacegan", "hold": False}
    return _product(_select(cells, **ours, space="w"), _select(cells, **ours, space="z"))


def _oracle_over_all(cells: dict[Entry, Cell]) -> list[Pair]:
    return _product(_select(cells, name="oracle"), [e for e in cells if e[0] != "oracle"])


def hold_pairs(cells: dict[Entry, Cell]) -> list[tuple[Entry, Entry, tuple[str, ...]]]:
    """(with hold, the same method and space without, held attributes)."""
    out = []
    for entry, cell in cells.items():
        if cell.card["hold"]:
            free = _select(cells, name=cell.card["name"], space=cell.card["space"], hold=False)
            out += [(entry, one, tuple(cell.card["hold"])) for one in free]
    return out


INTERFACEGAN = "InterFaceGAN, Shen et al., CVPR 2020"
SUPERVISED = "What supervised methods claim over chance"
UNSUPERVISED = "What unsupervised methods claim over chance"
OWN = "This benchmark's own check: the known truth should win"
CLAIMS: tuple[Claim, ...] = (
    Claim(INTERFACEGAN, "edits in w leak less than edits in z", "leakage", _w_over_z),
    Claim(INTERFACEGAN, "edits in w keep identity better than edits in z", "identity", _w_over_z),
    Claim(SUPERVISED, "leaks less than an assigned random direction", "leakage", _over_random("supervised")),
    Claim(SUPERVISED, "reaches further than an assigned random direction", "reach", _over_random("supervised")),
    Claim(UNSUPERVISED, "leaks less than an assigned random direction", "leakage", _over_random("unsupervised")),
    Claim(UNSUPERVISED, "reaches further than an assigned random direction", "reach", _over_random("unsupervised")),
    Claim(OWN, "leaks less", "leakage", _oracle_over_all),
    Claim(OWN, "keeps identity better", "identity", _oracle_over_all),
)
SOURCES = tuple(dict.fromkeys(claim.source for claim in CLAIMS))


def decide(generator: str, cells: dict[Entry, Cell], readings: Readings) -> list[Decision]:
    """Every claim that this generator's entries allow, in the order of CLAIMS."""
    out = []
    for claim in CLAIMS:
        for left, right in claim.pairs(cells):
            if left in readings and right in readings:
                found = compare(readings[left], readings[right], claim.headline)
                if found:
                    out.append(Decision(generator, claim, left, right, **found))
    return out


def decide_holds(
    generator: str, cells: dict[Entry, Cell], changes: Callable[[Entry, str], dict[Question, Reading]]
) -> list[Decision]:
    """Conditional manipulation: does holding an attribute lower its change when others are edited?

    changes(entry, attribute): readings (target, sign, 'change of <attribute>') of mean |change| of that attribute, in sigma.
    """
    out = []
    for held_entry, free, held in hold_pairs(cells):
        for attribute in held:
            headline = f"change of {attribute}"
            pick = lambda table, name=attribute: {q: r for q, r in table.items() if q[0] != name}  # noqa: E731
            found = compare(pick(changes(held_entry, attribute)), pick(changes(free, attribute)), headline)
            if found:
                statement = f"holding {attribute} lowers its change when another attribute is edited"
                claim = Claim(INTERFACEGAN, statement, headline, lambda _: [])
                out.append(Decision(generator, claim, held_entry, free, **found))
    return out
