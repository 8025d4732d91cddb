"""Train the PGGAN of `heads` (Karras et al. 2018): grown, Wasserstein loss with gradient penalty, equalised learning rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor

from bench.generators.pggan import PGGAN
from bench.training.gan import WASSERSTEIN, Loss, gradient_penalty
from bench.training.gan_loop import train
from bench.training.progressive import BoxDown, Growing, GrowingDiscriminator, draw_normal, set_level
from bench.training.recipe import Draw


@dataclass(frozen=True)
class PGGANRecipe(Growing):
    """gamma, r1_every: weight and interval of the gradient penalty, which the paper has in every step and here is lazy.

    The generator's rate is the paper's, the discriminator's three times as high. At equal rates the generator outran it from
    16x16 on: its pictures moved farther in a step than a critic of slope one could follow, which ranked them above real ones.
    """

    name: ClassVar[str] = "heads-pggan"
    title: ClassVar[str] = "PGGAN, grown from 4 px"
    objective: ClassVar[str] = "Wasserstein with gradient penalty and drift"
    tried: ClassVar[str] = (
        "101 floors at 233 thousand pictures and constant rates; 42 at 450 thousand, with rates that fall over the last 100. "
        "Equal rates of both networks were tried: the generator outran its critic. More pictures were not."
    )
    loss: ClassVar[Loss] = WASSERSTEIN
    together: ClassVar[bool] = False

    channels: tuple[int, ...] = (96, 96, 48, 24, 12)
    batch: int = 16
    learning_rate: float = 1e-3
    learning_rate_d: float | None = 3e-3
    gamma: float = 10.0
    length: int | None = 450_000
    fall: int = 100_000
    r1_every: int = 4

    def generator(self, blocks: int, level: float) -> PGGAN:
        channels = self.channels[:blocks]
        generator = PGGAN(name=self.name, domain="heads", z_dim=self.z_dim, channels=channels, fused=True, level=level)
        draw_normal(generator)
        return generator

    def discriminator(self, blocks: int) -> GrowingDiscriminator:
        return GrowingDiscriminator(self.channels[:blocks], BoxDown)

    def before_step(self, generator: PGGAN, discriminator: GrowingDiscriminator, level: float) -> None:
        set_level(generator, level)
        discriminator.level = level

    def penalise(
        self, discriminate: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, *, step: int, draw: Draw
    ) -> float | None:
        if step % self.r1_every:
            return None
        weight = self.gamma * self.r1_every / self.batch
        return gradient_penalty(discriminate, real, fake, draw.uniform(len(real)), weight=weight)

    def finish(self, frozen: PGGAN) -> None:
        set_level(frozen, frozen.level)


train_heads_pggan = partial(train, recipe=PGGANRecipe(), processes=1)
