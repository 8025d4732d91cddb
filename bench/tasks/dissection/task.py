"""The dissection task: are units the concepts that a method says they are, and do they cause them?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pydantic

from bench.cards import DomainInfo, GeneratorInfo
from bench.domains.base import Domain
from bench.errors import UnsupportedError, unknown
from bench.tasks.base import CellContext, CellResult, Cells, Measured, Task
from bench.tasks.dissection import protocol, rows
from bench.tasks.dissection.measure import ConceptMeasure
from bench.tasks.dissection.plain import load_plain, unit_counts
from bench.tasks.dissection.protocol import DissectionSettings
from bench.tasks.dissection.quantities import QUANTITIES, metric_names
from bench.tasks.editing.task import SHA


class DissectionTask(Task):
    """Measure a method's units again, on test codes and by the judge of segmentation; then switch them off and on.

    The units of a fit have `concepts`, `layer`, `labels` (by layer, the number of the concept that each unit is said to match, -1
    for none), `top(concept, count)`, `ablation(units)` and `insertion(concept, units, mask)`: what
    methods.supervised.gan_dissection_units.ConceptUnits gives. Headlines: how much more of a concept its units remove than as
    many random ones do, how much of what changed was the concept, and how many of the units still match. Insertion is asked where
    the concept belongs and, one cell at a time, where it does not.
    """

    name: ClassVar[str] = "dissection"
    version: ClassVar[int] = protocol.VERSION
    produces: ClassVar[str] = "units"
    Settings = DissectionSettings

    def validate(self, settings: pydantic.BaseModel, domain: DomainInfo, info: GeneratorInfo) -> None:
        """Raise InputError for a concept that is no region of the domain and a metric that this task does not have."""
        for region in (*(settings.concepts or ()), *(settings.contexts or ())):
            if region not in domain.regions:
                raise unknown(f"region of {domain.name}", region, domain.regions)
        for metric in settings.metrics or ():
            if metric not in metric_names():
                raise unknown("metric of the dissection task", metric, metric_names())

    def protocol(self, settings: pydantic.BaseModel, domain: Domain, seed: int) -> dict[str, Any]:
        """Sizes, rules, seed, the judge and versions; not which metrics show."""
        judge = domain.judge("segmentation")
        return {
            "task": self.name,
            "version": self.version,
            "seed": seed,
            "settings": settings.model_dump(mode="json", exclude={"metrics"}),
            "rules": {name: getattr(protocol, name) for name in protocol.RULES},
            "regions": list(domain.info.regions),
            "judges": {"segmentation": [judge.name, judge.fingerprint]},
            "metrics": {one.name: one.version for one in QUANTITIES},
        }

    def run(self, cell: CellContext) -> CellResult:
        """Measure one cell. Raises UnsupportedError where there are no units or no judge of segmentation."""
        units = cell.fitted.units
        if units is None:
            raise UnsupportedError(f"{cell.method.name} has no units")
        judge = cell.domain.judge("segmentation")
        concepts = list(cell.settings.concepts or cell.domain.info.regions)
        cell.progress(0, len(concepts) + 1)
        plain = load_plain(cell)
        layers = list(units.labels)
        result = CellResult(
            arrays={"ids": plain.codes.ids.numpy(), "plain/areas": plain.areas},
            facts={
                "regions": list(plain.regions),
                "concepts": concepts,
                "named": list(units.concepts),
                "layer": units.layer,
                "layers": layers,
                "labels": {layer: labels.tolist() for layer, labels in units.labels.items()},
                "judge": [judge.name, judge.fingerprint[:SHA]],
            },
        )
        for number, layer in enumerate(layers):
            result.arrays |= {f"layer{number}/{name}": one for name, one in unit_counts(cell, plain, layer).items()}
        cell.progress(1, len(concepts) + 1)
        measure = ConceptMeasure(cell, plain)
        for done, concept in enumerate(concepts, start=2):
            measure.measure(concept, result)
            cell.progress(done, len(concepts) + 1)
        return result

    def measured(self, settings: pydantic.BaseModel, cells: Cells, seed: int) -> Iterator[Measured]:
        """The numbers of one (generator, method, variant), by concept, then by layer."""
        return rows.measured(settings, cells, seed)
