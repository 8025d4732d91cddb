"""What the segmenters of `heads` can do, measured on held-out renders, and the JSON cards that say so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from bench.domains.heads.factors import CLASSES
from bench.domains.heads.segmenter import SEGMENTERS, HeadsSegmenter
from bench.generators.weights import load_card, load_safetensors
from bench.training.heads_cards import HELD_OUT_SEED, milliseconds
from bench.training.heads_mask_pool import MaskPool, load_mask_pool
from bench.training.heads_networks import draw
from bench.training.heads_pool import SEEDS, renderer_look
from metrics.statistics import bootstrap

if TYPE_CHECKING:
    from bench.training.heads_loop import Recipe

PAIRS = {"independent": 512, "correlated": 256}  # held-out persons, two pictures each
REPLICATES = 1000
GENERATOR = "heads-stylegan2"
GAN_PICTURES = 512
GAN_SEED = 911


def confusion(predicted: Tensor, truth: Tensor) -> Tensor:
    """[N, C, C] int64 pixel counts of each picture, rows true and columns predicted, from classes [N, H, W]."""
    count = len(CLASSES)
    cell = truth.flatten(1) * count + predicted.flatten(1)
    counts = torch.zeros(len(cell), count * count, dtype=torch.int64)
    return counts.scatter_add_(1, cell, torch.ones_like(cell)).view(-1, count, count)


def class_iou(counts: np.ndarray) -> np.ndarray:
    """[C] intersection over union of counts [N, C, C], pixels of all pictures pooled; 0 for a class that is nowhere."""
    pooled = counts.sum(0).astype(np.float64)
    both = np.diag(pooled)
    return both / np.maximum(pooled.sum(0) + pooled.sum(1) - both, 1)


def mask_figures(counts: Tensor, *, seed: int = 0) -> dict[str, Any]:
    """Mean IoU, IoU of each class and pixel accuracy, each [value, low, high] with a 95 % interval over pictures.

    counts: [N, C, C] of `confusion`. pictures_with: how many pictures show a class.
    """
    pooled = counts.numpy()

    def statistic(rows: np.ndarray) -> np.ndarray:
        iou = class_iou(rows)
        return np.r_[iou.mean(), np.trace(rows.sum(0)) / rows.sum(), iou]

    found = bootstrap(statistic, pooled, seed=seed, replicates=REPLICATES)
    rows = [[round(float(v), 4) for v in one] for one in zip(found.value, found.low, found.high, strict=True)]
    shown = (pooled.sum(2) > 0).sum(0).tolist()
    return {
        "mean_iou": rows[0],
        "pixel_accuracy": rows[1],
        "iou": dict(zip(CLASSES, rows[2:], strict=True)),
        "n": len(pooled),
        "pictures_with": dict(zip(CLASSES, shown, strict=True)),
    }


@torch.no_grad()
def classes_of(network: HeadsSegmenter, images: Tensor) -> Tensor:
    """The likeliest class of every pixel, [N, 64, 64], in chunks of 64 pictures."""
    return torch.cat([network.measure(part)["segmentation"].argmax(1) for part in images.split(64)])


def figures(network: HeadsSegmenter, pools: dict[str, MaskPool], recipe: Recipe) -> dict[str, Any]:
    """The figures of a card that renders decide; `damaged` are the independent ones blurred and noisy as in training."""
    held_out = {}
    for name, pool in pools.items():
        parts = (slice(i, i + 64) for i in range(0, len(pool), 64))
        counts = [confusion(classes_of(network, pool.pictures(part)), pool.labels(part)) for part in parts]
        held_out[name] = mask_figures(torch.cat(counts))
    counts = [confusion(classes_of(network, images), labels) for images, labels in damaged(pools["independent"], recipe)]
    return {"held_out": held_out, "damaged": mask_figures(torch.cat(counts))}


def damaged(pool: MaskPool, recipe: Recipe, batches: int = 8) -> Iterator[tuple[Tensor, Tensor]]:
    """Pictures that all got blur and noise, some of it the most there is in training, with their labels; not shifted."""
    for seed in range(batches):
        batch = draw(pool, recipe, torch.Generator().manual_seed(seed))
        down, right = batch.shift
        images = torch.roll(batch.images, (down - 1, right - 1), (2, 3))
        hurt = batch.damage.sum(1) > 0
        yield images[hurt], pool.labels(batch.index)[hurt]


def make_card(network: HeadsSegmenter, pools: Path, *, sha256: str, facts: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """The card of one trained segmenter. pools: the folder of rendered pools, where held-out ones are kept too."""
    spec = network.spec
    held_out = {
        "independent": load_mask_pool(pools, pairs=PAIRS["independent"], seed=HELD_OUT_SEED, independent=True),
        "correlated": load_mask_pool(pools, pairs=PAIRS["correlated"], seed=HELD_OUT_SEED + 1, independent=False),
    }
    data = "correlated factors"
    if spec.independent:
        data = "uncorrelated factors, every eighth row with glasses and beard of random opacity"
    return {
        "name": spec.name,
        "role": spec.role,
        "readings": sorted(network.readings),
        "classes": CLASSES,
        "architecture": {"family": spec.family, "widths": spec.widths, "decoder": spec.decoder, "input": 64},
        "parameters": sum(p.numel() for p in network.parameters()),
        "sha256": sha256,
        "data": f"renders with the class of every pixel; {data}",
        "augmentation": "blur, noise, gain and offset per channel, shift by a pixel, mirroring",
        "recipe": asdict(recipe),
        "seed": SEEDS[spec.role],
        "training": facts,
        "renderer_look": renderer_look(),
        **figures(network, held_out, recipe),
        "milliseconds_per_image": milliseconds(network),
        "on_gan_pictures": None,
        "on_gan_pictures_reason": "not measured: a GAN's pictures come without true classes, and there is no other segmenter",
    }


def add_agreement(folder: Path, pools: Path) -> None:
    """Put into the cards of guide and judge how far the two agree on a GAN's pictures, and on renders; where both are there.

    folder: of weights and cards; pools: where held-out renders are kept, or are rendered to.

    A GAN's pictures come without truth. Two networks that were trained apart and agree there as they do on renders are hardly
    both lost there; that is a weaker statement than accuracy, and the card calls it what it is.
    """
    networks = {}
    for spec in SEGMENTERS.values():
        weights, card = folder / f"{spec.name}.safetensors", folder / f"{spec.name}.json"
        if not (weights.exists() and card.exists()):
            return
        networks[spec.role] = HeadsSegmenter(spec, load_safetensors(weights, sha256=load_card(card)["sha256"]))
    generated, sha = gan_pictures()
    renders = load_mask_pool(pools, pairs=PAIRS["correlated"], seed=HELD_OUT_SEED + 1, independent=False)
    pictures = {"gan": generated, "renders": renders.pictures(slice(0, GAN_PICTURES))}
    found: dict[str, Any] = {"generator": GENERATOR, "generator_sha": sha, "seed": GAN_SEED}
    for name, images in pictures.items():
        counts = confusion(classes_of(networks["guide"], images), classes_of(networks["judge"], images))
        found[f"agreement_on_{name}"] = mask_figures(counts)
    for network in networks.values():
        path = folder / f"{network.name}.json"
        card = load_card(path) | {"on_gan_pictures": found}
        card["on_gan_pictures_reason"] = "no truth: IoU between guide and judge, beside the same on renders of correlated factors"
        path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def gan_pictures(count: int = GAN_PICTURES) -> tuple[Tensor, str]:
    """Pictures [count, 3, 64, 64] of the shipped generator, and its fingerprint."""
    from bench.passes import Passes
    from bench.registry import Registry

    generator = Registry().load("generators", GENERATOR)()
    codes = generator.sample(torch.arange(count), seed=GAN_SEED)
    return Passes(generator).synthesize(codes), generator.fingerprint
