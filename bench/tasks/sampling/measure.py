"""The questions of one cell: samples drawn under what is asked, and read, as the arrays behind every number."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.bank import stream_ids
from bench.codes import Codes
from bench.errors import InputError, LatentbenchError
from bench.streams import stream_seed
from bench.tasks.base import CellContext, CellResult
from bench.tasks.editing.protocol import SIGNS, key_of
from bench.tasks.sampling.arithmetic import pairwise_distance
from bench.tasks.sampling.plain import Plain, find_judges, judged, read
from bench.tasks.sampling.protocol import STRIP_IDS


class QuestionMeasure:
    """Measures one cell, question by question. Every question draws the same ids under the same seed.

    What samples of one id have in common under different questions is then the sampler's own doing, and pictures side by side
    show it.
    """

    def __init__(self, cell: CellContext, plain: Plain) -> None:
        self.cell, self.plain, self.names = cell, plain, judged(cell.domain)
        self.judges = find_judges(cell.domain)[0]
        self.ids = stream_ids("test", cell.settings.samples)
        self.seed = stream_seed("sampling", cell.seed, cell.method.fit_seed)
        self._unasked: np.ndarray | None = None

    def measure(self, target: str, result: CellResult) -> None:
        """Add both questions of a target to the result: arrays, facts and pictures."""
        shown: dict[str, np.ndarray] = {}
        for sign in SIGNS:
            key = key_of(target, sign)
            facts = self._facts(target, sign)
            result.facts.setdefault("questions", {})[key] = facts
            if facts["status"] != "ok":
                continue
            start = time.perf_counter()
            codes = self._draw({target: SIGNS[sign] * self.cell.settings.asked})
            # Time differs from run to run: it is a fact, and never among the values.
            result.facts.setdefault("seconds", {})[key] = (time.perf_counter() - start) / len(codes)
            images = self.cell.passes.synthesize(codes)
            if not bool(images.isfinite().all()):
                raise LatentbenchError(f"{self.cell.method.name} gives codes whose pictures are not finite")
            result.arrays |= {f"{key}/{name}": array for name, array in self._arrays(target, sign, images).items()}
            shown[sign] = as_bytes(images[:STRIP_IDS])
        if shown:
            columns = [(-1.0, shown.get("-")), (0.0, self._without()), (1.0, shown.get("+"))]
            columns = [(at * self.cell.settings.asked, pictures) for at, pictures in columns if pictures is not None]
            result.pictures[target] = np.stack([pictures for _, pictures in columns], 1)
            strip = {"ids": self.ids[:STRIP_IDS].tolist(), "strengths": [at for at, _ in columns]}
            result.facts.setdefault("strips", {})[target] = strip

    def _facts(self, target: str, sign: str) -> dict[str, Any]:
        """Whether the question can be asked, and why not."""
        sampler, plain = self.cell.fitted.sampler, self.plain
        reason = ""
        if target not in sampler.targets:
            reason = "the method has no such target"
        elif target not in self.names:
            reason = f"the judge does not score {target}"
        elif target in self.cell.generator.lost:
            reason = self.cell.generator.lost[target]
        elif not np.isfinite(plain.sigma[self.names.index(target)]):
            reason = f"the judge sees no {target} change over {len(plain.scores)} samples"
        elif plain.has(plain.scores[:, self.names.index(target)], self.names.index(target), sign).all():
            reason = "every sample has it without being asked"
        return {"status": "skipped" if reason else "ok", "reason": reason}

    def _draw(self, asked: dict[str, float]) -> Codes:
        with torch.no_grad(), self.cell.passes.clock.measure("sampling"):
            codes = self.cell.fitted.sampler.sample(asked, self.ids, seed=self.seed).to("cpu")
        if len(codes) != len(self.ids):
            raise InputError(f"{self.cell.method.name} gives {len(codes)} samples where {len(self.ids)} were asked for")
        if not bool(codes.values.isfinite().all()):
            raise LatentbenchError(f"{self.cell.method.name} gives codes that are not finite")
        return codes

    def _without(self) -> np.ndarray:
        """Pictures of the first ids where nothing is asked."""
        if self._unasked is None:
            self._unasked = as_bytes(self.cell.passes.synthesize(self._draw({})[:STRIP_IDS]))
        return self._unasked

    def _arrays(self, target: str, sign: str, images: Tensor) -> dict[str, np.ndarray]:
        """scores [n, A], distance [n, n], features [n, F] of the samples; accepted: rows of the plain samples that have what was
        asked, at most n, and their distances."""
        found, plain, column = read(self.cell, self.judges, images), self.plain, self.names.index(target)
        arrays = {"scores": found["attributes"].astype(np.float32)}
        accepted = np.flatnonzero(plain.has(plain.scores[:, column], column, sign))[: len(images)]
        arrays["accepted"] = accepted
        if "perceptual" in found and plain.distance is not None:
            arrays["distance"] = pairwise_distance(found["perceptual"]).astype(np.float32)
            arrays["accepted_distance"] = plain.distance[np.ix_(accepted, accepted)]
        if "features" in found:
            arrays["features"] = found["features"].astype(np.float32)
        return arrays


def as_bytes(images: Tensor) -> np.ndarray:
    """uint8 [N, R, R, 3] of pictures in [-1, 1]."""
    return ((images.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
