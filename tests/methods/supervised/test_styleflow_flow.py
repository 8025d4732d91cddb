"""StyleFlow's conditional flow against the official code's figures, exact mathematics, a planted density, and its failures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import InputError, LatentbenchError
from methods.supervised.styleflow_flow import DECAY, EPSILON, ConditionalFlow, MovingBatchNorm, Solver
from methods.supervised.styleflow_training import Training, batches, held_out_density, linear_density, train_flow

SHAPES = Path(__file__).parents[2] / "golden" / "styleflow_ffhq_shapes.txt"
EXACT = Solver("dopri5", tolerance=1e-10)


@pytest.fixture
def official(golden):
    """(flow in evaluation mode, function that reads an array as a tensor of the flow's precision)."""

    def make(dtype=torch.float32):
        data = golden("styleflow")
        state = {name[3:]: torch.from_numpy(data[name]) for name in data if name.startswith("sd/")}
        return ConditionalFlow.from_state(state).to(dtype), lambda name: torch.from_numpy(data[name]).to(dtype)

    return make


def off(found, wanted):
    """The largest difference, relative to the largest magnitude."""
    return float(((found.double() - wanted.double()).abs().max() / wanted.abs().max()).detach())


@pytest.mark.parametrize(
    ("dtype", "solver", "codes", "density"),
    [
        (torch.float32, Solver(), 5e-4, 2.5e-4),  # as the official figures: dopri5 at 1e-5
        (torch.float64, EXACT, 1e-8, 1e-8),
        (torch.float32, Solver("rk4", steps=16), 1e-6, 1e-6),  # the grid that edits use
    ],
)
def test_the_flow_is_the_official_one(official, dtype, solver, codes, density):
    flow, of = official(dtype)
    context, edited = of("context").flatten(1), of("context_edited").flatten(1)
    exact = {name: of(f"f64_tol1e-10/{name}") for name in ("forward/y", "forward/delta_logp", "reverse/x", "reverse/delta_logp")}
    with torch.no_grad():
        y, delta = flow.encode(of("x"), context, noise=[of("noise/forward/divergence_noise0")], solver=solver)
        x, back = flow.decode(y, context, noise=[of("noise/reverse/divergence_noise0")], solver=solver)
        moved, none = flow.decode(y, edited, solver=solver)
    assert off(y, exact["forward/y"]) < codes and off(delta, exact["forward/delta_logp"]) < density
    assert off(x, exact["reverse/x"]) < codes and off(back, exact["reverse/delta_logp"]) < density
    assert off(x, of("x")) < codes and none is None
    assert off(moved, of("f64_tol1e-10/edit/x")) < codes and off(moved, x) > 0.01  # another context is another code


def test_the_field_is_the_official_one(official):
    flow, of = official()
    with torch.no_grad():
        dx = flow.chain[1].field(of("field/t"), of("x"), of("context").flatten(1))
    assert off(dx, of("field/dy")) < 1e-6


def test_published_checkpoints_fit():
    lines = [line.split("\t") for line in SHAPES.read_text().splitlines() if line and not line.startswith("#")]
    shapes = {name: () if size == "scalar" else tuple(map(int, size.split("x"))) for name, _, size in lines}
    flow = ConditionalFlow.from_state({name: torch.zeros(shape) for name, shape in shapes.items()})
    assert {name: tuple(one.shape) for name, one in flow.state_dict().items()} == shapes
    parameters = {name for name, kind, _ in lines if kind == "parameter"}
    assert {name for name, _ in flow.named_parameters()} == parameters
    assert (flow.dimension, flow.widths, flow.conditions, flow.blocks) == (512, (512,) * 5, 17, 1) and not flow.training


def test_a_state_that_does_not_fit_is_refused():
    state = ConditionalFlow(4, (8,), 2).state_dict()
    with pytest.raises(InputError, match="chain.2.bias is missing"):
        ConditionalFlow.from_state({name: one for name, one in state.items() if name != "chain.2.bias"})
    with pytest.raises(InputError, match="stranger is unknown"):
        ConditionalFlow.from_state({**state, "stranger": torch.ones(1)})
    with pytest.raises(InputError, match=r"chain.0.bias is \[5\]"):
        ConditionalFlow.from_state({**state, "chain.0.bias": torch.ones(5)})
    with pytest.raises(InputError, match="no state of a conditional flow"):
        ConditionalFlow.from_state({"weight": torch.ones(2)})
    with pytest.raises(InputError, match="attributes"):
        ConditionalFlow(4, (8,), 2).encode(torch.zeros(3, 4), torch.zeros(3, 5))


def drawn(seed, blocks=2, dtype=torch.float64):
    """A random flow of 4 dimensions and 3 conditions whose norms do something."""
    torch.manual_seed(seed)
    flow = ConditionalFlow(4, (9, 7), 3, blocks).to(dtype).eval()
    for part in flow.chain:
        if isinstance(part, MovingBatchNorm):
            for one in (part.weight.data, part.bias.data, part.running_mean):
                one.normal_(std=0.3)
            part.running_var.uniform_(0.5, 2)
        else:
            part.sqrt_end_time.data.fill_(1.2)
    return flow, torch.randn(5, 4, dtype=dtype), torch.randn(5, 3, dtype=dtype)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**16), rows=st.integers(0, 2))
def test_decoding_undoes_encoding(seed, rows):
    flow, x, context = drawn(seed)
    x = x if not rows else x[:, None] + torch.randn(5, rows, 4, dtype=x.dtype)
    solver = Solver("rk4", steps=24)
    with torch.no_grad():
        back = flow.decode(flow.encode(x, context, solver=solver)[0], context, solver=solver)[0]
    assert float((back - x).abs().max()) < 1e-5


def test_the_density_is_the_determinant_of_the_map():
    """The random trace is linear in noise x noise, so that the basis vectors in turn add up to the trace itself."""
    flow, x, context = drawn(3)
    solver = Solver("rk4", steps=24, adjoint=False)
    y, _ = flow.encode(x, context, solver=solver)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow.encode(v, context, solver=solver)[0], x)
    rows = torch.arange(len(x))
    determinant = torch.linalg.slogdet(jacobian[rows, :, rows]).logabsdet
    basis = torch.eye(4, dtype=x.dtype)
    none = [torch.zeros_like(x)] * 2  # no trace: what the norms add
    norms = flow.encode(x, context, noise=none, solver=solver)[1]
    deltas = [flow.encode(x, context, noise=[one.expand_as(x)] * 2, solver=solver)[1] - norms for one in basis]
    assert torch.allclose(-(sum(deltas) + norms)[:, 0], determinant, atol=1e-6)
    assert float(determinant.abs().max()) > 0.1
    assert off(flow.decode(y, context, noise=none, solver=solver)[1], -norms) < 1e-9


def test_the_adjoint_gives_the_gradients_of_the_solver():
    flow, x, context = drawn(1, blocks=1)
    noise = [torch.randn_like(x)]
    gradients = []
    for adjoint in (True, False):
        flow.zero_grad()
        flow.log_density(x, context, noise, solver=Solver(tolerance=1e-9, adjoint=adjoint)).mean().backward()
        gradients.append(torch.cat([one.grad.flatten() for one in flow.parameters()]))
    assert float(gradients[1].abs().max()) > 0.01
    assert torch.allclose(*gradients, atol=1e-6)


def test_a_row_does_not_depend_on_its_neighbours_on_a_grid():
    flow, x, context = drawn(5, dtype=torch.float32)
    others = x.clone()
    others[1:] = 30.0
    with torch.no_grad():
        for solver, same in ((Solver("rk4", steps=8), True), (Solver("dopri5", tolerance=1e-3), False)):
            alone, beside = (flow.encode(one, context, solver=solver)[0][0] for one in (x, others))
            assert torch.equal(alone, beside) == same


def test_batch_norm_uses_running_statistics_and_moves_them():
    norm = MovingBatchNorm(2)
    x = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    y, delta = norm.train()(x, torch.zeros(2, 1), back=False)
    scale = (1 + EPSILON) ** -0.5  # of the statistics before this batch
    assert torch.allclose(y, x * scale) and delta.flatten().tolist() == pytest.approx([-2 * math.log(scale)] * 2, abs=1e-6)
    assert norm.running_mean.tolist() == pytest.approx([2 * DECAY, 2 * DECAY]) and float(norm.step) == 1
    assert norm.running_var.tolist() == pytest.approx([1 + DECAY * (2 - 1), 1 + DECAY * (8 - 1)])
    z, _ = norm.eval()(x, None, back=False)
    assert torch.allclose(norm(z, None, back=True)[0], x, atol=1e-6) and float(norm.step) == 1


# A planted problem: x | c ~ N(c v + u, S) in two dimensions, c ~ N(0, 1).
SLOPE, SHIFT = torch.tensor([1.0, -0.5]), torch.tensor([0.3, 0.8])
ROOT = torch.tensor([[0.5, 0.0], [0.3, 0.2]])  # S = ROOT ROOT^T
QUICK = Training(epochs=1, batch=16, solver="rk4", steps=2, adjoint=False)


def planted(n, seed):
    rng = torch.Generator().manual_seed(seed)
    c = torch.randn(n, 1, generator=rng)
    noise = torch.randn(n, 2, generator=rng)
    density = -(noise.square().sum(1) / 2 + math.log(2 * math.pi) + ROOT.det().log())
    return c * SLOPE + SHIFT + noise @ ROOT.T, c, density


@pytest.fixture(scope="module")
def learned():
    torch.manual_seed(0)
    flow = ConditionalFlow(2, (24,), 1)
    x, c, _ = planted(3000, 0)
    training = Training(epochs=16, batch=300, learning_rate=0.03, anneal=True, solver="midpoint", steps=3, adjoint=False)
    losses = train_flow(flow, x, c, training=training, seed=0)
    return flow, losses


def test_the_likelihood_of_a_planted_density_is_recovered(learned):
    flow, losses = learned
    x, c, truth = planted(1000, 1)
    found = held_out_density(flow, x, c, seed=0)
    # In nats a code; the linear normal baseline is the true model here.
    assert abs(float((found - truth).mean())) < 0.03 and losses[-1] < losses[0] - 1
    assert float(linear_density(planted(3000, 0)[:2], (x, c)).mean()) == pytest.approx(float(truth.mean()), abs=0.01)
    assert float(held_out_density(flow, x, c.roll(1, 0), seed=0).mean()) < float(truth.mean()) - 3


def test_conditional_samples_of_a_planted_density_are_recovered(learned):
    flow, _ = learned
    torch.manual_seed(1)
    for c in (-1.5, 1.0):
        with torch.no_grad():
            drawn = flow.decode(torch.randn(4000, 2), torch.full((4000, 1), c), solver=Solver("rk4", steps=8))[0]
        assert torch.allclose(drawn.mean(0), c * SLOPE + SHIFT, atol=0.1)
        assert torch.allclose(torch.cov(drawn.T), ROOT @ ROOT.T, atol=0.05)


def test_training_repeats_and_covers_every_code():
    x, c, _ = planted(65, 2)
    assert [(one.start, one.stop) for one in batches(65, 16)] == [(0, 16), (16, 32), (32, 48), (48, 65)]
    found = []
    for _ in range(2):
        torch.manual_seed(4)
        flow = ConditionalFlow(2, (8,), 1)
        train_flow(flow, x, c, training=QUICK, seed=7)
        found.append(flow.state_dict())
    assert all(torch.equal(one, found[1][name]) for name, one in found[0].items())
    assert float(found[0]["chain.0.step"]) == 4


def test_training_that_fails_says_so():
    x, c, _ = planted(64, 2)
    flow = ConditionalFlow(2, (8,), 1)
    with pytest.raises(LatentbenchError, match="not finite in epoch 1: lower the learning rate"):
        train_flow(flow, x * np.inf, c, training=QUICK, seed=0)
    with pytest.raises(InputError, match="too few"):
        list(batches(1, 16))
