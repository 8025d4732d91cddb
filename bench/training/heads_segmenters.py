"""Train the segmenters of `heads` on rendered pictures: `python -m bench.training.heads_segmenters --minutes 20 --out DIR`.

One process, one thread, processor time, as in heads_networks; a network that was interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.domains.heads.factors import CLASSES
from bench.domains.heads.networks import folded_state
from bench.domains.heads.segmenter import SEGMENTERS, HeadsSegmenter, SegmenterSpec, segmenter
from bench.errors import unknown
from bench.streams import stream_seed
from bench.training.heads_loop import Recipe, one_thread, optimise, train_each
from bench.training.heads_mask_pool import MaskPool, load_mask_pool
from bench.training.heads_networks import draw
from bench.training.heads_pool import SEEDS
from bench.training.heads_segmenter_cards import add_agreement, make_card

# Stronger damage than the other networks see: what is asked of a segmenter are the edges, which a GAN draws softly.
RECIPE = Recipe(pairs=12288, batch=24, rate=5e-3, blur=1.0, noise=0.08, gain=0.08, offset=0.06)
# Weight of the overlap loss beside the cross entropy.
OVERLAP = 1.0


@dataclass
class Painted:
    """Augmented pictures [N, 3, 64, 64] and the class of every pixel [N, 64, 64]."""

    images: Tensor
    labels: Tensor


def draw_painted(pool: MaskPool, recipe: Recipe, generator: torch.Generator) -> Painted:
    """A batch of heads_networks.draw with its labels, shifted alike; half of the batches are mirrored, which no class minds."""
    batch = draw(pool, recipe, generator)
    down, right = batch.shift
    edged = F.pad(pool.labels(batch.index)[:, None].float(), (1, 1, 1, 1), mode="replicate")[:, 0].long()
    painted = Painted(batch.images, edged[:, down : down + 64, right : right + 64])
    if torch.rand((), generator=generator) < 0.5:
        painted = Painted(painted.images.flip(-1), painted.labels.flip(-1))
    return painted


def class_weights(pool: MaskPool, rows: int = 1024) -> Tensor:
    """[C] weights of the cross entropy: share of pixels to the power -1/2, with mean 1 over pixels; from the first rows."""
    share = torch.bincount(pool.labels(slice(0, rows)).flatten(), minlength=len(CLASSES)).float()
    share = (share / share.sum()).clamp_min(1e-4)
    return share.rsqrt() / share.sqrt().sum()


def overlap_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - soft Dice (Milletari et al. 2016), every class alike, sums over the batch; classes that are absent from it left out."""
    chance, truth = logits.softmax(1), F.one_hot(labels, logits.shape[1]).permute(0, 3, 1, 2).float()
    both, each = (chance * truth).sum((0, 2, 3)), (chance + truth).sum((0, 2, 3))
    there = truth.sum((0, 2, 3)) > 0
    return (1 - 2 * both / each)[there].mean()


class Learner(nn.Module):
    """A segmenter and its loss: balanced cross entropy, and overlap, so that brows and rims count as much as the wall."""

    def __init__(self, spec: SegmenterSpec, weights: Tensor) -> None:
        super().__init__()
        self.body = segmenter(spec, folded=False).to(memory_format=torch.channels_last)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, batch: Painted) -> Tensor:
        logits = self.body(batch.images).float()
        balanced = (F.cross_entropy(logits, batch.labels, reduction="none") * self.weights[batch.labels]).mean()
        return balanced + OVERLAP * overlap_loss(logits, batch.labels)


def train_segmenter(name: str, pool: MaskPool, folder: Path, *, seconds: float, recipe: Recipe) -> tuple[dict[str, Tensor], dict]:
    """Train one segmenter for `seconds` of processor time; gives back the folded state and what was done."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed("heads-networks", name) % 2**31)
        learner = Learner(SEGMENTERS[name], class_weights(pool))

    def batch_of(step: int) -> Painted:
        return draw_painted(pool, recipe, torch.Generator().manual_seed(stream_seed("heads-batch", name, step) % 2**63))

    facts = optimise(name, learner, batch_of, folder, seconds=seconds, recipe=recipe)
    return folded_state(learner.body.eval()), facts


def train_heads_segmenters(out: Path, *, minutes: float, only: str | None = None, recipe: Recipe = RECIPE) -> list[Path]:
    """Train both segmenters, or the one named `only`, and write NAME.safetensors and NAME.json into `out`.

    minutes: processor time over both; rendering (3 minutes each, once) and measuring come on top. A network whose weights and
    card are there is kept. Where both are, their cards say how far they agree on a GAN's pictures. Raises InputError for an
    unknown name.
    """
    out = Path(out)
    if only is not None and only not in SEGMENTERS:
        raise unknown("segmenter of heads", only, SEGMENTERS)
    names = tuple(SEGMENTERS) if only is None else (only,)

    def train(name: str) -> tuple[dict[str, Tensor], dict]:
        spec = SEGMENTERS[name]
        data = {"seed": SEEDS[spec.role], "independent": spec.independent, "soft": spec.independent}
        pool = load_mask_pool(out / "pools", pairs=recipe.pairs, **data)
        return train_segmenter(name, pool, out, seconds=60 * minutes / len(SEGMENTERS), recipe=recipe)

    def card_of(network: nn.Module, **known: Any) -> dict[str, Any]:
        return make_card(network, out / "pools", recipe=recipe, **known)

    paths = train_each(names, out, train, lambda name, state: HeadsSegmenter(SEGMENTERS[name], state), card_of)
    with one_thread():
        add_agreement(out, out / "pools")
    return paths


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="processor time over both networks")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=sorted(SEGMENTERS))
    chosen = parser.parse_args()
    train_heads_segmenters(chosen.out, minutes=chosen.minutes, only=chosen.only)


if __name__ == "__main__":
    main()
