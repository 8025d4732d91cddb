"""What a cell's arrays say of every pair of a metric and a fault: readings and verdicts, without any network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bench.tasks.validity.verdicts import Reading, as_expected, read, verdict

if TYPE_CHECKING:
    from bench.tasks.base import CellResult


class Finding(NamedTuple):
    """One pair: the cell's own words on it (fault, metric, expected, reason, worse, unit, reading, n), what was read, verdict."""

    pair: dict[str, Any]
    reading: Reading
    verdict: str

    @property
    def expected(self) -> bool:
        """Whether the verdict is what was expected."""
        return as_expected(self.pair["expected"], self.verdict)


def findings(result: CellResult, replicates: int, seed: int) -> list[Finding]:
    """Every pair of a cell, in the order of the expectations."""
    severities, found = tuple(result.facts["severities"]), []
    for pair in result.facts["pairs"]:
        values = result.arrays[f"{pair['fault']}/{pair['metric']}"]
        one = read(values, severities, pair["worse"], replicates=replicates, seed=seed)
        found.append(Finding(pair, one, verdict(one, pair["unit"])))
    return found
