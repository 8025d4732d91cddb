"""The sampling task: how often does a sample have what was asked for, and what do its samples lose in variety and realism?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pydantic

from bench.bank import stream_ids
from bench.cards import DomainInfo, GeneratorInfo
from bench.domains.base import Domain
from bench.errors import UnsupportedError, unknown
from bench.tasks.base import CellContext, CellResult, Cells, Measured, Task
from bench.tasks.editing.task import SHA
from bench.tasks.sampling import protocol, rows
from bench.tasks.sampling.measure import QuestionMeasure
from bench.tasks.sampling.plain import Plain, find_judges, judged, load_plain
from bench.tasks.sampling.protocol import PLAIN, SamplingSettings
from bench.tasks.sampling.quantities import QUANTITIES, metric_names


class SamplingTask(Task):
    """Ask a sampler for each target both ways; judges say whether the samples have it.

    The sampler of a fit has `targets`, the attributes that it can be asked for, and `sample(asked, ids, seed=)`, where asked maps
    attributes to values: of a continuous one in standard deviations from its mean over samples, of a binary one above 0 to have
    it and below to lack it. Headlines: success, diversity and realism loss; the last two count as the worst where samples are
    not what was asked, as a sampler that ignores the question is as varied and as real as samples are. Beside them stand the base
    rate and what a judge's accepted samples are like, which is what rejection sampling would give.
    """

    name: ClassVar[str] = "sampling"
    version: ClassVar[int] = protocol.VERSION
    produces: ClassVar[str] = "sampler"
    Settings = SamplingSettings

    def validate(self, settings: pydantic.BaseModel, domain: DomainInfo, info: GeneratorInfo) -> None:
        """Raise InputError for a target that the domain does not have and a metric that this task does not."""
        for target in settings.targets:
            domain.attribute(target)
        for metric in settings.metrics or ():
            if metric not in metric_names():
                raise unknown("metric of the sampling task", metric, metric_names())

    def protocol(self, settings: pydantic.BaseModel, domain: Domain, seed: int) -> dict[str, Any]:
        """Sizes, rules, seed, networks and versions; not which metrics show."""
        return {
            "task": self.name,
            "version": self.version,
            "seed": seed,
            "settings": settings.model_dump(mode="json", exclude={"metrics"}),
            "rules": {name: getattr(protocol, name) for name in protocol.RULES},
            "attributes": [[a.name, a.kind] for a in domain.info.attributes],
            "judges": {reading: [net.name, net.fingerprint] for reading, net in find_judges(domain)[0].items()},
            "metrics": {one.name: one.version for one in QUANTITIES},
        }

    def run(self, cell: CellContext) -> CellResult:
        """Measure one cell. Raises UnsupportedError where there is no sampler or no judge of attributes."""
        if cell.fitted.sampler is None:
            raise UnsupportedError(f"{cell.method.name} has no sampler")
        targets = cell.settings.targets
        cell.progress(0, len(targets) + 1)
        plain = load_plain(cell)
        cell.progress(1, len(targets) + 1)
        result = CellResult(arrays=self._arrays(cell, plain), facts=self._facts(cell, plain))
        measure = QuestionMeasure(cell, plain)
        for done, target in enumerate(targets, start=2):
            measure.measure(target, result)
            cell.progress(done, len(targets) + 1)
        return result

    def _arrays(self, cell: CellContext, plain: Plain) -> dict[str, np.ndarray]:
        """What every cell of the generator holds alike; a results folder keeps it once."""
        arrays = {
            "ids": stream_ids("test", cell.settings.samples).numpy(),
            "plain/ids": stream_ids("test", PLAIN * cell.settings.samples).numpy(),
            "plain/scores": plain.scores,
            "plain/sigma": plain.sigma,
            "plain/median": plain.median,
            "plain/mean": plain.mean,
            "plain/apart": np.array(plain.apart),
        }
        if plain.features is not None and plain.reference is not None:
            arrays |= {"plain/features": plain.features, "reference": plain.reference}
        return arrays

    def _facts(self, cell: CellContext, plain: Plain) -> dict[str, Any]:
        names, (judges, missing) = judged(cell.domain), find_judges(cell.domain)
        return {
            "attributes": names,
            "binary": [name for name, binary in zip(names, plain.binary, strict=True) if binary],
            "sigma_rules": dict(zip(names, plain.rules, strict=True)),
            "judges": {reading: [net.name, net.fingerprint[:SHA]] for reading, net in judges.items()},
            "no_judge": missing,
        }

    def measured(self, settings: pydantic.BaseModel, cells: Cells, seed: int) -> Iterator[Measured]:
        """The numbers of one (generator, method, variant), by target and sign."""
        return rows.measured(settings, cells, seed)
