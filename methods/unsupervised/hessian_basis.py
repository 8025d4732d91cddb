"""An orthogonal basis of the codes along which a frozen generator's Hessian is nearest to diagonal, by gradient descent."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch
from torch import Tensor

from bench.codes import Codes
from bench.errors import InputError, LatentbenchError
from bench.store import write_whole
from bench.streams import stream_rng
from methods.code_streams import CodeStreams
from methods.inversion.adam import Adam
from metrics.hessian import hessian_penalty

# N codes -> the activations on which components are to act independently, each [N, ...].
Activations = Callable[[Codes], list[Tensor]]
# Seconds between two states of an unfinished search on disk.
SAVE_SECONDS = 60.0


def orthonormal(matrix: Tensor) -> Tensor:
    """Rows [K, D], K at most D, of the same span as those of `matrix`, orthonormal: Gram-Schmidt from the first row on.

    Differentiable. As a QR decomposition with a positive diagonal, which is the same and more exact.
    """
    q, r = torch.linalg.qr(matrix.T)
    return (q * torch.where(r.diagonal() < 0, -1.0, 1.0)).T


@dataclass(frozen=True)
class Penalty:
    """The Hessian penalty with respect to the coefficients of a basis: G(z + unit * coefficients @ basis).

    activations: G. k: Rademacher directions. epsilon: the finite difference's step, in coefficients. reduction: over an
    activation's elements and the batch. unit: the length in codes of a coefficient of 1.
    """

    activations: Activations
    k: int
    epsilon: float
    reduction: Literal["max", "mean"]
    unit: float = 1.0

    def __call__(self, basis: Tensor, codes: Codes, coefficients: Tensor, directions: Tensor) -> Tensor:
        """The penalty, differentiable, in squared units of the activations, summed over these.

        basis: [K, D]; codes: N of a space with one vector a code; coefficients: [N, K]; directions: [k, N, K] of +1 and -1.
        """
        return hessian_penalty(
            lambda moved: self.activations(codes.with_values(codes.values + self.unit * (moved @ basis))),
            coefficients,
            directions=directions,
            epsilon=self.epsilon,
            reduction=self.reduction,
        )


@dataclass(frozen=True)
class Schedule:
    """steps of Adam on batches of so many codes. distance: each code starts up to this many units away, along one component."""

    steps: int
    batch: int
    learning_rate: float
    distance: float


@dataclass
class Search:
    """The search for a basis of `components` rows. A step's draws depend on (fit seed, step) alone, so that it can be resumed."""

    codes: CodeStreams
    penalty: Penalty
    schedule: Schedule
    components: int

    def start(self) -> Tensor:
        """The matrix [K, D] that is learned, before the first step: normal, of the deviation sqrt(2 / D)."""
        rng = stream_rng(self.codes.name, "start", self.codes.seed)
        drawn = rng.standard_normal((self.components, self.codes.dimension))
        return torch.from_numpy(drawn * (2 / self.codes.dimension) ** 0.5)

    def draw(self, stream: str, step: int) -> tuple[Codes, Tensor, Tensor]:
        """(N codes, coefficients [N, K], directions [k, N, K]) of a step: each code's coefficients are 0 but for one."""
        count, rng = self.schedule.batch, stream_rng(self.codes.name, stream, self.codes.seed, step)
        codes = self.codes.codes(stream, step * count, (step + 1) * count)
        coefficients = torch.zeros(count, self.components)
        along = torch.from_numpy(rng.integers(0, self.components, count))
        away = torch.from_numpy(rng.uniform(-self.schedule.distance, self.schedule.distance, count)).float()
        coefficients[torch.arange(count), along] = away
        signs = torch.from_numpy(2.0 * rng.integers(0, 2, (self.penalty.k, count, self.components)) - 1)
        return codes, coefficients.to(codes.values), signs.to(codes.values)

    def value(self, matrix: Tensor, stream: str, step: int) -> Tensor:
        """The penalty of a step's draws for the basis of `matrix`."""
        codes, coefficients, directions = self.draw(stream, step)
        return self.penalty(orthonormal(matrix).to(codes.values), codes, coefficients, directions)

    def run(self, file: Path | None = None) -> Tensor:
        """The learned basis [K, D], float64 on the CPU. file: where an unfinished search is kept and taken up again.

        Raises LatentbenchError where the penalty stops being finite, InputError for a file that is damaged.
        """
        matrix = self.start().requires_grad_()
        adam = Adam(matrix)
        if file is not None and file.exists():
            restore(adam, file)
        saved = time.monotonic()
        with torch.enable_grad():
            while adam.steps < self.schedule.steps:
                loss = self.value(matrix, "train", adam.steps)
                if not bool(loss.isfinite()):
                    raise LatentbenchError(f"the Hessian penalty is not finite in step {adam.steps + 1}: the generator overflows")
                (gradient,) = torch.autograd.grad(loss, [matrix])
                adam.step(gradient, self.schedule.learning_rate)
                if file is not None and time.monotonic() - saved >= SAVE_SECONDS:
                    save(adam, file)
                    saved = time.monotonic()
        return orthonormal(matrix.detach())

    def file(self, folder: Path | None, facts: dict[str, object]) -> Path | None:
        """Where an unfinished search of these facts lies in a folder."""
        key = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]
        return None if folder is None else folder / f"basis-{key}.safetensors"


def save(adam: Adam, file: Path) -> None:
    """Keep the state of a search, whole or not at all."""
    state = {"matrix": adam.values.detach(), "mean": adam.mean, "square": adam.square, "steps": torch.tensor(adam.steps)}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, safetensors.torch.save(state))


def restore(adam: Adam, file: Path) -> None:
    """Take a search up where it was. Raises InputError where the file is damaged."""
    try:
        state = safetensors.torch.load_file(file)
        matrix, mean, square, steps = (state[name] for name in ("matrix", "mean", "square", "steps"))
    except (safetensors.SafetensorError, KeyError) as error:
        raise InputError(f"the unfinished search {file} is damaged ({error}): delete it to start anew") from error
    with torch.no_grad():
        adam.values.copy_(matrix)
    adam.mean, adam.square, adam.steps = mean, square, int(steps)
