"""Faults of inverted codes: noise, the mean, too far out (the true code is known); and edits that do not commute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from bench.codes import Codes
from bench.tasks.validity import settings as rules
from bench.tasks.validity.damage import rounded
from bench.tasks.validity.lab import Lab, Series, over_levels
from metrics.identity import order_discrepancy
from metrics.inversion import (
    distance_to_mean,
    editability,
    latent_editing_consistency,
    mahalanobis,
    p_norm,
    reconstruction,
)
from metrics.plausibility import fit_vectors
from metrics.rescoring import signed_change

Spoil = Callable[[np.ndarray, np.ndarray, float], np.ndarray]

FAULTS: dict[str, Spoil] = {
    "inversion_noise": lambda codes, others, s: codes + s * rules.INVERSION_NOISE * others,
    "inversion_mean": lambda codes, others, s: codes * (1 - s),  # the mean of w is 0
    "inversion_outward": lambda codes, others, s: codes * (1 + s * rules.OUTWARD),
}
READ = ("attributes", "perceptual", "identity")


class Inversions:
    """True codes of pictures, and what an inverter with a known fault would give back."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.codes = lab.codes("edited", lab.settings.codes)
        self.true = self.codes.values.cpu().numpy()
        # Another error in the second inversion, after the edit.
        self.others, self.again = (
            lab.codes("others", len(self.codes), first).values.cpu().numpy() for first in (0, len(self.codes))
        )
        self.images = lab.pictures(self.codes)
        self.read = lab.read(self.images, READ)
        self.statistics = fit_vectors(lab.cloud)
        self.target = lab.settings.targets[0]
        self.column = lab.names.index(self.target)
        self.sampled = self._changes(self.true, self.read["attributes"])

    def _codes(self, values: np.ndarray) -> Codes:
        return self.codes.with_values(torch.from_numpy(values.astype(np.float32)).to(self.codes.values))

    def _lifted(self, values: np.ndarray) -> np.ndarray:
        """Codes after the true edit of the target."""
        normals = self.lab.normals(self._codes(values))
        normals[:, self.lab.truth.column(self.target)] += rules.STEP
        return self.lab.of_normals(normals, self.codes.ids).values.cpu().numpy()

    def _changes(self, values: np.ndarray, before: np.ndarray) -> np.ndarray:
        after = self.lab.read(self.lab.pictures(self._codes(self._lifted(values))), ("attributes",))["attributes"]
        return signed_change(before, after, self.lab.spreads[0])

    def metrics(self, spoil: Spoil, s: float) -> dict[str, np.ndarray]:
        values = spoil(self.true, self.others, s)
        rebuilt = rounded(self.lab.pictures(self._codes(values)))
        read = self.lab.read(rebuilt, READ)
        pairs = {name: (self.read[name], read[name]) for name in ("perceptual", "identity")}
        edited = self._lifted(values)
        returned = spoil(edited, self.again, s) - (edited - values)
        changes = self._changes(values, read["attributes"])
        edits = [editability(changes[rows], self.sampled[rows], self.column) for rows in self.lab.blocks()]
        return {
            **reconstruction(self.images.numpy(), rebuilt.numpy(), data_range=2, **pairs),
            "mahalanobis": mahalanobis(values, self.statistics),
            "p_norm": p_norm(values, self.statistics),
            "distance_to_mean": distance_to_mean(values, np.zeros(values.shape[1])),
            "latent_editing_consistency": latent_editing_consistency(values, returned),
            "editability_ratio": np.array([one.ratio for one in edits]),
            "editability_excess": np.array([one.excess for one in edits]),
        }


def measure_inversions(lab: Lab) -> Series:
    """Every metric of inverted codes under every fault."""
    inversions = Inversions(lab)

    def planted(spoil: Spoil):
        return lambda s: inversions.metrics(spoil, s)

    faults = {name: planted(spoil) for name, spoil in FAULTS.items()}
    return over_levels(lab, faults, inversions.metrics(FAULTS["inversion_mean"], 0.0))


def measure_order(lab: Lab) -> Series:
    """Two edits in both orders, where each one's step comes to depend on what the other changes."""
    codes, columns = lab.codes("edited", lab.settings.codes), lab.columns(lab.settings.targets[:2])
    judged = [lab.names.index(name) for name in lab.settings.targets[:2]]
    normals, sigma = lab.normals(codes), lab.spreads[0]

    def measured(s: float) -> dict[str, np.ndarray]:
        scores = []
        for order in (columns, columns[::-1]):
            edited = normals.copy()
            for mine, other in (order, order[::-1]):
                edited[:, mine] += rules.STEP * (1 + s * rules.ORDER * np.tanh(edited[:, other]))
            found = lab.read(lab.pictures(lab.of_normals(edited, codes.ids)), ("attributes",))["attributes"]
            scores.append(found[:, judged] / sigma[judged])
        return {"edit_consistency": order_discrepancy(np.stack(scores)).mean(1)}

    return over_levels(lab, {"edit_order": measured}, measured(0.0))
