"""Seconds of each method's fit, beside the plain recipe on the same rows in the same run.

`extra_info` holds `plain_seconds` (the least of a few rounds) and `ratio`, that over our least time (above 1: ours is faster).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.svm import SVC

from bench.cards import DomainInfo, GeneratorInfo, LayerInfo
from bench.codes import Codes, Space
from bench.generators.base import Generator
from bench.streams import stream_seed
from methods.base import FitContext
from methods.baselines.random_directions import RandomDirections
from methods.supervised.interfacegan import InterFaceGAN, chosen_number
from methods.unsupervised.ganspace import GANSpace
from methods.unsupervised.sefa import SeFa

TARGETS = tuple(f"a{i}" for i in range(5))
BANK, WIDTH, ROWS, ROUNDS = 8192, 64, 10, 3


class Mapped(Generator):
    """A mapping network of eight layers and the style weights of a 64 px StyleGAN2; no picture is needed to fit."""

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.register_buffer("mapping", torch.randn(8, WIDTH, WIDTH, generator=draw) * (1.9 / WIDTH) ** 0.5)
        self.register_buffer("styles", torch.randn(ROWS, 128, WIDTH, generator=draw))
        layers = tuple(LayerInfo(f"l{r}", 4, 128, rows=(r,)) for r in range(ROWS))
        self.info = GeneratorInfo("mapped", "toy", "toys", 64, {"z": (WIDTH,), "w": (WIDTH,), "w+": (ROWS, WIDTH)}, layers)

    def convert(self, codes: Codes, space: Space | str) -> Codes:
        values = codes.values
        if codes.space == Space.Z and Space(space) == Space.W:
            for weight in self.mapping:
                values = torch.nn.functional.leaky_relu(values @ weight, 0.2)
        return codes.with_values(values, space)

    def synthesize(self, codes, *, intervene=(), noise="const"):
        raise AssertionError("a fit in this test makes no picture")

    def code_weights(self, space, layers=None):
        return list(self.styles) if layers is None else [self.styles[int(name[1:])] for name in layers]


class FixedBank:
    """Codes of one draw, and noisy scores that are linear in w."""

    def __init__(self, generator: Generator) -> None:
        self.names = TARGETS
        z = generator.sample(torch.arange(BANK), seed=0)
        self.held = {Space.Z: z, Space.W: generator.convert(z, "w")}
        draw = torch.Generator().manual_seed(1)
        w = self.held[Space.W].values
        clean = (w / w.std()) @ torch.randn(WIDTH, len(TARGETS), generator=draw)
        self.scores = clean + 4 * torch.randn(BANK, len(TARGETS), generator=draw)

    def __len__(self) -> int:
        return BANK

    def codes(self, space: Space | str) -> Codes:
        return self.held[Space(space)]


@pytest.fixture(scope="module")
def context() -> FitContext:
    generator = Mapped()
    return FitContext(generator, DomainInfo("toys", ()), {}, FixedBank(generator), TARGETS, 24, 0)


def compare(benchmark, fit: Callable[[], Any], plain: Callable[[], Any]) -> tuple[Any, Any]:
    """Time both, record the ratio, and return what they found."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        reference = plain()
        seconds.append(time.perf_counter() - start)
    found = benchmark.pedantic(fit, rounds=ROUNDS)
    benchmark.extra_info["plain_seconds"] = min(seconds)
    if benchmark.stats is not None:  # none under --benchmark-disable
        benchmark.extra_info["ratio"] = min(seconds) / benchmark.stats.stats.min
    return found, reference


@pytest.mark.parametrize("space", ["w", "z"])
def test_interfacegan_against_the_plain_svm(benchmark, context, space):
    codes, scores = context.bank.codes(space).values.numpy(), context.bank.scores.numpy()
    side = chosen_number(BANK, 0.02)

    def plain() -> np.ndarray:
        found = []
        for column in scores.T:
            order = np.argsort(column)
            rows = np.concatenate([order[-side:][: int(0.7 * side)], order[:side][: int(0.7 * side)]])
            svm = SVC(kernel="linear").fit(codes[rows], np.repeat([1, 0], int(0.7 * side)))
            found.append(svm.coef_[0] / np.linalg.norm(svm.coef_[0]))
        return np.stack(found)

    fitted, reference = compare(benchmark, lambda: InterFaceGAN(space=space).fit(context), plain)
    assert ((fitted.editor.directions.numpy() * reference).sum(1) > 0.5).all()  # other codes of the same extremes train


def test_sefa_against_a_general_eigensolver(benchmark, context):
    weights = torch.cat(context.generator.code_weights("w")).numpy()

    def plain() -> np.ndarray:
        columns = weights.T / np.linalg.norm(weights.T, axis=0, keepdims=True)
        values, vectors = np.linalg.eig(columns @ columns.T)
        return vectors.T[np.argsort(-values)]

    fitted, reference = compare(benchmark, lambda: SeFa().fit(context), plain)
    cosine = np.abs((fitted.editor.directions.numpy() * reference[:24]).sum(1))
    assert (cosine > 0.999).all(), cosine


def test_ganspace_against_an_exact_pca(benchmark, context):
    """The plain recipe samples as many codes, maps them and fits scikit-learn's PCA in one piece."""
    n = 20_000

    def plain() -> np.ndarray:
        z = context.generator.sample(torch.arange(n), seed=stream_seed("ganspace", "pca", 0))
        return PCA(24).fit(context.generator.convert(z, "w").values.numpy()).components_

    fitted, reference = compare(benchmark, lambda: GANSpace(num_samples=n).fit(context), plain)
    cosine = np.abs((fitted.editor.directions.numpy() * reference).sum(1))
    assert (cosine[:5] > 0.999).all(), cosine


def test_ganspace_as_it_is_by_default(benchmark, context):
    fitted = benchmark.pedantic(lambda: GANSpace().fit(context), rounds=1)
    assert len(fitted.editor.targets) == 24


def test_random_against_plain_draws(benchmark, context):
    codes = context.bank.codes("w").values.numpy()

    def plain() -> np.ndarray:
        directions = np.random.default_rng(0).standard_normal((24, WIDTH))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return (codes @ directions.T).std(0)

    fitted, _ = compare(benchmark, lambda: RandomDirections().fit(context), plain)
    assert len(fitted.editor.targets) == 24
