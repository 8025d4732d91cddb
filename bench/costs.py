"""What methods cost beside time: pictures that guides looked at, and the most memory held."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bench.domains.base import Network

if TYPE_CHECKING:
    from bench.bank import FitBank
    from methods.base import FitContext, Method

# What a method calls of a network to have pictures looked at; one may be made of the other.
LOOKS = ("measure", "encode_image")
# What stands beside the tensors that fits share: seconds and pictures shown to guides when they were made.
COST = "cost"


@dataclass
class Looked:
    """pictures: how many the networks were shown; the same one shown to two networks counts twice."""

    pictures: int = 0


@contextmanager
def counted(networks: Iterable[Network]) -> Iterator[Looked]:
    """Count the pictures that these networks are shown within the block, however a method calls them."""
    looked, distinct = Looked(), list({id(one): one for one in networks}.values())
    before = [(one, name, one.__dict__.get(name)) for one in distinct for name in LOOKS if hasattr(one, name)]
    inside = False

    def counting(plain):
        def call(images: Tensor) -> Any:
            nonlocal inside
            if inside:
                return plain(images)
            looked.pictures += len(images)
            inside = True
            try:
                return plain(images)
            finally:
                inside = False

        return call

    for one, name, _ in before:
        setattr(one, name, counting(getattr(one, name)))
    try:
        yield looked
    finally:
        for one, name, own in before:
            if own is None:
                delattr(one, name)
            else:
                setattr(one, name, own)


class WatchedBank:
    """The fit stream of one fit, that says what of it was read.

    read: whether codes or scores were. scored: pictures that the guide of attributes was shown for the scores, now or before.
    seconds: of making them now, less what shared parts took that were made before. All fits of a generator share the scores: what
    they take is kept out of `looked`.
    """

    def __init__(self, bank: FitBank, looked: Looked) -> None:
        self._bank, self._looked = bank, looked
        self.read, self.seconds, self.scored = False, 0.0, 0

    def __len__(self) -> int:
        return len(self._bank)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._bank, name)

    def codes(self, space: Any) -> Any:
        self.read = True
        return self._bank.codes(space)

    @property
    def scores(self) -> Tensor:
        self.read, self.scored = True, len(self._bank)
        start, pictures = time.perf_counter(), self._looked.pictures
        found = self._bank.scores
        self.seconds += time.perf_counter() - start
        self._looked.pictures = pictures
        return found

    def share(self, name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """What fits of one method share, kept with what making it took: every fit that uses it is charged in full."""
        charged = False

        def costed() -> dict[str, Tensor]:
            nonlocal charged
            charged = True  # by the clock and the counter around this fit
            start, pictures = time.perf_counter(), self._looked.pictures
            found = make()
            cost = [time.perf_counter() - start, self._looked.pictures - pictures]
            return {**found, COST: torch.tensor(cost, dtype=torch.float64)}

        found = dict(self._bank.share(f"{name}-and-cost", costed))
        seconds, pictures = torch.as_tensor(found.pop(COST)).tolist()
        if not charged:
            self.seconds -= seconds
            self._looked.pictures += int(pictures)
        return found


@dataclass(frozen=True)
class FitCost:
    """What one fit took: seconds without the bank's scores, pictures shown to guides with them, and whether it read the bank."""

    seconds: float
    guide_calls: int
    read: bool


def costed_fit(method: Method, context: FitContext, watched: type[WatchedBank] = WatchedBank) -> tuple[dict[str, Any], FitCost]:
    """The state of a fit, and what it took. watched: how the method sees the bank. Raises what the fit raises."""
    start = time.perf_counter()
    with counted(context.guides.values()) as looked:
        bank = watched(context.bank, looked)
        state = method.fit(replace(context, bank=bank)).state()
    seconds = time.perf_counter() - start - bank.seconds
    return state, FitCost(seconds, looked.pictures + bank.scored, bank.read)
