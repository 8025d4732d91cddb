"""Train the guides and judges of `heads` on rendered pictures: `python -m bench.training.heads_networks --minutes 24 --out DIR`.

One process, one thread. Time is processor time, so that a busy machine changes no result's quality. Finished networks are kept;
one that was interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.domains.heads.factors import FACTORS, IDENTITY, INDEX, N_COLUMNS
from bench.domains.heads.networks import BINARY, CONTINUOUS, SPECS, HeadsNetwork, Spec, Trunk, folded_state, spec
from bench.streams import stream_seed
from bench.training.heads_cards import make_card
from bench.training.heads_loop import Recipe, optimise, train_each
from bench.training.heads_pool import SEEDS, Pool, load_pool, standardised

RECIPE = Recipe()


@dataclass
class Batch:
    """Augmented pictures, clean ones, factor rows, and how much blur and noise each picture got (0 to 1).

    index: the rows of the pool. shift: by which row and column the pictures begin in their frame widened by a pixel.
    """

    images: Tensor
    clean: Tensor
    factors: Tensor
    damage: Tensor
    index: np.ndarray
    shift: tuple[int, int]


def draw(pool: Pool, recipe: Recipe, generator: torch.Generator) -> Batch:
    """A batch of persons, two pictures each in rows 2k and 2k + 1, with mild damage such as a GAN's pictures have.

    Each picture is drawn toward a binomial 5x5 blur by a share up to `blur` (half of them not at all), gets Gaussian noise up to
    `noise` (half of them none), a gain per channel of 1 +- `gain` and an offset of +- `offset`; the batch is shifted by a pixel.
    """
    person = torch.randint(len(pool) // 2, (recipe.batch,), generator=generator)
    index = torch.stack([2 * person, 2 * person + 1], 1).flatten().numpy()
    clean = pool.pictures(index)
    n = len(clean)
    uniform = lambda *shape: torch.rand(shape, generator=generator)  # noqa: E731
    damage = (2 * uniform(n, 2) - 1).clamp_min(0)
    images = torch.lerp(clean, blurred(clean), recipe.blur * damage[:, 0, None, None, None])
    images = images + recipe.noise * damage[:, 1, None, None, None] * torch.randn(clean.shape, generator=generator)
    images = images * (1 + recipe.gain * (2 * uniform(n, 3, 1, 1) - 1)) + recipe.offset * (2 * uniform(n, 3, 1, 1) - 1)
    down, right = torch.randint(3, (2,), generator=generator).tolist()
    images = F.pad(images, (1, 1, 1, 1), mode="replicate")[:, :, down : down + 64, right : right + 64]
    return Batch(images.clamp(-1, 1), clean, pool.factors[index], damage, index, (down, right))


def blurred(images: Tensor) -> Tensor:
    """The binomial blur (1, 4, 6, 4, 1) / 16 along both axes; sums of shifted pictures are faster here than a convolution."""
    x = F.pad(images, (2, 2, 2, 2), mode="replicate")
    for axis in (2, 3):
        a, b, c, d, e = (x.narrow(axis, i, 64) for i in range(5))
        x = ((a + e) + 4 * (b + d) + 6 * c) / 16
    return x


class Learner(nn.Module):
    """A trunk and what only its training needs: the heads and the loss."""

    def __init__(self, one: Spec) -> None:
        super().__init__()
        self.spec = one
        self.trunk = Trunk(one, folded=False).to(memory_format=torch.channels_last)
        if one.kind == "features":
            self.probe = nn.Linear(one.outputs, N_COLUMNS + 2)
            self.decode = nn.Conv2d(one.widths[2], 3 * 16, 1)

    def forward(self, batch: Batch) -> Tensor:
        """The loss of a batch.

        attributes: squared error of standardised targets, and cross entropy with the opacity as target for binary ones.
        identity: squared error of the standardised identity factors. A contrastive loss (InfoNCE, van den Oord et al. 2018) was
        tried (AUC 0.991): it knew persons by face width, skin and jaw, and hardly saw nose and eyes.
        features: all columns and the amounts of blur and noise by a linear map, and the clean picture at 32 px by a linear map
        of the 8 px features (a denoising auto-encoder), so that features tell quality as well as content.
        """
        maps, out = self.trunk(batch.images)
        out = out.float()
        if self.spec.kind == "attributes":
            return _factor_loss(out, batch.factors)
        if self.spec.kind == "identity":
            return F.mse_loss(out, standardised(batch.factors)[:, [INDEX[name] for name in IDENTITY]])
        read = self.probe(out).float()
        picture = F.pixel_shuffle(self.decode(maps[1]).float(), 4)
        factors = _factor_loss(read[:, : len(FACTORS)], batch.factors)
        nuisance = F.mse_loss(read[:, len(FACTORS) : N_COLUMNS], standardised(batch.factors)[:, len(FACTORS) :])
        damage = F.mse_loss(read[:, N_COLUMNS:], 3 * batch.damage)
        return factors + 0.3 * nuisance + 0.5 * damage + 10 * F.mse_loss(picture, F.avg_pool2d(batch.clean, 2))


def _factor_loss(out: Tensor, factors: Tensor) -> Tensor:
    continuous, binary = list(CONTINUOUS), list(BINARY)
    squares = F.mse_loss(out[:, continuous], standardised(factors)[:, continuous])
    return squares + 0.2 * F.binary_cross_entropy_with_logits(out[:, binary], factors[:, binary])


def train_network(name: str, pool: Pool, folder: Path, *, seconds: float, recipe: Recipe) -> tuple[dict[str, Tensor], dict]:
    """Train one network for `seconds` of processor time; gives back the folded state and what was done."""
    one = spec(name)
    seed = stream_seed("heads-networks", name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**31)
        learner = Learner(one)

    def batch_of(step: int) -> Batch:
        return draw(pool, recipe, torch.Generator().manual_seed(stream_seed("heads-batch", name, step) % 2**63))

    facts = optimise(name, learner, batch_of, folder, seconds=seconds, recipe=recipe)
    state = folded_state(learner.trunk.eval())
    if one.kind == "features":
        state = unit_scale(one, state, pool, recipe)
    return state, facts


@torch.no_grad()
def unit_scale(one: Spec, state: dict[str, Tensor], pool: Pool, recipe: Recipe) -> dict[str, Tensor]:
    """The same network with features of mean 0 and deviation 1 over training pictures, as suits KID's kernel (x.y / d + 1)^3.

    Over damaged pictures, as in training: on clean ones what tells blur and noise hardly varies, and would be blown up.
    """
    network = HeadsNetwork(one, state)
    batches = (draw(pool, recipe, torch.Generator().manual_seed(seed)).images for seed in range(math.ceil(1024 / recipe.batch)))
    out = torch.cat([network.measure(images)["features"] for images in batches])
    deviation, mean = out.std(0).clamp_min(1e-4), out.mean(0)
    return state | {"out.weight": state["out.weight"] / deviation[:, None], "out.bias": (state["out.bias"] - mean) / deviation}


def train_heads_networks(out: Path, *, minutes: float, only: str | None = None, recipe: Recipe = RECIPE) -> list[Path]:
    """Train the six networks, or the one named `only`, and write NAME.safetensors and NAME.json into `out`.

    minutes: processor time over all six, divided by Spec.share; rendering (about 4 minutes, once) and measuring come on top.
    A network whose weights and card are there is kept. Raises InputError for an unknown name.
    """
    out = Path(out)
    names: Sequence[str] = tuple(SPECS) if only is None else (spec(only).name,)

    def train(name: str) -> tuple[dict[str, Tensor], dict]:
        one = spec(name)
        data = {"seed": SEEDS[one.role], "independent": one.independent, "soft": one.independent}
        pool = load_pool(out / "pools", pairs=recipe.pairs, **data)
        return train_network(name, pool, out, seconds=60 * minutes * one.share, recipe=recipe)

    def card_of(network: nn.Module, **known: Any) -> dict[str, Any]:
        return make_card(network, out / "pools", recipe=recipe, **known)

    return train_each(names, out, train, lambda name, state: HeadsNetwork(spec(name), state), card_of)


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=24.0, help="processor time over all networks")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=sorted(SPECS))
    chosen = parser.parse_args()
    train_heads_networks(chosen.out, minutes=chosen.minutes, only=chosen.only)


if __name__ == "__main__":
    main()
