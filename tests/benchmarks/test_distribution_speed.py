"""Set statistics against the usual recipes in the same run: FID moments against a folder of PNG files, and what they hold.

`extra_info` holds `plain_seconds` (the least of a few rounds), `ratio`, the plain recipe's least time over ours (above 1 is
faster), and `peak_mb` of ours. The network is left out of both sides: features are taken from the (resized) picture itself.
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

from bench.networks.clean_resize import resizer
from bench.networks.inception import CleanFeatures, to_bytes
from metrics import distribution as d

PICTURES, WIDTH, BATCH, ROUNDS = 256, 2048, 32, 3


def compare(benchmark, ours: Callable[[], Any], plain: Callable[[], Any]) -> tuple[Any, Any]:
    """Time both, a round of the one before each round of the other, record the ratio, and return what they found."""
    seconds, reference = [], []

    def plain_round() -> None:
        start = time.perf_counter()
        reference[:] = [plain()]
        seconds.append(time.perf_counter() - start)

    found = benchmark.pedantic(ours, setup=plain_round, rounds=ROUNDS)
    benchmark.extra_info["plain_seconds"] = min(seconds)
    if benchmark.stats is not None:  # none under --benchmark-disable
        benchmark.extra_info["ratio"] = min(seconds) / benchmark.stats.stats.min
    return found, reference[0]


def pictures(side: int) -> torch.Tensor:
    smooth = torch.randn(PICTURES, 3, side // 4, side // 4, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(smooth, scale_factor=4, mode="bilinear").clamp(-1, 1)


def taken(pixels: np.ndarray) -> np.ndarray:
    """Stands for the network: WIDTH of the numbers of each picture, [n, ...] -> [n, WIDTH]."""
    flat = pixels.reshape(len(pixels), -1)
    return flat[:, :: max(1, flat.shape[1] // WIDTH)][:, :WIDTH].astype(np.float32)


class Taken(torch.nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(taken(pixels.numpy()))


@pytest.mark.parametrize("side, resized", [(64, False), (64, True), (128, True)])
def test_streaming_moments_against_a_folder_of_png(benchmark, tmp_path, side, resized):
    """Pictures in memory to mean and covariance; with the resize to 299 px that the network asks for, and without."""
    images, plain_resize, network = pictures(side), resizer(), CleanFeatures(Taken(), "taken")

    def ours() -> tuple[np.ndarray, np.ndarray]:
        stream = d.Moments()
        for batch in images.split(BATCH):
            stream.update(network.measure(batch)["features"] if resized else taken(to_bytes(batch)))
        return stream.compute()

    def plain() -> tuple[np.ndarray, np.ndarray]:
        files = [tmp_path / f"{i:06d}.png" for i in range(len(images))]
        for batch, start in zip(images.split(BATCH), range(0, len(images), BATCH), strict=True):
            for i, one in enumerate(to_bytes(batch)):
                Image.fromarray(one).save(files[start + i])
        features = []
        for start in range(0, len(files), BATCH):
            read = [np.asarray(Image.open(path).convert("RGB")) for path in files[start : start + BATCH]]
            if resized:
                read = [plain_resize(one).transpose(2, 0, 1) for one in read]
            features.append(taken(np.stack(read)))
        found = np.concatenate(features).astype(np.float64)
        return found.mean(0), np.cov(found, rowvar=False)

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
