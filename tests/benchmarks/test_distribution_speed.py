"""Set statistics against the usual recipes in the same run: FID moments against a folder of PNG files, and what they hold.

`extra_info` holds `plain_seconds` (the least of a few rounds), `ratio`, the plain recipe's least time over ours (above 1 is
faster), and `peak_mb` of ours. The network is left out of both sides: features are taken from the resized picture itself.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.networks.inception import resizer, to_bytes
from metrics import distribution as d

PICTURES, SIDE, WIDTH, BATCH, ROUNDS = 256, 64, 2048, 32, 3


def compare(benchmark, ours: Callable[[], Any], plain: Callable[[], Any]) -> tuple[Any, Any]:
    """Time both, record the ratio, and return what they found."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        reference = plain()
        seconds.append(time.perf_counter() - start)
    found = benchmark.pedantic(ours, rounds=ROUNDS)
    benchmark.extra_info["plain_seconds"] = min(seconds)
    if benchmark.stats is not None:  # none under --benchmark-disable
        benchmark.extra_info["ratio"] = min(seconds) / benchmark.stats.stats.min
    return found, reference


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    smooth = torch.randn(PICTURES, 3, SIDE // 4, SIDE // 4, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(smooth, scale_factor=4, mode="bilinear").clamp(-1, 1)


def taken(pixels: np.ndarray) -> np.ndarray:
    """Stands for the network: WIDTH of the numbers of a picture."""
    flat = pixels.reshape(-1)
    return flat[:: max(1, len(flat) // WIDTH)][:WIDTH].astype(np.float32)


@pytest.mark.parametrize("resized", [False, True], ids=["without_resize", "with_resize"])
def test_streaming_moments_against_a_folder_of_png(benchmark, pictures, tmp_path, resized):
    """Pictures in memory to mean and covariance. The resize to 299 px belongs to the network and is the same on both sides."""
    resize = resizer() if resized else (lambda one: one)

    def ours() -> tuple[np.ndarray, np.ndarray]:
        stream = d.Moments()
        for batch in pictures.split(BATCH):
            stream.update(np.stack([taken(resize(one)) for one in to_bytes(batch)]))
        return stream.compute()

    def plain() -> tuple[np.ndarray, np.ndarray]:
        files = [tmp_path / f"{i:06d}.png" for i in range(len(pictures))]
        for batch, start in zip(pictures.split(BATCH), range(0, len(pictures), BATCH), strict=True):
            for i, one in enumerate(to_bytes(batch)):
                Image.fromarray(one).save(files[start + i])
        features = np.concatenate([taken(resize(np.asarray(Image.open(path).convert("RGB"))))[None] for path in files])
        return features.astype(np.float64).mean(0), np.cov(features.astype(np.float64), rowvar=False)

    (mean, covariance), (wanted_mean, wanted_covariance) = compare(benchmark, ours, plain)
    np.testing.assert_allclose(mean, wanted_mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(covariance, wanted_covariance, atol=1e-6)


@pytest.mark.parametrize("rows", [2_000, 20_000])
def test_memory_of_streaming_moments_does_not_grow(benchmark, rows):
    """Ten times the rows in the same memory."""
    width = 256
    block = np.random.default_rng(0).normal(size=(500, width)).astype(np.float32)

    def ours() -> None:
        stream = d.Moments()
        for _ in range(rows // len(block)):
            stream.update(block)
        stream.compute()

    tracemalloc.start()
    ours()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    benchmark.pedantic(ours, rounds=1)
    benchmark.extra_info["peak_mb"] = peak
    assert peak < 10  # the rows themselves would be 39 MiB at 20,000


def test_frechet_distance_against_a_matrix_root(benchmark):
    """The eigenvalue form against scipy's general square root (what pytorch-fid and clean-fid call)."""
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(0)
    sets = [d.moments(rng.normal(size=(600, 256)) @ rng.normal(size=(256, 256)) / 16) for _ in range(2)]
    (mu1, sigma1), (mu2, sigma2) = sets

    def plain() -> float:
        return float(np.square(mu1 - mu2).sum() + np.trace(sigma1 + sigma2 - 2 * sqrtm(sigma1 @ sigma2).real))

    found, wanted = compare(benchmark, lambda: d.frechet_distance(mu1, sigma1, mu2, sigma2), plain)
    assert found == pytest.approx(wanted, rel=1e-6)
