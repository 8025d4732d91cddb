"""The questions of one cell: a concept's units switched off and on, and what the judge sees then."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.tasks.base import CellContext, CellResult
from bench.tasks.dissection.plain import Plain, areas_of, random_areas, seen
from bench.tasks.dissection.protocol import CONTEXT_PRESENCE, LACKS, LEAST_CODES, LEAST_PRESENCE, STRIP_IDS

COLUMNS = ("unchanged", "off", "on")


class ConceptMeasure:
    """Measures one cell, concept by concept. Every concept is asked on the same test codes."""

    def __init__(self, cell: CellContext, plain: Plain) -> None:
        self.cell, self.plain, self.units = cell, plain, cell.fitted.units
        self.presence = plain.areas.mean(0)
        wanted = cell.settings.contexts
        common = [name for name, share in zip(plain.regions, self.presence, strict=True) if share >= CONTEXT_PRESENCE]
        self.contexts = list(common if wanted is None else wanted)
        self._unchanged: np.ndarray | None = None

    def measure(self, concept: str, result: CellResult) -> None:
        """Add what is asked of a concept to the result: arrays, facts and pictures."""
        facts = self._facts(concept)
        result.facts.setdefault("questions", {})[concept] = facts
        if facts["status"] != "ok":
            return
        region = self.plain.regions.index(concept)
        units = self.units.top(concept, self.cell.settings.ablate_units)
        facts["units"] = units.tolist()
        arrays, off = self._ablated(region, units)
        lacks = self.plain.areas[:, region] < LACKS * self.presence[region]
        facts["lacking"] = int(lacks.sum())
        on, shown = seen(self.cell, self.plain.codes, (self.units.insertion(concept, units),), STRIP_IDS)
        arrays |= {"lacks": lacks, "inserted": self._area(on, region)}
        if lacks.sum() >= LEAST_CODES:
            home = self.units.insertion(concept, units, self.plain.home(region))
            arrays["at_home"] = self._area(seen(self.cell, self.plain.codes, (home,))[0], region)
        for context in self.contexts:
            if context != concept:
                arrays |= self._at(concept, region, units, context)
        result.arrays |= {f"{concept}/{name}": array for name, array in arrays.items()}
        result.pictures[concept] = np.stack([self._shown(), off, as_bytes(shown)], 1)
        ids = self.plain.codes.ids[:STRIP_IDS].tolist()
        result.facts.setdefault("strips", {})[concept] = {"ids": ids, "columns": list(COLUMNS)}

    def _facts(self, concept: str) -> dict[str, Any]:
        """Whether the concept can be measured, and why not."""
        reason = ""
        if concept not in self.units.concepts:
            reason = f"the method knows no units of {concept}"
        elif self.presence[self.plain.regions.index(concept)] < LEAST_PRESENCE:
            reason = f"the judge sees hardly any {concept} in {len(self.plain.codes)} pictures"
        return {"status": "skipped" if reason else "ok", "reason": reason}

    def _ablated(self, region: int, units: Tensor) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Areas [n, C] without the units and without as many random ones; pixels that changed, and those of them that were the
        concept [n], in shares of the picture. And the first pictures."""
        before, plain = self.plain.classes, self.plain
        classes, shown = seen(self.cell, plain.codes, (self.units.ablation(units),), STRIP_IDS)
        changed = classes != before
        arrays = {
            "off": areas_of(classes, len(plain.regions)),
            "changed": changed.double().mean((1, 2)).numpy(),
            "changed_of": (changed & (before == region)).double().mean((1, 2)).numpy(),
            "random": random_areas(self.cell, plain, self.units.layer, len(units)).mean(0)[:, region],
        }
        return arrays, as_bytes(shown)

    def _at(self, concept: str, region: int, units: Tensor, context: str) -> dict[str, np.ndarray]:
        """The concept's area [n] with its units inserted at a cell of the context, NaN where a picture has none."""
        masks, known = self.plain.places(self.plain.regions.index(context), self.cell.seed)
        if not known.any():
            return {}
        rows = torch.from_numpy(np.flatnonzero(known))
        area = np.full(len(known), np.nan)
        one = self.units.insertion(concept, units, masks[rows])
        area[known] = self._area(seen(self.cell, self.plain.codes[rows], (one,))[0], region)
        return {f"at/{context}": area}

    @staticmethod
    def _area(classes: Tensor, region: int) -> np.ndarray:
        return (classes == region).double().mean((1, 2)).numpy()

    def _shown(self) -> np.ndarray:
        """The first pictures, unchanged."""
        if self._unchanged is None:
            self._unchanged = as_bytes(self.cell.passes.synthesize(self.plain.codes[:STRIP_IDS]))
        return self._unchanged


def as_bytes(images: Tensor) -> np.ndarray:
    """uint8 [N, R, R, 3] of pictures in [-1, 1]."""
    return ((images.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
