"""The loss that optimisation minimises: pixels, a guide's perceptual distance, and how improbable the code is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.codes import Codes
from bench.domains.base import Network
from bench.generators.base import Generator
from bench.generators.p_rows import whitened_rows
from methods.inversion.degrade import Degrade

# The guide's readings that stand for what a picture looks like, the first one that there is.
READINGS = ("perceptual", "features")


@dataclass(frozen=True)
class Weights:
    """The weights of the three terms, each >= 0."""

    pixel: float
    perceptual: float
    p_norm: float


@dataclass(frozen=True)
class Guide:
    """The guide that says how alike two pictures look. reading: 'perceptual' or 'features'."""

    network: Network
    reading: str

    def vectors(self, images: Tensor) -> Tensor:
        """Vectors [N, P] whose squared distance is the guide's perceptual distance; features are brought to a mean over P."""
        found = self.network.measure(images)[self.reading].flatten(1)
        return found if self.reading == "perceptual" else found * found.shape[1] ** -0.5

    @property
    def label(self) -> str:
        return f"{self.reading}[{self.network.name}]"


def find_guide(guides: Mapping[str, Network]) -> Guide | None:
    """The guide of the first of READINGS that the domain has; None where it has neither. A judge is never asked."""
    return next((Guide(guides[reading], reading) for reading in READINGS if reading in guides), None)


class ReconstructionLoss:
    """pixel * mean squared error + perceptual * squared distance of the guide's vectors + p_norm * mean square of p_n.

    Image2StyleGAN (Abdal et al. 2019, equation 1) with the guide in the place of VGG-16; the last term is that of 'Improved
    StyleGAN Embedding' (Zhu et al. 2020). target: pictures [N, 3, R, R] in [-1, 1]; degrade acts on them and on what codes give.
    """

    def __init__(self, generator: Generator, guide: Guide | None, weights: Weights, target: Tensor, degrade: Degrade) -> None:
        self.generator, self.weights, self.degrade = generator, weights, degrade
        self.guide = guide if weights.perceptual else None
        with torch.no_grad():
            self.target = degrade(target)
            self.vectors = self.guide.vectors(self.target) if self.guide else None

    def __call__(self, codes: Codes) -> Tensor:
        """The loss of every row, [N]: a row's own picture and code alone decide it."""
        images = self.degrade(self.generator.synthesize(codes))
        total = self.weights.pixel * (images - self.target).square().flatten(1).mean(1)
        if self.guide is not None and self.vectors is not None:
            total = total + self.weights.perceptual * (self.guide.vectors(images) - self.vectors).square().sum(1)
        if self.weights.p_norm:
            total = total + self.weights.p_norm * whitened_rows(self.generator, codes).square().flatten(1).mean(1)
        return total
