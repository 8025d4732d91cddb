"""The arrays of one question: everything that judges and guide said of its test codes, along strengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.cards import DomainInfo
from bench.tasks.editing.judged import GUIDE
from bench.tasks.editing.pool import Pool
from bench.tasks.editing.protocol import SIGNS
from metrics.effects import identity_cosine
from metrics.perceptual import squared_distance
from metrics.rescoring import signed_change


@dataclass(frozen=True)
class Question:
    """One (target, sign) that can be asked, or a sequence of targets: where it is tested and how far.

    targets: one, or those of a sequence in order. direction: the strength's sign. rows: of the pool. strengths: [S + 1] from 0 to
    the edge, in the editor's own unit (a sequence's are the numbers of its targets' strengths).
    """

    targets: tuple[str, ...]
    sign: str
    direction: int
    rows: Tensor
    strengths: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)


def question_arrays(
    domain: DomainInfo, pool: Pool, one: Question, readings: Sequence[dict[str, Tensor]]
) -> dict[str, np.ndarray]:
    """Arrays by name, strength 0 from the pool's own reading; see quantities.Samples for what is made of them.

    ids [n], strengths [S]; change [n, S, A] in sigma, a row NaN where the judge could not read; guide [n, S], the guide's change
    of the targets the way asked, in its own sigma; identity, perceptual [n, S] and features_after [n, S - 1, D] where there is a
    judge of them.
    """
    columns = [domain.names.index(target) for target in one.targets]
    sigma, guide_sigma = pool.sigma.numpy(), pool.guide_sigma.numpy()[columns]
    before = {name: values[one.rows].numpy() for name, values in pool.readings.items()}
    after = {name: np.stack([reading[name].numpy() for reading in readings], 1) for name in before}
    curve = {name: np.concatenate([before[name][:, None], after[name]], 1) for name in before}
    arrays = {"ids": pool.codes.ids[one.rows].numpy(), "strengths": one.strengths}
    change = signed_change(curve["attributes"][:, :1], curve["attributes"], sigma)
    arrays["change"] = np.where(np.isfinite(change).all(2, keepdims=True), change, np.nan).astype(np.float32)
    guide = curve[GUIDE][:, :, columns].astype(np.float64)
    arrays["guide"] = (SIGNS[one.sign] * (guide - guide[:, :1]) / guide_sigma).mean(2).astype(np.float32)
    steps = range(len(one.strengths))
    for name, distance in (("identity", identity_cosine), ("perceptual", squared_distance)):
        if name in curve:
            values = [distance(curve[name][:, 0], curve[name][:, s]) for s in steps]
            arrays[name] = np.stack(values, 1).astype(np.float32)
    if "features" in after:
        arrays["features_after"] = after["features"].astype(np.float32)
    return arrays


def as_bytes(images: Tensor) -> np.ndarray:
    """uint8 [N, R, R, 3] of pictures in [-1, 1]."""
    return ((images.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
