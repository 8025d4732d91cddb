"""Hessian penalty: the official figures, planted bases that must be found, what holds of every search, and its failures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.cards import GeneratorInfo, LayerInfo
from bench.codes import Codes, Space
from bench.errors import InputError, LatentbenchError
from bench.generators.base import Generator
from methods.base import FitContext, Request
from methods.code_streams import CodeStreams
from methods.unsupervised import hessian_basis
from methods.unsupervised.hessian_basis import Penalty, orthonormal
from methods.unsupervised.hessian_penalty import HessianPenalty, activeness

SIDE, WIDTH = 4, 6
# What recovers a planted basis of six in seconds.
QUICK = {"steps": 400, "batch": 8, "activeness_samples": 8}


class Planted(Generator):
    """Each coordinate of Q w makes its own eight numbers of the picture (3 x 4 x 4) by sines; w = 1 + 3 z.

    The deeper layer is that picture, the first layer ten numbers of each coordinate alone. dead: coordinates without effect.
    """

    def __init__(self, seed=0, dead=0, classes=0):
        super().__init__()
        rng = np.random.default_rng(seed)
        own = 3 * SIDE**2 // WIDTH
        self.register_buffer("Q", torch.from_numpy(np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]).float())
        rate = torch.from_numpy(rng.uniform(0.2, 0.4, (own, WIDTH)) * rng.choice([-1, 1], (own, WIDTH))).float()
        rate[:, WIDTH - dead :] = 0
        self.register_buffer("rate", rate)
        self.register_buffer("phase", torch.from_numpy(rng.uniform(0, 6, (own, WIDTH))).float())
        layers = (LayerInfo("first", 1, WIDTH), LayerInfo("deep", SIDE, 3), LayerInfo("rgb", SIDE, 3, is_rgb=True))
        self.info = GeneratorInfo("planted", "toy", "toys", SIDE, {"z": (WIDTH,), "w": (WIDTH,)}, layers, n_labels=classes)
        self.requires_grad_(False)

    def step(self, start, goal):
        return ("w", lambda codes: 1 + 3 * codes.values) if (start, goal) == ("z", "w") else None

    def features(self, codes, layers):
        u = self.convert(codes, "w").values @ self.Q.T
        if self.info.n_labels:  # a class bends the coordinates together: only one class leaves them alone
            bent = codes.labels[:, 1:2] * u.roll(1, 1)
            u = u + bent
        deep = torch.sin(u[:, None] * self.rate + self.phase).flatten(1).view(len(u), 3, SIDE, SIDE)
        maps = {"first": torch.tanh(u / 3)[..., None, None], "deep": deep, "rgb": deep}
        return {name: maps[name] for name in layers}

    def synthesize(self, codes, *, intervene=(), noise="const"):
        return self.features(codes, ["rgb"])["rgb"]


@pytest.fixture
def place(domain, tmp_path):
    """A function that makes a fit context without a bank: the method asks for none."""

    def make(generator=None, *, budget=WIDTH, seed=0, folder=None):
        return FitContext(generator or Planted(), domain, {}, None, (), budget, seed, folder)

    return make


def matched(fitted, generator):
    """Each learned direction's |cosine| with the planted row nearest to it, and whether every row is somebody's nearest."""
    cosine = (fitted.editor.directions @ generator.Q.T).abs()
    return cosine.max(1).values, len(set(cosine.argmax(1).tolist())) == WIDTH


@pytest.mark.parametrize(("case", "reduction"), [("default", "max"), ("k", "max"), ("k_mean", "mean")])
def test_the_penalty_of_a_network_is_the_official_one(golden, case, reduction):
    """Both activations of the golden network, in the coefficients of the identity from codes that stay where they are."""
    data = golden("hessian_penalty")
    a, b, w = (torch.from_numpy(data[f"net/{name}"]) for name in "AbW")

    def activations(codes):
        hidden = torch.tanh(codes.values @ a + b)
        return [hidden, (hidden @ w).view(-1, 3, 4, 4)]

    z, directions = torch.from_numpy(data["z"]), torch.from_numpy(data[f"{case}/rademacher"])
    penalty = Penalty(activations, len(directions), 0.1, reduction)
    found = penalty(torch.eye(6), Codes("z", torch.zeros(4, 6), torch.arange(4)), z, directions)
    assert float(found) == pytest.approx(float(data[f"{case}/penalty_sum"]), rel=1e-5)
    # The same with half the step in codes for each step in coefficients, which start where the codes do.
    scaled = Penalty(activations, len(directions), 0.2, reduction, unit=0.5)
    moved = scaled(torch.eye(6), Codes("z", z, torch.arange(4)), torch.zeros(4, 6), directions)
    assert 16 * float(moved) == pytest.approx(float(data[f"{case}/penalty_sum"]), rel=2e-4)


def test_the_gradient_that_the_basis_follows_is_the_official_one(golden):
    """The golden network's first layer is a basis: tanh(0 + z A + b)."""
    data = golden("hessian_penalty")
    basis, b = torch.from_numpy(data["net/A"]).requires_grad_(), torch.from_numpy(data["net/b"])
    directions = torch.from_numpy(data["grad/rademacher"])
    penalty = Penalty(lambda codes: [torch.tanh(codes.values + b)], len(directions), 0.1, "max")
    codes = Codes("z", torch.zeros(4, 10), torch.arange(4))
    (gradient,) = torch.autograd.grad(penalty(basis, codes, torch.from_numpy(data["z"]), directions), [basis])
    expected = data["grad/dA_of_first_activation"]
    np.testing.assert_allclose(gradient, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("options", [{}, {"space": "w"}, {"layers": ["picture"], "reduction": "mean"}], ids=["z", "w", "picture"])
def test_the_learned_basis_is_the_planted_one(place, options):
    generator = Planted()
    fitted = HessianPenalty(**QUICK, **options).fit(place(generator))
    cosine, all_found = matched(fitted, generator)
    assert all_found and (cosine > 0.95).all(), cosine
    start, learned, difference = fitted.tables["penalty"]
    assert learned["penalty"] < 0.2 * start["penalty"] and difference["ci_high"] < 0
    assert difference["penalty"] == pytest.approx(learned["penalty"] - start["penalty"], rel=1e-6)
    # A strength counts deviations of the codes: 1 in z, and 3 in w = 1 + 3 z.
    torch.testing.assert_close(fitted.editor.scale, torch.full((WIDTH,), 3.0 if options.get("space") else 1.0), rtol=0.05, atol=0)


def test_without_the_penalty_the_planted_basis_is_not_found(place):
    generator = Planted()
    for seed in range(3):
        fitted = HessianPenalty(**QUICK | {"steps": 0}).fit(place(generator, seed=seed))
        cosine, all_found = matched(fitted, generator)
        assert not (all_found and (cosine > 0.95).all())
        assert (cosine > 0.95).sum() <= 1, cosine
        assert [row["penalty"] for row in fitted.tables["penalty"]][2] == 0


def test_activeness_is_the_variance_that_the_planted_coordinates_make():
    """Without codes: a coordinate's own numbers are sines of its three places, whatever the others are."""
    generator, mean = Planted(dead=2), torch.ones(WIDTH, dtype=torch.float64)
    scale = torch.linspace(1, 3, WIDTH)
    found = activeness(CodeStreams(generator, Space.W, 0), generator.Q.double(), mean, scale, 5)
    places = (generator.Q @ mean.float())[:, None] + scale[:, None] * torch.tensor([-2.0, 0.0, 2.0])
    pictures = torch.sin(places * generator.rate[..., None] + generator.phase[..., None])
    expected = pictures.var(-1).mean(0) / WIDTH
    assert (expected[:4] > 0.01).all() and (expected[4:] < 1e-12).all()
    torch.testing.assert_close(found, expected[:, None].expand(-1, 5), rtol=1e-4, atol=1e-9)


def test_offered_are_the_most_active_components_by_falling_activeness(place):
    fitted = HessianPenalty(**QUICK | {"steps": 20, "activeness_samples": 7}).fit(place(Planted(dead=2)))
    rows = fitted.tables["activeness"]
    values = [row["activeness"] for row in rows]
    assert values == sorted(values, reverse=True) and values[0] > 2 * values[-1]
    assert {row["n"] for row in rows} == {7} and sorted(row["learned"] for row in rows) == list(range(WIDTH))
    assert all(row["ci_low"] <= row["activeness"] <= row["ci_high"] for row in rows)


def test_the_budget_is_offered_from_the_most_active_and_edits_add_up(place, codes):
    generator = Planted(dead=2)
    fitted = HessianPenalty(**QUICK | {"steps": 50}).fit(place(generator, budget=3))
    assert fitted.editor.targets == ("0", "1", "2") and len(fitted.tables["activeness"]) == 3
    torch.testing.assert_close(fitted.editor.directions @ fitted.editor.directions.T, torch.eye(3), rtol=0, atol=1e-6)
    before = codes(generator)
    after = fitted.editor.path(before, [Request("1")]).at(2.0).codes.values
    torch.testing.assert_close(after - before.values, (2 * fitted.editor.directions[1]).expand(5, -1), rtol=0, atol=1e-5)


def test_a_class_is_every_codes_class(place):
    """Under class 1 coordinates are mixed; under class 0 the planted basis is right."""
    generator = Planted(classes=2)
    cosine, all_found = matched(HessianPenalty(**QUICK, label=0).fit(place(generator)), generator)
    assert all_found and (cosine > 0.95).all(), cosine
    cosine, all_found = matched(HessianPenalty(**QUICK, label=1).fit(place(generator)), generator)
    assert not (cosine > 0.95).all()


def test_an_interrupted_search_ends_as_one_that_was_not(place, tmp_path, monkeypatch):
    monkeypatch.setattr(hessian_basis, "SAVE_SECONDS", 0.0)
    method = HessianPenalty(**QUICK | {"steps": 12})
    whole = method.fit(place())
    steps, step = [], hessian_basis.Adam.step

    def breaks(self, gradient, rate):
        if len(steps) == 7:
            raise KeyboardInterrupt
        steps.append(self.steps)
        step(self, gradient, rate)

    monkeypatch.setattr(hessian_basis.Adam, "step", breaks)
    with pytest.raises(KeyboardInterrupt):
        method.fit(place(folder=tmp_path))
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(hessian_basis.Adam, "step", lambda *a: (steps.append(a[0].steps), step(*a)))
    again = method.fit(place(folder=tmp_path))
    assert steps == list(range(12))  # no step was made twice
    assert torch.equal(again.editor.directions, whole.editor.directions) and again.tables == whole.tables
    assert not list(tmp_path.iterdir())


def test_other_facts_are_another_search_and_damage_is_named(place, tmp_path, monkeypatch):
    monkeypatch.setattr(hessian_basis, "SAVE_SECONDS", 0.0)
    files = []
    monkeypatch.setattr(hessian_basis, "save", lambda adam, file: files.append(file))
    for options, seed in (({}, 0), ({"k": 3}, 0), ({}, 1)):
        HessianPenalty(**QUICK | {"steps": 1} | options).fit(place(folder=tmp_path, seed=seed))
    assert len(set(files)) == 3
    files[0].write_bytes(b"no tensors")
    with pytest.raises(InputError, match="unfinished search .* is damaged .*: delete it"):
        HessianPenalty(**QUICK | {"steps": 1}).fit(place(folder=tmp_path))


def test_the_search_follows_the_seed_and_restored_is_fitted(place, codes):
    method = HessianPenalty(**QUICK | {"steps": 10})
    one, same, other = (method.fit(place(seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(one.editor.directions, same.editor.directions) and one.tables == same.tables
    assert not torch.equal(one.editor.directions, other.editor.directions)
    again = method.restore(place(), one.state())
    edited = [f.editor.path(codes(Planted()), [Request("2")]).at(-1.5).codes.values for f in (one, again)]
    assert torch.equal(*edited) and again.tables == one.tables


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), rows=st.integers(1, 6), extra=st.integers(0, 4))
def test_bases_are_orthonormal_and_keep_the_first_rows(seed, rows, extra):
    matrix = torch.randn(rows, rows + extra, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    basis = orthonormal(matrix)
    torch.testing.assert_close(basis @ basis.T, torch.eye(rows, dtype=torch.float64), rtol=0, atol=1e-10)
    torch.testing.assert_close(orthonormal(basis), basis, rtol=0, atol=1e-8)
    torch.testing.assert_close(orthonormal(matrix[: rows // 2 + 1]), basis[: rows // 2 + 1], rtol=0, atol=1e-7)
    assert ((basis * matrix).sum(1) > 0).all()


def test_what_cannot_be_is_said_in_one_line(place, domain, monkeypatch):
    info = Planted().info
    assert HessianPenalty(space="w+").supports(info, domain) == "planted has no space w+ with one vector a code"
    assert HessianPenalty(layers=["conv"]).supports(info, domain) == "planted has no layer conv"
    assert HessianPenalty(label=3).supports(info, domain) == "planted has no classes to choose from"
    assert HessianPenalty(label=2).supports(Planted(classes=2).info, domain) == "planted has the classes 0 to 1, not 2"
    with pytest.raises(InputError, match="a basis of 3 components cannot offer 4"):
        HessianPenalty(components=3, steps=0).fit(place(budget=4))
    for bad in ({"k": 1}, {"epsilon": 0}, {"layers": []}, {"layers": ["all", "first"]}, {"reduction": "sum"}, {"batch": 0}):
        with pytest.raises(ValidationError):
            HessianPenalty(**bad)
    broken = Planted()
    broken.rate[0, 0] = float("nan")
    with pytest.raises(LatentbenchError, match="not finite in step 1"):
        HessianPenalty(**QUICK).fit(place(broken))
