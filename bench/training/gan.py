"""The mathematics of a GAN's step: losses by their slopes, one pass of the discriminator for both networks, penalties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Below this weight a generated picture that the discriminator is sure of would leave no gradient to scale (see `shared_pass`).
FLOOR = 1e-3
# How strongly the critic of the Wasserstein loss is kept near zero on real pictures (Karras et al. 2018, appendix A.1).
DRIFT = 1e-3


@dataclass(frozen=True)
class Loss:
    """A GAN loss as functions of logits [n].

    discriminator: (on real, on generated) -> mean loss; generator: on generated -> mean loss. The others are slopes [n]: of the
    discriminator's loss on a real and on a generated picture, and of the generator's loss.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    slope_real: Callable[[Tensor], Tensor]
    slope_fake: Callable[[Tensor], Tensor]
    slope_generator: Callable[[Tensor], Tensor]


# Goodfellow et al. 2014, section 3.
NON_SATURATING = Loss(
    discriminator=lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
    generator=lambda fake: F.softplus(-fake).mean(),
    slope_real=lambda real: -torch.sigmoid(-real),
    slope_fake=torch.sigmoid,
    slope_generator=lambda fake: -torch.sigmoid(-fake),
)
# Lim and Ye 2017; the loss of BigGAN and EigenGAN.
HINGE = Loss(
    discriminator=lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
    generator=lambda fake: -fake.mean(),
    slope_real=lambda real: -(real < 1).to(real),
    slope_fake=lambda fake: (fake > -1).to(fake),
    slope_generator=lambda fake: -torch.ones_like(fake),
)
# Arjovsky et al. 2017, with the drift term.
WASSERSTEIN = Loss(
    discriminator=lambda real, fake: fake.mean() - real.mean() + DRIFT * real.square().mean(),
    generator=lambda fake: -fake.mean(),
    slope_real=lambda real: 2 * DRIFT * real - 1,
    slope_fake=torch.ones_like,
    slope_generator=lambda fake: -torch.ones_like(fake),
)


@dataclass(frozen=True)
class PassResult:
    """real, fake: logits [n]; loss: the discriminator's mean loss; image_grad: the generator's gradient at its pictures."""

    real: Tensor
    fake: Tensor
    loss: Tensor
    image_grad: Tensor


def shared_pass(
    discriminate: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, *, total: int, loss: Loss = NON_SATURATING
) -> PassResult:
    """Accumulate the discriminator's gradient and give back the generator's, from one forward and one backward pass.

    On a generated picture of logit l, the discriminator descends a function of l and the generator another. Both flow through the
    same discriminator, so the gradient that reaches a picture from the first, times the ratio of the slopes, is the second: exact
    but for the minibatch deviation, which couples pictures. In the non-saturating loss the slopes are s(l) and -s(-l). Where the
    discriminator's vanishes the ratio would be divided by 0; FLOOR is its least value in both places.

    total: pictures of each kind in the whole batch, over all processes; gradients are of the mean over them.
    """
    images = torch.cat([real, fake.detach()]).requires_grad_(True)
    logits = discriminate(images)
    n = len(real)
    with torch.no_grad():
        on_real, on_fake = logits.detach().split(n)
        value = loss.discriminator(on_real, on_fake)
        weight = loss.slope_fake(on_fake).clamp(min=FLOOR)
        seed = torch.cat([loss.slope_real(on_real), weight]) / total
        ratio = loss.slope_generator(on_fake) / weight
    logits.backward(seed)
    return PassResult(on_real, on_fake, value, images.grad[n:] * ratio[:, None, None, None])


def generator_gradient(discriminate: Callable[[Tensor], Tensor], fake: Tensor, *, total: int, loss: Loss) -> Tensor:
    """The generator's gradient at its pictures from a pass of its own, for what `shared_pass` would do badly.

    Both networks would step from where they stand. Under a loss that is linear in the logits that spirals outwards, while a
    generator that answers to the discriminator's step stays in reach (Gidel et al. 2019, section 3).
    """
    images = fake.detach().requires_grad_(True)
    logits = discriminate(images)
    (gradient,) = torch.autograd.grad(logits, images, loss.slope_generator(logits.detach()) / total)
    return gradient


def r1_penalty(discriminate: Callable[[Tensor], Tensor], real: Tensor, *, weight: float) -> float:
    """Accumulate the gradient of weight * sum |dD/dx|^2 at real pictures (Mescheder et al. 2018); gives back its mean.

    Call every k steps with weight gamma / 2 * k / batch (lazy regularisation, Karras et al. 2020, section 3.1).
    """
    real = real.detach().clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(discriminate(real).sum(), real, create_graph=True)
    penalty = slope.square().sum((1, 2, 3))
    (penalty.sum() * weight).backward()
    return float(penalty.detach().mean())


def gradient_penalty(
    discriminate: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor, *, weight: float
) -> float:
    """Accumulate the gradient of weight * sum (|dD/dx| - 1)^2 between real and generated pictures; gives back its mean.

    mix: [n] in [0, 1], where between them (Gulrajani et al. 2017, equation 3).
    """
    between = torch.lerp(real, fake.detach(), mix[:, None, None, None]).requires_grad_(True)
    (slope,) = torch.autograd.grad(discriminate(between).sum(), between, create_graph=True)
    penalty = (slope.flatten(1).norm(dim=1) - 1).square()
    (penalty.sum() * weight).backward()
    return float(penalty.detach().mean())


def mixed_rows(first: Tensor, second: Tensor, rows: int, cut: Tensor) -> Tensor:
    """w+ [n, rows, D]: `first` below each sample's cut, `second` from it on (style mixing, Karras et al. 2019, section 3.1)."""
    below = torch.arange(rows, device=first.device)[None, :, None] < cut[:, None, None]
    return torch.where(below, first[:, None], second[:, None])


def average_weight(images: int, batch: int) -> float:
    """How far the average moves to the present weights in a step: a half-life of 5 % of the images seen, 500 to 10,000."""
    half_life = min(10_000.0, max(0.05 * images, 500.0))
    return 1 - 0.5 ** (batch / half_life)
