"""GANSpace on a layer's activations: planted axes are found, and memory does not grow with the samples."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

import methods.unsupervised.ganspace as module
from bench.cards import GeneratorInfo, LayerInfo
from bench.errors import InputError
from bench.generators.base import Generator
from methods.base import FitContext
from methods.unsupervised.ganspace import GANSpace, layerwise, regress

WIDTH, OUTPUTS = 6, 48
STRETCH = (5.0, 3.0, 2.0, 1.2, 0.7, 0.4)


class Planted(Generator):
    """A first layer U diag(STRETCH) Q z [3, 4, 4] of z alone (no w), bent a little where `bend` says so, and a picture of it."""

    def __init__(self, bend=0.0, stretch=STRETCH):
        super().__init__()
        rng = np.random.default_rng(0)
        orthogonal = lambda n, k: torch.from_numpy(np.linalg.qr(rng.standard_normal((n, k)))[0]).float()  # noqa: E731
        self.register_buffer("Q", orthogonal(WIDTH, WIDTH))
        self.register_buffer("U", orthogonal(OUTPUTS, WIDTH))
        self.bend, self.stretch = bend, torch.tensor(stretch)
        layers = (LayerInfo("first", 4, 3), LayerInfo("rgb", 4, 3, is_rgb=True))
        self.info = GeneratorInfo("planted", "toy", "toys", 4, {"z": (WIDTH,)}, layers)

    def features(self, codes, layers):
        x = (codes.values @ self.Q.T * self.stretch) @ self.U.T
        x = x + self.bend * x.relu()
        return {name: x.view(-1, 3, 4, 4) for name in layers}

    def synthesize(self, codes, *, intervene=(), noise="const"):
        return self.features(codes, ["first"])["first"].tanh()


@pytest.fixture
def place(domain):
    return lambda generator, budget=4: FitContext(generator, domain, {}, None, (), budget, seed=0)


@pytest.mark.parametrize(("bend", "near"), [(0.0, 0.995), (1.0, 0.97)])
def test_the_planted_axes_of_the_first_layer_are_found_in_z(place, bend, near):
    """Without w and without options: codes move in z, and the first layer is analysed."""
    generator = Planted(bend)
    fitted = GANSpace(num_samples=6000).fit(place(generator))
    assert fitted.editor.space == "z" and torch.equal(fitted.editor.scale, torch.ones(4))
    assert ((fitted.editor.directions * generator.Q[:4]).sum(1).abs() > near).all()
    if not bend:
        shares = torch.tensor([row["variance_ratio"] for row in fitted.tables["components"]])
        exact = generator.stretch.square() / generator.stretch.square().sum()
        torch.testing.assert_close(shares, exact[:4], rtol=0.06, atol=0)


def test_a_layer_of_fewer_dimensions_offers_what_it_has(place):
    """Two of six axes are dead: what a PCA makes of them is rounding, and no direction."""
    generator = Planted(stretch=(5.0, 3.0, 2.0, 1.2, 0.0, 0.0))
    fitted = GANSpace(num_samples=2000).fit(place(generator, budget=6))
    assert fitted.editor.targets == ("0", "1", "2", "3")
    assert ((fitted.editor.directions * generator.Q[:4]).sum(1).abs() > 0.99).all()


def test_memory_does_not_grow_with_the_samples(place, monkeypatch):
    """Of arrays at their highest. Kept whole, the coordinates and codes of the larger count would take a megabyte more."""
    monkeypatch.setattr(module, "REGRESSION_SAMPLES", 2000)
    GANSpace(num_samples=2000).fit(place(Planted()))  # whatever is imported or remembered on the way is there now
    highest = []
    for n in (4000, 20_000):
        tracemalloc.start()
        GANSpace(num_samples=n).fit(place(Planted()))
        highest.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert highest[1] < highest[0] + 200_000, highest


def test_the_regression_of_many_batches_is_that_of_one():
    rng = np.random.default_rng(0)
    coordinates = rng.standard_normal((900, 5))
    codes = coordinates @ rng.standard_normal((5, 7)) + rng.standard_normal((900, 7))
    exact = np.linalg.lstsq(coordinates, codes, rcond=None)[0]
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    for size in (900, 250, 7):
        parts = ((coordinates[i : i + size], codes[i : i + size]) for i in range(0, 900, size))
        np.testing.assert_allclose(regress(parts), exact, atol=1e-12)


def test_rows_that_are_codes_move_by_the_whole_direction(toy):
    directions = torch.randn(3, 12, generator=torch.Generator().manual_seed(0))
    same, space, rows = layerwise(toy(), directions, "w", (1, 2))
    assert same is directions and (space, rows) == ("w+", (1, 2))


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")  # scikit-learn's share of a variance of 0
def test_what_cannot_be_is_said_in_one_line(place, domain, toy):
    assert GANSpace(space="z").supports(toy().info, domain).endswith("its PCA is arbitrary: name a layer")
    assert GANSpace(space="z", layer="conv").supports(toy().info, domain) is None
    assert GANSpace(label=0).supports(Planted().info, domain) == "planted has no classes to choose from"
    with pytest.raises(InputError, match="activations of first are the same for every code"):
        GANSpace(num_samples=2000).fit(place(Planted(stretch=(0.0,) * WIDTH)))
    with pytest.raises(InputError, match="the layer does not follow them"):
        regress([(np.ones((5, 1)), np.zeros((5, 3)))])
