"""Pictures per second of the embedded generator and of the renderer, beside a plain reference pass in the same run."""

from __future__ import annotations

import time

import pytest
import torch
import torch.nn.functional as F

from bench.domains.heads.factors import sample_factors
from bench.domains.heads.renderer import render
from bench.generators.zoo import heads_stylegan2

ROWS = 16


def reference_seconds() -> float:
    """A 3x3 convolution of 64 channels at 64 px on as many rows: what this machine does now."""
    x, weight = torch.ones(ROWS, 64, 64, 64), torch.ones(64, 64, 3, 3)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        F.conv2d(x, weight, padding=1)
        times.append(time.perf_counter() - start)
    return sorted(times)[2]


def report(benchmark) -> None:
    seconds = benchmark.stats.stats.median
    benchmark.extra_info["images_per_second"] = ROWS / seconds
    benchmark.extra_info["ratio_to_convolution"] = seconds / reference_seconds()


@pytest.mark.benchmark(group="pictures")
def test_synthesis(benchmark):
    generator = heads_stylegan2()
    codes = generator.sample(torch.arange(ROWS), seed=0)
    with torch.inference_mode():
        benchmark(generator.synthesize, codes)
    report(benchmark)


@pytest.mark.benchmark(group="pictures")
@pytest.mark.parametrize("maps", [False, True], ids=["rgb", "all maps"])
def test_renderer(benchmark, maps):
    factors = sample_factors(torch.arange(ROWS), seed=0)
    with torch.inference_mode():
        benchmark(render, factors, maps=maps)
    report(benchmark)
