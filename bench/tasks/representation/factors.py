"""The factors that representations are measured against: attributes as judged or as true, as values, classes and certainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.cards import Attribute

Part = tuple[np.ndarray, np.ndarray]  # row numbers of a block's training and test part


@dataclass(frozen=True)
class Factors:
    """Attributes of samples. values: float64 [N, A], a row NaN where the judge could not read it.

    binary: [A]; cut: [A], above which an attribute counts as there. What metrics need of them is below.
    """

    names: tuple[str, ...]
    binary: np.ndarray
    cut: np.ndarray
    values: np.ndarray

    @cached_property
    def readable(self) -> np.ndarray:
        """Rows that the judge could read, bool [N]."""
        return ~np.isnan(self.values).any(1)

    @cached_property
    def classes(self) -> np.ndarray:
        """Two classes an attribute, bool [N, A]: for readers of classes. A continuous attribute is parted at its median."""
        return self.values > self.cut

    @cached_property
    def certainty(self) -> np.ndarray:
        """How far from the cut a row lies, [N, A]: for a logit, how sure the judge is."""
        return np.abs(self.values - self.cut)

    @cached_property
    def regressed(self) -> np.ndarray:
        """Binary attributes as 0 and 1, the others as they are, [N, A]: for readers of values, and for mutual information."""
        return np.where(self.binary, self.classes.astype(np.float64), self.values)

    def only(self, kept: np.ndarray) -> Factors:
        """The attributes that bool [A] marks."""
        names = tuple(name for name, keep in zip(self.names, kept, strict=True) if keep)
        return Factors(names, self.binary[kept], self.cut[kept], self.values[:, kept])


def factors_of(attributes: Sequence[Attribute], values: np.ndarray, binary_cut: float) -> Factors:
    """Factors of attribute values [N, A]; binary_cut: 0 for logits, 0.5 for opacities."""
    values = np.asarray(values, np.float64)
    binary = np.array([one.kind == "binary" for one in attributes])
    # Over all samples, so that a class means the same in every block. A column without any value is for `usable` to leave out.
    median = [np.median(column[~np.isnan(column)]) if not np.isnan(column).all() else np.nan for column in values.T]
    return Factors(tuple(one.name for one in attributes), binary, np.where(binary, binary_cut, median), values)


def parts_of(readable: np.ndarray, blocks: int, train: int, test: int) -> list[Part]:
    """The blocks' rows, disjoint: block g has rows g (train + test) on, less those that could not be read (bool [N])."""
    found = []
    for start in range(0, blocks * (train + test), train + test):
        middle, end = start + train, start + train + test
        found.append((start + np.flatnonzero(readable[start:middle]), middle + np.flatnonzero(readable[middle:end])))
    return found


def usable(factors: Factors, blocks: int, train: int, test: int, least: int) -> tuple[Factors, list[Part], dict[str, str]]:
    """The attributes that every block can be asked about, the blocks, and why the other attributes cannot be.

    An attribute stays where all blocks hold `least` rows of either class in both parts, and it is read at all.
    """
    unread = np.isnan(factors.values).all(0)
    left_out = {name: "it could not be read" for name, gone in zip(factors.names, unread, strict=True) if gone}
    factors = factors.only(~unread)
    if not factors.names:
        return factors, [], left_out
    parts = parts_of(factors.readable, blocks, train, test)
    fewest = np.full(len(factors.names), np.inf)
    for rows in (rows for part in parts for rows in part):
        there = factors.classes[rows].sum(0)
        fewest = np.minimum(fewest, np.minimum(there, len(rows) - there))
    flat = fewest < least
    for name, gone, count in zip(factors.names, flat, fewest, strict=True):
        if gone:
            left_out[name] = f"a block has {count:.0f} rows of its rarer class, fewer than {least}"
    return factors.only(~flat), parts, left_out
