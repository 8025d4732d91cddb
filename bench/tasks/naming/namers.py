"""What gives components their names: columns of what a guide says of pictures, each in units of its spread over samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.domains.base import Domain, TextImageNetwork, text_side
from bench.domains.statements import Statement
from bench.errors import InputError
from bench.tasks.naming.rule import Naming
from metrics.text import text_direction


@dataclass(frozen=True)
class Namer:
    """Columns that components may be named by. words, subjects, ways: one a column; a way is that of Statement."""

    words: tuple[str, ...]
    subjects: tuple[str, ...]
    ways: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The subjects, each once."""
        return tuple(dict.fromkeys(self.subjects))

    @property
    def numbers(self) -> np.ndarray:
        """Each column's subject as a number, [C]."""
        return np.array([self.names.index(one) for one in self.subjects])

    def facts(self, naming: Naming, components: Sequence[str]) -> list[dict[str, Any]]:
        """What is kept of every component's name, named or not.

        words: of the leading column, which a step forward speaks for where effect is positive, else one back. way: the sign of
        the attribute's change under a step forward, 0 where the words say none.
        """
        rows = []
        for k, component in enumerate(components):
            column, runner = int(naming.column[k]), int(naming.runner_up[k])
            rows.append({
                "component": component,
                "named": bool(naming.named[k]),
                "subject": self.subjects[column],
                "words": self.words[column],
                "way": int(np.sign(naming.effect[k])) * self.ways[column],
                "effect": float(naming.effect[k]),
                "confidence": float(naming.confidence[k]),
                "runner_up": self.names[runner] if runner >= 0 else None,
                "runner_up_confidence": float(naming.runner_up_confidence[k]),
                "stability": float(naming.stability[k]),
                "p": float(naming.p[k]),
            })  # fmt: skip
        return rows


def attribute_namer(names: Sequence[str]) -> Namer:
    """The attributes that a guide scores: each speaks for itself, upward."""
    return Namer(tuple(names), tuple(names), (1,) * len(names))


def text_namer(statements: Sequence[Statement]) -> Namer:
    """What can be said, in first wordings."""
    return Namer(tuple(s.texts[0] for s in statements), tuple(s.subject for s in statements), tuple(s.way for s in statements))


def text_guide(domain: Domain) -> TextImageNetwork:
    """The guide of texts. Raises UnsupportedError where there is none, or it has no text side."""
    return text_side(domain.guide("text_image"))


def statement_directions(guide: TextImageNetwork, statements: Sequence[Statement]) -> np.ndarray:
    """Where pictures go of which a statement becomes true, [C, D] unit rows: its text's step from the rest of its subject.

    A statement's vector is the mean over its wordings. The step starts at the mean of the other statements of its subject, which
    it denies (of all others, where it is the only one): 'with a beard' from 'clean shaven', so that what all texts about
    persons have in common falls out (directional similarity: Gal et al. 2022, StyleGAN-NADA). Raises InputError where the guide
    cannot tell a statement from the others.
    """
    texts = [text for one in statements for text in one.texts]
    vectors = np.split(guide.encode_text(texts).double().cpu().numpy(), np.cumsum([len(one.texts) for one in statements])[:-1])
    means = np.stack([one.mean(0) for one in vectors])
    subjects = np.array([one.subject for one in statements])
    rows = []
    for i, one in enumerate(statements):
        others = (subjects == one.subject) & (np.arange(len(statements)) != i)
        others = others if others.any() else np.arange(len(statements)) != i
        try:
            rows.append(text_direction(means[others].mean(0), means[i]))
        except ValueError as error:
            raise InputError(f"{guide.name} cannot tell '{one.texts[0]}' from what else is said of {one.subject}") from error
    return np.stack(rows)
