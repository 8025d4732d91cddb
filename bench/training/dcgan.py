"""Train the DCGAN of `heads` (Radford et al. 2016): strided convolutions, batch norm in the generator, Adam at 2e-4."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from bench.generators.dcgan import DCGAN, Conv
from bench.training.gan_loop import train
from bench.training.recipe import Recipe
from bench.training.standing import settle_batch_norms
from bench.training.strided import KERNEL, StridedDiscriminator, draw_weights


@dataclass(frozen=True)
class DCGANRecipe(Recipe):
    """Non-saturating loss and the paper's Adam; lazy R1 and averaged weights, which it does not have, for a steady training.

    channels: at 4, 8, ... pixels up to half the picture's size.
    """

    name: ClassVar[str] = "heads-dcgan"
    title: ClassVar[str] = "DCGAN"
    objective: ClassVar[str] = "non-saturating, lazy R1"
    tried: ClassVar[str] = (
        "Frechet distances of 2,048 samples: 28.3 at 160 thousand pictures, 12.7 at 280, 6.0 at 480. More were not tried."
    )
    betas: ClassVar[tuple[float, float]] = (0.5, 0.999)

    channels: tuple[int, ...] = (256, 128, 64, 32)
    learning_rate: float = 2e-4
    gamma: float = 0.5

    @property
    def resolution(self) -> int:
        return 4 << len(self.channels)

    def generator(self, blocks: int, level: float) -> DCGAN:
        widths = [self.z_dim, *self.channels, 3]
        last = len(widths) - 2
        # Numbers of the PyTorch example's sequence: convolution, batch norm, ReLU.
        convs = [
            Conv(f"main.{3 * i}", f"main.{3 * i + 1}" if i < last else "", widths[i], widths[i + 1], KERNEL, bias=False)
            for i in range(last + 1)
        ]
        generator = DCGAN(name=self.name, domain="heads", convs=convs)
        draw_weights(generator)
        return generator

    def discriminator(self, blocks: int) -> StridedDiscriminator:
        return StridedDiscriminator(self.channels)

    def finish(self, frozen: DCGAN) -> None:
        """Statistics of the averaged weights' own maps."""
        settle_batch_norms(frozen, seed=self.seed)


train_heads_dcgan = partial(train, recipe=DCGANRecipe(), processes=1)
