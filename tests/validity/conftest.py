"""A cell of the validity task on heads-oracle, at any size."""

import pytest
import torch

from bench.domains.heads.domain import heads
from bench.generators.heads_oracle import heads_oracle
from bench.passes import Passes
from bench.tasks.base import CellContext, CellResult, MethodCard
from bench.tasks.validity.findings import findings
from bench.tasks.validity.settings import ValiditySettings
from bench.tasks.validity.task import ValidityTask
from methods.base import Fitted
from methods.baselines.oracle import OracleEditor, OracleTruth

# Small, but large enough that every essential fault is seen.
SMALL = {
    "codes": 20, "blocks": 2, "factor_codes": 300, "draws": 2, "set_codes": 100, "set_blocks": 2, "severities": (0.0, 0.5, 1.0),
    "replicates": 300, "factors": ("pitch", "glasses", "hair_length", "nose_size", "jaw"),
}  # fmt: skip


class Planted:
    """Runs the task; `verdicts` reads it."""

    def __init__(self) -> None:
        self.generator, self.domain, self.task = heads_oracle(), heads(), ValidityTask()

    def cell(self, fitted: Fitted | None = None, **changes) -> CellContext:
        settings = ValiditySettings(**{**SMALL, **changes})
        fitted = fitted or Fitted(OracleEditor(self.generator, settings.targets), truth=OracleTruth(self.generator))
        card = MethodCard("oracle", 1, "baseline", "", "w", 0)
        passes = Passes(self.generator)
        return CellContext(self.generator, self.domain, card, fitted, None, settings, 0, passes, lambda name, compute: compute())

    def run(self, *faults: str, **changes) -> CellResult:
        with torch.no_grad():
            return self.task.run(self.cell(faults=faults, **changes))

    def verdicts(self, result: CellResult) -> dict[tuple[str, str], str]:
        found = findings(result, SMALL["replicates"], 0)
        return {(one.pair["fault"], one.pair["metric"]): one.verdict for one in found}


@pytest.fixture(scope="session")
def planted() -> Planted:
    return Planted()
