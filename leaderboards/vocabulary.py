"""How the tables, plots and the report name things: the one place that knows the editing task's words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.records import Record
from leaderboards.ranking import BOUNDS, Entry

HEADLINES = ("leakage", "identity", "realism_loss", "reach")
EFFECT = "target_effect"  # the target's judged change in sigma, the way asked
CHANGE = "attribute_change"  # signed judged change of one attribute in sigma: the rows of the re-scoring matrix

TITLES = {
    EFFECT: "effect", "leakage": "leakage", "identity": "identity", "realism_loss": "realism loss", "reach": "reach",
    "perceptual": "perceptual distance", "guide_gap": "guide gap",
}  # fmt: skip
SKIPPED = ("skipped",)
NOT_OK = ("skipped", "unreached", "error")
ARROWS = {True: "↑", False: "↓", None: ""}


def title(metric: str) -> str:
    return TITLES.get(metric, metric.replace("_", " "))


def entry(record: Record) -> Entry:
    return (record.method, record.variant)


def label(one: Entry) -> str:
    """'interfacegan (space=z)'; a method in its default variant is its bare name."""
    method, variant = one
    return f"{method} ({variant})" if variant else method


def short(one: Entry, entries: Iterable[Entry]) -> str:
    """An entry's method, with the options in which it differs from the method's other entries: for plots and narrow tables."""
    mine = [set(filter(None, variant.split(","))) for method, variant in entries if method == one[0]]
    shared = set.intersection(*mine)
    return label((one[0], ",".join(part for part in one[1].split(",") if part not in shared)))


def spelled_out(entries: Sequence[Entry], words: str) -> str:
    """'In the tables a is b; c is d.' of the names that are cut short, '' where none is. words: how the sentence begins."""
    cut = [f"{short(one, entries)} is {label(one)}" for one in entries if short(one, entries) != label(one)]
    return f"{words} {'; '.join(cut)}." if cut else ""


def order(entries: Iterable[Entry]) -> list[Entry]:
    """The order of rows where no rank orders them: the upper bound, then methods by name, then the floor."""
    place = {"upper bound": 0, None: 1, "lower bound": 2}
    return sorted(set(entries), key=lambda one: (place[BOUNDS.get(one[0])], one))


def number(value: float | None) -> str:
    """A number for a table: three decimals below 10, fewer above, an exponent where three decimals would show zero."""
    if value is None or value != value:
        return "–"
    size = abs(value)
    if size in (0.0, float("inf")):
        return "0" if not size else ("inf" if value > 0 else "-inf")
    if size < 0.0005:
        return f"{value:.1e}"
    return f"{value:.3f}" if size < 10 else f"{value:.1f}" if size < 1000 else f"{value:.0f}"


def with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """'0.213 [0.190, 0.240]'; without brackets where there is no interval."""
    if value is None or low is None or high is None:
        return number(value)
    return f"{number(value)} [{number(low)}, {number(high)}]"


def record_text(record: Record | None, dashed: Sequence[str] = ()) -> str:
    """A record in a table: its value with the interval, else its status; '–' for none, and for a status among `dashed`."""
    if record is None or record.status in dashed:
        return "–"
    return with_interval(record.value, record.ci_low, record.ci_high) if record.status == "ok" else record.status
