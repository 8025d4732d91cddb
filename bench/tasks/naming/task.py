"""The naming task: what is each component that a method found, and can what names it be trusted?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pydantic
import torch

from bench.cards import DomainInfo, GeneratorInfo
from bench.domains.base import Domain
from bench.errors import UnsupportedError, unknown
from bench.tasks.base import CellContext, CellResult, Cells, Measured, Task
from bench.tasks.editing import activations
from bench.tasks.editing import protocol as editing
from bench.tasks.editing.moves import offers_components
from bench.tasks.editing.task import SHA
from bench.tasks.naming import protocol, rows
from bench.tasks.naming.measure import ComponentMeasure
from bench.tasks.naming.namers import text_guide
from bench.tasks.naming.protocol import NamingSettings
from bench.tasks.naming.quantities import QUANTITIES, metric_names


class NamingTask(Task):
    """Name every component of a fit by what a step along it, half of its plausible edge, does to pictures.

    Guides name, on fit codes: that of attributes by the attribute that changes most, that of texts by the statement of the
    domain (and of the suite) that becomes truer most, both by the rule of bench.tasks.naming.rule, which leaves a component
    without a name where chance would do as well. A judge, on test codes, and the generator's own factors where it knows them,
    say which names are right. Headlines, for names by attributes and for names by words: the share of names that are right, and
    the share of components that have one. A domain without a guide of texts has names by attributes alone.
    """

    name: ClassVar[str] = "naming"
    version: ClassVar[int] = protocol.VERSION
    produces: ClassVar[str] = "editor"
    Settings = NamingSettings

    def validate(self, settings: pydantic.BaseModel, domain: DomainInfo, info: GeneratorInfo) -> None:
        """Raise InputError for a metric that this task does not have."""
        for metric in settings.metrics or ():
            if metric not in metric_names():
                raise unknown("metric of the naming task", metric, metric_names())

    def protocol(self, settings: pydantic.BaseModel, domain: Domain, seed: int) -> dict[str, Any]:
        """Sizes, words, rules, seed, networks and versions; not which metrics show."""
        judge, guide = domain.judge("attributes"), domain.guide("attributes")
        guides = [[guide.name, guide.fingerprint]]
        try:
            guides.append([text_guide(domain).name, text_guide(domain).fingerprint])
        except UnsupportedError:
            pass  # attributes alone give names then
        return {
            "task": self.name,
            "version": self.version,
            "seed": seed,
            "settings": settings.model_dump(mode="json", exclude={"metrics"}),
            "statements": [[one.subject, list(one.texts), one.way] for one in settings.statements(domain)],
            "rules": {
                **{name: getattr(editing, name) for name in protocol.EDITING_RULES},
                **{name: getattr(protocol, name) for name in protocol.RULES},
                "ACTIVATION_SAMPLES": activations.SAMPLES,
            },
            "attributes": [[a.name, a.kind] for a in domain.info.attributes],
            "judges": {"attributes": [judge.name, judge.fingerprint]},
            "guides": guides,
            "metrics": {one.name: one.version for one in QUANTITIES},
        }

    def run(self, cell: CellContext) -> CellResult:
        """Measure one cell.

        Raises UnsupportedError where there is no editor of components, none of them makes a plausible step, or attributes have no
        judge or no guide.
        """
        editor = cell.fitted.editor
        if editor is None or not offers_components(editor):
            raise UnsupportedError(f"{cell.method.name} offers no components: what it edits has a name already")
        judge, guide = cell.domain.judge("attributes"), cell.domain.guide("attributes")
        result = CellResult(
            facts={
                "attributes": list(cell.domain.info.names),
                "components": [str(name) for name in editor.targets],
                "judges": {"attributes": [judge.name, judge.fingerprint[:SHA]]},
                "guide": [guide.name, guide.fingerprint[:SHA]],
            }
        )
        with torch.no_grad():
            measure = ComponentMeasure(cell, result)
            for done, part in enumerate((measure.name, measure.judge, measure.show), start=1):
                cell.progress(done, 4)
                part()
        cell.progress(4, 4)
        return result

    def measured(self, settings: pydantic.BaseModel, cells: Cells, seed: int) -> Iterator[Measured]:
        """The numbers of one (generator, method, variant), for names by words and names by attributes."""
        return rows.measured(settings, cells, seed)
