"""The streams of sampled codes, and the bank: the fit stream with its guide scores, computed once for all methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.codes import Codes, Space
from bench.domains.base import Network
from bench.generators.base import Generator
from bench.passes import Passes
from bench.streams import stream_seed

# First id of each stream; the streams are disjoint because none may be longer than the distance between two of these.
STREAM_LENGTH = 1_000_000
STREAM_START = {name: index * STREAM_LENGTH for index, name in enumerate(("test", "calibrate", "reference", "fit"))}

Share = Callable[[str, Callable[[], dict[str, Tensor]]], dict[str, Tensor]]


def stream_ids(stream: str, count: int) -> Tensor:
    """The first `count` ids, int64, of the stream 'test', 'calibrate', 'reference' or 'fit'."""
    if not 0 <= count <= STREAM_LENGTH:
        raise ValueError(f"a stream has 0 to {STREAM_LENGTH} ids, not {count}")
    return torch.arange(count) + STREAM_START[stream]


def fit_stream_seed(seed: int, fit_seed: int) -> int:
    """The seed under which the fit stream of one fit seed is drawn."""
    return stream_seed("fit", seed, fit_seed)


class FitBank:
    """Codes and guide scores of the fit stream of one generator and fit seed. Pictures are not kept.

    names: the guide's attributes. share: keeps what is computed (the engine's store); what it keeps depends on generator, guide,
    size and seeds alone.
    """

    def __init__(
        self, generator: Generator, guide: Network | None, passes: Passes, *, size: int, seed: int, fit_seed: int, share: Share
    ) -> None:
        self.generator, self.guide, self.passes, self.share = generator, guide, passes, share
        self.size, self.seed = size, fit_stream_seed(seed, fit_seed)
        self.names: Sequence[str] = tuple(guide.names) if guide is not None else ()
        self._codes: dict[Space, Codes] = {}
        self._scores: Tensor | None = None

    def __len__(self) -> int:
        return self.size

    def codes(self, space: Space | str) -> Codes:
        """The stream's codes in a space. Raises SpaceError where the generator does not have it."""
        space = Space(space)
        if space not in self._codes:
            with torch.no_grad():
                if Space.Z not in self._codes:
                    self._codes[Space.Z] = self.generator.sample(stream_ids("fit", self.size), seed=self.seed)
                self._codes[space] = self.generator.convert(self._codes[Space.Z], space)
        return self._codes[space]

    @property
    def scores(self) -> Tensor:
        """Guide scores [N, attributes] in the order of `names`; a binary attribute's score is a logit."""
        if self._scores is None:
            if self.guide is None:
                raise ValueError("this domain has no guide that scores attributes")
            networks = {"attributes": self.guide}
            self._scores = self.share("scores", lambda: self.passes.read(networks, self.codes(Space.Z)))["attributes"]
        return self._scores
