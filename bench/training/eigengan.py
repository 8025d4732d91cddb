"""Train the EigenGAN of `heads` (He et al. 2021): hinge loss, and bases of the subspaces that are kept orthonormal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import nn

from bench.generators.eigengan import EigenGAN, Projection
from bench.training.gan import HINGE, Loss
from bench.training.gan_loop import train
from bench.training.recipe import Draw, Recipe
from bench.training.strided import StridedDiscriminator

# Importances begin as 3, 6, 9, ..., so that the axes of a subspace are told apart from the start.
FIRST_IMPORTANCE = 3.0


@dataclass(frozen=True)
class EigenGANRecipe(Recipe):
    """Hinge loss with lazy R1. Rates fall at its end: bases are small numbers, each of which noise moves by a share of itself.

    z_dim: of the whole code, the noise of the first layer and `dims` numbers for each block. orthogonality: weight of the mean
    square of U U^T - I (equation 5 of the paper, for one basis vector a row).
    """

    name: ClassVar[str] = "heads-eigengan"
    title: ClassVar[str] = "EigenGAN"
    objective: ClassVar[str] = "hinge, lazy R1, orthogonal subspaces"
    tried: ClassVar[str] = (
        "Its discriminator wins (losses 0.99 and 0.47 at the end). A stronger R1 and batches of 16 are to be tried."
    )
    loss: ClassVar[Loss] = HINGE
    together: ClassVar[bool] = False
    betas: ClassVar[tuple[float, float]] = (0.5, 0.99)

    channels: tuple[int, ...] = (128, 96, 48, 24, 12)
    learning_rate: float = 4e-4
    gamma: float = 1.0
    length: int | None = 440_000
    fall: int = 120_000
    dims: int = 6
    orthogonality: float = 100.0

    def generator(self, blocks: int, level: float) -> EigenGAN:
        noise = self.z_dim - self.dims * (len(self.channels) - 1)
        generator = EigenGAN(name=self.name, domain="heads", noise_dim=noise, dims=self.dims, channels=self.channels)
        for one in generator.modules():
            if isinstance(one, Projection):
                nn.init.orthogonal_(one.U)
                one.L.data.copy_(FIRST_IMPORTANCE * torch.arange(self.dims, 0, -1))
                nn.init.zeros_(one.mu)
        return generator

    def discriminator(self, blocks: int) -> StridedDiscriminator:
        return StridedDiscriminator(self.channels[:-1])

    def constrain(self, generator: EigenGAN, *, images: int, draw: Draw) -> None:
        errors = [one.U @ one.U.t() - torch.eye(self.dims, device=one.U.device) for one in generator.subspaces]
        (self.orthogonality * sum(error.square().mean() for error in errors)).backward()


train_heads_eigengan = partial(train, recipe=EigenGANRecipe(), processes=1)
