"""Train the BigGAN of `heads` (Brock et al. 2019), conditional on who wears glasses and who a beard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.generators.biggan_layers import IteratedSpectral
from bench.generators.biggan_pytorch import BigGAN
from bench.generators.biggan_pytorch_layers import Norm, Sizes
from bench.training.data import CLASSES
from bench.training.gan import HINGE, Loss
from bench.training.gan_loop import train
from bench.training.recipe import Draw, Recipe, as_trained
from bench.training.standing import batch_statistics, settle_stored

SETTLING = 30  # power iterations on averaged weights


class Block(nn.Module):
    """Two 3x3 convolutions and a mean of 2x2, beside a 1x1 convolution; `first`: without a ReLU before (figure 15b)."""

    def __init__(self, inputs: int, outputs: int, *, first: bool, down: bool) -> None:
        super().__init__()
        self.first, self.down = first, down
        self.conv1 = IteratedSpectral((outputs, inputs, 3, 3))
        self.conv2 = IteratedSpectral((outputs, outputs, 3, 3))
        self.shortcut = IteratedSpectral((outputs, inputs, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        if not self.down:
            return y + self.shortcut(x)
        # A 1x1 convolution and a mean change places.
        return F.avg_pool2d(y, 2) + self.shortcut(F.avg_pool2d(x, 2))


class ProjectionDiscriminator(nn.Module):
    """Pictures [N, 3, R, R] in [-1, 1] and class rows [N, K] to logits [N] (Miyato and Koyama 2018), spectrally normalised.

    channels: at 4, 8, ... pixels. The attention of larger networks is left out.
    """

    def __init__(self, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        widths = [3, *reversed(channels)]
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.blocks = nn.ModuleList(Block(a, b, first=i == 0, down=i < len(pairs) - 1) for i, (a, b) in enumerate(pairs))
        self.out = IteratedSpectral((1, widths[-1]))
        self.embed = IteratedSpectral((widths[-1], classes), bias=False)
        draw_orthogonal(self)

    def forward(self, images: Tensor, *, labels: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        x = images.contiguous(memory_format=torch.channels_last)
        with as_trained(dtype, images.device):
            for block in self.blocks:
                x = block(x)
        x = F.relu(x.float()).sum((2, 3))
        return self.out(x).squeeze(1) + (self.embed(labels) * x).sum(1)


def draw_orthogonal(module: nn.Module) -> None:
    """Orthogonal weights, biases 0, gains 1, and random spectral vectors."""
    for one in module.modules():
        if isinstance(one, IteratedSpectral):
            nn.init.normal_(one.u0)
            nn.init.ones_(one.sv0)
        elif isinstance(one, Norm):
            nn.init.ones_(one.gain)
            nn.init.zeros_(one.bias)
    for name, value in module.named_parameters():
        if value.dim() > 1:
            nn.init.orthogonal_(value)
        elif not name.endswith("gain"):
            nn.init.zeros_(value)
    for name, value in module.named_buffers():
        if name.endswith(("stored_mean", "stored_var")):
            value.fill_(float(name.endswith("var")))


@torch.no_grad()
def iterate_spectral(module: nn.Module, times: int = 1) -> None:
    """Power iterations that bring every stored vector closer to the weight's first singular vector."""
    for one in module.modules():
        if isinstance(one, IteratedSpectral):
            matrix = one.weight.flatten(1)
            for _ in range(times):
                image = F.normalize(one.u0 @ matrix, eps=one.eps) @ matrix.t()
                one.u0.copy_(F.normalize(image, eps=one.eps))
            one.sv0.copy_(image.norm())


@dataclass(frozen=True)
class BigGANRecipe(Recipe):
    """Hinge loss, two steps of the discriminator for one of the generator, spectral norm in both; no gradient penalty.

    z is cut into a chunk for the first layer and one for each block. Learning rates are higher than the paper's 5e-5 and 2e-4, as
    batches are sixty times smaller. orthogonality: the paper's beta (equation 3). Generated pictures take the classes of the real
    ones beside them.
    """

    name: ClassVar[str] = "heads-biggan"
    title: ClassVar[str] = "BigGAN of four classes (neither, beard, glasses, both)"
    objective: ClassVar[str] = "hinge, projection discriminator, orthogonal regularisation"
    tried: ClassVar[str] = "32 px, for want of time. Rates fall over the last 100 thousand pictures; more were not tried."
    loss: ClassVar[Loss] = HINGE
    together: ClassVar[bool] = False
    betas: ClassVar[tuple[float, float]] = (0.0, 0.999)
    classes: ClassVar[int] = len(CLASSES)
    turns: ClassVar[int] = 2
    group: ClassVar[int] = 1

    channels: tuple[int, ...] = (128, 96, 64, 32)
    length: int | None = 400_000
    fall: int = 100_000
    learning_rate: float = 2e-4
    learning_rate_d: float = 4e-4
    shared_dim: int = 16
    orthogonality: float = 1e-4

    def generator(self, blocks: int, level: float) -> BigGAN:
        pairs = tuple((a, b, True) for a, b in zip(self.channels[:-1], self.channels[1:], strict=True))
        chunk = self.z_dim // (1 + len(pairs))
        sizes = Sizes(
            deep=False,
            first=chunk,
            chunk=chunk,
            classes=self.classes,
            shared_dim=self.shared_dim,
            bottom=4,
            blocks=pairs,
            attention=(),
            vectors=1,
        )
        generator = BigGAN(name=self.name, domain="heads", sizes=sizes)
        draw_orthogonal(generator)
        return generator

    def discriminator(self, blocks: int) -> ProjectionDiscriminator:
        return ProjectionDiscriminator(self.channels, self.classes)

    def before_step(self, generator: BigGAN, discriminator: ProjectionDiscriminator, level: float) -> None:
        for network in (generator, discriminator):
            iterate_spectral(network)

    def pictures(self, generator: BigGAN, n: int, draw: Draw, **more: Any) -> Tensor:
        with batch_statistics(generator):
            return super().pictures(generator, n, draw, **more)

    def penalise(
        self, discriminate: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, *, step: int, draw: Draw
    ) -> float | None:
        return None

    def constrain(self, generator: BigGAN, *, images: int, draw: Draw) -> None:
        penalty = 0.0
        for one in generator.modules():
            if isinstance(one, IteratedSpectral):
                rows = one.weight.flatten(1)
                gram = rows @ rows.t()
                penalty = penalty + gram.square().sum() - gram.diagonal().square().sum()
        (self.orthogonality * penalty).backward()

    def finish(self, frozen: BigGAN) -> None:
        """Spectral vectors and statistics that go with the averaged weights."""
        iterate_spectral(frozen, SETTLING)
        settle_stored(frozen, seed=self.seed)


train_heads_biggan = partial(train, recipe=BigGANRecipe(), processes=1)
