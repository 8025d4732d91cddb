"""Where the time of a run goes: seconds by named part, nested parts subtracted from the outer one."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

# Parts that count as work inside networks and fits in the time breakdown.
NETWORK_PARTS = ("synthesis", "judges", "guides", "fit", "inversion")


class Clock:
    """Adds up wall-clock seconds by part. Not for use from several threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner: list[float] = []

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Count the time of this block under `part`, less what blocks within it count under their own."""
        start = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            total = time.perf_counter() - start
            self.seconds[part] += total - self._inner.pop()
            if self._inner:
                self._inner[-1] += total

    def merge(self, other: dict[str, float]) -> None:
        """Add another clock's seconds, e.g. a worker's."""
        for part, value in other.items():
            self.seconds[part] += value
