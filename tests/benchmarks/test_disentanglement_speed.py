"""Seconds of the disentanglement metrics, beside the published recipe on the same arrays in the same run, at equal answers.

`extra_info` holds `plain_seconds` (the recipe's least time) and `ratio`, that over the metric's least time. LATENTBENCH_DCI_SIZE
sets rows and codes of DCI, '5000x512' for the published figure (the recipe then takes minutes).
"""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import mutual_info_score

from metrics.dci import dci, dci_from_importance
from metrics.information import mig
from metrics.vae_scores import factor_vae_batches, factor_vae_score

ROUNDS = 3


def compare(benchmark, metric: Callable[[], Any], recipe: Callable[[], Any], rounds: int = ROUNDS) -> tuple[Any, Any]:
    """Time both, record the ratio and the metric's peak of traced memory, and return what they found."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        reference = recipe()
        seconds.append(time.perf_counter() - start)
    found = benchmark.pedantic(metric, rounds=rounds)
    benchmark.extra_info["plain_seconds"] = min(seconds)
    if benchmark.stats is not None:  # none under --benchmark-disable
        benchmark.extra_info["ratio"] = min(seconds) / benchmark.stats.stats.min
    tracemalloc.start()
    metric()
    benchmark.extra_info["peak_mb"] = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return found, reference


def test_dci_against_scikit_learns_trees(benchmark):
    n, d = map(int, os.environ.get("LATENTBENCH_DCI_SIZE", "1000x128").split("x"))
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(n + n // 2, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)) / d**0.5)
    noise = rng.normal(size=(len(codes), 2))
    scores = np.column_stack([codes[:, 0] + 0.5 * codes[:, 1], codes[:, : d // 8] @ rng.exponential(size=d // 8)]) + 0.5 * noise
    factors = (scores > np.median(scores, 0)).astype(int)
    four = codes[:n], factors[:n], codes[n:], factors[n:]

    def recipe() -> tuple[np.ndarray, float]:
        models = [GradientBoostingClassifier(random_state=0).fit(four[0], column) for column in four[1].T]
        accuracy = [np.mean(model.predict(four[2]) == column) for model, column in zip(models, four[3].T, strict=True)]
        return np.stack([model.feature_importances_ for model in models], 1), float(np.mean(accuracy))

    dci(codes[:50, :3], factors[:50], codes[50:60, :3], factors[50:60])  # libraries are loaded
    found, (importance, accuracy) = compare(benchmark, lambda: dci(*four), recipe, rounds=1)
    cosine = (importance * found.importance).sum() / np.linalg.norm(importance) / np.linalg.norm(found.importance)
    shares = dci_from_importance(importance)
    benchmark.extra_info["cosine"] = cosine
    assert cosine >= 0.99
    assert found.disentanglement == pytest.approx(shares.disentanglement, abs=0.02)
    assert found.completeness == pytest.approx(shares.completeness, abs=0.02)
    assert found.informativeness == pytest.approx(accuracy, abs=0.02)


def test_mig_against_a_call_for_every_pair(benchmark):
    rng = np.random.default_rng(1)
    factors = rng.integers(5, size=(5000, 8))
    codes = rng.normal(size=(5000, 64)) + np.tile(factors, 8)

    def recipe() -> float:
        binned = np.stack([np.digitize(c, np.histogram(c, 20)[1][:-1]) for c in codes.T])
        information = np.array([[mutual_info_score(f, b) for f in factors.T] for b in binned])
        entropy = np.array([mutual_info_score(f, f) for f in factors.T])
        best = np.sort(information, axis=0)[::-1]
        return float(np.mean((best[0] - best[1]) / entropy))

    found, reference = compare(benchmark, lambda: mig(codes, factors, bins=20), recipe)
    assert found == pytest.approx(reference, abs=1e-9)


def test_factor_vae_against_one_minibatch_at_a_time(benchmark):
    sizes = np.array([4, 3, 6, 2, 5])
    grid = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), -1).reshape(-1, 5)
    mixing = np.eye(5, 10) + 0.05 * np.random.default_rng(2).normal(size=(5, 10))
    table = np.tanh((grid / (sizes - 1) - 0.5) @ mixing * 2)  # codes of every picture there is
    places = np.append(np.cumprod(sizes[:0:-1])[::-1], 1)
    batches, batch = 3000, 64

    def draw(n: int, rng: np.random.Generator) -> np.ndarray:
        return np.stack([rng.integers(size, size=n) for size in sizes], axis=1)

    def represent(factors: np.ndarray) -> np.ndarray:
        return table[(factors @ places).astype(np.int64)]

    scale = represent(draw(10_000, np.random.default_rng(3))).var(0, ddof=1)

    def recipe() -> float:
        rng = np.random.default_rng(4)
        votes = np.zeros((5, 10), np.int64)
        for _ in range(batches):
            fixed = rng.integers(5)
            factors = draw(batch, rng)
            factors[:, fixed] = factors[0, fixed]
            spread = np.var(represent(factors), axis=0, ddof=1)
            votes[fixed, np.argmin(spread / scale)] += 1
        return float(votes.max(0).sum() / votes.sum())

    def metric() -> float:
        return factor_vae_score(*factor_vae_batches(draw, represent, batches, batch=batch, seed=4), scale=scale)

    found, reference = compare(benchmark, metric, recipe)
    assert found == pytest.approx(reference, abs=0.03)  # other draws
