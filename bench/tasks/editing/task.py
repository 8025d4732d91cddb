"""The editing task: which method changes what was asked, and nothing else, read at equal judged effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pydantic

from bench.bank import stream_ids
from bench.cards import DomainInfo, GeneratorInfo
from bench.domains.base import Domain
from bench.errors import UnsupportedError, unknown
from bench.tasks.base import CellContext, CellResult, Cells, Headline, Measured, Question, Task
from bench.tasks.editing import activations, protocol, rows
from bench.tasks.editing.judged import GUIDE, find_judges, judges_of, read_edits
from bench.tasks.editing.measure import TargetMeasure
from bench.tasks.editing.moves import moves_of, offers_components
from bench.tasks.editing.plausible import Plausible
from bench.tasks.editing.pool import load_pool
from bench.tasks.editing.protocol import EditingSettings
from bench.tasks.editing.quantities import QUANTITIES, metric_names
from bench.tasks.editing.sequences import measure_sequence
from bench.tasks.editing.summary import headline_replicates
from methods.base import Edit

# Characters of a network's fingerprint in facts and records.
SHA = 16


class EditingTask(Task):
    """Design, section 6. `run` leaves curves over strengths behind, `measured` reads them at equal judged effect."""

    name: ClassVar[str] = "editing"
    version: ClassVar[int] = protocol.VERSION
    produces: ClassVar[str] = "editor"
    Settings = EditingSettings

    def validate(self, settings: pydantic.BaseModel, domain: DomainInfo, info: GeneratorInfo) -> None:
        """Raise InputError for a target that the domain does not have and a metric that this task does not."""
        for target in settings.targets:
            domain.attribute(target)
        for metric in settings.metrics or ():
            if metric not in metric_names():
                raise unknown("metric of the editing task", metric, metric_names())

    def protocol(self, settings: pydantic.BaseModel, domain: Domain, seed: int) -> dict[str, Any]:
        """Sizes, rules, seed, networks, versions; the targets too: components are assigned among them. Not which metrics show."""
        asked = settings.model_dump(mode="json", exclude={"metrics"})
        rules = {name: getattr(protocol, name) for name in protocol.RULES}
        judges = {reading: [net.name, net.fingerprint] for reading, net in judges_of(domain).items()}
        guide = domain.guide("attributes")
        return {
            "task": self.name,
            "version": self.version,
            "seed": seed,
            "settings": asked,
            "rules": {**rules, "ACTIVATION_SAMPLES": activations.SAMPLES},
            "attributes": [[a.name, a.kind] for a in domain.info.attributes],
            "judges": judges,
            "guide": [guide.name, guide.fingerprint],
            "metrics": {one.name: one.version for one in QUANTITIES},
        }

    def run(self, cell: CellContext) -> CellResult:
        """Measure one cell. Raises UnsupportedError where there is no editor, or no judge or guide of attributes."""
        editor = cell.fitted.editor
        if editor is None:
            raise UnsupportedError(f"{cell.method.name} has no editor")
        targets = cell.settings.targets
        steps = len(targets) + 2
        cell.progress(0, steps)
        pool = load_pool(cell)
        cell.progress(1, steps)
        result = CellResult(facts=self._facts(cell, pool.rules))
        result.arrays["sigma"] = pool.sigma.numpy()
        if pool.reference is not None:
            result.arrays["reference"] = pool.reference.float().numpy()
            # Features of unedited pictures are the same for every question and every cell: kept once.
            result.arrays["pool_features"] = pool.readings["features"].float().numpy()
            result.arrays["pool_ids"] = pool.codes.ids.numpy()
        plausible = Plausible(cell)
        calibrate = cell.generator.sample(stream_ids("calibrate", cell.settings.calibrate_codes), seed=cell.seed)
        guide = {GUIDE: cell.domain.guide("attributes")}

        def read_calibrate():
            return read_edits(cell.passes, cell.domain, guide, [Edit(calibrate)])[0][0]

        guided = cell.share("editing-calibrate", read_calibrate)[GUIDE]
        moves = moves_of(cell, plausible, calibrate, pool.guide_sigma.numpy())
        result.facts["assignment"] = moves.facts
        why_not = "the method has no such target"
        if offers_components(editor):
            why_not = moves.facts.get("reason", "no component is left for it")
        cell.progress(2, steps)
        measure = TargetMeasure(cell, pool, plausible, calibrate, guided)
        for done, target in enumerate(targets, start=3):
            measure.measure(target, moves.by_target.get(target), why_not, result)
            cell.progress(done, steps)
        for sequence in cell.settings.sequences:
            measure_sequence(cell, pool, sequence, moves.by_target, measure.raised, result)
        return result

    def _facts(self, cell: CellContext, rules: Sequence[str]) -> dict[str, Any]:
        info, guide = cell.domain.info, cell.domain.guide("attributes")
        judges, missing = find_judges(cell.domain)
        return {
            "attributes": list(info.names),
            "binary": [a.name for a in info.attributes if protocol.is_binary(a)],
            "sigma_rules": dict(zip(info.names, rules, strict=True)),
            "judges": {reading: [net.name, net.fingerprint[:SHA]] for reading, net in judges.items()},
            "no_judge": missing,
            "guide": [guide.name, guide.fingerprint[:SHA]],
            "seconds": {},
            "guide_calls": {},
        }

    def measured(self, settings: pydantic.BaseModel, cells: Cells, seed: int) -> Iterator[Measured]:
        """Grid, effect and summary points of one (generator, method, variant), with intervals over codes (and fits)."""
        return rows.measured(settings, cells, seed)

    def headlines(self, settings: pydantic.BaseModel, cells: Cells, seed: int) -> dict[Question, Headline]:
        """Headlines at the headline effect, by (target, sign, metric)."""
        return headline_replicates(settings, cells, seed)
