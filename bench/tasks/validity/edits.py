"""Faults of edits: the oracle's edits of several targets, spoilt in known ways; every spoilt picture is rendered once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from bench.bank import STREAM_START
from bench.codes import Codes
from bench.tasks.validity import settings as rules
from bench.tasks.validity.damage import blurred, fooling_direction
from bench.tasks.validity.edit_metrics import Before, Edited, edit_metrics
from bench.tasks.validity.lab import READINGS, Lab, Readings, Series, over_levels
from methods.base import Request

HALF = ("attributes", "identity")


@dataclass(frozen=True)
class Base:
    """The true edits. codes: in w, [N]. values: target -> a code's values at each part of the step, [S, N, D]."""

    codes: Codes
    values: dict[str, np.ndarray]


class Edits:
    """Plants every fault of the family `edits`."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.targets = lab, lab.settings.targets
        self.codes = lab.codes("edited", lab.settings.codes)
        self.others = lab.codes("others", lab.settings.codes)
        self.images = lab.pictures(self.codes)
        self.before = self._before()

    def _before(self) -> Before:
        lab = self.lab
        readings = lab.read(self.images, READINGS)
        sigma, guide_sigma = lab.spreads
        masks = self.lab.truth.segmentation(self.codes).cpu().numpy()
        regions = {}
        for target in self.targets:
            classes = [lab.domain.info.regions.index(name) for name in lab.domain.info.attribute(target).region]
            full = self.codes.with_values(torch.from_numpy(self.base.values[target][-1]).to(self.codes.values))
            after = self.lab.truth.segmentation(full).cpu().numpy()
            regions[target] = (np.isin(masks, classes) | np.isin(after, classes)).astype(np.float64)
        texts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        if "text_image" in lab.judges:
            for target in self.targets:
                low, high = lab.judges["text_image"].encode_text(lab.domain.info.attribute(target).prompts).cpu().numpy()
                texts[target] = (low, high)
        return Before(
            names=tuple(lab.names),
            targets=self.targets,
            readings=readings,
            guide=lab.guided(self.images),
            images=self.images.numpy(),
            sigma=sigma,
            guide_sigma=guide_sigma,
            reference=lab.reference[1],
            regions=regions,
            texts=texts,
            blocks=lab.blocks(),
        )

    @cached_property
    def base(self) -> Base:
        return Base(self.codes, {target: self._steps(target, 1.0) + self._start for target in self.targets})

    @property
    def _start(self) -> np.ndarray:
        return self.codes.values.cpu().numpy()

    def _steps(self, target: str, size: float) -> np.ndarray:
        """What the oracle's editor adds to the codes at each part of `size` times the full step, [S, N, D]."""
        path = self.lab.cell.fitted.editor.path(self.codes, [Request(target)], seed=self.lab.cell.seed)
        return np.stack([path.at(f * size * rules.STEP).codes.values.cpu().numpy() - self._start for f in rules.FRACTIONS])

    def _moved(self, name: str, size: float) -> np.ndarray:
        """Steps that lift any factor's normal, by the true map, [S, N, D]."""
        normals = self.lab.normals(self.codes)
        out = []
        for part in rules.FRACTIONS:
            lifted = normals.copy()
            lifted[:, self.lab.truth.column(name)] += part * size * rules.STEP
            out.append(self.lab.of_normals(lifted, self.codes.ids).values.cpu().numpy() - self._start)
        return np.stack(out)

    # Pictures and what is read off them.

    def shown(self, values: Mapping[str, np.ndarray]) -> dict[str, Edited]:
        """The edits of these codes, target -> values [S, N, D], rendered in one go and read."""
        stacked = torch.from_numpy(np.concatenate([values[t].reshape(-1, values[t].shape[-1]) for t in self.targets])).float()
        ids = STREAM_START["calibrate"] + torch.arange(len(stacked))
        images = self.lab.pictures(Codes(self.codes.space, stacked.to(self.codes.values), ids))
        return self.read(images.view(len(self.targets), len(rules.FRACTIONS), len(self.codes), *images.shape[1:]))

    def read(self, images: Tensor) -> dict[str, Edited]:
        """What judges and the guide say of pictures [T, S, N, 3, R, R]."""
        full = images[:, -1]
        most, guide = self._read(full, READINGS), self._guided(full)
        parts = [self._read(images[:, s], HALF) for s in range(images.shape[1] - 1)]
        found = {}
        for t, target in enumerate(self.targets):
            path = [{name: part[name][t] for name in part} for part in parts]
            path.append({name: values[t] for name, values in most.items()})
            found[target] = Edited(tuple(path), guide[t], full[t].numpy())
        return found

    def _read(self, images: Tensor, readings: tuple[str, ...]) -> Readings:
        found = self.lab.read(images.flatten(0, 1), readings)
        return {name: values.reshape(*images.shape[:2], *values.shape[1:]) for name, values in found.items()}

    def _guided(self, images: Tensor) -> np.ndarray:
        return self.lab.guided(images.flatten(0, 1)).reshape(*images.shape[:2], -1)

    # Faults. Each gives the edits at a severity.

    @cached_property
    def true_images(self) -> Tensor:
        """The true edits' pictures, [T, S, N, 3, R, R]: damage to pictures starts from them."""
        flat = np.concatenate([self.base.values[t].reshape(-1, self._start.shape[1]) for t in self.targets])
        ids = STREAM_START["calibrate"] + torch.arange(len(flat))
        images = self.lab.pictures(Codes(self.codes.space, torch.from_numpy(flat).to(self.codes.values), ids))
        return images.view(len(self.targets), len(rules.FRACTIONS), len(self.codes), *images.shape[1:])

    @cached_property
    def true(self) -> dict[str, Edited]:
        return self.read(self.true_images)

    def rotation(self, s: float) -> dict[str, Edited]:
        angle, values = np.deg2rad(s * rules.ROTATION), {}
        for target in self.targets:
            step = self._steps(target, 1.0)
            length = np.linalg.norm(step, axis=-1, keepdims=True)
            along = step / length
            drawn = self.lab.rng("rotation", target).standard_normal(step.shape[-1]).astype(np.float32)
            across = drawn - (along @ drawn)[..., None] * along
            across /= np.linalg.norm(across, axis=-1, keepdims=True)
            values[target] = self._start + length * (np.cos(angle) * along + np.sin(angle) * across)
        return self.shown(values)

    def leak(self, s: float) -> dict[str, Edited]:
        other = self._moved(self.lab.settings.leak, s)
        return self.shown({target: self.base.values[target] + other for target in self.targets})

    def shrink(self, s: float) -> dict[str, Edited]:
        return self.shown({target: self._start + self._steps(target, 1 - s * rules.SHRINK) for target in self.targets})

    def noise(self, s: float) -> dict[str, Edited]:
        parts = np.array(rules.FRACTIONS, np.float32)[:, None, None]
        added = s * rules.CODE_NOISE * parts * self.others.values.cpu().numpy()
        return self.shown({target: self.base.values[target] + added for target in self.targets})

    def identity(self, s: float) -> dict[str, Edited]:
        columns = self.lab.columns(self.lab.truth.identity)
        strangers, values = self.lab.normals(self.others)[:, columns], {}
        for target in self.targets:
            each = []
            for part, edited in zip(rules.FRACTIONS, self.base.values[target], strict=True):
                codes = self.codes.with_values(torch.from_numpy(edited).to(self.codes.values))
                normals, angle = self.lab.normals(codes), s * part * np.pi / 2
                # A quarter turn: normals of two people keep their distribution on the way.
                normals[:, columns] = np.cos(angle) * normals[:, columns] + np.sin(angle) * strangers
                each.append(self.lab.of_normals(normals, self.codes.ids).values.cpu().numpy())
            values[target] = np.stack(each)
        return self.shown(values)

    @cached_property
    def _opposite(self) -> dict[str, Edited]:
        return self.shown({target: self._start + self._steps(target, -1.0) for target in self.targets})

    def _spoilt(self, share: float) -> np.ndarray:
        """Which codes are hit, bool [N]: the same ones and more as the share grows."""
        order = self.lab.rng("spoilt").permutation(len(self.codes))
        return np.isin(np.arange(len(self.codes)), order[: round(share * len(self.codes))])

    def wrong_way(self, s: float) -> dict[str, Edited]:
        hit = self._spoilt(s * rules.WRONG_WAY)
        return {target: self.true[target].replaced(hit, self._opposite[target]) for target in self.targets}

    def shuffle(self, s: float) -> dict[str, Edited]:
        hit = self._spoilt(s * rules.SHUFFLED)
        following = dict(zip(self.targets, (*self.targets[1:], self.targets[0]), strict=True))
        return {target: self.true[target].replaced(hit, self.true[following[target]]) for target in self.targets}

    def blur(self, s: float) -> dict[str, Edited]:
        return self.read(blurred(self.true_images.flatten(0, 2), s * rules.BLUR).view(self.true_images.shape))

    @cached_property
    def _fooling(self) -> Tensor:
        network, names = self.lab.guide, list(self.lab.guide.names)
        device = self.lab.cell.generator.device
        found = [fooling_direction(network, names.index(t), self.true_images[i, -1], device) for i, t in enumerate(self.targets)]
        parts = torch.tensor(rules.FRACTIONS)[None, :, None, None, None, None]
        return torch.stack(found)[:, None] * parts

    def fooling(self, s: float) -> dict[str, Edited]:
        return self.read((self.true_images + s * rules.FOOLING * self._fooling).clamp(-1, 1))


PLANTED = ("rotation", "leak", "shrink", "noise", "identity", "wrong_way", "shuffle", "blur", "fooling")


def measure_edits(lab: Lab) -> Series:
    """Every metric of edits under every fault of the family."""
    edits = Edits(lab)

    def planted(name: str):
        return lambda s: edit_metrics(edits.before, getattr(edits, name)(s))

    return over_levels(lab, {f"edit_{name}": planted(name) for name in PLANTED}, edit_metrics(edits.before, edits.true))
