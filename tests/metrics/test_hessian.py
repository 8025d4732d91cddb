"""Hessian penalty: the official figures, functions of known Hessian, invariants."""

from pathlib import Path

import numpy as np
import pytest
import torch

from metrics.hessian import hessian_penalties, hessian_penalty, rademacher


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parents[1] / "golden" / "hessian_penalty.npz", allow_pickle=False) as file:
        return dict(file)


def network(golden, dtype):
    a, b, w = (torch.from_numpy(golden[f"net/{name}"]).to(dtype) for name in "AbW")

    def apply(z, a=a):
        hidden = torch.tanh(z @ a + b)
        return [hidden, (hidden @ w).reshape(-1, 3, 4, 4)]

    return apply, a


@pytest.mark.parametrize("case, reduction", [("default", "max"), ("k", "max"), ("k_mean", "mean")])
@pytest.mark.parametrize("dtype, suffix, tolerance", [(torch.float32, "", 1e-5), (torch.float64, "_f64", 1e-12)])
def test_golden_penalties(golden, case, reduction, dtype, suffix, tolerance):
    function, _ = network(golden, dtype)
    settings = {"directions": torch.from_numpy(golden[f"{case}/rademacher"]), "epsilon": 0.1, "reduction": reduction}
    z = torch.from_numpy(golden["z"]).to(dtype)
    expected = golden[f"{case}/penalty_per_activation{suffix}"]
    np.testing.assert_allclose(hessian_penalties(function, z, **settings), expected, rtol=tolerance)
    found = hessian_penalty(function, z, **settings)
    assert float(found) == pytest.approx(float(expected.astype(np.float64).sum()), rel=tolerance)
    if dtype == torch.float32:
        assert float(found) == pytest.approx(float(golden[f"{case}/penalty_sum"]), rel=tolerance)


def test_golden_gradient(golden):
    function, a = network(golden, torch.float32)
    a = a.clone().requires_grad_()
    settings = {"directions": torch.from_numpy(golden["grad/rademacher"]), "epsilon": 0.1}
    first = hessian_penalty(lambda z: function(z, a)[0], torch.from_numpy(golden["z"]), **settings)
    (gradient,) = torch.autograd.grad(first, a)
    expected = golden["grad/dA_of_first_activation"]
    np.testing.assert_allclose(gradient, expected, atol=1e-4 * np.abs(expected).max())


def test_arrays_give_the_same_as_tensors(golden):
    a, b, w = (golden[f"net/{name}"].astype(np.float64) for name in "AbW")
    found = hessian_penalty(
        lambda z: (np.tanh(z @ a + b), np.tanh(z @ a + b) @ w), golden["z"].astype(np.float64), directions=golden["k/rademacher"]
    )
    assert isinstance(found, float)
    assert found == pytest.approx(golden["k/penalty_per_activation_f64"].sum(), rel=1e-12)


def test_known_hessians(golden):
    q = golden["closed/Q"].astype(np.float64)
    z = golden["z"].astype(np.float64)
    functions = [
        lambda x: x[:, 0] * x[:, 1],
        lambda x: x[:, 0] ** 2 * x[:, 1],
        lambda x: x[:, 0] ** 2 + x[:, 1] ** 2,
        lambda x: 0.5 * np.einsum("ni,ij,nj->n", x, q, x),
    ]
    directions = rademacher(3000, z.shape, seed=1)
    off = [np.square(q).sum() - np.square(np.diag(q)).sum()]
    exact = [4, np.max((2 * z[:, 0]) ** 2) * 4, 0, 2 * off[0]]
    np.testing.assert_allclose(golden["closed/exact"], exact, rtol=1e-5)
    for function, truth in zip(functions, exact, strict=True):
        assert hessian_penalty(function, z, directions=directions) == pytest.approx(truth, rel=0.08, abs=1e-9)


def test_order_of_coordinates_and_scale():
    z, v = np.random.default_rng(0).normal(size=(5, 4)), rademacher(6, (5, 4))

    def function(x):
        return np.sin(x[:, :1] * x[:, 1:])

    plain = hessian_penalty(function, z, directions=v)
    assert hessian_penalty(lambda x: function(x[:, ::-1]), z[:, ::-1], directions=v[:, :, ::-1]) == pytest.approx(plain)
    assert hessian_penalty(lambda x: 3 * function(x), z, directions=v) == pytest.approx(9 * plain)
    assert hessian_penalty(lambda x: function(x) + np.exp(x[:, :3]) * 0 + 7 * x[:, :3], z, directions=v) == pytest.approx(plain)
    assert hessian_penalty(function, z, directions=4, seed=3) == hessian_penalty(function, z, directions=4, seed=3)
    assert hessian_penalty(function, z, directions=4, seed=3) != hessian_penalty(function, z, directions=4, seed=4)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"codes": np.zeros((0, 3))}, "codes must be"),
        ({"codes": np.zeros(3)}, "codes must be"),
        ({"codes": np.full((2, 3), np.nan)}, "codes hold"),
        ({"directions": 1}, "directions must be of shape"),
        ({"directions": np.ones((2, 3, 2))}, "directions must be of shape"),
        ({"directions": np.full((2, 2, 3), 0.1)}, r"directions must be \+1"),
        ({"epsilon": 0}, "epsilon"),
        ({"reduction": "sum"}, "reduction"),
        ({"function": lambda x: []}, "function gave no output"),
    ],
)
def test_refusals(change, message):
    settings = {"function": lambda x: x, "codes": np.zeros((2, 3)), **change}
    with pytest.raises(ValueError, match=message):
        hessian_penalty(**settings)
