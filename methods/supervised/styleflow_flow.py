"""The conditional continuous normalising flow of StyleFlow: moving batch norms around ODE blocks, under the official names.

Codes x are [N, D], or [N, R, D] with R rows a code that share its context [N, C] (the rows of w+). Encoding goes from codes to
the prior N(0, I), decoding back. Sources: Abdal et al. 2021, section 4; FFJORD (Grathwohl et al. 2019) for the ODE and its random
trace; the published checkpoints' parameter names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchdiffeq import odeint, odeint_adjoint

from bench.errors import InputError

# Of the moving batch norm: added to variances; share of a new batch in the running statistics.
EPSILON, DECAY = 1e-4, 0.1
# Solvers whose steps follow the error of the whole batch, and those on a grid, where a row's result is its own affair.
ADAPTIVE, GRID = ("dopri5",), ("rk4", "midpoint", "euler")


@dataclass(frozen=True)
class Solver:
    """How an ODE is solved. tolerance: absolute and relative, of adaptive solvers. steps: of the others, over the whole way.

    adjoint: gradients of the flow's parameters and codes by the adjoint ODE, in constant memory, instead of through the solver's
    own operations; there are none for contexts then.
    """

    name: str = "dopri5"
    tolerance: float = 1e-5
    steps: int = 8
    adjoint: bool = True

    @property
    def settings(self) -> dict[str, object]:
        if self.name in ADAPTIVE:
            return {"method": self.name, "atol": self.tolerance, "rtol": self.tolerance}
        return {"method": self.name, "options": {"step_size": 1 / self.steps}}


class ConcatSquash(nn.Module):
    """A linear layer whose output is gated and shifted by the context: (W x + b) * sigmoid(G c + g) + H c."""

    def __init__(self, inputs: int, outputs: int, context: int) -> None:
        super().__init__()
        self._layer = nn.Linear(inputs, outputs)
        self._hyper_bias = nn.Linear(context, outputs, bias=False)
        self._hyper_gate = nn.Linear(context, outputs)

    def forward(self, context: Tensor, x: Tensor) -> Tensor:
        gate, bias = torch.sigmoid(self._hyper_gate(context)), self._hyper_bias(context)
        if x.dim() == 3:
            gate, bias = gate[:, None], bias[:, None]
        return self._layer(x) * gate + bias


class VectorField(nn.Module):
    """dx/dt: concat-squash layers with tanh between them. The context is time, then the attributes."""

    def __init__(self, dimension: int, widths: Sequence[int], context: int) -> None:
        super().__init__()
        sizes = (dimension, *widths, dimension)
        self.layers = nn.ModuleList(ConcatSquash(a, b, context + 1) for a, b in zip(sizes, sizes[1:], strict=False))

    def forward(self, context: Tensor, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = layer(context, torch.tanh(x) if i else x)
        return x


class _Derivative(nn.Module):
    """The field under its official name, and the counter that checkpoints carry."""

    def __init__(self, dimension: int, widths: Sequence[int], context: int) -> None:
        super().__init__()
        self.diffeq = VectorField(dimension, widths, context)
        self.register_buffer("_num_evals", torch.tensor(0.0))


class _Motion(nn.Module):
    """The right-hand side over unit time for one batch: end * f(end * s, x), and -end * e^T J e where there is noise e."""

    def __init__(self, block: ContinuousBlock, context: Tensor, noise: Tensor | None) -> None:
        super().__init__()
        self.block, self.context, self.noise = block, context, noise

    def forward(self, s: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        end = self.block.end
        x = state[0]
        if self.noise is None:
            return (end * self.block.field(end * s, x, self.context),)
        graph = torch.is_grad_enabled()  # the trace itself is differentiated only where someone asks for gradients
        with torch.enable_grad():
            x = x if graph and x.requires_grad else x.detach().requires_grad_()
            dx = self.block.field(end * s, x, self.context)
            product = torch.autograd.grad(dx, x, self.noise, create_graph=graph)[0]
            trace = (product * self.noise).sum(-1, keepdim=True)
        return end * dx, -end * trace


class ContinuousBlock(nn.Module):
    """An ODE from time 0 to the learned end time, the square of a parameter."""

    def __init__(self, dimension: int, widths: Sequence[int], context: int) -> None:
        super().__init__()
        self.sqrt_end_time = nn.Parameter(torch.tensor(1.0))
        self.odefunc = _Derivative(dimension, widths, context)

    @property
    def end(self) -> Tensor:
        return self.sqrt_end_time.square()

    def field(self, time: Tensor, x: Tensor, context: Tensor) -> Tensor:
        """dx/dt at a time, x [N, ..., D], context [N, C]."""
        now = time.to(context).expand(len(context), 1)
        return self.odefunc.diffeq(torch.cat([now, context], 1), x)

    def forward(
        self, x: Tensor, context: Tensor, delta: Tensor | None, noise: Tensor | None, *, back: bool, solver: Solver
    ) -> tuple[Tensor, Tensor | None]:
        span = torch.tensor([1.0, 0.0] if back else [0.0, 1.0], dtype=x.dtype, device=x.device)
        state = (x,) if delta is None else (x, delta)
        motion = _Motion(self, context, None if delta is None else noise)
        if solver.adjoint and torch.is_grad_enabled():
            found = odeint_adjoint(motion, state, span, adjoint_params=tuple(self.parameters()), **solver.settings)
        else:
            found = odeint(motion, state, span, **solver.settings)
        return found[0][-1], None if delta is None else found[1][-1]


class MovingBatchNorm(nn.Module):
    """Batch norm by its running statistics, in training too ('lag 0'); the scale is stored as its logarithm."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(dimension)), nn.Parameter(torch.zeros(dimension))
        self.register_buffer("step", torch.zeros(1))
        self.register_buffer("running_mean", torch.zeros(dimension))
        self.register_buffer("running_var", torch.ones(dimension))

    def forward(self, x: Tensor, delta: Tensor | None, *, back: bool) -> tuple[Tensor, Tensor | None]:
        mean, spread = self.running_mean.clone(), (self.running_var + EPSILON).log() / 2
        growth = (self.weight - spread).sum()  # the logarithm of the Jacobian's determinant
        if back:
            x = (x - self.bias) * torch.exp(spread - self.weight) + mean
            return x, None if delta is None else delta + growth
        if self.training:
            self._learn(x.detach())
        x = (x - mean) * torch.exp(self.weight - spread) + self.bias
        return x, None if delta is None else delta - growth

    def _learn(self, x: Tensor) -> None:
        rows = x.reshape(-1, x.shape[-1])
        self.running_mean += DECAY * (rows.mean(0) - self.running_mean)
        self.running_var += DECAY * (rows.var(0) - self.running_var)
        self.step += 1


class ConditionalFlow(nn.Module):
    """p(x | context): batch norm, then `blocks` times an ODE block and a batch norm.

    dimension: D of the codes. widths: hidden layers of each block's field. context: C. The state dict has the published
    checkpoints' names and shapes.
    """

    def __init__(self, dimension: int, widths: Sequence[int], context: int, blocks: int = 1) -> None:
        super().__init__()
        self.dimension, self.widths, self.conditions, self.blocks = dimension, tuple(widths), context, blocks
        chain: list[nn.Module] = [MovingBatchNorm(dimension)]
        for _ in range(blocks):
            chain += [ContinuousBlock(dimension, widths, context), MovingBatchNorm(dimension)]
        self.chain = nn.ModuleList(chain)

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> ConditionalFlow:
        """The flow that a state dict with the official names belongs to, in evaluation mode; all sizes are read off the shapes.

        Raises InputError, with the first keys that are missing, unknown or of another shape.
        """
        field = "chain.1.odefunc.diffeq.layers"
        count = len({name.split(".")[5] for name in state if name.startswith(f"{field}.")})
        weights = [state.get(f"{field}.{i}._layer.weight") for i in range(count)]
        gate = state.get(f"{field}.0._hyper_gate.weight")
        if not count or gate is None or any(weight is None for weight in weights):
            raise InputError(f"this is no state of a conditional flow: it lacks {field}.0._layer.weight and the like")
        blocks = sum(name.endswith(".sqrt_end_time") for name in state)
        flow = cls(weights[0].shape[1], [len(one) for one in weights[:-1]], gate.shape[1] - 1, blocks)
        wanted = flow.state_dict()
        wrong = [f"{name} is missing" for name in wanted if name not in state]
        for name, one in state.items():
            if name not in wanted or one.shape != wanted[name].shape:
                wrong.append(f"{name} is {list(one.shape)}" if name in wanted else f"{name} is unknown")
        if wrong:
            raise InputError(f"the state does not fit a conditional flow: {'; '.join(wrong[:4])}")
        flow.load_state_dict(state)
        return flow.eval()

    def encode(
        self, x: Tensor, context: Tensor, *, noise: Sequence[Tensor] | None = None, solver: Solver = Solver()
    ) -> tuple[Tensor, Tensor | None]:
        """Prior codes of x under a context, and delta [N, ..., 1] with log p(x | context) = log N(y) - delta.

        noise: for the random trace, as x, one a block (its entries have mean 0 and variance 1); None leaves delta out.
        """
        return self._run(x, context, noise, back=False, solver=solver)

    def decode(
        self, y: Tensor, context: Tensor, *, noise: Sequence[Tensor] | None = None, solver: Solver = Solver()
    ) -> tuple[Tensor, Tensor | None]:
        """The inverse of `encode`, and minus its delta. noise: in the order of this pass, the last block first."""
        return self._run(y, context, noise, back=True, solver=solver)

    def log_density(self, x: Tensor, context: Tensor, noise: Sequence[Tensor], *, solver: Solver = Solver()) -> Tensor:
        """log p(x | context) in nats, [N, ...], unbiased over the noise."""
        y, delta = self.encode(x, context, noise=noise, solver=solver)
        prior = -(y.square() + math.log(2 * math.pi)).sum(-1) / 2
        return prior - delta[..., 0]

    def _run(
        self, x: Tensor, context: Tensor, noise: Sequence[Tensor] | None, *, back: bool, solver: Solver
    ) -> tuple[Tensor, Tensor | None]:
        if x.shape[-1] != self.dimension or context.shape != (len(x), self.conditions):
            known = f"codes [N, {self.dimension}] and attributes [N, {self.conditions}]"
            raise InputError(f"the flow takes {known}, not {list(x.shape)} and {list(context.shape)}")
        delta = None if noise is None else x.new_zeros(*x.shape[:-1], 1)
        draws = iter(noise or ())
        for part in reversed(self.chain) if back else self.chain:
            if isinstance(part, ContinuousBlock):
                draw = None if noise is None else next(draws)
                x, delta = part(x, context, delta, draw, back=back, solver=solver)
            else:
                x, delta = part(x, delta, back=back)
        return x, delta
