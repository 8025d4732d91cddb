"""Train the text-image networks of `heads`: `python -m bench.training.heads_text --minutes 16 --out DIR`.

Pictures are renders, captions are made of true claims about their factors (bench/domains/heads/captions.py). One process, one
thread, processor time, as in heads_networks; a network that was interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.domains.heads.captions import choose, consistent, grammar, holds, sentence
from bench.domains.heads.networks import folded_state
from bench.domains.heads.phrases import CLAIMS
from bench.domains.heads.text_networks import CONTEXT, PAD, TEXT_SPECS, UNKNOWN, HeadsTextImage, TextSpec, Towers, Vocabulary
from bench.errors import unknown
from bench.streams import stream_rng, stream_seed
from bench.training.heads_loop import Recipe, optimise, train_each
from bench.training.heads_mask_pool import load_mask_pool
from bench.training.heads_networks import draw
from bench.training.heads_pool import SEEDS, Pool
from bench.training.heads_text_cards import make_card

RECIPE = Recipe(pairs=12288, batch=24, rate=2e-3)
# Captions of a picture: one of a few claims, as people write prompts, and one of many, which tells it from its neighbours.
SHORT, LONG = (1, 2), (4, 10)
# Share of words that are read as unknown, and of captions that get an unknown word more: such words should say nothing.
FORGET, INTRUDE = 0.02, 0.1
# Weight of the claims that a linear map reads from a picture's vector, beside the contrast. Without it a factor is learnt only
# once both towers have found it by chance, one factor after another: after 8 minutes the wall's colour was not among them.
TAGS = 60.0


@dataclass
class Captioned:
    """Pictures [N, 3, 64, 64], tokens of short and of long captions [N, L], and what is true: caption t of picture n in
    true [2 N, N], claim c of picture n in claims [N, claims]."""

    images: Tensor
    tokens: tuple[Tensor, Tensor]
    true: Tensor
    claims: Tensor


def write_captions(true: Tensor, role: str, rng: np.random.Generator) -> tuple[list[str], list[list[int]]]:
    """Two captions a picture (short ones first), and the claims that each makes. true: [N, claims] of captions.holds."""
    rules, texts, mentions = grammar(role), [], []
    for low, high in (SHORT, LONG):
        for row in true.numpy():
            claims = choose(row, int(rng.integers(low, high + 1)), rules, rng)
            texts.append(sentence(claims, rules, rng))
            mentions.append(claims)
    return texts, mentions


def forgetful(tokens: Tensor, rng: np.random.Generator) -> Tensor:
    """The same tokens [T, L] with some words unknown, and an unknown word before some captions."""
    known = tokens > UNKNOWN
    tokens = torch.where(known & torch.from_numpy(rng.random(tokens.shape) < FORGET), UNKNOWN, tokens)
    longer = torch.cat([torch.full_like(tokens[:, :1], UNKNOWN), tokens], 1)
    plain = torch.cat([tokens, torch.full_like(tokens[:, :1], PAD)], 1)
    return torch.where(torch.from_numpy(rng.random((len(tokens), 1)) < INTRUDE), longer, plain)[:, :CONTEXT]


class Learner(nn.Module):
    """The towers and their loss, and the linear map that only training needs."""

    def __init__(self, spec: TextSpec, count: int) -> None:
        super().__init__()
        self.towers = Towers(spec, count, folded=False)
        self.towers.trunk.to(memory_format=torch.channels_last)
        self.tags = nn.Linear(spec.trunk.outputs, len(CLAIMS))

    def forward(self, batch: Captioned) -> Tensor:
        """CLIP's symmetric cross entropy, with every true pair of the batch as a positive one (UniCL, Yang et al. 2022).

        A short caption such as 'a person with glasses' is true of half of the pictures; as a negative of all but one it would
        teach the wrong thing. Beside it, the claims that are true of a picture are read from its vector.
        """
        images = self.towers.images(batch.images)
        # In single precision: half of it makes attention slower here, and the third digit of a cosine, times the scale, matters.
        with torch.autocast("cpu", enabled=False):
            texts = torch.cat([self.towers.texts(tokens) for tokens in batch.tokens])
            tags = F.binary_cross_entropy_with_logits(self.tags(8 * images), batch.claims)
            logits = self.towers.scale * texts @ images.T
        by_text = batch.true / batch.true.sum(1, keepdim=True)
        by_image = batch.true / batch.true.sum(0, keepdim=True)
        contrast = (by_text * logits.log_softmax(1)).sum(1).mean() + (by_image * logits.log_softmax(0)).sum(0).mean()
        return TAGS * tags - contrast


def draw_captioned(pool: Pool, true: Tensor, vocabulary: Vocabulary, recipe: Recipe, role: str, key: tuple) -> Captioned:
    """A batch of pictures of heads_networks.draw with fresh captions. true: `holds` of the whole pool. key: names the batch."""
    batch = draw(pool, recipe, torch.Generator().manual_seed(stream_seed("heads-batch", *key) % 2**63))
    rng = stream_rng("heads-captions", *key)
    here = true[torch.from_numpy(batch.index)]
    texts, mentions = write_captions(here, role, rng)
    halves = (texts[: len(here)], texts[len(here) :])
    tokens = tuple(forgetful(vocabulary.tokens(half), rng) for half in halves)
    return Captioned(batch.images, tokens, consistent(mentions, here).float(), here.float())


def train_text(name: str, pool: Pool, folder: Path, *, seconds: float, recipe: Recipe) -> tuple[dict[str, Tensor], dict]:
    """Train one network for `seconds` of processor time; gives back its state with the vocabulary, and what was done."""
    spec = TEXT_SPECS[name]
    vocabulary = Vocabulary(grammar(spec.role).words())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed("heads-networks", name) % 2**31)
        learner = Learner(spec, len(vocabulary))
    true = holds(pool.factors)

    def batch_of(step: int) -> Captioned:
        return draw_captioned(pool, true, vocabulary, recipe, spec.role, (name, step))

    facts = optimise(name, learner, batch_of, folder, seconds=seconds, recipe=recipe)
    return folded_state(learner.towers.eval()) | {"words": vocabulary.as_bytes()}, facts


def train_heads_text(out: Path, *, minutes: float, only: str | None = None, recipe: Recipe = RECIPE) -> list[Path]:
    """Train both text-image networks, or the one named `only`, and write NAME.safetensors and NAME.json into `out`.

    minutes: processor time over both; rendering (3 minutes each, once; pictures are shared with heads_segmenters) and measuring
    come on top. A network whose weights and card are there is kept. Raises InputError for an unknown name.
    """
    out = Path(out)
    if only is not None and only not in TEXT_SPECS:
        raise unknown("text-image network of heads", only, TEXT_SPECS)
    names = tuple(TEXT_SPECS) if only is None else (only,)

    def train(name: str) -> tuple[dict[str, Tensor], dict]:
        spec = TEXT_SPECS[name]
        independent = spec.trunk.independent
        data = {"seed": SEEDS[spec.role], "independent": independent, "soft": independent}
        pool = load_mask_pool(out / "pools", pairs=recipe.pairs, **data)
        return train_text(name, pool, out, seconds=60 * minutes / len(TEXT_SPECS), recipe=recipe)

    def card_of(network: nn.Module, **known: Any) -> dict[str, Any]:
        return make_card(network, out / "pools", recipe=recipe, **known)

    return train_each(names, out, train, lambda name, state: HeadsTextImage(TEXT_SPECS[name], state), card_of)


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=13.0, help="processor time over both networks")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=sorted(TEXT_SPECS))
    chosen = parser.parse_args()
    train_heads_text(chosen.out, minutes=chosen.minutes, only=chosen.only)


if __name__ == "__main__":
    main()
