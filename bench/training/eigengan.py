"""Train the EigenGAN of `heads` (He et al. 2021): bases of the subspaces are kept orthonormal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import nn

from bench.generators.eigengan import EigenGAN, Projection
from bench.training.discriminator import Discriminator
from bench.training.gan_loop import train
from bench.training.recipe import Draw, Recipe

# Importances begin as 3, 6, 9, ..., so that the axes of a subspace are told apart from the start.
FIRST_IMPORTANCE = 3.0


@dataclass(frozen=True)
class EigenGANRecipe(Recipe):
    """The residual discriminator and the loss of StyleGAN2, and fresh weights that keep a map's variance.

    Its up-convolutions of three pixels and stride two make a checkerboard, which the paper's discriminator of strided
    convolutions let pass: against it, with hinge loss, 64 px and torch's fresh weights, recall was 0.002 after 440 thousand
    pictures. Torch draws them for as many inputs as outputs, and for all nine taps where a stride leaves a quarter: a block left
    about a ninth of its input. After 40 thousand pictures of 32 px in batches of 32, Frechet distances of 1,024 samples were
    12.3 from those weights and 9.3 from these.

    channels: of the generator; the discriminator's are halved from 8 pixels on. z_dim: of the whole code, the noise of the first
    layer and `dims` numbers for each block. orthogonality: weight of the mean square of U U^T - I (equation 5 of the paper, for
    one basis vector a row).
    """

    name: ClassVar[str] = "heads-eigengan"
    title: ClassVar[str] = "EigenGAN"
    objective: ClassVar[str] = "non-saturating, lazy R1, orthogonal subspaces"
    tried: ClassVar[str] = (
        "Against a strided discriminator with hinge loss, at 64 px and from torch's fresh weights, it was at 89 floors and "
        "recall 0.002 after 440 thousand pictures. A longer training is to be tried."
    )

    channels: tuple[int, ...] = (128, 96, 48, 24)
    batch: int = 16
    learning_rate: float = 4e-4
    learning_rate_d: float | None = 2e-3
    length: int | None = 280_000
    fall: int = 140_000
    dims: int = 6
    orthogonality: float = 100.0

    def generator(self, blocks: int, level: float) -> EigenGAN:
        noise = self.z_dim - self.dims * (len(self.channels) - 1)
        generator = EigenGAN(name=self.name, domain="heads", noise_dim=noise, dims=self.dims, channels=self.channels)
        for one in generator.modules():
            if isinstance(one, nn.ConvTranspose2d):
                taps = one.kernel_size[0] ** 2 / one.stride[0] ** 2  # that meet in a pixel, on average
                nn.init.normal_(one.weight, 0.0, math.sqrt(2 / (one.in_channels * taps)))
                nn.init.zeros_(one.bias)
            elif isinstance(one, Projection):
                nn.init.orthogonal_(one.U)
                one.L.data.copy_(FIRST_IMPORTANCE * torch.arange(self.dims, 0, -1))
                nn.init.zeros_(one.mu)
        return generator

    def discriminator(self, blocks: int) -> Discriminator:
        widest = self.channels[0]
        return Discriminator({4 << k: min(widest, 2 * widest >> k) for k in range(blocks)})

    def constrain(self, generator: EigenGAN, *, images: int, draw: Draw) -> None:
        errors = [one.U @ one.U.t() - torch.eye(self.dims, device=one.U.device) for one in generator.subspaces]
        (self.orthogonality * sum(error.square().mean() for error in errors)).backward()


train_heads_eigengan = partial(train, recipe=EigenGANRecipe(), processes=1)
