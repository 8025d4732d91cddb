"""A tiny generator with known truth, a bank and a fit context for every test of methods."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.cards import Attribute, DomainInfo, GeneratorInfo, LayerInfo
from bench.codes import Codes, Space
from bench.errors import SpaceError, unknown
from bench.generators.base import Generator
from methods.base import FitContext

GOLDEN = Path(__file__).parents[1] / "golden"


class Toy(Generator):
    """z -> w by two leaky layers, w+ of `rows` rows, one style layer per row beside a toRGB, one feature layer 'conv'.

    truth: [K, D] the directions of w along which the K attributes grow, linearly. linear: w is z.
    """

    def __init__(self, *, z_dim=8, w_dim=12, rows=4, attributes=3, seed=0, layered=True, weights=None, linear=False):
        super().__init__()
        self.linear = linear
        rng = np.random.default_rng(seed)
        draw = lambda *shape: torch.from_numpy(rng.standard_normal(shape)).float()  # noqa: E731
        names = {"A1": (z_dim, w_dim), "b1": (w_dim,), "A2": (w_dim, w_dim), "b2": (w_dim,), "C": (w_dim, 48)}
        for name, shape in names.items():
            value = draw(*shape) if weights is None else torch.from_numpy(weights[f"toy/{name}"])
            self.register_buffer(name, value)
        self.register_buffer("styles", draw(rows, 5, w_dim))
        self.register_buffer("truth", F.normalize(draw(attributes, w_dim), dim=1))
        spaces = {"z": (z_dim,), "w": (w_dim,)} | ({"w+": (rows, w_dim)} if layered else {})
        layers = tuple(LayerInfo(f"l{r}", 4, 5, rows=(r,)) for r in range(rows - 1)) + tuple(
            LayerInfo(f"rgb{r}", 4, 5, is_rgb=True, rows=(r,)) for r in range(1, rows, 2)
        )
        self.info = GeneratorInfo("toy", "toy", "toys", 4, spaces, layers if layered else ())
        self.requires_grad_(False)

    def convert(self, codes, space):
        goal = Space(space)
        if codes.space == goal:
            return codes
        if codes.space == Space.Z and self.linear:
            return self.convert(codes.with_values(codes.values, "w"), goal)
        if codes.space == Space.Z and goal in (Space.W, Space.W_PLUS):
            z = codes.values / (codes.values.square().mean(1, keepdim=True) + 1e-8).sqrt()
            w = F.leaky_relu(F.leaky_relu(z @ self.A1 + self.b1, 0.2) @ self.A2 + self.b2, 0.2)
            return self.convert(codes.with_values(w, "w"), goal)
        if codes.space == Space.W and goal == Space.W_PLUS and "w+" in self.info.spaces:
            return codes.with_values(codes.values[:, None].repeat(1, self.info.spaces["w+"][0], 1), goal)
        raise SpaceError(f"there is no way from {codes.space} to {goal}")

    def synthesize(self, codes, *, intervene=(), noise="const"):
        return self.features(codes, ["conv"])["conv"]

    def features(self, codes, layers):
        for name in layers:
            if name != "conv":
                raise unknown("layer of toy", name, ["conv"])
        return {"conv": torch.tanh(self.convert(codes, "w").values @ self.C).view(-1, 3, 4, 4)}

    def code_weights(self, space, layers=None):
        names = [f"l{r}" for r in range(len(self.styles))] if layers is None else layers
        return [self.styles[int(name.removeprefix("rgb").removeprefix("l"))] for name in names]


class ToyBank:
    """Codes of ids from 10,000 up and scores that are linear in w, exactly."""

    def __init__(self, generator, n, names):
        self.generator, self.n, self.names = generator, n, names
        z = generator.sample(torch.arange(10_000, 10_000 + n), seed=1)
        self._codes = z
        self.scores = generator.convert(z, "w").values @ generator.truth.T

    def __len__(self):
        return self.n

    def codes(self, space):
        return self.generator.convert(self._codes, space)


NAMES = ("smile", "age", "glasses")


@pytest.fixture
def golden():
    return lambda name: np.load(GOLDEN / f"{name}.npz", allow_pickle=False)


@pytest.fixture
def toy():
    return Toy


@pytest.fixture
def domain():
    return DomainInfo("toys", tuple(Attribute(n, "continuous") for n in NAMES), guides={"attributes": "toy-guide"})


@pytest.fixture
def context(domain):
    """A function that makes a fit context: of the toy generator unless another is given."""

    def make(generator=None, *, n=2000, targets=NAMES, budget=4, seed=0):
        generator = Toy() if generator is None else generator
        return FitContext(generator, domain, {}, ToyBank(generator, n, NAMES), targets, budget, seed)

    return make


@pytest.fixture
def codes():
    """Codes of a generator in a space."""

    def make(generator, n=5, space="z") -> Codes:
        return generator.convert(generator.sample(torch.arange(n), seed=3), space)

    return make
