"""Train the StyleGAN of `heads` (Karras et al. 2019): grown, styles of two codes, noise inputs, non-saturating loss with R1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.generators.stylegan import StyleGAN
from bench.training.gan import mixed_rows
from bench.training.gan_loop import train
from bench.training.progressive import BlurDown, Growing, GrowingDiscriminator, draw_normal, set_level
from bench.training.recipe import Draw, as_trained, pixels_last
from bench.training.standing import mean_w_codes

# Deviation of fresh style weights (1 in the paper). After 30 thousand pictures of 16 px Frechet distances of 2,048 samples were
# 5.9 from 1 (blobs of colour), 4.4 from 0.3 and 5.7 from 0.1 (heads, all alike).
FRESH_STYLE = 0.3


@dataclass(frozen=True)
class StyleGANRecipe(Growing):
    """Begins at 8x8, as there; R1 in every fourth step, of half the paper's weight of 10 for pictures of 32 px.

    At a tenth of it the discriminator was sure of each picture from 16x16 on, whatever the rates (1e-3 to 4e-3) and the batch: by
    turns all present pictures were of one hue, which averaged weights made grey blurs of. At 64 px and 100 thousand pictures
    averages of batches of 16 had hair and mouths that those of 32 did not have yet.

    mixing: probability that a picture has the styles of two codes. noise_from: pictures seen before noise inputs join. From 150
    thousand on they made stipples in the place of detail within 10 thousand; without them the weights were nearer to renders.
    """

    name: ClassVar[str] = "heads-stylegan"
    title: ClassVar[str] = "StyleGAN, grown from 8 px"
    objective: ClassVar[str] = "non-saturating, lazy R1"
    tried: ClassVar[str] = (
        "At 320 thousand pictures it was at 28.0 floors; at 326 thousand the discriminator's losses leapt, and some samples are "
        "green since. Trained on from 320 thousand for 150 thousand more it was at 38.8. At 64 px, with fresh styles of "
        "deviation 1, R1 of weight 10 and constant rates, it was at 80 floors after 314 thousand pictures."
    )

    channels: tuple[int, ...] = (96, 96, 48, 24)
    batch: int = 16
    learning_rate: float = 1e-3
    learning_rate_d: float | None = 2e-3
    gamma: float = 5.0
    r1_every: int = 4
    length: int | None = 450_000
    fall: int = 200_000
    first: int = 2
    w_dim: int = 64
    mapping_layers: int = 4
    mixing: float = 0.5
    noise_from: int = 1_000_000

    def generator(self, blocks: int, level: float) -> StyleGAN:
        generator = StyleGAN(
            name=self.name,
            domain="heads",
            z_dim=self.z_dim,
            widths=[self.w_dim] * self.mapping_layers,
            channels=self.channels[:blocks],
            fused_from=8,
            level=level,
        )
        draw_normal(generator)
        for _, layer in generator.synthesis.layers():
            layer.style.weight.data.mul_(FRESH_STYLE)
        # Not ones, as there: AdaIN would divide them by the deviation of what noise adds, and here noise comes late.
        nn.init.normal_(generator.synthesis.layer0.const)
        for name, value in generator.named_parameters():
            if name.startswith("mapping.") and value.dim() > 1:
                # At a hundredth of the learning rate weights are stored a hundred times as large.
                value.data.div_(generator.lr_multiplier)
        for name, noise in generator.named_buffers():
            if name.endswith("apply_noise.noise"):
                noise.normal_()
        return generator

    def discriminator(self, blocks: int) -> GrowingDiscriminator:
        return GrowingDiscriminator(self.channels[:blocks], BlurDown)

    def before_step(self, generator: StyleGAN, discriminator: GrowingDiscriminator, level: float) -> None:
        set_level(generator.synthesis, level)
        discriminator.level = level

    def pictures(
        self, generator: StyleGAN, n: int, draw: Draw, *, images: int, labels: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        synthesis = generator.synthesis
        first, second = (generator.mapping(draw.normal(n, self.z_dim), None) for _ in range(2))
        cut = draw.integers(1, synthesis.num_ws, n).masked_fill(draw.uniform(n) >= self.mixing, synthesis.num_ws)
        styles = synthesis.styles(mixed_rows(first, second, synthesis.num_ws, cut))
        noise = lambda name, stored: draw.normal(n, *stored.shape[1:])  # noqa: E731
        if images < self.noise_from:
            noise = lambda name, stored: None  # noqa: E731
        with as_trained(dtype, draw.device):
            return synthesis(styles, noise=noise, visit=pixels_last).float()

    def finish(self, frozen: StyleGAN) -> None:
        """Its own mean w, for truncation, and up-convolutions in the form that published networks of this size have."""
        set_level(frozen.synthesis, frozen.synthesis.level)
        frozen.fused_from = None
        for _, layer in frozen.synthesis.layers():
            if layer.fused:
                layer.fused = False
                layer.weight.copy_(layer.weight.flip(2, 3))
        frozen.truncation.w_avg.copy_(frozen.mapping(mean_w_codes(self.z_dim, seed=self.seed), None).mean(0))


train_heads_stylegan = partial(train, recipe=StyleGANRecipe(), processes=1)
