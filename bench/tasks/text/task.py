"""The text task: does the picture follow the prompt, does it show what was named, and what else changed?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pydantic

from bench.bank import stream_ids
from bench.cards import DomainInfo, GeneratorInfo
from bench.domains.base import Domain
from bench.errors import UnsupportedError, unknown
from bench.tasks.base import CellContext, CellResult, Cells, Measured, Task
from bench.tasks.editing import activations
from bench.tasks.editing import protocol as editing
from bench.tasks.editing.judged import GUIDE, find_judges, read_edits
from bench.tasks.editing.moves import Moves, moves_of, offers_components
from bench.tasks.editing.plausible import Plausible
from bench.tasks.editing.pool import Pool, load_pool
from bench.tasks.editing.task import SHA
from bench.tasks.text import protocol, rows
from bench.tasks.text.asking import takes_prompts, text_judge
from bench.tasks.text.measure import TextMeasure
from bench.tasks.text.protocol import READINGS, TextSettings
from bench.tasks.text.quantities import QUANTITIES, metric_names
from methods.base import Edit


class TextTask(Task):
    """Ask for an attribute in words, in several wordings, both ways.

    Strengths are placed as in the editing task: by the guide of attributes, on calibrate codes, up to the plausible edge. All is
    read at equal judged effect on the attribute that a prompt names, so that no one gains by going further or by pleasing the
    guide: there, how well the step of pictures is along the step of texts in the eyes of a judge of texts that no method saw
    (directional similarity, headline), and what else changed (leakage, headline). How far a prompt gets within the plausible
    range is the third headline (reach, capped at 1 sigma). CLIP's score itself is a number beside: it rises with anything that a
    text-image network likes. A headline is the mean over the wordings of a side; one that does not reach the effect makes it the
    worst.

    Editors with a true `prompts` are asked by Request(attribute, prompt=text), and strengths above 0 go toward the text. Others
    take part under the attribute's name (or their assigned component) where settings allow it: one edit stands for all wordings.
    """

    name: ClassVar[str] = "text"
    version: ClassVar[int] = protocol.VERSION
    produces: ClassVar[str] = "editor"
    Settings = TextSettings

    def validate(self, settings: pydantic.BaseModel, domain: DomainInfo, info: GeneratorInfo) -> None:
        """Raise InputError for a target that the domain does not have or has no prompts of, and an unknown metric."""
        for target in settings.targets:
            protocol.own_prompt(domain, target, "+")
        for metric in settings.metrics or ():
            if metric not in metric_names():
                raise unknown("metric of the text task", metric, metric_names())

    def protocol(self, settings: pydantic.BaseModel, domain: Domain, seed: int) -> dict[str, Any]:
        """Sizes, prompts, rules, seed, networks and versions; not which metrics show.

        Raises InputError for a prompt that the judge of texts cannot read to its end.
        """
        judges = {**_judges(domain), "text_image": text_judge(domain)}
        guide = domain.guide("attributes")
        texts = {(t, s): settings.texts(domain.info, t, s) for t in settings.targets for s in editing.SIGNS}
        judges["text_image"].check_texts([text for some in texts.values() for text in some])
        return {
            "task": self.name,
            "version": self.version,
            "seed": seed,
            "settings": settings.model_dump(mode="json", exclude={"metrics"}),
            "texts": {editing.key_of(*side): list(some) for side, some in texts.items()},
            "rules": {**{n: getattr(editing, n) for n in protocol.RULES}, "ACTIVATION_SAMPLES": activations.SAMPLES},
            "attributes": [[a.name, a.kind] for a in domain.info.attributes],
            "judges": {reading: [net.name, net.fingerprint] for reading, net in judges.items()},
            "guide": [guide.name, guide.fingerprint],
            "metrics": {one.name: one.version for one in QUANTITIES},
        }

    def run(self, cell: CellContext) -> CellResult:
        """Measure one cell.

        Raises UnsupportedError where there is no editor, no judge of texts or attributes, no guide of attributes, an editor that
        takes no prompts though settings ask for that, or one that can follow none of them.
        """
        editor, targets = cell.fitted.editor, cell.settings.targets
        if editor is None:
            raise UnsupportedError(f"{cell.method.name} has no editor")
        if not takes_prompts(editor) and not cell.settings.by_name:
            raise UnsupportedError(f"{cell.method.name} takes no prompts")
        judge = text_judge(cell.domain)
        cell.progress(0, len(targets) + 1)
        pool = load_pool(cell)
        vectors = cell.share("text-pool", lambda: cell.passes.read({"text_image": judge}, pool.codes))["text_image"]
        calibrate = cell.generator.sample(stream_ids("calibrate", cell.settings.calibrate_codes), seed=cell.seed)
        guide = {GUIDE: cell.domain.guide("attributes")}

        def read_calibrate():
            return read_edits(cell.passes, cell.domain, guide, [Edit(calibrate)])[0][0]

        guided = cell.share("text-calibrate", read_calibrate)[GUIDE]
        plausible = Plausible(cell)
        moves = Moves({}) if takes_prompts(editor) else moves_of(cell, plausible, calibrate, pool.guide_sigma.numpy())
        result = CellResult({"sigma": pool.sigma.numpy()}, self._facts(cell, pool, moves))
        measure = TextMeasure(cell, pool, plausible, calibrate, guided, vectors)
        why_not = "the method has no such target"
        if offers_components(editor):
            why_not = moves.facts.get("reason", "no component is left for it")
        cell.progress(1, len(targets) + 1)
        for done, target in enumerate(targets, start=2):
            measure.measure(target, moves.by_target.get(target), why_not, result)
            cell.progress(done, len(targets) + 1)
        every = [one for some in result.facts["prompts"].values() for one in some]
        if all(one.get("refused") for one in every):
            raise UnsupportedError(every[0]["reason"])
        return result

    def _facts(self, cell: CellContext, pool: Pool, moves: Moves) -> dict[str, Any]:
        info, guide, judge = cell.domain.info, cell.domain.guide("attributes"), text_judge(cell.domain)
        known, missing = find_judges(cell.domain)
        judges = {**{name: known[name] for name in READINGS if name in known}, "text_image": judge}
        way = "prompt" if takes_prompts(cell.fitted.editor) else "component" if moves.facts else "name"
        texts = [text for t in cell.settings.targets for s in editing.SIGNS for text in cell.settings.texts(info, t, s)]
        return {
            "attributes": list(info.names),
            "binary": [a.name for a in info.attributes if editing.is_binary(a)],
            "sigma_rules": dict(zip(info.names, pool.rules, strict=True)),
            "judges": {reading: [net.name, net.fingerprint[:SHA]] for reading, net in judges.items()},
            "no_judge": {name: why for name, why in missing.items() if name in READINGS},
            "guide": [guide.name, guide.fingerprint[:SHA]],
            "assignment": moves.facts,
            "asked_by": way,
            "unknown_words": {text: list(judge.unknown_words(text)) for text in texts if judge.unknown_words(text)},
        }

    def measured(self, settings: pydantic.BaseModel, cells: Cells, seed: int) -> Iterator[Measured]:
        """The numbers of one (generator, method, variant), by target and sign, over its prompts and for each of them."""
        return rows.measured(settings, cells, seed)


def _judges(domain: Domain) -> dict[str, Any]:
    known = find_judges(domain)[0]
    return {name: known[name] for name in READINGS if name in known}
