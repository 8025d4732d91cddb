"""Faults of the map from codes to factors: rippled, bent, collapsed; smoothness metrics of the pictures along it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bench.tasks.validity import settings as rules
from bench.tasks.validity.lab import Lab, Series, over_levels
from metrics.disentanglement import filtered_mean, hessian_penalty, perceptual_path_length
from metrics.perceptual import squared_distance

Bend = Callable[[np.ndarray, float], np.ndarray]


def rough(normals: np.ndarray, s: float) -> np.ndarray:
    """Each factor alone: its step swells and shrinks along the way."""
    return normals + s * rules.RIPPLE * np.sin(rules.WAVES * normals)


def bent(normals: np.ndarray, s: float) -> np.ndarray:
    """Each factor's step depends on its neighbour."""
    return normals * (1 + s * rules.RIPPLE * np.sin(rules.WAVES * np.roll(normals, 1, axis=1)))


def collapse(normals: np.ndarray, s: float) -> np.ndarray:
    return normals * (1 - s * rules.COLLAPSE)


BENDS: dict[str, Bend] = {"map_rough": rough, "map_bent": bent, "map_collapse": collapse}


class Paths:
    """Codes between which paths run: here a code is a row of normals, which a bend turns into the normals that are rendered."""

    def __init__(self, lab: Lab) -> None:
        self.lab, count = lab, lab.settings.codes
        self.start, self.end = (torch.from_numpy(lab.normals(lab.codes("paths", count, first))) for first in (0, count))
        self.t = torch.from_numpy(lab.rng("paths").random(count, dtype=np.float32))

    def _pictures(self, bend: Bend, s: float, codes: np.ndarray) -> Tensor:
        return self.lab.pictures(self.lab.of_normals(bend(codes, s), torch.arange(len(codes))))

    def metrics(self, bend: Bend, s: float) -> dict[str, np.ndarray]:
        """Path length and Hessian penalty of the pictures, one value a block of codes."""

        def distance(a: Tensor, b: Tensor) -> Tensor:
            first, second = (self.lab.read(one, ("perceptual",))["perceptual"] for one in (a, b))
            return torch.from_numpy(squared_distance(first, second))

        lengths = perceptual_path_length(
            lambda codes: self._pictures(bend, s, codes.numpy()), distance, self.start, self.end, t=self.t, epsilon=rules.EPSILON
        ).distances
        curved = [
            hessian_penalty(
                lambda codes: self._pictures(bend, s, codes).double().numpy(),
                self.start.numpy()[rows[::2]],
                epsilon=rules.HESSIAN_STEP,
                reduction="mean",
                seed=self.lab.cell.seed,
            )
            for rows in self.lab.blocks()
        ]
        return {
            "ppl": np.array([filtered_mean(lengths[rows]) for rows in self.lab.blocks()]),
            "hessian_penalty": np.array(curved),
        }


def measure_maps(lab: Lab) -> Series:
    """Smoothness metrics under every bend."""
    paths = Paths(lab)

    def planted(bend: Bend):
        return lambda s: paths.metrics(bend, s)

    return over_levels(lab, {name: planted(bend) for name, bend in BENDS.items()}, paths.metrics(rough, 0.0))
