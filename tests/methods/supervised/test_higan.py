"""HiGAN against the official code's figures, and a generator whose rows are known to carry one attribute each."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.cards import Attribute, DomainInfo, GeneratorInfo, LayerInfo
from bench.codes import Codes, Space
from bench.domains.base import Network
from bench.errors import InputError
from bench.generators.base import Generator
from bench.streams import stream_rng
from methods.base import FitContext, Request
from methods.editors import project_off
from methods.supervised.higan import HiGAN, moved
from methods.supervised.higan_layers import LayeredEditor, layer_groups, row_strengths
from methods.supervised.higan_verify import verified
from methods.supervised.interfacegan import train_boundary

ROWS, WIDTH = 14, 6
NAMES = ("yaw", "smile", "warmth")
# The rows in which each attribute is planted: bottom, upper, and two groups at once.
PLANTED = {"yaw": (0, 1), "smile": (7, 8, 9), "warmth": (3, 12, 13)}


class Planted(Generator):
    """z is w; an attribute is the mean of one coordinate of w over the rows that carry it, and one colour of the picture."""

    def __init__(self, psi=1.0, cutoff=0, bent=False):
        super().__init__()
        self.psi, self.cutoff, self.bent = psi, cutoff, bent
        layers = tuple(LayerInfo(f"l{row}", 2 ** (2 + row // 2), 1, rows=(row,)) for row in range(ROWS))
        self.info = GeneratorInfo("planted", "toy", "heads", 2, {"z": (WIDTH,), "w": (WIDTH,), "w+": (ROWS, WIDTH)}, layers)

    def step(self, start, goal):
        if start == Space.Z:
            return Space.W, lambda codes: codes.values
        if start == Space.W and goal == Space.W_PLUS:
            return Space.W_PLUS, self._layered
        return None

    def _layered(self, codes):
        ws = codes.values[:, None].repeat(1, ROWS, 1)
        ws[:, : self.cutoff] *= self.psi
        return ws.abs() if self.bent else ws

    def synthesize(self, codes, *, intervene=(), noise="const"):
        ws = self.convert(codes, "w+").values
        values = torch.stack([ws[:, list(PLANTED[name]), index].mean(1) for index, name in enumerate(NAMES)], 1)
        return (values / 8)[:, :, None, None].expand(-1, -1, 2, 2)


class Reader(Network):
    """Reads the colours; `blind` pictures, by a strong first colour, it cannot read."""

    name, readings, names = "reader", frozenset({"attributes"}), NAMES

    def __init__(self, blind=np.inf):
        super().__init__()
        self.blind = blind

    def measure(self, images):
        scores = images.mean((2, 3)) * 8
        return {"attributes": torch.where(scores[:, :1] > self.blind, torch.nan, scores)}


class Bank:
    def __init__(self, generator, n):
        self.generator, self.names, self.n = generator, NAMES, n
        self._codes = generator.sample(torch.arange(10_000, 10_000 + n), seed=1)
        self.scores = Reader().measure(generator.synthesize(self._codes))["attributes"]

    def __len__(self):
        return self.n

    def codes(self, space):
        return self.generator.convert(self._codes, space)


@pytest.fixture
def fit_context():
    def make(generator=None, guide=None, n=3000, targets=NAMES, seed=0):
        generator, guide = generator or Planted(), guide or Reader()
        domain = DomainInfo("heads", tuple(Attribute(n, "continuous") for n in NAMES), guides={"attributes": "reader"})
        return FitContext(generator, domain, {"attributes": guide}, Bank(generator, n), targets, 4, seed)

    return make


def small(**options):
    return HiGAN(**{"chosen_num_or_ratio": 0.05, "verify_codes": 64} | options)


@pytest.mark.parametrize("case", ["default_count", "ratio", "count_verbose"])
def test_boundaries_are_the_official_ones(golden, case):
    data = golden("higan")
    options = {"chosen_num_or_ratio": 0.004, "split_ratio": 0.7} | json.loads(str(data["meta"]))["cases"][case]["kw"]
    options.pop("verbose_test", None)
    rng = np.random.RandomState(json.loads(str(data["meta"]))["numpy_seed"])
    found = train_boundary(data["codes"], data["scores"], rng=rng, **options)
    assert np.abs(found.normal - data[f"train/{case}/boundary"][0]).max() < 1e-6
    assert found.validation == pytest.approx({"default_count": 312 / 360, "ratio": 1, "count_verbose": 1}[case])


def test_moves_in_layers_are_the_official_ones(golden):
    data = golden("higan")
    strengths = torch.from_numpy(data["manip/strength_psi0.7_layers3"])
    codes = Codes("w+", torch.from_numpy(data["manip/wp"]).double(), torch.arange(4))
    step = 2.0 * torch.from_numpy(data["manip/boundary"][0]).double()
    for name, rows in (("w_all", range(6)), ("w_layer2", [2])):
        official = torch.from_numpy(data[f"manip/{name}"][:, 0])
        torch.testing.assert_close(moved(codes, step, list(rows), strengths).values, official, rtol=0, atol=4e-7)


def test_the_editor_moves_its_rows_as_the_official_manipulation(golden, toy):
    data = golden("higan")
    strengths = torch.from_numpy(data["manip/strength_psi0.7_layers3"]).float()
    generator, boundary = toy(w_dim=16, rows=6), torch.from_numpy(data["manip/boundary"])
    only = torch.zeros(6).index_fill(0, torch.tensor([2]), 1)
    code = Codes("w+", torch.from_numpy(data["manip/wp"]), torch.arange(4))
    for name, placement in (("w_all", strengths), ("w_layer2", strengths * only)):
        editor = LayeredEditor(generator, boundary, ("a",), "w+", placement=placement[None])
        edited = editor.path(code, [Request("a")]).at(2.0).codes.values
        torch.testing.assert_close(edited.double(), torch.from_numpy(data[f"manip/{name}"][:, 0]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "conditions"), [("one", [1]), ("two", [1, 2])])
def test_conditional_boundaries_are_the_official_ones(golden, name, conditions):
    data = golden("higan")
    boundaries = torch.from_numpy(data["project/boundaries"])
    found = project_off(boundaries[0], boundaries[conditions])
    torch.testing.assert_close(found, torch.from_numpy(data[f"project/{name}"][0]), rtol=0, atol=1e-6)


def test_verification_gives_the_official_deltas(golden):
    data = golden("higan")
    edits = [("all", tuple(range(6))), *((f"row {row}", (row,)) for row in range(6))]
    for index, scores in enumerate(data["rescore/scores"]):
        before, after = scores[:, 0], scores[:, 1:].T
        one = verified("a", before, after, np.repeat(before[None], 7, 0), 1.0, edits)
        np.testing.assert_allclose(one.delta[0], data["rescore/delta"][index], atol=4e-7)
        np.testing.assert_allclose(one.delta[1:], data["rescore/delta_layerwise"][index], atol=4e-7)
        assert (one.n, one.failed) == (200, 0) and not one.random.any()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40))
def test_groups_part_the_rows_in_order(rows):
    groups = layer_groups(rows)
    assert [row for _, some in groups for row in some] == list(range(rows)) and all(some for _, some in groups)
    assert len(groups) == (4 if rows >= 4 else rows)


def test_groups_of_the_papers_depth():
    assert [(name, some[0], some[-1]) for name, some in layer_groups(14)] == [
        ("bottom", 0, 1), ("lower", 2, 5), ("upper", 6, 11), ("top", 12, 13),
    ]  # fmt: skip


def test_strengths_follow_truncation():
    found = row_strengths(Planted(psi=0.7, cutoff=3), Space.W, Space.W_PLUS)
    assert found.tolist() == pytest.approx([0.7] * 3 + [1.0] * (ROWS - 3))
    with pytest.raises(InputError, match="not multiples"):
        row_strengths(Planted(bent=True), Space.W, Space.W_PLUS)


def test_it_finds_the_planted_groups_and_edits_them_alone(fit_context):
    fitted = small(share=0.6).fit(fit_context())
    rows = {target: set(fitted.editor.rows_of(target)) for target in NAMES}
    assert rows["yaw"] == {0, 1} and rows["smile"] == set(range(6, 12))
    assert rows["warmth"] == {12, 13}  # two of its three rows; the group of the third does half as much
    wide = small(share=0.4).fit(fit_context(targets=("warmth",))).editor
    assert wide.rows_of("warmth") == [2, 3, 4, 5, 12, 13]
    truth = torch.eye(WIDTH)[:3]
    assert ((fitted.editor.directions * truth).sum(1) > 0.95).all()
    table = {(row["attribute"], row["layers"]): row for row in fitted.tables["layerwise_rescoring"]}
    assert table["yaw", "bottom"]["share"] > 0.9 and table["yaw", "bottom"]["edited"] and not table["yaw", "upper"]["edited"]
    assert table["yaw", "upper"]["delta"] == pytest.approx(0, abs=1e-5) and table["yaw", "bottom"]["n"] == 64
    # A move of 2 along a boundary whose attribute has the spread 1 raises it by nearly 2; a random one by far less.
    both = table["yaw", "all"]
    assert both["ci_low"] <= both["delta"] <= both["ci_high"] and 1.8 < both["delta"] < 2.1 and 0 < both["random"] < 0.7
    levels = {row["level"]: row for row in fitted.tables["layer_levels"]}
    assert levels["pose and shape"]["peak"] == "bottom" and levels["expression"]["peak"] == "upper"
    assert levels["expression"]["upper"] == pytest.approx(1, abs=1e-4)


def test_rows_alone_are_found_exactly(fit_context):
    editor = small(layers="rows").fit(fit_context()).editor
    assert {name: tuple(editor.rows_of(name)) for name in NAMES} == PLANTED


def test_truncated_rows_move_less(fit_context, codes):
    generator = Planted(psi=0.5, cutoff=1)
    editor = small(rows="all", verify_codes=0).fit(fit_context(generator)).editor
    before = codes(generator, space="w+")
    step = (editor.path(before, [Request("smile")]).at(1.0).codes.values - before.values)[0].norm(dim=1)
    assert step.tolist() == pytest.approx([0.5] + [1.0] * (ROWS - 1), abs=1e-5)


def test_named_rows_and_held_attributes(fit_context, codes):
    context = fit_context(targets=("smile",))
    fitted = small(rows=[2, 5], hold=["yaw"]).fit(context)
    editor = fitted.editor
    assert editor.rows_of("smile") == [2, 5] and editor.rows_of("yaw") == [] and editor.targets == ("smile",)
    step = editor.step(Request("smile"))
    assert abs(float(step[2] @ editor.directions[1])) < 1e-5 and not step[0].any()
    assert small(rows=[2, 5], hold=["yaw"]).variant == "chosen_num_or_ratio=0.05,rows=2+5,verify_codes=64,hold=yaw"


@pytest.mark.parametrize("options", [{}, {"rows": (0, 3), "hold": ("yaw",)}])
def test_restored_is_fitted(fit_context, codes, options):
    method, context = small(**options), fit_context()
    fitted = method.fit(context)
    again = method.restore(context, fitted.state())
    at = lambda fit: fit.editor.path(codes(context.generator), [Request("smile")]).at(2.0).codes.values  # noqa: E731
    assert torch.equal(at(fitted), at(again)) and again.tables == fitted.tables and again.editor.hold == fitted.editor.hold


def test_unreadable_codes_are_counted_and_too_few_are_refused(fit_context):
    table = small().fit(fit_context(guide=Reader(blind=1.5))).tables["layerwise_rescoring"]
    assert all(row["n"] + row["n_failed"] == 64 and row["n_failed"] > 0 for row in table)
    with pytest.raises(InputError, match="too few"):
        small().fit(fit_context(guide=Reader(blind=-9)))


def test_what_it_cannot_do_is_said(fit_context, toy):
    context = fit_context()
    assert HiGAN().supports(context.generator.info, context.domain) is None
    assert "for each layer" in HiGAN().supports(toy(layered=False).info, context.domain)
    assert "rows 0 to 13" in HiGAN(rows=[14]).supports(context.generator.info, context.domain)
    assert "no guide" in HiGAN().supports(context.generator.info, replace(context.domain, guides={}))
    with pytest.raises(ValidationError, match="verify_codes"):
        HiGAN(verify_codes=0)
    with pytest.raises(InputError, match="no boundary for yaw"):
        HiGAN(chosen_num_or_ratio=1).fit(fit_context(n=1))
    with pytest.raises(InputError, match="placement"):
        LayeredEditor(context.generator, torch.eye(WIDTH)[:1], ("a",), "w+")


def test_the_seed_draws_the_codes(fit_context):
    one, two = (small().fit(fit_context(seed=seed)) for seed in (0, 1))
    assert one.tables["layerwise_rescoring"] != two.tables["layerwise_rescoring"]
    assert stream_rng("higan", 0, "yaw").random() != stream_rng("higan", 1, "yaw").random()
