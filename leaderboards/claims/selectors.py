"""Which entries of one generator a claim is about: sides matched against method cards and their variants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from bench.registry import PluginError, Registry
from leaderboards.claims.model import Constant, Select, Side
from leaderboards.ranking import Entry

Cards = Mapping[Entry, Mapping[str, Any]]  # the fields of MethodCard
Pair = tuple[Entry, Entry | None]  # None: the right side is a constant

# What a card has of its own beside the variant's options.
APART = ("space", "hold")


def options_of(variant: str) -> dict[str, str]:
    """The options of a variant: 'layer=main.0,beta=0.1' -> {layer: main.0, beta: 0.1}. Those at their defaults are not in it."""
    found: dict[str, str] = {}
    last = ""
    for part in variant.split(",") if variant else ():
        key, equals, value = part.partition("=")
        if equals:
            last, found[key] = key, value
        elif last:  # a value that itself holds a comma
            found[last] += f",{part}"
    return found


@cache
def default_of(method: str, option: str) -> Any:
    """An option's default; None where no such method or option is registered here. Imports torch."""
    registry = Registry()
    if method not in registry.names("methods"):
        return None
    try:
        fields = registry.load("methods", method).Options.model_fields
    except PluginError:
        return None
    return fields[option].default if option in fields else None


def amount(card: Mapping[str, Any], option: str) -> float | None:
    """A number among an entry's options, given or by default; None where it has none."""
    given = options_of(card["variant"]).get(option, default_of(card["name"], option))
    try:
        return float(given)
    except (TypeError, ValueError):
        return None


def _any(patterns: Iterable[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _same(given: str, wanted: Any) -> bool:
    """Whether an option's text is that value: numbers as numbers, everything else as it is written."""
    try:
        return float(given) == float(wanted)
    except ValueError:
        return given == str(wanted)


def _option(given: str | None, wanted: Any) -> bool:
    if isinstance(wanted, tuple):
        return any(_option(given, one) for one in wanted)
    if wanted in ("present", "absent"):
        return (given is not None) == (wanted == "present")
    return given is not None and _same(given, wanted)


def matches(side: Side, card: Mapping[str, Any]) -> bool:
    """Whether an entry is one of this side's."""
    options = options_of(card["variant"])
    return (
        (side.method is None or _any(side.method, card["name"]))
        and not (side.except_method and _any(side.except_method, card["name"]))
        and (side.approach is None or card["approach"] in side.approach)
        and (side.space is None or card["space"] in side.space)
        and (side.hold is None or bool(card["hold"]) == (side.hold == "present"))
        and all(_option(options.get(name), wanted) for name, wanted in side.options.items())
    )


def select(side: Side, cards: Cards) -> list[Entry]:
    """The entries of a side, in order."""
    return sorted(entry for entry, card in cards.items() if matches(side, card))


def meant_for(patterns: Sequence[str] | None, generator: str) -> bool:
    return patterns is None or _any(patterns, generator)


def places(claim: Select, generators: Sequence[str]) -> list[tuple[str, str]]:
    """The generators of the left and the right side, of those that there are."""
    if claim.left.generator:
        pair = (claim.left.generator, claim.right.generator)
        return [pair] if set(pair) <= set(generators) else []
    return [(one, one) for one in generators if meant_for(claim.generators, one)]


def pairs(claim: Select, cards: Cards, others: Cards | None = None) -> list[Pair]:
    """The (left, right) entries that a claim compares, alike in what it is paired on.

    others: of the right side, where it is of another generator. Within one, an entry stands against itself only where the sides
    ask it for different metrics or targets.
    """
    left = select(claim.left, cards)
    if isinstance(claim.right, Constant):
        return [(one, None) for one in left]
    spoken = {*claim.left.options, *claim.right.options, *APART, claim.larger}
    alone = others is None and (claim.left.metric, claim.left.target) == (claim.right.metric, claim.right.target)
    others = cards if others is None else others

    def key(entry: Entry, cards: Cards) -> tuple:
        card = cards[entry]
        rest = {name: value for name, value in options_of(card["variant"]).items() if name not in spoken}
        parts = {"method": card["name"], "options": tuple(sorted(rest.items()))}
        return tuple(parts.get(name, card.get(name)) for name in claim.paired_on)

    def more(entry: Entry, other: Entry) -> bool:
        if claim.larger is None:
            return True
        mine, theirs = (amount(table[one], claim.larger) for table, one in ((cards, entry), (others, other)))
        return mine is not None and theirs is not None and mine > theirs

    right = select(claim.right, others)
    return [(a, b) for a in left for b in right if (a != b or not alone) and key(a, cards) == key(b, others) and more(a, b)]
