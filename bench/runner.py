"""Runs a suite: plan, fits, cells, records. What a run leaves behind is RunResult."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench.clock import NETWORK_PARTS
from bench.records import Record, Status
from bench.suite import Suite
from bench.tasks.base import CellResult, MethodCard


@dataclass(frozen=True)
class CellOutcome:
    """One cell: what it left behind, or why it left nothing.

    seconds: of the cell when it was computed; fit_seconds: of its fit. tables: what the fit shows in the report.
    """

    generator: str
    generator_sha: str
    domain: str
    task: str
    method: MethodCard
    result: CellResult | None
    status: Status = "ok"
    reason: str = ""
    seconds: float = 0.0
    fit_seconds: float = 0.0
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


@dataclass
class RunResult:
    """A finished run.

    seconds: by part of bench.clock (this run alone: what came from the store cost nothing). environment: JSON values.
    protocol_hashes: (task, generator) -> hash.
    """

    suite: Suite
    records: list[Record]
    cells: list[CellOutcome]
    seconds: dict[str, float]
    total_seconds: float
    environment: dict[str, Any]
    protocol_hashes: dict[tuple[str, str], str]

    @property
    def network_share(self) -> float:
        """The share of this run's time spent inside networks and fits, 0 to 1."""
        return sum(self.seconds.get(part, 0.0) for part in NETWORK_PARTS) / max(self.total_seconds, 1e-9)

    @property
    def exit_code(self) -> int:
        """0 where every cell went well or was skipped, 1 where one failed."""
        return int(any(cell.status == "error" for cell in self.cells))
