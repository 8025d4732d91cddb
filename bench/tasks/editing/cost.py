"""What edits cost to make: seconds, and pictures that a method had guides look at, before anything is judged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.costs import counted
from bench.domains.base import Domain, Network
from bench.errors import UnsupportedError
from bench.tasks.base import CellContext, CellResult
from methods.base import Edit


def guides_at_hand(domain: Domain) -> list[Network]:
    """The guides of a domain that can be loaded: those that a method can have used."""
    found = []
    for reading in domain.info.guides:
        try:
            found.append(domain.guide(reading))
        except UnsupportedError:
            continue
    return found


@contextmanager
def cost_of_edits(cell: CellContext, key: str, result: CellResult) -> Iterator[list[Edit]]:
    """Add what the edits that the block puts into the list cost, each and for each code, to the facts under `key`."""
    edits: list[Edit] = []
    start = time.perf_counter()
    with counted(guides_at_hand(cell.domain)) as looked:
        yield edits
    made = sum(len(edit.codes) for edit in edits)
    # Time differs from run to run: it is a fact, and never among the values.
    result.facts.setdefault("seconds", {})[key] = (time.perf_counter() - start) / made
    result.facts.setdefault("guide_calls", {})[key] = looked.pictures / made
