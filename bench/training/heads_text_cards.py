"""What the text-image networks of `heads` can do, measured on held-out renders, and the JSON cards that say so."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from bench.domains.heads.captions import CLAIM, Grammar, choose, consistent, grammar, holds, sentence
from bench.domains.heads.factors import FACTORS, NAMES
from bench.domains.heads.phrases import APART, CLAIMS
from bench.domains.heads.text_networks import HeadsTextImage
from bench.streams import stream_rng
from bench.training.heads_cards import HELD_OUT_SEED, cross_talk, milliseconds, spreads, sweep
from bench.training.heads_mask_pool import load_mask_pool
from bench.training.heads_pool import SEEDS, Pool, renderer_look
from bench.training.heads_segmenter_cards import GAN_SEED, GENERATOR, PAIRS, gan_pictures
from metrics.statistics import bootstrap

if TYPE_CHECKING:
    from bench.training.heads_loop import Recipe

GROUP = 64  # pictures among which a caption's own one is sought
NAMED = (5, 10)  # claims of a caption in the retrieval
REPLICATES = 500
SWEEP_BASES = 24
STRANGE = "qwyx"  # a word that no vocabulary holds


def auc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Probability that a true row scores higher than a false one, ties counting half; NaN where either kind is missing."""
    positive = truth > 0.5
    n = int(positive.sum())
    if n in (0, len(truth)):
        return float("nan")
    return float((rankdata(scores)[positive].sum() - n * (n + 1) / 2) / (n * (len(truth) - n)))


def auc_figure(scores: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """AUC with its 95 % interval over pictures, and how many rows there were of either kind."""
    found = bootstrap(auc, scores, truth.astype(np.float64), seed=0, replicates=REPLICATES)
    rounded = {key: round(float(value), 4) for key, value in found._asdict().items()}
    positive = int((truth > 0.5).sum())
    return {"auc": [rounded["value"], rounded["low"], rounded["high"]], "n": [positive, len(truth) - positive]}


@torch.no_grad()
def pictures_of(network: HeadsTextImage, images: Tensor) -> Tensor:
    """Unit vectors of pictures, in chunks of 128."""
    return torch.cat([network.encode_image(part) for part in images.split(128)])


def pool_vectors(network: HeadsTextImage, pool: Pool) -> Tensor:
    return torch.cat([pictures_of(network, pool.pictures(slice(i, i + 128))) for i in range(0, len(pool), 128)])


def prompt_scores(network: HeadsTextImage, vectors: Tensor, prompts: Sequence[tuple[str, str]]) -> Tensor:
    """[N, K] of pictures' vectors and pairs of prompts (negative, positive): scale times the difference of cosines, a logit."""
    negative, positive = (network.encode_text([pair[i] for pair in prompts]) for i in (0, 1))
    return network.scale * vectors @ (positive - negative).T


def zero_shot(scores: np.ndarray, factors: np.ndarray) -> dict[str, Any]:
    """AUC of each attribute from scores [N, 18]: with against without; the upper third of a continuous one against the lower."""
    found = {}
    for i, factor in enumerate(FACTORS):
        share = (factors[:, i] - factor.low) / (factor.high - factor.low)
        outer = np.abs(share - 0.5) > 1 / 6
        found[factor.name] = auc_figure(scores[outer, i], share[outer] > 0.5)
    return found


def unseen_prompts() -> dict[str, tuple[str, str]]:
    """A pair of prompts for each factor in wordings that no training has used: (low end, high end)."""
    rules, rng, found = grammar("unseen"), stream_rng("heads-unseen"), {}
    for factor in NAMES:
        about = [(claim.where[factor], i) for i, claim in enumerate(CLAIMS) if claim.factor == factor and claim.unseen]
        low = min((i for span, i in about if span[0] == 0.0), default=None)
        high = min((i for span, i in about if span[1] == 1.0), default=None)
        if low is not None and high is not None:
            words = (f"a person {spoken(low, rules, rng)}", f"a person {spoken(high, rules, rng)}")
            found[factor] = words
    return found


def spoken(claim: int, rules: Grammar, rng: np.random.Generator) -> str:
    """One wording of a claim, as it stands behind a noun."""
    phrase = rules.phrases[claim][rng.integers(len(rules.phrases[claim]))]
    if phrase.startswith("adj: "):
        return f"looking {phrase[5:]}"
    return phrase.replace("with: ", "with ")


def retrieval(
    network: HeadsTextImage, vectors: Tensor, factors: Tensor, rules: Grammar, *, strange: bool = False
) -> dict[str, Any]:
    """Of GROUP pictures, is the likeliest one for a caption its own, and the likeliest caption for a picture?

    true_picture counts a picture that the caption is also true of. strange: one word of each caption is an unknown one instead.
    """
    rng, true = stream_rng("heads-retrieval"), holds(factors)
    mentions = [choose(row, int(rng.integers(NAMED[0], NAMED[1] + 1)), rules, rng) for row in true.numpy()]
    texts = [sentence(claims, rules, rng) for claims in mentions]
    if strange:
        for i, text in enumerate(texts):
            words = text.split()
            words[int(rng.integers(len(words)))] = STRANGE
            texts[i] = " ".join(words)
    with warnings.catch_warnings():
        if strange:
            warnings.simplefilter("ignore", UserWarning)
        embedded = network.encode_text(texts)
    hits = {"own_picture": [], "true_picture": [], "own_caption": []}
    for start in range(0, len(texts) - GROUP + 1, GROUP):
        part = slice(start, start + GROUP)
        cosines = embedded[part] @ vectors[part].T
        best, own = cosines.argmax(1), torch.arange(GROUP)
        fits = consistent(mentions[part], true[part])
        hits["own_picture"] += (best == own).tolist()
        hits["true_picture"] += fits[own, best].tolist()
        hits["own_caption"] += (cosines.argmax(0) == own).tolist()
    found = {"of": GROUP, "n": len(hits["own_picture"])}
    for name, values in hits.items():
        estimate = bootstrap(np.mean, np.array(values, np.float64), seed=0, replicates=REPLICATES)
        found[name] = [round(float(v), 4) for v in (estimate.value, estimate.low, estimate.high)]
    return found


def combinations(network: HeadsTextImage, vectors: Tensor, factors: Tensor) -> dict[str, Any]:
    """AUC of prompts that name two things which no training caption names together: pictures with both against those with one."""
    rules, rng, true = grammar(network.spec.role), stream_rng("heads-combinations"), holds(factors).numpy()
    found = {}
    for pair in APART:
        i, j = (CLAIM[name] for name in pair)
        text = f"a person {spoken(i, rules, rng)} and {spoken(j, rules, rng)}"
        either = true[:, i] | true[:, j]
        scores = (vectors @ network.encode_text([text]).T)[:, 0].numpy()
        found[text] = auc_figure(scores[either], (true[:, i] & true[:, j])[either])
    return found


def figures(network: HeadsTextImage, pools: dict[str, Pool], one_factor: Pool) -> dict[str, Any]:
    """The figures of a card that renders decide. pools: `independent` and others, persons in pairs; one_factor: of `sweep`."""
    prompts, unseen, rules = [f.prompts for f in FACTORS], unseen_prompts(), grammar(network.spec.role)
    found: dict[str, Any] = {"retrieval": {}, "zero_shot": {}}
    for name, pool in pools.items():
        # A person's second picture shares claims with the first: among GROUP neighbours each person is there once.
        vectors, factors = pool_vectors(network, pool), pool.factors
        order = torch.cat([torch.arange(0, len(pool), 2), torch.arange(1, len(pool), 2)])
        found["retrieval"][name] = {
            "known_wordings": retrieval(network, vectors[order], factors[order], rules),
            "unseen_wordings": retrieval(network, vectors[order], factors[order], grammar("unseen")),
            "one_word_unknown": retrieval(network, vectors[order], factors[order], rules, strange=True),
        }
        scores, table = prompt_scores(network, vectors, prompts).numpy(), factors.numpy()
        found["zero_shot"][name] = zero_shot(scores, table)
        if name == "independent":
            columns = [NAMES.index(one) for one in unseen]
            other = np.zeros_like(scores)
            other[:, columns] = prompt_scores(network, vectors, list(unseen.values())).numpy()
            read = zero_shot(other, table)
            found["unseen_wordings"] = {one: {"prompts": unseen[one], **read[one]} for one in unseen}
            found["unseen_combinations"] = combinations(network, vectors, factors)
            talk = cross_talk(
                prompt_scores(network, pool_vectors(network, one_factor), prompts), spreads(torch.from_numpy(scores), factors)
            )
            found["cross_talk"] = [[round(v, 4) for v in row] for row in talk.tolist()]
            floor = (talk.sum(1) - talk.diag()) / (len(FACTORS) - 1)
            found["off_target_floor"] = {one: round(float(v), 4) for one, v in zip(NAMES, floor, strict=True)}
    return found


def on_gan_pictures(network: HeadsTextImage) -> dict[str, Any]:
    """How far prompts agree with the judge of attributes on a GAN's pictures, which come without truth.

    AUC of each attribute's prompts against the judge's binary label, or the upper against the lower third of its readings.
    """
    from bench.domains.heads.domain import heads

    images, sha = gan_pictures()
    judge = heads().judge("attributes")
    with torch.no_grad():
        read = torch.cat([judge.measure(part)["attributes"] for part in images.split(64)]).numpy()
    scores = prompt_scores(network, pictures_of(network, images), [f.prompts for f in FACTORS]).numpy()
    found = {}
    for i, factor in enumerate(FACTORS):
        values = read[:, i]
        low, high = (0.0, 0.0) if factor.kind == "binary" else np.quantile(values, [1 / 3, 2 / 3])
        outer = (values <= low) | (values > high)
        found[factor.name] = auc_figure(scores[outer, i], values[outer] > high)
    return {"generator": GENERATOR, "generator_sha": sha, "seed": GAN_SEED, "label": judge.name, "agreement": found}


def make_card(network: HeadsTextImage, pools: Path, *, sha256: str, facts: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """The card of one trained network. pools: the folder of rendered pools, where held-out ones are kept too."""
    spec, trunk = network.spec, network.spec.trunk
    held_out = {
        "independent": load_mask_pool(pools, pairs=PAIRS["independent"], seed=HELD_OUT_SEED, independent=True),
        "correlated": load_mask_pool(pools, pairs=PAIRS["correlated"], seed=HELD_OUT_SEED + 1, independent=False),
    }
    architecture = {"family": trunk.family, "widths": trunk.widths, "hidden": trunk.hidden, "outputs": trunk.outputs, "input": 64}
    data = "uncorrelated factors, every eighth row with glasses and beard of random opacity" if trunk.independent else (
        "correlated factors"
    )  # fmt: skip
    return {
        "name": spec.name,
        "role": spec.role,
        "readings": sorted(network.readings),
        "architecture": {**architecture, "reader": spec.reader, "word_width": spec.width, "words": len(network.vocabulary.words)},
        "parameters": sum(p.numel() for p in network.parameters()),
        "scale": round(network.scale, 3),
        "sha256": sha256,
        "data": f"renders with captions made of true claims about their factors; {data}",
        "objective": "CLIP's contrast, every true pair a positive one, and true claims read linearly from a picture's vector",
        "unknown_words": "read as one and the same token, with a warning that names them",
        "augmentation": "blur, noise, gain and offset per channel, shift by a pixel; words forgotten, unknown words put in",
        "recipe": asdict(recipe),
        "seed": SEEDS[spec.role],
        "training": facts,
        "renderer_look": renderer_look(),
        "held_out_pictures": {name: len(pool) for name, pool in held_out.items()} | {"one_factor_bases": SWEEP_BASES},
        **figures(network, held_out, sweep(SWEEP_BASES)),
        "on_gan_pictures": on_gan_pictures(network),
        "milliseconds_per_image": milliseconds(network),
    }
