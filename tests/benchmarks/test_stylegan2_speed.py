"""Our StyleGAN2 synthesis at 256 px, beside weights modulated for every sample and convolved in as many groups.

`extra_info` holds images per second of both (least time of a few rounds), and `ratio`, ours over the reference's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.codes import Codes
from bench.generators.stylegan2 import StyleGAN2

# stylegan2-ada-pytorch's configuration `paper256`.
CHANNELS = {side: min(16384 // side, 512) for side in (4, 8, 16, 32, 64, 128, 256)}
ROUNDS = 3
# The largest difference, of the largest magnitude, at which the two still compute the same picture.
TOLERANCES = {torch.float32: 1e-4, torch.float16: 5e-2}
CASES = [("cpu", torch.float32, 4), ("cuda", torch.float32, 16), ("cuda", torch.float16, 16)]


def styled(x: Tensor, state: Mapping[str, Tensor], name: str, w: Tensor, *, up: bool = False) -> Tensor:
    """A modulated convolution as the paper writes it: a weight per sample, all samples in one grouped convolution."""
    n, inputs, h, width = x.shape
    style = F.linear(w, state[f"{name}.affine.weight"] / math.sqrt(w.shape[1]), state[f"{name}.affine.bias"])
    colours = name.endswith("torgb")
    weight = state[f"{name}.weight"]
    if x.dtype == torch.float16 and not colours:
        # Sums must end below 65504; demodulation takes both factors out again.
        weight = weight / (weight.abs().amax() * math.sqrt(weight[0].numel()))
        style = style / style.abs().amax(1, keepdim=True)
    weight = weight[None] * style[:, None, :, None, None]
    if colours:
        weight = weight / math.sqrt(inputs)
    else:
        weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)
    weight = weight.to(x.dtype)
    x = x.reshape(1, n * inputs, h, width)
    if up:
        x = F.conv_transpose2d(x, weight.transpose(1, 2).flatten(0, 1), stride=2, groups=n)
        fir = state[f"{name}.resample_filter"].to(x.dtype) * 4
        x = F.conv2d(x, fir.expand(x.shape[1], 1, 4, 4), padding=1, groups=x.shape[1])
    else:
        x = F.conv2d(x, weight.flatten(0, 1), padding=weight.shape[-1] // 2, groups=n)
    x = x.view(n, -1, *x.shape[2:])
    bias = state[f"{name}.bias"][None, :, None, None]
    if colours:
        return x.float() + bias
    x = x + (state[f"{name}.noise_const"] * state[f"{name}.noise_strength"]).to(x.dtype) + bias.to(x.dtype)
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def grouped(state: Mapping[str, Tensor], ws: Tensor, dtype: torch.dtype) -> Tensor:
    """Pictures of w+ codes [N, 14, 512]."""
    x = state["synthesis.b4.const"].to(dtype).expand(len(ws), -1, -1, -1)
    image, row = None, 0
    for side in CHANNELS:
        block = f"synthesis.b{side}"
        if side > 4:
            x = styled(x, state, f"{block}.conv0", ws[:, row], up=True)
            row += 1
        x = styled(x, state, f"{block}.conv1", ws[:, row])
        row += 1
        colours = styled(x, state, f"{block}.torgb", ws[:, row])
        if image is None:
            image = colours
        else:
            fir = (state[f"{block}.resample_filter"] * 4).expand(3, 1, 4, 4)
            image = F.conv_transpose2d(image, fir, stride=2, padding=1, groups=3) + colours
    return image


def least_seconds(call: Callable[[], object], device: str) -> float:
    """The least time of a few rounds, after one that warms up."""
    times = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])


@pytest.mark.benchmark(group="synthesis at 256 px")
@pytest.mark.parametrize(("device", "dtype", "rows"), CASES, ids=[f"{d}-{str(t)[6:]}" for d, t, _ in CASES])
def test_synthesis_against_grouped_convolutions(benchmark, device, dtype, rows):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    torch.manual_seed(0)
    generator = StyleGAN2(name="paper256", domain="none", z_dim=512, widths=[512] * 8, channels=CHANNELS).to(device)
    generator.synthesis.compute_dtype = dtype
    state = generator.state_dict()
    ws = torch.randn(rows, 14, 512, device=device)
    codes = Codes("w+", ws, torch.arange(rows))

    def ours() -> Tensor:
        image = generator.synthesize(codes)
        if device == "cuda":
            torch.cuda.synchronize()
        return image

    with torch.inference_mode():
        image, reference = generator.synthesize(codes), grouped(state, ws, dtype)
        assert float((image - reference).abs().max()) < TOLERANCES[dtype] * float(reference.abs().max())
        seconds = least_seconds(lambda: grouped(state, ws, dtype), device)
        benchmark.pedantic(ours, rounds=ROUNDS, warmup_rounds=1)
    own = benchmark.stats.stats.min
    benchmark.extra_info["images_per_second"] = rows / own
    benchmark.extra_info["reference_images_per_second"] = rows / seconds
    benchmark.extra_info["ratio"] = seconds / own
