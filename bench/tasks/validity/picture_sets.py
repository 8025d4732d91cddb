"""Faults of pictures and of sets of pictures: damage, a lost mode, truncation, copies; distances of sets and of pairs."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bench.codes import Codes
from bench.tasks.editing.protocol import is_binary
from bench.tasks.validity import settings as rules
from bench.tasks.validity.damage import blurred, brighter, noisy, rounded, shifted
from bench.tasks.validity.lab import Lab, Readings, Series, over_levels
from metrics.distribution import density_coverage, fid, inception_score, kid, precision_recall, sliced_wasserstein_levels
from metrics.effects import identity_cosine
from metrics.perceptual import ms_ssim, mse, psnr, squared_distance, ssim

Damage = Callable[[Tensor, float, np.random.Generator], Tensor]
DAMAGE: dict[str, Damage] = {
    "pictures_blur": lambda images, s, rng: blurred(images, s * rules.BLUR),
    "pictures_noise": lambda images, s, rng: noisy(images, s * rules.PIXEL_NOISE, rng),
    "pictures_brightness": lambda images, s, rng: brighter(images, s * rules.BRIGHTNESS),
    "pictures_shift": lambda images, s, rng: shifted(images, round(s * rules.SHIFT)),
}
SETS = ("set_mode", "set_truncation", "set_copies")
READ = ("features", "attributes")
SET_METRICS = ("fid", "kid", "precision", "recall", "density", "coverage", "sliced_wasserstein", "inception_score")


class Pool:
    """One block's codes: twice as many as a set has, so that enough are left without the mode."""

    def __init__(self, lab: Lab, block: int) -> None:
        self.lab, self.block, self.size = lab, block, lab.settings.set_codes
        count = 2 * self.size
        self.codes = lab.codes("sets", count, block * count)
        self.normals = lab.normals(self.codes)
        on = lab.truth.factors(self.codes).cpu().numpy()[:, lab.truth.column(lab.settings.mode)] > 0.5
        self.mode, self.rest = np.flatnonzero(on), np.flatnonzero(~on)
        self.images = lab.pictures(self.codes)
        self.readings = lab.read(self.images, READ)

    def rows(self, rows: np.ndarray) -> tuple[Tensor, Readings]:
        """Pictures and readings of these rows."""
        return self.images[torch.from_numpy(rows)], {name: values[rows] for name, values in self.readings.items()}

    def read(self, images: Tensor) -> tuple[Tensor, Readings]:
        return images, self.lab.read(images, READ)

    def damaged(self, name: str, s: float) -> tuple[Tensor, Readings]:
        return self.read(DAMAGE[name](self.images[: self.size], s, self.lab.rng(name, self.block)))

    def mode_dropped(self, s: float) -> tuple[Tensor, Readings]:
        """The first pictures, of which a share s of those with the mode gave way to further ones without it."""
        keep, spare = np.arange(self.size), self.rest[self.rest >= self.size]
        gone = self.mode[self.mode < self.size]
        gone = gone[: round(s * len(gone))]
        if len(gone) > len(spare):
            raise ValueError(f"{len(spare)} pictures without {self.lab.settings.mode} cannot stand in for {len(gone)} with it")
        keep[gone] = spare[: len(gone)]
        return self.rows(keep)

    def truncated(self, s: float) -> tuple[Tensor, Readings]:
        codes: Codes = self.lab.of_normals(self.normals[: self.size] * (1 - s * rules.TRUNCATION), self.codes.ids[: self.size])
        return self.read(self.lab.pictures(codes))

    def copied(self, s: float) -> tuple[Tensor, Readings]:
        """The first pictures, of which a share is overwritten with copies of the first few."""
        rows, rng = np.arange(self.size), self.lab.rng("copies", self.block)
        few = max(1, round(rules.ORIGINALS * self.size))
        hit = (few + rng.permutation(self.size - few))[: round(s * rules.COPIES * (self.size - few))]
        rows[hit] = rng.integers(few, size=len(hit))
        return self.rows(rows)


def measure_pictures(lab: Lab) -> Series:
    """Distances of sets under every fault, one value a block, and of pairs under damage, one value a picture."""
    each = [_sets(lab, Pool(lab, block)) for block in range(lab.settings.set_blocks)]
    return {**{key: np.concatenate([one[key] for one in each]) for key in each[0]}, **_pairs(lab)}


def _sets(lab: Lab, pool: Pool) -> Series:
    special = dict(zip(SETS, (pool.mode_dropped, pool.truncated, pool.copied), strict=True))

    def damage(name: str):
        return lambda s: set_metrics(lab, *pool.damaged(name, s))

    def other(name: str):
        return lambda s: set_metrics(lab, *special[name](s))

    faults = {**{name: damage(name) for name in DAMAGE}, **{name: other(name) for name in SETS}}
    return over_levels(lab, faults, set_metrics(lab, *pool.rows(np.arange(pool.size))))


def set_metrics(lab: Lab, images: Tensor, readings: Readings) -> dict[str, np.ndarray]:
    """Metric -> [1]: distances of one set of pictures from the reference."""
    real_images, real = lab.reference
    features = readings["features"].astype(np.float64)
    near, held = precision_recall(features, real), density_coverage(features, real)
    count = min(rules.SLICED_IMAGES, len(images))
    slices = {"seed": lab.cell.seed, "patches": rules.PATCHES, "directions": rules.SLICES}
    bands = sliced_wasserstein_levels(images[:count], real_images[:count], **slices)
    found = {
        "fid": fid(features, real),
        "kid": kid(features, real, subsets=1, subset_size=len(features), seed=lab.cell.seed),
        "precision": near.precision,
        "recall": near.recall,
        "density": held.density,
        "coverage": held.coverage,
        "sliced_wasserstein": float(np.mean(list(bands.values()))),
        "inception_score": inception_score(class_logits(lab, readings["attributes"]), splits=1).mean,
    }
    return {name: np.array([value]) for name, value in found.items()}


def class_logits(lab: Lab, scores: np.ndarray) -> np.ndarray:
    """Logits [N, 2^B] of every combination of the B binary attributes, whose softmax is the product of their sigmoids."""
    binary = [a for a, attribute in enumerate(lab.domain.info.attributes) if is_binary(attribute)]
    on = np.array(list(itertools.product((0.0, 1.0), repeat=len(binary))))
    return scores[:, binary].astype(np.float64) @ on.T


def _pairs(lab: Lab) -> Series:
    images = lab.pictures(lab.codes("edited", lab.settings.codes))
    read = lab.read(images, ("perceptual", "identity"))

    def measured(name: str):
        return lambda s: pair_metrics(lab, images, read, DAMAGE[name](images, s, lab.rng(name, "pairs")))

    return over_levels(lab, {name: measured(name) for name in DAMAGE}, pair_metrics(lab, images, read, images))


def pair_metrics(lab: Lab, images: Tensor, read: Readings, damaged: Tensor) -> dict[str, np.ndarray]:
    """Metric -> [N]: distances of pictures from what damage made of them, as files of 8 bits hold it."""
    damaged = rounded(damaged)  # PSNR would have no finite value where nothing is damaged
    again = lab.read(damaged, ("perceptual", "identity"))
    a, b = images.numpy(), damaged.numpy()
    return {
        "mse": mse(a, b),
        "psnr": psnr(a, b, data_range=2),
        "ssim": ssim(a, b, data_range=2),
        "ms_ssim_3": ms_ssim(a, b, data_range=2, betas=rules.SCALES),
        "perceptual": squared_distance(read["perceptual"], again["perceptual"]),
        "identity": identity_cosine(read["identity"], again["identity"]),
    }

