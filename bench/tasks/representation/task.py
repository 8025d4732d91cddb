"""The representation task: what each space of a generator tells of the factors behind its pictures, and in how straight a way.

Samples of the test stream are represented (the generator's own codes in a space, or whatever an encoder gives), and compared
with their attributes, read off the pictures by a judge or, where the generator was given them, as they are. Where a
representation is a space that the generator can be driven by, pictures are followed along paths through it too.

What this can and cannot see. DCI, mutual information gap, modularity and SAP ask for single channels that carry single factors:
they change under a rotation, which editing along directions does not notice. Explicitness, separability and boundary accuracy
ask for hyperplanes and do not change under one. In a StyleGAN s is an affine function of w, so that these see one space in both
but for their penalties, and straight paths are the same in both. DCI rises with the number of channels alone, since readers find
one that suits each factor among many: protocol.factor_quantities has figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import pydantic
import torch
from torch import Tensor

from bench.bank import stream_ids
from bench.codes import Codes, Space
from bench.domains.base import Domain, Network
from bench.errors import UnsupportedError
from bench.tasks.base import CellContext, CellResult, Cells, Measured, Task
from bench.tasks.representation import protocol
from bench.tasks.representation.blocks import alive, measure_blocks
from bench.tasks.representation.factors import Factors, factors_of, parts_of, usable
from bench.tasks.representation.paths import curvature, path_lengths
from bench.tasks.representation.protocol import JUDGED, PICTURES, TRUE, RepresentationSettings
from bench.tasks.representation.rows import measured_of

# Characters of a network's fingerprint in facts and records.
SHA = 16
# Samples that are represented at a time: bounds memory where an encoder needs their pictures.
GROUP = 256


class RepresentationTask(Task):
    """`run` measures blocks and paths (slow), `measured` resamples them."""

    name: ClassVar[str] = "representation"
    version: ClassVar[int] = protocol.VERSION
    produces: ClassVar[str] = "encoder"
    Settings = RepresentationSettings

    def protocol(self, settings: pydantic.BaseModel, domain: Domain, seed: int) -> dict[str, Any]:
        """Sizes, rules, seed, judges, attributes and versions."""
        found = {reading: _judge(domain, reading) for reading in ("attributes", "perceptual")}
        quantities = (
            *protocol.factor_quantities(settings.regressor), protocol.SEPARABILITY, protocol.ENTROPY, protocol.FULL,
            protocol.END, protocol.HESSIAN,
        )  # fmt: skip
        return {
            "task": self.name,
            "version": self.version,
            "seed": seed,
            "settings": settings.model_dump(mode="json"),
            "rules": {name: getattr(protocol, name) for name in protocol.RULES},
            "attributes": [[a.name, a.kind] for a in domain.info.attributes],
            "judges": {reading: [net.name, net.fingerprint] for reading, net in found.items() if isinstance(net, Network)},
            "metrics": {one.name: one.version for one in quantities},
        }

    def run(self, cell: CellContext) -> CellResult:
        """Measure one cell. Raises UnsupportedError where there is no encoder, or more channels than a block has rows."""
        encoder, settings = cell.fitted.encoder, cell.settings
        if encoder is None:
            raise UnsupportedError(f"{cell.method.name} has no encoder")
        sizes = (settings.blocks, settings.train_codes, settings.test_codes)
        space = Space(encoder.space) if encoder.space in cell.generator.info.spaces else None
        steps = Steps(cell, 1 + len(settings.factors) * settings.blocks + (-(-settings.pairs // 8) + 1 if space else 0))
        codes = cell.generator.sample(stream_ids("test", settings.samples), seed=cell.seed)
        represented = _represent(cell, codes)
        steps()
        kept = alive(represented, parts_of(np.ones(len(codes), bool), *sizes))
        facts: dict[str, Any] = {
            "generator": [cell.generator.info.name, cell.generator.fingerprint[:SHA]],
            "judges": {},
            "channels": [len(kept), int(kept.sum())],
            "factors": {},
            "paths": {},
        }
        result = CellResult(facts=facts)
        for target in settings.factors:
            self._blocks(cell, target, codes, represented[:, kept], result, steps)
        self._paths(cell, space, result, steps)
        return result

    def _blocks(
        self, cell: CellContext, target: str, codes: Codes, represented: np.ndarray, result: CellResult, steps: Steps
    ) -> None:
        """Everything against the factors as judged or as true; a reason in the facts where there are none."""
        settings = cell.settings
        found = self._factors(cell, target, codes, result)
        if isinstance(found, str):
            result.facts["factors"][target] = {"reason": found}
            return
        sizes = (settings.blocks, settings.train_codes, settings.test_codes)
        factors, parts, left_out = usable(found, *sizes, protocol.CLASS_ROWS)
        facts: dict[str, Any] = {"reason": "", "names": list(factors.names), "left_out": left_out}
        result.facts["factors"][target] = facts
        if len(factors.names) < 2:
            lost = "; ".join(f"{name}: {why}" for name, why in left_out.items())
            facts["reason"] = f"fewer than two attributes can be asked about ({lost or 'the domain has no more'})"
            return
        arrays, unsettled = measure_blocks(represented, factors, parts, regressor=settings.regressor, progress=steps)
        read = sum(len(rows) for part in parts for rows in part)
        facts |= {"n": read, "n_failed": settings.samples - read, "unsettled": unsettled}
        result.arrays |= {f"{target}/{key}": values for key, values in arrays.items()}

    def _factors(self, cell: CellContext, target: str, codes: Codes, result: CellResult) -> Factors | str:
        """The factors, or why there are none."""
        attributes = cell.domain.info.attributes
        if target == JUDGED:
            judge = _judge(cell.domain, "attributes")
            if isinstance(judge, str):
                return judge
            result.facts["judges"]["attributes"] = [judge.name, judge.fingerprint[:SHA]]
            scores = cell.share("representation-judged", lambda: cell.passes.read({"attributes": judge}, codes))["attributes"]
            known = [a for a in attributes if a.name in judge.names]
            columns = [list(judge.names).index(a.name) for a in known]
            return factors_of(known, scores[:, columns].numpy(), protocol.CUT_JUDGED)
        assert target == TRUE
        names = list(cell.generator.factor_names)
        known = [a for a in attributes if a.name in names]
        if not known:
            return f"{cell.generator.info.name} does not know the factors behind its pictures"
        with torch.no_grad():
            truth = cell.generator.factors(codes).double().cpu().numpy()
        return factors_of(known, truth[:, [names.index(a.name) for a in known]], protocol.CUT_TRUE)

    def _paths(self, cell: CellContext, space: Space | None, result: CellResult, steps: Steps) -> None:
        """Path lengths and the Hessian penalty; in the facts, why where there are none."""
        why = result.facts["paths"]
        if space is None:
            reason = f"{cell.method.name} gives a representation that {cell.generator.info.name} cannot be driven by"
            why |= {one.key: reason for one in (protocol.FULL, protocol.END, protocol.HESSIAN)}
            return
        judge = _judge(cell.domain, "perceptual")
        if isinstance(judge, str):
            why |= {one.key: judge for one in (protocol.FULL, protocol.END)}
        else:
            result.facts["judges"]["perceptual"] = [judge.name, judge.fingerprint[:SHA]]
            lengths = path_lengths(cell, space, judge, steps)
            result.arrays |= {f"{PICTURES}/{key}": values for key, values in lengths.items()}
        result.arrays[f"{PICTURES}/{protocol.HESSIAN.key}"] = curvature(cell, space)
        steps()

    def measured(self, settings: pydantic.BaseModel, cells: Cells, seed: int) -> Iterator[Measured]:
        """Records of one (generator, method, variant), with intervals over blocks, pairs or codes (and fits)."""
        yield from measured_of(settings, cells, seed)


class Steps:
    """Tells the engine of every step done."""

    def __init__(self, cell: CellContext, total: int) -> None:
        self.tell: Callable[[int, int], None] = cell.progress
        self.total, self.done = total, 0
        self.tell(0, total)

    def __call__(self) -> None:
        self.done += 1
        self.tell(min(self.done, self.total), self.total)


def _represent(cell: CellContext, codes: Codes) -> np.ndarray:
    """The encoder's representations of all samples, float64 [N, D]."""
    found: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, len(codes), GROUP):
            part = codes[start : start + GROUP]
            found.append(cell.fitted.encoder.encode(part, lambda part=part: cell.passes.synthesize(part)).double().cpu())
    return torch.cat(found).numpy()


def _judge(domain: Domain, reading: str) -> Network | str:
    """The judge of a reading, or why there is none."""
    try:
        return domain.judge(reading)
    except UnsupportedError as error:
        return str(error)
