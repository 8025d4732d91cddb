"""Standing statistics: what a frozen generator holds beside weights, taken over many of its own samples.

Mean w, and what batch norms divide by: the averages that training keeps belong to weights that have since changed (Brock et al.
2019, section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bench.codes import Codes
from bench.generators.base import Generator
from bench.generators.biggan_pytorch_layers import ConditionalNorm, Norm
from bench.streams import normal_rows, stream_seed

BATCHES, BATCH = 16, 64
MEAN_W_SAMPLES = 16_384


def mean_w_codes(width: int, *, seed: int) -> Tensor:
    """Values of z [MEAN_W_SAMPLES, width] behind the mean w of a mapping network."""
    return normal_rows(torch.arange(MEAN_W_SAMPLES), width, seed=seed, name="mean-w")


def standing_codes(generator: Generator, seed: int) -> Iterator[Codes]:
    """The codes behind the statistics, batch after batch, drawn apart from those that pictures are shown and judged of."""
    for ids in torch.arange(BATCHES * BATCH).split(BATCH):
        yield generator.sample(ids, seed=stream_seed("standing", seed) % 2**31)


@torch.no_grad()
def settle_batch_norms(generator: Generator, *, seed: int) -> None:
    """Set the running statistics of every torch batch norm to the means over the batches of `standing_codes`."""
    norms = [one for one in generator.modules() if isinstance(one, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a mean over all batches
    generator.train()
    for codes in standing_codes(generator, seed):
        generator.synthesize(codes, noise="none")
    generator.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def stored_norms(generator: nn.Module) -> list[nn.Module]:
    """The batch norms of BigGAN, which divide by what is stored."""
    return [one for one in generator.modules() if isinstance(one, Norm | ConditionalNorm)]


@contextmanager
def batch_statistics(generator: nn.Module) -> Iterator[None]:
    """Within it BigGAN's norms store, and divide by, the statistics of each batch that passes, with a graph to it."""

    def store(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        norm.stored_var, norm.stored_mean = torch.var_mean(inputs[0].float(), (0, 2, 3), correction=0)

    hooks = [norm.register_forward_pre_hook(store) for norm in stored_norms(generator)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def settle_stored(generator: Generator, *, seed: int) -> None:
    """The same for BigGAN's norms."""
    norms = stored_norms(generator)
    found = []
    with batch_statistics(generator):
        for codes in standing_codes(generator, seed):
            generator.synthesize(codes)
            found.append([(norm.stored_mean, norm.stored_var) for norm in norms])
    for norm, batches in zip(norms, zip(*found, strict=True), strict=True):
        norm.stored_mean, norm.stored_var = (torch.stack(part).mean(0) for part in zip(*batches, strict=True))
