"""Training of the conditional flow by maximum likelihood, and its likelihood on codes that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.errors import InputError, LatentbenchError
from bench.streams import stream_seed
from methods.supervised.styleflow_flow import ConditionalFlow, Solver

# Noise draws behind each held-out code's log-density, and the grid it is integrated on.
DRAWS, FINE = 4, Solver("rk4", steps=16)
# Least variance of an axis of the normal distribution, as a share of the largest one.
FLOOR = 1e-6


@dataclass(frozen=True)
class Training:
    """How a flow is built and trained.

    widths: hidden layers of a block's field. blocks: ODE blocks. epochs: over the codes in their order, in batches of `batch`.
    learning_rate: Adam's; anneal: it falls to 0 along a cosine. solver: its tolerance where it is adaptive, else its steps.
    """

    widths: tuple[int, ...] = (512, 512, 512, 512, 512)
    blocks: int = 1
    epochs: int = 3
    batch: int = 5
    learning_rate: float = 1e-3
    anneal: bool = False
    solver: str = "dopri5"
    tolerance: float = 1e-5
    steps: int = 8
    adjoint: bool = True

    @property
    def ode(self) -> Solver:
        return Solver(self.solver, self.tolerance, self.steps, self.adjoint)


# paper: the published code's, hours on a CPU. small: about 45 s of one CPU core for 8,192 codes of 64 dimensions.
TRAININGS = {
    "paper": Training(),
    "small": Training((128, 128), 1, 20, 128, 6e-3, anneal=True, solver="midpoint", steps=5, adjoint=False),
}


def train_flow(
    flow: ConditionalFlow,
    codes: Tensor,
    attributes: Tensor,
    *,
    training: Training,
    seed: int,
) -> list[float]:
    """Maximise the mean log p(code | attributes) of codes [N, D] and attributes [N, C] in place; the mean loss of every epoch.

    Abdal et al. 2021, equation for the log-likelihood; the loss is its negative mean in nats, with one draw of noise a batch.
    Leaves the flow in evaluation mode. Raises LatentbenchError where the loss stops being finite.
    """
    rng = torch.Generator().manual_seed(stream_seed("styleflow-train", seed) % 2**63)
    optimizer = torch.optim.Adam(flow.parameters(), training.learning_rate)
    steps, step, losses = training.epochs * len(list(batches(len(codes), training.batch))), 0, []
    flow.train()
    for epoch in range(training.epochs):
        total = 0.0
        for part in batches(len(codes), training.batch):
            if training.anneal:
                for group in optimizer.param_groups:
                    group["lr"] = training.learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
            x = codes[part]
            noise = [torch.randn(x.shape, generator=rng).to(x) for _ in range(flow.blocks)]
            loss = -flow.log_density(x, attributes[part], noise, solver=training.ode).mean()
            if not bool(loss.isfinite()):
                raise LatentbenchError(f"the flow's loss is not finite in epoch {epoch + 1}: lower the learning rate")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, step = total + float(loss.detach()) * len(x), step + 1
        losses.append(total / len(codes))
    flow.eval()
    return losses


def batches(count: int, size: int) -> Iterator[slice]:
    """Slices that cover all rows; a single row left over joins the batch before it, since batch norm needs two."""
    if count < 2 or size < 2:
        raise InputError(f"{count} codes in batches of {size} are too few to train a flow on")
    starts = list(range(0, count, size))
    if count - starts[-1] == 1 and len(starts) > 1:
        starts.pop()
    for start, stop in zip(starts, [*starts[1:], count], strict=True):
        yield slice(start, stop)


def held_out_density(flow: ConditionalFlow, codes: Tensor, attributes: Tensor, seed: int) -> Tensor:
    """log p(code | attributes) of each code, [N] in nats, averaged over DRAWS draws of noise."""
    rng = torch.Generator().manual_seed(stream_seed("styleflow-density", seed) % 2**63)
    total = torch.zeros(len(codes), dtype=torch.float64)
    with torch.no_grad():
        for _ in range(DRAWS):
            noise = [torch.randn(codes.shape, generator=rng).to(codes) for _ in range(flow.blocks)]
            total += flow.log_density(codes, attributes, noise, solver=FINE).double().cpu()
    return total / DRAWS


def linear_density(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> Tensor:
    """log p of test codes [M] in nats under a normal distribution whose mean is linear in the attributes, fitted to the train
    pair of codes [N, D] and attributes [N, C]: what a flow has to beat."""
    (x, a), (y, b) = ((codes.double().cpu(), attributes.double().cpu()) for codes, attributes in (train, test))
    with_one = lambda c: torch.cat([c, torch.ones(len(c), 1, dtype=c.dtype)], 1)  # noqa: E731
    slopes = torch.linalg.lstsq(with_one(a), x).solution
    size, axes = torch.linalg.eigh(torch.cov((x - with_one(a) @ slopes).T))
    size = size.clamp(min=FLOOR * float(size.max()))
    rest = (y - with_one(b) @ slopes) @ axes
    return -(rest.square() / size + size.log() + math.log(2 * math.pi)).sum(1) / 2


def density_row(name: str, values: Tensor) -> dict[str, Any]:
    """A line of the fit's table: mean log-likelihood in nats over n held-out codes, with its 95 % normal interval."""
    mean, error = float(values.mean()), float(values.std()) / math.sqrt(len(values))
    # Rounded, as the last bits of linear algebra differ from run to run.
    found = {"log_likelihood_nats": mean, "ci_low": mean - 1.96 * error, "ci_high": mean + 1.96 * error}
    return {"model": name, **{key: round(value, 6) for key, value in found.items()}, "n": len(values)}
