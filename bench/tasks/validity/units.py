"""Faults of units and interventions: activations that follow true segmentation, spoilt; interventions on a true concept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.codes import Codes
from bench.tasks.validity import settings as rules
from bench.tasks.validity.lab import Lab, Series, over_levels
from metrics.localisation import ablation_effect, best_labels, causal_effect, insertion_effect, unit_iou

# Share of the pictures in which the intervention fails at severity 1.
FAILS = 0.8
# Concepts of units: classes of a size that the quantile can cut out.
LARGEST, CONCEPTS = 0.08, 5

Spoil = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def permuted(maps: np.ndarray, s: float, rng: np.random.Generator) -> np.ndarray:
    moved = rng.permutation(maps.shape[1])[: round(s * maps.shape[1])]
    order = np.arange(maps.shape[1])
    order[moved] = np.roll(moved, 1)
    return maps[:, order]


FAULTS: dict[str, Spoil] = {
    "units_shift": lambda maps, s, rng: np.roll(maps, round(s * rules.UNIT_SHIFT), axis=3),
    "units_noise": lambda maps, s, rng: maps + s * rules.UNIT_NOISE * rng.standard_normal(maps.shape),
    "units_mix": lambda maps, s, rng: maps + s * rules.UNIT_MIX * (np.roll(maps, 1, axis=1) - maps),
    "units_permutation": permuted,
    "units_scaling": lambda maps, s, rng: maps * (1 + 9 * s),
}


def measure_units(lab: Lab) -> Series:
    """The IoU of spoilt units with their concepts, and effects of spoilt interventions, one value a block of codes."""
    codes = lab.codes("edited", lab.settings.codes)
    classes = lab.truth.segmentation(codes).cpu().numpy()
    return {**_units(lab, classes), **_interventions(lab, codes)}


def _units(lab: Lab, classes: np.ndarray) -> Series:
    labels = len(lab.domain.info.regions)
    share = np.array([(classes == label).mean() for label in range(labels)])
    share[0] = 1.0  # label 0 is no concept to unit_iou
    order = np.argsort(-np.where(share <= LARGEST, share, -1.0), kind="stable")
    concepts = [label for label in order[:CONCEPTS] if 0 < share[label] <= LARGEST]
    step = classes.shape[1] // rules.UNIT_SIDE
    masks = np.stack([classes == label for label in concepts], 1).astype(np.float64)
    maps = masks.reshape(*masks.shape[:2], rules.UNIT_SIDE, step, rules.UNIT_SIDE, step).mean((3, 5))

    def measured(name: str):
        def one(s: float) -> dict[str, np.ndarray]:
            spoilt = FAULTS[name](maps, s, lab.rng(name))
            found = []
            for rows in lab.blocks():
                iou = unit_iou(spoilt[rows], classes[rows], quantile=rules.UNIT_QUANTILE, labels=labels)
                found.append(best_labels(iou)[1].mean())
            return {"unit_iou": np.array(found)}

        return one

    return over_levels(lab, {name: measured(name) for name in FAULTS}, measured("units_scaling")(0.0))


def _interventions(lab: Lab, codes: Codes) -> Series:
    """The concept forced on and off in every picture; presence is read off the true segmentation."""
    count, label = len(codes), lab.domain.info.regions.index(lab.settings.concept)
    normals = lab.normals(codes)
    concept, other = lab.columns((lab.settings.concept, lab.settings.spill))
    hit_order = lab.rng("interventions").permutation(count)

    def presence(value: float, spilt: np.ndarray) -> np.ndarray:
        """Share of the concept's pixels [N] with its normal at `value`; the other concept is off where `spilt`."""
        forced = normals.copy()
        forced[:, concept] = value
        forced[spilt, other] = -rules.CERTAIN
        seen = lab.truth.segmentation(lab.of_normals(forced, codes.ids)).cpu().numpy()
        return (seen == label).mean((1, 2))

    nowhere = np.zeros(count, bool)
    on, off = presence(rules.CERTAIN, nowhere), presence(-rules.CERTAIN, nowhere)

    def hit(share: float) -> np.ndarray:
        return np.isin(np.arange(count), hit_order[: round(share * count)])

    def effects(ablated: np.ndarray, inserted: np.ndarray) -> dict[str, np.ndarray]:
        rows = lab.blocks()
        return {
            "ablation_effect": np.array([ablation_effect(on[r], ablated[r]) for r in rows]),
            "insertion_effect": np.array([insertion_effect(off[r], inserted[r])[0] for r in rows]),
            "causal_effect": np.array([causal_effect(inserted[r], ablated[r], on[r]) for r in rows]),
        }

    def weak(s: float) -> dict[str, np.ndarray]:
        failed = hit(s * FAILS)
        return effects(np.where(failed, on, off), np.where(failed, off, on))

    def spill(s: float) -> dict[str, np.ndarray]:
        return effects(presence(-rules.CERTAIN, hit(s)), presence(rules.CERTAIN, hit(s)))

    return over_levels(lab, {"intervention_weak": weak, "intervention_spill": spill}, effects(off, on))
