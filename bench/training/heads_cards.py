"""What the guides and judges of `heads` can do, measured on held-out renders, and the JSON cards that say so."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor

from bench.domains.heads.factors import FACTORS, IDENTITY, INDEX, NAMES, NUISANCE
from bench.domains.heads.networks import BINARY, CONTINUOUS, HeadsNetwork
from bench.training.heads_pool import SEEDS, Pool, load_pool, person_factors, render_bytes, renderer_look, standardised

if TYPE_CHECKING:
    from bench.training.heads_loop import Recipe

HELD_OUT_SEED = 909  # no network was trained on pictures of this seed
SWEEP_SEED = 910


@torch.no_grad()
def read(network: HeadsNetwork, pool: Pool, reading: str) -> Tensor:
    """One reading of all pictures of a pool, in chunks of 128."""
    return torch.cat([network.measure(pool.pictures(slice(i, i + 128)))[reading] for i in range(0, len(pool), 128)])


def r_squared(predicted: Tensor, truth: Tensor) -> float:
    """1 - residual variance / variance of the truth, for vectors; at most 1, negative where the mean would do better."""
    return float(1 - (predicted - truth).double().square().mean() / truth.double().var(correction=0))


def attribute_figures(scores: Tensor, factors: Tensor) -> dict[str, dict[str, float]]:
    """R2 of every continuous factor and AUC of every binary one, from scores [N, 18] and factor rows [N, N_COLUMNS]."""
    r2 = {NAMES[i]: round(r_squared(scores[:, i], factors[:, i]), 4) for i in CONTINUOUS}
    auc = {NAMES[i]: round(float(roc_auc_score(factors[:, i] > 0.5, scores[:, i])), 5) for i in BINARY}
    return {"r2": r2, "auc": auc}


def verification_auc(vectors: Tensor) -> float:
    """Probability that a same-person pair is more alike than a different-person pair: rows 2k and 2k + 1 are one person.

    Same pairs are all N / 2 there are, different pairs all first rows against all second rows of others.
    """
    alike = vectors[0::2] @ vectors[1::2].T
    same = torch.eye(len(alike), dtype=torch.bool)
    return round(float(roc_auc_score(same.flatten().numpy(), alike.flatten().numpy())), 5)


def identity_r2(network: HeadsNetwork, pool: Pool) -> dict[str, float]:
    """R2 of each identity factor, recovered from the angle of its two coordinates in the identity vectors."""
    cos, sin = read(network, pool, "identity").chunk(2, 1)
    values = torch.atan2(sin, cos) * (12**0.5 / math.pi)
    columns = [INDEX[name] for name in IDENTITY]
    truth = standardised(pool.factors)[:, columns]
    return {name: round(r_squared(values[:, i], truth[:, i]), 4) for i, name in enumerate(IDENTITY)}


def probe_r2(fit: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], ridge: float = 1e-3) -> dict[str, float]:
    """R2 on `test` of each factor and nuisance column, by ridge regression on `fit`; both are features [N, D] and factor rows.

    The fit needs many more rows than features: with N rows it adds about D / N to the residual variance.
    """
    (x, factors), (tested, truth) = ((F.pad(v.double(), (0, 1), value=1.0), f.double()) for v, f in (fit, test))
    gram = x.T @ x + ridge * len(x) * torch.eye(x.shape[1], dtype=torch.float64)
    predicted = tested @ torch.linalg.solve(gram, x.T @ factors)
    return {name: round(r_squared(predicted[:, i], truth[:, i]), 4) for i, name in enumerate(NAMES + NUISANCE)}


def sweep(bases: int, seed: int = SWEEP_SEED) -> Pool:
    """One-factor renders: rows 3 (i * bases + b) + (0, 1, 2) are base b with factor i at its low end, middle and high end.

    Bases are drawn from independent factors, so that no factor comes with another.
    """
    rows = person_factors((bases + 1) // 2, seed=seed, independent=True)[:bases]
    rows = rows.repeat(len(FACTORS), 1).repeat_interleave(3, 0)
    for i, factor in enumerate(FACTORS):
        ends = torch.tensor([factor.low, (factor.low + factor.high) / 2, factor.high])
        rows[3 * i * bases : 3 * (i + 1) * bases, i] = ends.repeat(bases)
    return Pool(render_bytes(rows), rows)


def spreads(scores: Tensor, factors: Tensor) -> Tensor:
    """Sigma of each output [18]: the deviation of a continuous one, the distance of the class-mean logits of a binary one."""
    sigma = scores.std(0)
    for i in BINARY:
        has = factors[:, i] > 0.5
        sigma[i] = scores[has, i].mean() - scores[~has, i].mean()
    return sigma


def cross_talk(scores: Tensor, sigma: Tensor) -> Tensor:
    """[18, 18]: mean |change| of output j, in its sigma, when factor i alone goes from low to high end. scores: of `sweep`."""
    ends = scores.view(len(FACTORS), -1, 3, len(FACTORS))
    return (ends[:, :, 2] - ends[:, :, 0]).abs().mean(1) / sigma


def figures(network: HeadsNetwork, independent: Pool, correlated: Pool, one_factor: Pool) -> dict[str, Any]:
    """Every figure of a card that renders decide. Held-out pools hold persons in pairs; one_factor is a `sweep`."""
    kind = network.spec.kind
    pools = {"independent": independent, "correlated": correlated}
    if kind == "attributes":
        scores = {name: read(network, pool, "attributes") for name, pool in pools.items()}
        talk = cross_talk(read(network, one_factor, "attributes"), spreads(scores["independent"], independent.factors))
        floor = {NAMES[i]: round(float((talk[i].sum() - talk[i, i]) / (len(FACTORS) - 1)), 4) for i in range(len(FACTORS))}
        held_out = {name: attribute_figures(scores[name], pool.factors) for name, pool in pools.items()}
        rows = [[round(v, 4) for v in row] for row in talk.tolist()]
        return {"held_out": held_out, "cross_talk": rows, "off_target_floor": floor}
    if kind == "identity":
        held_out = {name: {"verification_auc": verification_auc(read(network, pool, "identity"))} for name, pool in pools.items()}
        ends = read(network, one_factor, "identity")
        ends = ends.view(len(FACTORS), -1, 3, ends.shape[-1])
        alike = (ends[:, :, 0] * ends[:, :, 2]).sum(-1).mean(1).tolist()
        r2 = {name: identity_r2(network, pool) for name, pool in pools.items()}
        held_out = {name: held_out[name] | {"r2": r2[name]} for name in pools}
        return {"held_out": held_out, "similarity_over_range": {n: round(v, 4) for n, v in zip(NAMES, alike, strict=True)}}
    features, half = read(network, independent, "features"), len(independent) // 2
    fit = (features[:half], independent.factors[:half])  # one probe for both pools: the correlated one tests it under another law
    tests = {
        "independent": (features[half:], independent.factors[half:]),
        "correlated": (read(network, correlated, "features"), correlated.factors),
    }
    held_out = {name: {"probe_r2": probe_r2(fit, test)} for name, test in tests.items()}
    ends = read(network, one_factor, "perceptual")
    ends = ends.view(len(FACTORS), -1, 3, ends.shape[-1])
    # The whole range of `background` is 0.8 of the hue circle, so its half is the farther one: the best share is 17 / 18.
    nearer, whole = ((ends[:, :, k] - ends[:, :, 0]).square().sum(-1) for k in (1, 2))
    vectors = read(network, independent, "perceptual")
    apart = (vectors[0::2] - vectors[1::2].roll(1, 0)).square().sum(1).mean()
    return {
        "held_out": held_out,
        "distance_of_strangers": round(float(apart), 4),
        "distance_over_range": {n: round(v, 4) for n, v in zip(NAMES, whole.mean(1).tolist(), strict=True)},
        "half_range_is_nearer": round(float((nearer < whole).float().mean()), 4),
    }


def milliseconds(network: HeadsNetwork, rows: int = 64, repeats: int = 8) -> float:
    """Processor milliseconds a picture on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        images = torch.zeros(rows, 3, 64, 64).uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            network.measure(images)
            start = time.process_time()
            for _ in range(repeats):
                network.measure(images)
        return round((time.process_time() - start) / (rows * repeats) * 1000, 3)
    finally:
        torch.set_num_threads(threads)


def make_card(network: HeadsNetwork, pools: Path, *, sha256: str, facts: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """The card of one trained network. pools: the folder of rendered pools, where held-out ones are kept too."""
    one = network.spec
    independent = load_pool(pools, pairs=1536, seed=HELD_OUT_SEED, independent=True)
    correlated = load_pool(pools, pairs=768, seed=HELD_OUT_SEED + 1, independent=False)
    data = "correlated factors"
    if one.independent:
        data = "uncorrelated factors, every eighth row with glasses and beard of random opacity"
    return {
        "name": one.name,
        "role": one.role,
        "readings": sorted(one.readings),
        "architecture": {"family": one.family, "widths": one.widths, "hidden": one.hidden, "outputs": one.outputs, "input": 64},
        "parameters": sum(p.numel() for p in network.parameters()),
        "sha256": sha256,
        "data": f"renders of persons in pairs that share the identity factors; {data}",
        "augmentation": "blur, noise, gain and offset per channel, shift by a pixel: mild, as GAN pictures are softer",
        "recipe": asdict(recipe),
        "seed": SEEDS[one.role],
        "training": facts,
        "renderer_look": renderer_look(),
        "held_out_pictures": {"independent": len(independent), "correlated": len(correlated), "one_factor_bases": 48},
        **figures(network, independent, correlated, sweep(48)),
        "milliseconds_per_image": milliseconds(network),
        "drop_on_gan_pictures": None,
        "drop_on_gan_pictures_reason": "not measured: a GAN's pictures come without true factors",
    }
