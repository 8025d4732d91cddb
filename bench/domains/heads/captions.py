"""Sentences about heads, made of claims that are true of a factor row, for training and testing text-image networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from bench.domains.heads.factors import FACTORS, INDEX
from bench.domains.heads.phrases import APART, CLAIMS, NOUNS, OPENERS, UNSEEN_OPENERS, Claim
from bench.domains.statements import Statement

CLAIM = {claim.name: i for i, claim in enumerate(CLAIMS)}
# Which wordings are kept from a network in training: the third and later ones of a claim, every third one from either network, so
# that each has read wordings that the other has not. The first one is the domain's own prompt and common to both.
KEPT_FROM = {"guide": 0, "judge": 1}
COMMON = 2


def holds(factors: Tensor) -> Tensor:
    """[N, claims] bool: which claims are true of factor rows [N, >= len(FACTORS)]."""
    low = torch.tensor([f.low for f in FACTORS])
    high = torch.tensor([f.high for f in FACTORS])
    share = (factors[:, : len(FACTORS)] - low) / (high - low)
    columns = []
    for claim in CLAIMS:
        true = torch.ones(len(factors), dtype=torch.bool)
        for factor, (least, most) in claim.where.items():
            true &= (share[:, INDEX[factor]] >= least) & (share[:, INDEX[factor]] <= most)
        columns.append(true)
    return torch.stack(columns, 1)


@dataclass(frozen=True)
class Grammar:
    """The wordings of one reader. phrases: for each claim. apart: pairs of claims that it never makes together."""

    phrases: tuple[tuple[str, ...], ...]
    openers: tuple[str, ...]
    nouns: tuple[str, ...]
    apart: tuple[tuple[int, int], ...] = ()

    def words(self) -> list[str]:
        """Every word that its sentences can hold, sorted."""
        text = [phrase.partition(": ")[2] or phrase for some in self.phrases for phrase in some]
        text += [*self.openers, *self.nouns, "a an with and"]
        return sorted({word for part in text for word in part.split()})


@lru_cache(maxsize=4)
def grammar(role: str) -> Grammar:
    """What the guide or the judge reads in training; 'unseen': the wordings, and pairs of claims, that neither ever does."""
    apart = tuple((CLAIM[a], CLAIM[b]) for a, b in APART)
    if role == "unseen":
        return Grammar(tuple(claim.unseen for claim in CLAIMS), UNSEEN_OPENERS, NOUNS[:2])
    rest = KEPT_FROM[role]

    def kept(some: Sequence[str], place: int = 0) -> tuple[str, ...]:
        return tuple(one for i, one in enumerate(some) if i < COMMON or (i + place) % 3 != rest)

    phrases = tuple(kept(claim.phrases, place) for place, claim in enumerate(CLAIMS))
    return Grammar(phrases, kept(OPENERS), kept(NOUNS), apart)


def choose(true: np.ndarray, count: int, rules: Grammar, rng: np.random.Generator) -> list[int]:
    """Up to `count` of the claims that `true` [claims] marks, in random order: one a factor, none that are kept apart."""
    chosen: list[int] = []
    factors: set[str] = set()
    for i in rng.permutation(np.flatnonzero(true)).tolist():
        claim: Claim = CLAIMS[i]
        together = any((a == i and b in chosen) or (b == i and a in chosen) for a, b in rules.apart)
        if len(chosen) < count and claim.factor not in factors and rules.phrases[i] and not together:
            chosen.append(i)
            factors.add(claim.factor)
    return chosen


def sentence(claims: Sequence[int], rules: Grammar, rng: np.random.Generator) -> str:
    """A caption that makes these claims, each in one of its wordings; one of ten is a bare list such as 'a beard, looking up'."""
    spoken = [rules.phrases[i][rng.integers(len(rules.phrases[i]))] for i in claims]
    if rng.random() < 0.1:
        return ", ".join(phrase.partition(": ")[2] or phrase for phrase in spoken)
    before = [phrase[5:] for phrase in spoken if phrase.startswith("adj: ")]
    after: list[str] = []
    for phrase in spoken:
        if phrase.startswith("with: "):
            # 'with a beard and long hair': the word 'with' is not said again after itself, half of the time.
            again = after and after[-1].startswith(("with ", "and ")) and rng.random() < 0.5
            after.append(("and " if again else "with ") + phrase[6:])
        elif not phrase.startswith("adj: "):
            after.append(phrase)
    noun = " ".join([*before, rules.nouns[rng.integers(len(rules.nouns))]])
    return " ".join([part for part in (rules.openers[rng.integers(len(rules.openers))], _with_article(noun), *after) if part])


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def heads_statements() -> tuple[Statement, ...]:
    """Every claim by itself, about a person, in the wordings that guide and judge have in common."""
    return tuple(Statement(claim.factor, tuple(map(_alone, claim.phrases[:COMMON])), _end(claim)) for claim in CLAIMS)


def _alone(phrase: str) -> str:
    """A wording as a whole text: 'adj: old' is 'an old person'."""
    place, _, rest = phrase.rpartition(": ")
    noun = NOUNS[0]
    return _with_article({"adj": f"{rest} {noun}", "with": f"{noun} with {rest}"}.get(place, f"{noun} {rest}"))


def _end(claim: Claim) -> int:
    """The end of its factor's range that a claim reaches: -1, +1, or 0 for neither."""
    least, most = claim.where[claim.factor]
    return int(most == 1) - int(least == 0)


def consistent(mentions: Sequence[Sequence[int]], true: Tensor) -> Tensor:
    """[T, N] bool: whether everything that caption t claims is true of picture n. true: [N, claims] of `holds`."""
    said = torch.zeros(len(mentions), true.shape[1])
    for row, claims in zip(said, mentions, strict=True):
        row[list(claims)] = 1
    return said @ (~true).float().T == 0
