"""Axes: the coordinates are the components, layers are found by the attributes that they were planted with."""

import numpy as np
import pytest
import torch

from bench.cards import Attribute, DomainInfo, GeneratorInfo, LayerInfo
from bench.codes import Space
from bench.domains.base import Network
from bench.errors import InputError
from bench.generators.base import Generator
from bench.generators.eigengan import EigenGAN
from methods.base import FitContext, Request
from methods.unsupervised.axes import Axes, coordinates, effective_count
from methods.unsupervised.layer_indices import layer_tables, total_indices

ROWS, WIDTH, SIDE = 3, 4, 4
NAMES = ("yaw", "light", "mixed")
# What each row's codes do to pixels 0, 1 and 2: yaw is the first layer's, light the last one's, mixed 3 : 1 of both.
GAINS = torch.tensor([[1.0, 0.0, 3.0**0.5], [0.0, 0.0, 0.0], [0.0, 1.0, 1.0]]) / 10


class Stacked(Generator):
    """z+ has a row for each of three layers, each of which adds its first coordinate's share to three pixels."""

    def __init__(self, layered=True):
        super().__init__()
        self.register_buffer("gains", GAINS.clone())
        layers = tuple(LayerInfo(f"block{i}", SIDE, 3, rows=(i,)) for i in range(2)) + (
            LayerInfo("rgb", SIDE, 3, is_rgb=True, rows=(2,)),
        )
        spaces = {"z": (WIDTH,)} | ({"z+": (ROWS, WIDTH)} if layered else {})
        self.info = GeneratorInfo("stacked", "toy", "heads", SIDE, spaces, layers)

    def step(self, start, goal):
        if (start, goal) == (Space.Z, Space.Z_PLUS):
            return Space.Z_PLUS, lambda codes: codes.values[:, None].expand(-1, ROWS, -1).contiguous()
        return None

    def synthesize(self, codes, *, intervene=(), noise="const"):
        values = codes.values if codes.space.layered else codes.values[:, None].expand(-1, ROWS, -1)
        picture = torch.zeros(len(values), 3, SIDE, SIDE)
        picture[:, 0, 0, :3] = values[:, :, 0] @ self.gains
        picture[:, 1, 0, 0] = 0.05 * values[:, 0, 1]
        return picture


class Pixels(Network):
    name, readings, names = "pixels", frozenset({"attributes"}), NAMES

    def measure(self, images):
        return {"attributes": images[:, 0, 0, :3]}


class Bank:
    """Rows of z+ are drawn alone, so that the shares of layers are known."""

    def __init__(self, generator, n):
        self.generator, self.names, self.n = generator, NAMES, n
        self.plus = torch.from_numpy(np.random.default_rng(0).standard_normal((n, ROWS, WIDTH))).float()

    def __len__(self):
        return self.n

    def codes(self, space):
        z = self.generator.sample(torch.arange(self.n), seed=3)
        return z.with_values(self.plus, "z+") if Space(space) == Space.Z_PLUS else z

    @property
    def scores(self):
        return self.generator.synthesize(self.codes("z+"))[:, 0, 0, :3]


def place(generator, *, n=4000, budget=3, guides=True):
    domain = DomainInfo("heads", tuple(Attribute(name, "continuous") for name in NAMES), guides={"attributes": "pixels"})
    return FitContext(generator, domain, {"attributes": Pixels()} if guides else {}, Bank(generator, n), NAMES, budget, 0)


def test_the_most_active_coordinates_are_offered():
    fitted = Axes(activeness_samples=20, index_codes=0).fit(place(Stacked()))
    rows = fitted.tables["activeness"]
    assert [row["coordinate"] for row in rows][:2] == [0, 1] and {row["layer"] for row in rows} == {"all"}
    assert rows[0]["activeness"] > 10 * rows[1]["activeness"] > 0 == rows[2]["activeness"]
    codes = Stacked().sample(torch.arange(4), seed=1)
    step = fitted.editor.path(codes, [Request("0")]).at(2.0).codes.values - codes.values
    torch.testing.assert_close(step, torch.tensor([2.0, 0, 0, 0]).expand(4, -1), rtol=0, atol=1e-6)
    assert "layer_indices" not in fitted.tables


def test_layers_have_the_shares_that_were_planted():
    """Of a sum of independent parts the total index is each one's share of the variance."""
    rows = layer_tables(place(Stacked()), 2000)["layer_indices"]
    found = {(row["attribute"], row["layer"]): row for row in rows}
    assert [row["layer"] for row in rows if row["attribute"] == "yaw"] == ["block0", "block1", "row 2"]
    truth = {"yaw": (1, 0, 0), "light": (0, 0, 1), "mixed": (0.75, 0, 0.25)}
    for attribute, shares in truth.items():
        for layer, share in zip(("block0", "block1", "row 2"), shares, strict=True):
            one = found[attribute, layer]
            assert one["ci_low"] - 0.02 <= share <= one["ci_high"] + 0.02 and one["n"] == 2000, (attribute, layer, one)
    assert {found["yaw", "block0"]["level"], found["light", "block0"]["level"]} == {"pose and shape", "colour and light"}


def test_an_index_is_the_share_of_the_variance():
    """f = 2 a + b of independent normals: a's index is 4 / 5."""
    draw = torch.Generator().manual_seed(0)
    a, b, new = torch.randn(3, 200_000, generator=draw)
    before, after = (2 * a + b)[:, None], (2 * new + b)[:, None]
    assert float(total_indices(before, after, before.std(0)).mean()) == pytest.approx(0.8, abs=0.01)


def test_the_table_of_layers_needs_layers_and_a_guide():
    assert layer_tables(place(Stacked(layered=False)), 100) == {}
    assert layer_tables(place(Stacked(), guides=False), 100) == {}
    assert layer_tables(place(Stacked(), n=3), 100) == {}


def test_levels_lie_where_their_layers_are():
    """Yaw is all of the first layer, light all of the last; what is of no level lies between."""
    rows = {row["level"]: row for row in layer_tables(place(Stacked()), 1000)["layer_depth"]}
    assert rows["pose and shape"]["depth"] == 0 and rows["colour and light"]["depth"] == 1
    mixed = rows["none"]
    assert mixed["ci_low"] < 0.25 < mixed["ci_high"] and mixed["ci_high"] - mixed["ci_low"] < 0.1 and mixed["n"] == 1000


@pytest.mark.parametrize(("means", "count"), [((1, 1, 1, 1), 4.0), ((1, 0, 0, 0), 1.0), ((3, 1, 0, 0), 1.6)])
def test_the_effective_count_is_between_one_and_all(means, count):
    noise = torch.rand(200, generator=torch.Generator().manual_seed(0)) + 0.5
    row = effective_count(torch.tensor(means)[:, None] * noise, 0)
    assert row["count"] == pytest.approx(count, rel=1e-5) and row["of"] == 4 and row["n"] == 200
    assert row["ci_low"] - 1e-9 <= count <= row["ci_high"] + 1e-5


def test_few_codes_leave_the_effective_count_open():
    active = torch.distributions.Exponential(1.0).sample((8, 12))
    row = effective_count(active, 0)
    assert row["ci_high"] - row["ci_low"] > 0.5


def test_an_eigengan_offers_its_subspaces_alone():
    generator = EigenGAN(name="e", domain="heads", noise_dim=5, dims=2, channels=(8, 8, 4, 4))
    layers, columns = coordinates(generator, Space.Z, 11)
    assert layers == ["blocks.0"] * 2 + ["blocks.1"] * 2 + ["blocks.2"] * 2 and columns == list(range(5, 11))


def test_restored_is_fitted_and_what_cannot_be_is_said():
    here = place(Stacked())
    fitted = Axes(activeness_samples=4, index_codes=8).fit(here)
    again = Axes().restore(here, fitted.state())
    assert again.tables == fitted.tables and torch.equal(again.editor.directions, fitted.editor.directions)
    assert "has no space w+" in str(Axes(space="w+").supports(here.generator.info, here.domain)) or Axes(space="z+").supports(
        here.generator.info, here.domain
    )
    with pytest.raises(InputError, match="one vector a code"):
        Axes(space="z+").fit(here)
