"""The inversion task: how well codes give pictures back, how far out they lie, and how well they can still be edited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pydantic

from bench.cards import DomainInfo, GeneratorInfo
from bench.domains.base import Domain
from bench.errors import UnsupportedError, unknown
from bench.tasks.base import CellContext, CellResult, Cells, Measured, Task
from bench.tasks.editing.task import SHA
from bench.tasks.inversion import protocol, rows
from bench.tasks.inversion.measure import SourceMeasure, attribute_facts
from bench.tasks.inversion.protocol import InversionSettings
from bench.tasks.inversion.quantities import QUANTITIES, metric_names
from bench.tasks.inversion.sources import find_guide, find_judges, load_spreads

# What the task shares with the editing task, and enters the protocol with it.
PLAUSIBLE = ("PLAUSIBLE_SAMPLES", "PLAUSIBLE_QUANTILE", "PLAUSIBLE_P", "PLAUSIBLE_FLOOR")


class InversionTask(Task):
    """Invert pictures, render the codes, read both; then edit inverted and sampled codes alike and compare.

    Records have the source of the pictures, 'generated' or 'real', as their target. Headlines: perceptual distance, identity,
    attribute error, and the excess of editability, which is leakage per effect of inverted codes less that of sampled codes under
    the same edit in the same space. It is 0 where inverted codes edit like samples and grows with the damage that edits do for
    what they achieve. The ratio of effects stands beside it without a rank: a stronger answer to the same step is neither better
    nor worse, as any editor can take a smaller step, and its distance from 1 never averages to 0 under noise.
    """

    name: ClassVar[str] = "inversion"
    version: ClassVar[int] = protocol.VERSION
    produces: ClassVar[str] = "inverter"
    Settings = InversionSettings

    def validate(self, settings: pydantic.BaseModel, domain: DomainInfo, info: GeneratorInfo) -> None:
        """Raise InputError for a target that the domain does not have and a metric that this task does not."""
        for target in settings.targets:
            domain.attribute(target)
        for metric in settings.metrics or ():
            if metric not in metric_names():
                raise unknown("metric of the inversion task", metric, metric_names())

    def protocol(self, settings: pydantic.BaseModel, domain: Domain, seed: int) -> dict[str, Any]:
        """Sizes, rules, seed, networks and versions; not which metrics show."""
        from bench.tasks.editing import protocol as editing

        guide = find_guide(domain)
        return {
            "task": self.name,
            "version": self.version,
            "seed": seed,
            "settings": settings.model_dump(mode="json", exclude={"metrics"}),
            "rules": {name: getattr(protocol, name) for name in protocol.RULES}
            | {name: getattr(editing, name) for name in PLAUSIBLE},
            "attributes": [[a.name, a.kind] for a in domain.info.attributes],
            "judges": {reading: [net.name, net.fingerprint] for reading, net in find_judges(domain)[0].items()},
            "guide": [guide.name, guide.fingerprint] if guide else None,
            "metrics": {one.name: one.version for one in QUANTITIES},
        }

    def run(self, cell: CellContext) -> CellResult:
        """Measure one cell. Raises UnsupportedError where there is no inverter, or no picture of any source."""
        if cell.fitted.inverter is None:
            raise UnsupportedError(f"{cell.method.name} has no inverter")
        settings, steps = cell.settings, len(cell.settings.sources) * cell.settings.pictures
        cell.progress(0, steps)
        spreads = load_spreads(cell)
        judges, missing = find_judges(cell.domain)
        guide = find_guide(cell.domain)
        facts = {
            **attribute_facts(cell, spreads),
            "judges": {reading: [net.name, net.fingerprint[:SHA]] for reading, net in judges.items()},
            "no_judge": missing,
            "guide": [guide.name, guide.fingerprint[:SHA]] if guide else None,
            "sources": {},
        }
        result, measure, done = CellResult(facts=facts), SourceMeasure(cell, spreads), 0
        for source in settings.sources:
            try:
                for count in measure.measure(source, result):
                    done += count
                    cell.progress(done, steps)
                facts["sources"][source] = {"reason": ""}
            except UnsupportedError as error:
                facts["sources"][source] = {"reason": str(error)}
        if all(one["reason"] for one in facts["sources"].values()):
            raise UnsupportedError("; ".join(dict.fromkeys(one["reason"] for one in facts["sources"].values())))
        return result

    def measured(self, settings: pydantic.BaseModel, cells: Cells, seed: int) -> Iterator[Measured]:
        """The numbers of one (generator, method, variant), by source."""
        return rows.measured(settings, cells, seed)
