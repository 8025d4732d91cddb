"""One step of non-saturating GAN training with lazy R1, in which both networks share one pass of the discriminator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Below this weight a generated picture that the discriminator is sure of would leave no gradient to scale (see `shared_pass`).
FLOOR = 1e-3


@dataclass(frozen=True)
class PassResult:
    """real, fake: logits [n]; loss: the discriminator's mean loss; image_grad: the generator's gradient at its pictures."""

    real: Tensor
    fake: Tensor
    loss: Tensor
    image_grad: Tensor


def shared_pass(discriminate: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, *, total: int) -> PassResult:
    """Accumulate the discriminator's gradient and give back the generator's, from one forward and one backward pass.

    With logits l of generated pictures the discriminator descends softplus(l), whose slope is s(l), and the generator
    softplus(-l), whose slope is -s(-l) (Goodfellow et al. 2014, section 3). Both flow through the same discriminator, so the
    gradient that reaches a picture from the first, times -s(-l) / s(l), is the second: exact but for the minibatch deviation,
    which couples pictures. Where s(l) underflows the ratio would be 0 / 0; FLOOR is its least value in both places.

    total: pictures of each kind in the whole batch, over all processes; gradients are of the mean over them.
    """
    images = torch.cat([real, fake.detach()]).requires_grad_(True)
    logits = discriminate(images)
    n = len(real)
    with torch.no_grad():
        on_real, on_fake = logits.detach().split(n)
        loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        weight = torch.sigmoid(on_fake).clamp(min=FLOOR)
        seed = torch.cat([-torch.sigmoid(-on_real), weight]) / total
        ratio = -torch.sigmoid(-on_fake) / weight
    logits.backward(seed)
    return PassResult(on_real, on_fake, loss, images.grad[n:] * ratio[:, None, None, None])


def r1_penalty(discriminate: Callable[[Tensor], Tensor], real: Tensor, *, weight: float) -> float:
    """Accumulate the gradient of weight * sum |dD/dx|^2 at real pictures (Mescheder et al. 2018); gives back its mean.

    Call every k steps with weight gamma / 2 * k / batch (lazy regularisation, Karras et al. 2020, section 3.1).
    """
    real = real.detach().clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(discriminate(real).sum(), real, create_graph=True)
    penalty = slope.square().sum((1, 2, 3))
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
