"""What can be said of a domain's pictures, whether or not it is true of one: the words that components may be named by."""

from __future__ import annotations

from dataclasses import dataclass

from bench.cards import DomainInfo


@dataclass(frozen=True)
class Statement:
    """One thing that can be said.

    subject: what it is about, an attribute's name where there is one; statements of one subject exclude one another. texts: its
    wordings, the first one is shown. way: the end of the attribute that it speaks of, +1 high, -1 low, 0 neither.
    """

    subject: str
    texts: tuple[str, ...]
    way: int = 0


def attribute_statements(info: DomainInfo) -> tuple[Statement, ...]:
    """The two prompts of every attribute that has both."""
    pairs = [(one.name, one.prompts) for one in info.attributes if all(one.prompts)]
    return tuple(Statement(name, (text,), way) for name, texts in pairs for text, way in zip(texts, (-1, 1), strict=True))
