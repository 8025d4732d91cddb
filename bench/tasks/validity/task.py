"""The validity task: where the truth is known, faults are planted, and every metric is asked whether it sees them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import pydantic

from bench.cards import DomainInfo, GeneratorInfo
from bench.domains.base import Domain
from bench.errors import UnsupportedError, unknown
from bench.records import Record
from bench.tasks.base import CellContext, CellResult, Measured, MethodCard, Task
from bench.tasks.validity import settings as rules
from bench.tasks.validity.edits import measure_edits
from bench.tasks.validity.expectations import EXPECTED
from bench.tasks.validity.faults import BY_NAME as BY_FAULT
from bench.tasks.validity.faults import FAULTS
from bench.tasks.validity.findings import Finding, findings
from bench.tasks.validity.inversions import measure_inversions, measure_order
from bench.tasks.validity.lab import READINGS, Lab, Series
from bench.tasks.validity.maps import measure_maps
from bench.tasks.validity.picture_sets import SET_METRICS, measure_pictures
from bench.tasks.validity.quantities import BY_NAME
from bench.tasks.validity.representations import measure_representations
from bench.tasks.validity.settings import ValiditySettings
from bench.tasks.validity.units import measure_units

# Characters of a network's fingerprint in facts and records.
SHA = 16

FAMILIES: dict[str, Callable[[Lab], Series]] = {
    "edits": measure_edits,
    "order": measure_order,
    "representations": measure_representations,
    "maps": measure_maps,
    "pictures": measure_pictures,
    "inversions": measure_inversions,
    "units": measure_units,
}

# Records: target is the fault, attribute the metric that is put to the test, metric one of these.
RHO, CHANGE, START = "validity_rho", "validity_change", "validity_start"


class ValidityTask(Task):
    """A table of metrics against faults, with what was expected and what was measured: which metric can be trusted for what."""

    name: ClassVar[str] = "validity"
    version: ClassVar[int] = rules.VERSION
    produces: ClassVar[str] = "truth"
    Settings = ValiditySettings

    def validate(self, settings: pydantic.BaseModel, domain: DomainInfo, info: GeneratorInfo) -> None:
        """Raise InputError for attributes that the domain does not have, and for unknown faults."""
        single = (settings.leak, settings.mode, settings.concept, settings.spill)
        for name in (*settings.targets, *settings.factors, *single):
            domain.attribute(name)
        for name in settings.faults or ():
            if name not in BY_FAULT:
                raise unknown("fault", name, BY_FAULT)

    def protocol(self, settings: pydantic.BaseModel, domain: Domain, seed: int) -> dict[str, Any]:
        """Sizes, faults and their strengths, networks. Not what is expected of metrics."""
        return {
            "task": self.name,
            "version": self.version,
            "seed": seed,
            "settings": settings.model_dump(mode="json"),
            "rules": {name: getattr(rules, name) for name in rules.RULES},
            "judges": {name: [net.name, net.fingerprint] for name, net in _judges(domain).items()},
            "guide": [domain.guide("attributes").name, domain.guide("attributes").fingerprint],
        }

    def run(self, cell: CellContext) -> CellResult:
        """Plant every fault and measure. Raises UnsupportedError where the method knows no truth."""
        if cell.fitted.truth is None or cell.fitted.editor is None:
            raise UnsupportedError(f"{cell.method.name} does not know the true map")
        lab, found = Lab(cell), {}
        faults = [one for one in FAULTS if lab.asked(one.name)]
        families = [name for name in FAMILIES if any(one.family == name for one in faults)]
        for done, family in enumerate(families):
            cell.progress(done, len(families))
            found |= FAMILIES[family](lab)
        cell.progress(len(families), len(families))
        strays = sorted(found.keys() - EXPECTED.keys())
        if strays:
            raise ValueError(f"nothing is expected of {strays[0][1]} under {strays[0][0]}: write down what, and why")
        result = CellResult({f"{fault}/{metric}": values for (fault, metric), values in found.items()})
        pairs = [pair for pair in EXPECTED if pair in found]
        result.facts = {
            "severities": list(cell.settings.severities),
            "judges": {name: [net.name, net.fingerprint[:SHA]] for name, net in lab.judges.items()},
            "absent": {name: lab.absent[one.reading] for name, one in BY_NAME.items() if one.reading in lab.absent},
            "faults": {one.name: [one.family, one.title, one.planted] for one in faults},
            "pairs": [_pair(cell.settings, fault, metric) for fault, metric in pairs],
        }
        return result

    def measured(
        self, settings: pydantic.BaseModel, cells: Sequence[tuple[MethodCard, CellResult]], seed: int
    ) -> Iterator[Measured]:
        """For every pair: rho, the change from severity 0 to 1, the value at 0. The truth is one: only the first fit is read."""
        for _, result in cells[:1]:
            for found in findings(result, settings.replicates, seed):
                yield from _measured(found, result.facts["judges"])


def _judges(domain: Domain) -> dict[str, Any]:
    found = {}
    for reading in READINGS:
        try:
            found[reading] = domain.judge(reading)
        except UnsupportedError:
            continue  # its metrics are left out, and the facts say why
    return found


def _pair(settings: ValiditySettings, fault: str, metric: str) -> dict[str, Any]:
    expectation, quantity = EXPECTED[fault, metric], BY_NAME[metric]
    return {
        "fault": fault,
        "metric": metric,
        "expected": expectation.word,
        "was": expectation.was,
        "reason": expectation.reason,
        "worse": quantity.worse,
        "unit": quantity.unit,
        "reading": quantity.reading,
        "n": _codes(settings, fault, metric),
    }


def _codes(settings: ValiditySettings, fault: str, metric: str) -> int:
    """Codes behind a number."""
    if fault.startswith("codes_"):
        return settings.draws * settings.factor_codes
    if metric in SET_METRICS:
        most = rules.SLICED_IMAGES if metric == "sliced_wasserstein" else settings.set_codes
        return settings.set_blocks * min(most, settings.set_codes)
    return settings.codes


def _measured(found: Finding, judges: dict[str, list[str]]) -> Iterator[Measured]:
    pair, one = found.pair, found.reading
    judge, sha = judges.get(pair["reading"], ["", ""])
    fit = "as expected" if found.expected else "not as expected"
    common = {
        "target": pair["fault"],
        "attribute": pair["metric"],
        "point": "summary",
        "judge": judge,
        "judge_sha": sha,
        "ci_over": "codes",
        "n": pair["n"],
        "reason": f"{found.verdict}; expected {pair['expected']}: {fit}",
    }
    # A metric that sees less of a fault that it should see has become worse; of other pairs neither direction is better.
    better = True if pair["expected"] == "worse" else None
    parts = ((RHO, "rho", "correlation", better), (CHANGE, "change", pair["unit"], better), (START, "start", pair["unit"], None))
    for metric, part, unit, higher in parts:
        span = getattr(one, part)
        # A change to what is not reached has no size: as in the editing task, the record says so and the rows hold infinity.
        reached = math.isfinite(span.value)
        numbers = {"value": span.value, "ci_low": span.low, "ci_high": span.high} if reached else {"status": "unreached"}
        yield Measured(Record(metric=metric, unit=unit, higher_is_better=higher, **numbers, **common), one.rows[part])
