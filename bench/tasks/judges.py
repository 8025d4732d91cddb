"""Which judges a task has: some of a domain's networks may be missing (not fetched), and what they would read is then skipped."""

from __future__ import annotations

from collections.abc import Iterable

from bench.domains.base import Domain, Network
from bench.errors import UnsupportedError


def judges_for(domain: Domain, readings: Iterable[str]) -> tuple[dict[str, Network], dict[str, str]]:
    """The judges of these readings, and for every reading without one the reason."""
    found, missing = {}, {}
    for reading in readings:
        try:
            found[reading] = domain.judge(reading)
        except UnsupportedError as error:
            missing[reading] = str(error)
    return found, missing
