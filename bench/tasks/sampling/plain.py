"""Unconditioned samples, which every cell of one generator shares: base rates, spreads, the reference, what a judge accepts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.bank import stream_ids
from bench.domains.base import Domain, Network
from bench.tasks.base import CellContext
from bench.tasks.editing.pool import spread
from bench.tasks.editing.protocol import SIGNS, is_binary
from bench.tasks.judges import judges_for
from bench.tasks.sampling.arithmetic import has_asked, pairwise_distance, readable_mean_distance
from bench.tasks.sampling.protocol import PLAIN, READINGS, REFERENCE


def find_judges(domain: Domain) -> tuple[dict[str, Network], dict[str, str]]:
    """The judges of this task by reading, and for every other reading why there is none.

    Raises UnsupportedError where there is none for attributes: nothing else says what a sample has.
    """
    domain.judge("attributes")
    return judges_for(domain, READINGS)


def judged(domain: Domain) -> list[str]:
    """The attributes of the card that the judge scores, in the card's order."""
    known = set(domain.judge("attributes").names)
    return [name for name in domain.info.names if name in known]


def read(cell: CellContext, judges: dict[str, Network], images: Tensor) -> dict[str, np.ndarray]:
    """What judges say of pictures, reading -> [N, ...]; attributes in the order of `judged`."""
    found = cell.passes.measure(judges, images)
    if "attributes" in found:
        names = list(judges["attributes"].names)
        found["attributes"] = found["attributes"][:, [names.index(name) for name in judged(cell.domain)]]
    return {name: values.numpy() for name, values in found.items()}


@dataclass(frozen=True)
class Plain:
    """P unconditioned samples. scores: [P, A] of the judge. sigma, median, mean: [A] float64; sigma is inf of what never changes.

    distance: [P, P] perceptual, features: [P, F], reference: [M, F] of another stream; None without their judge.
    apart: the mean distance of two of these samples.
    """

    scores: np.ndarray
    sigma: np.ndarray
    median: np.ndarray
    rules: tuple[str, ...]
    binary: tuple[bool, ...]
    distance: np.ndarray | None
    features: np.ndarray | None
    reference: np.ndarray | None

    @property
    def mean(self) -> np.ndarray:
        """[A], of the samples that could be read."""
        return np.nanmean(np.where(np.isfinite(self.scores), self.scores, np.nan).astype(np.float64), 0)

    @property
    def apart(self) -> float:
        return float("nan") if self.distance is None else readable_mean_distance(self.distance)

    def has(self, scores: np.ndarray, column: int, sign: str) -> np.ndarray:
        """Which of the scores [N] of one attribute are what its question asks for, bool [N]."""
        spread_, middle = float(self.sigma[column]), float(self.median[column])
        return has_asked(scores, SIGNS[sign], binary=self.binary[column], median=middle, sigma=spread_)


def load_plain(cell: CellContext) -> Plain:
    """The unconditioned samples of a cell's generator, made and read once for all cells."""
    judges, _ = find_judges(cell.domain)
    names = judged(cell.domain)
    found = cell.share("sampling-plain", lambda: _read_plain(cell, judges))
    scores = found["attributes"].numpy()
    binary = tuple(is_binary(cell.domain.info.attribute(name)) for name in names)
    pairs = [spread(found["attributes"][:, i], kind) for i, kind in enumerate(binary)]
    median = np.nanmedian(np.where(np.isfinite(scores), scores, np.nan).astype(np.float64), 0)
    reference = cell.share("sampling-reference", lambda: _read_reference(cell, judges)).get("features")
    parts = {name: found[name].numpy() if name in found else None for name in ("distance", "features")}
    sigma, rules = np.array([one for one, _ in pairs]), tuple(rule for _, rule in pairs)
    return Plain(scores, sigma, median, rules, binary, **parts, reference=None if reference is None else reference.numpy())


def _read_plain(cell: CellContext, judges: dict[str, Network]) -> dict[str, Tensor]:
    codes = cell.generator.sample(stream_ids("test", PLAIN * cell.settings.samples), seed=cell.seed)
    parts = []
    for start in range(0, len(codes), cell.passes.group):
        parts.append(read(cell, judges, cell.passes.synthesize(codes[start : start + cell.passes.group])))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if "perceptual" in found:  # its vectors are long: only their distances are kept
        found["distance"] = pairwise_distance(found.pop("perceptual")).astype(np.float32)
    return {name: torch.from_numpy(values) for name, values in found.items()}


def _read_reference(cell: CellContext, judges: dict[str, Network]) -> dict[str, Tensor]:
    if "features" not in judges:
        return {}
    codes = cell.generator.sample(stream_ids("reference", REFERENCE), seed=cell.seed)
    found = cell.passes.read({"features": judges["features"]}, codes)["features"]
    return {"features": found[found.isfinite().all(1)]}
