"""StyleSpace against the official code's figures, and a generator whose channels are known to paint one region each."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cards import Attribute, DomainInfo, GeneratorInfo, LayerInfo
from bench.codes import Codes, Space
from bench.domains.base import Network
from bench.errors import InputError, UnsupportedError
from bench.generators.base import Generator
from bench.streams import normal_rows
from methods.base import FitContext, Request
from methods.supervised.stylespace import StyleSpace, address, signal_to_noise, standardised, style_channels
from methods.supervised.stylespace_regions import belongs, gradient_maps, majority, overlaps, top_rates, top_regions

SIDE = 16
REGIONS = ("sky", "mouth", "eyes", "ground")
NAMES = ("smile", "glasses", "age")
# Layers of s: channels 0-5, the toRGB's 6-8, and 9-14. What is planted: a style channel -> the region that it paints.
PAINTS = {2: 1, 4: 3, 10: 2, 13: 0}
# Style channels that repeat the styles of channel 2: one of no effect before it, and one of the toRGB.
DEAD, RGB_TWIN = 1, 7
TARGETS = {"smile": 2, "glasses": 10, "age": 4}


def labels() -> torch.Tensor:
    """Region by pixel: a band on top, two boxes, and the rest."""
    found = torch.full((SIDE, SIDE), 3)
    found[:4], found[6:10, :8], found[6:10, 8:] = 0, 1, 2
    return found


class Painted(Generator):
    """s is linear in w; each planted channel paints its region, the more the further down, and toRGB channels tint everything."""

    def __init__(self, architecture="stylegan2", card=True):
        super().__init__()
        layers = (
            LayerInfo("l0", 8, 6, rows=(0,), styles=(0, 6)), LayerInfo("rgb0", 8, 3, True, rows=(1,), styles=(6, 9)),
            LayerInfo("l1", 16, 6, rows=(1,), styles=(9, 15)),
        )  # fmt: skip
        spaces = {"z": (12,), "w": (12,), "w+": (2, 12), "s": (15,)}
        self.info = GeneratorInfo("painted", architecture, "toys", SIDE, spaces, layers if card else ())
        weight = normal_rows(torch.arange(15), 12, seed=4)
        weight[DEAD] = weight[RGB_TWIN] = weight[2]
        self.register_buffer("weight", weight)
        ramp = torch.linspace(0.5, 1, SIDE)[:, None].expand(SIDE, SIDE)
        self.register_buffer("masks", torch.stack([ramp * (labels() == region) for region in PAINTS.values()]))

    def step(self, start, goal):
        if start == Space.Z:
            return Space.W, lambda codes: codes.values
        if start == Space.W and goal in (Space.W_PLUS, Space.S):
            return Space.W_PLUS, lambda codes: codes.values[:, None].repeat(1, 2, 1)
        if start == Space.W_PLUS and goal == Space.S:
            return Space.S, lambda codes: codes.values[:, 0] @ self.weight.T
        return None

    def synthesize(self, codes, *, intervene=(), noise="const"):
        s = self.convert(codes, "s").values
        painted = torch.einsum("nc,chw->nhw", torch.tanh(s[:, list(PAINTS)] / 8), self.masks)
        return painted[:, None] * torch.tensor([1.0, 0.5, -0.5])[:, None, None] + 1e-3 * s[:, 6:9, None, None]


class Reader(Network):
    """Attributes: how much of the first colour the region of the attribute has."""

    name, readings, names = "reader", frozenset({"attributes"}), NAMES

    def measure(self, images):
        regions = [PAINTS[channel] for channel in TARGETS.values()]
        return {"attributes": torch.stack([images[:, 0, labels() == region].mean(1) for region in regions], 1) * 4}


class Segmenter(Network):
    """Sees the true regions in every picture."""

    name, readings = "segmenter", frozenset({"segmentation"})

    def __init__(self, classes=4):
        super().__init__()
        self.classes = classes

    def measure(self, images):
        one_hot = torch.nn.functional.one_hot(labels(), self.classes).movedim(-1, 0).float()
        return {"segmentation": one_hot.expand(len(images), -1, -1, -1)}


class Bank:
    def __init__(self, generator, n):
        self.generator, self.names, self.n = generator, NAMES, n
        self._codes = generator.sample(torch.arange(10_000, 10_000 + n), seed=1)
        self.scores = Reader().measure(generator.synthesize(self._codes))["attributes"]

    def __len__(self):
        return self.n

    def codes(self, space):
        return self.generator.convert(self._codes, space)


DOMAIN = DomainInfo(
    "toys",
    (Attribute("smile", "continuous", region=("mouth",)), Attribute("glasses", "continuous", region=("eyes", "mouth")),
     Attribute("age", "continuous")),
    guides={"attributes": "reader", "segmentation": "segmenter"},
    regions=REGIONS,
)  # fmt: skip


@pytest.fixture
def fit_context():
    def make(generator=None, n=3000, targets=NAMES, segmenter=None, domain=DOMAIN):
        generator = generator or Painted()
        guides = {"attributes": Reader(), "segmentation": segmenter or Segmenter()}
        return FitContext(generator, domain, guides, Bank(generator, n), targets, 4, 0)

    return make


def small(**options):
    return StyleSpace(**{"candidates": 4, "check_codes": 16, "pictures": 3, "size": SIDE} | options)


def chosen(fitted):
    return {row["attribute"]: row["style"] for row in fitted.tables["channels"] if row["of"]}


def test_ranking_is_the_official_one(golden):
    data = golden("stylespace")
    population = data["s2n/population"].astype(np.float64)
    mean, std = population.mean(0), population.std(0)
    np.testing.assert_allclose(mean, data["s2n/code_mean"], atol=1e-5)
    np.testing.assert_allclose(std, data["s2n/code_std"], atol=1e-5)
    score = signal_to_noise(standardised(population[data["s2n/positive_rows"]], mean, std))
    np.testing.assert_allclose(score, data["s2n/score"], atol=1e-5)
    assert (np.argsort(-score) == data["s2n/order_including_torgb"]).all()
    meta = json.loads(str(data["meta"]))
    ends = np.cumsum(meta["fmaps"])
    layers = tuple(
        LayerInfo(str(i), 4, n, i in meta["torgb_layers"], styles=(int(end - n), int(end)))
        for i, (n, end) in enumerate(zip(meta["fmaps"], ends, strict=True))
    )
    info = GeneratorInfo("official", "stylegan2", "toys", 4, {"s": (62,)}, layers)
    kept = np.flatnonzero(style_channels(info))
    ranked = kept[np.argsort(-score[kept])]
    official = data["s2n/ranked_layer_channel_score"]
    np.testing.assert_allclose(score[ranked], official[:, 2], atol=1e-5)
    mine = [[int(name), number] for name, number in (address(info, channel) for channel in ranked)]
    assert mine == official[:, :2].astype(int).tolist()


def test_overlap_rates_and_localised_channels_are_the_official_ones(golden):
    data, rates = golden("stylespace"), {}
    meta = json.loads(str(data["meta"]))
    regions, size = meta["num_semantic"], meta["out_size"]
    small_labels = majority(data["local/label_maps"], size, regions)
    assert (small_labels == data["local/downsampled_labels"]).all()
    for layer in (0, 2, 3, 5, 6):
        gradients = data[f"local/gradients{layer}"]
        maps = np.abs(gradients.reshape(*gradients.shape[:2], 3, size, size)).mean(2)
        found = np.stack([overlaps(one, label, regions) for one, label in zip(maps, small_labels, strict=True)])
        np.testing.assert_array_equal(np.nan_to_num(found, nan=-1), data[f"local/overlap_union_area{layer}"])
        rates[layer] = top_rates(np.stack([top_regions(one) for one in found]), np.isfinite(found[:, 0, :, 2]))
        np.testing.assert_allclose(rates[layer], data[f"local/top_rate{layer}"], atol=1e-12)
    limits = [meta["thresholds_used"][name] for name in ("threshold1", "threshold2")]
    for region in range(1, regions):
        found = {(layer, int(c), round(float(one[c, region]), 9))
                 for layer, one in rates.items() for c in np.flatnonzero(belongs(one, [region], *limits))}  # fmt: skip
        official = data[f"local/rank_target{region}"]
        assert found == {(int(layer), int(c), round(float(rate), 9)) for layer, c, rate in official}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_regions_together_share_what_each_has(seed):
    rng = np.random.default_rng(seed)
    tops, shown = rng.integers(0, 3, (9, 5)), np.ones((9, 3), bool)
    rates = top_rates(tops, shown)
    np.testing.assert_allclose(rates.sum(1), 1)
    assert belongs(rates, [0, 1, 2], 0.5, 0.25).all()  # no region is left to lead
    alone, both = belongs(rates, [0], 0.5, 0.25), belongs(rates, [0, 1], 0.5, 0.25)
    assert not (alone & ~both).any()


def test_gradient_maps_are_those_of_automatic_differentiation():
    generator = Painted()
    code = generator.convert(generator.sample(torch.arange(1), seed=2), "s")
    channels = np.flatnonzero(style_channels(generator.info))

    def small_picture(values):
        return torch.nn.functional.adaptive_avg_pool2d(generator.synthesize(Codes("s", values[None], code.ids))[0], 8)

    exact = torch.autograd.functional.jacobian(small_picture, code.values[0]).abs().mean(0)[..., channels].movedim(-1, 0)
    found = gradient_maps(generator, code, channels, np.full(len(channels), 0.05), 8)
    np.testing.assert_allclose(found, exact, atol=0.01 * float(exact.max()))


def test_it_finds_the_planted_channels_and_neither_the_dead_nor_the_torgb_twin(fit_context, codes):
    context = fit_context()
    fitted = small().fit(context)
    assert chosen(fitted) == TARGETS
    lines = {row["attribute"]: row for row in fitted.tables["channels"]}
    smile = lines["smile"]
    assert (smile["layer"], smile["channel"], smile["side"], smile["n"], smile["rank"]) == ("l0", 2, 1, 16, 2)
    assert smile["effect"] > 1 and smile["others"] < 1e-3 and lines["glasses"]["layer"] == "l1"
    # Strength 1 is one standard deviation of the channel, and nothing else of the code moves.
    before = codes(context.generator, space="s")
    change = fitted.editor.path(before, [Request("glasses")]).at(2.0).codes.values - before.values
    deviation = context.bank.codes("s").values.std(0, correction=0)
    assert change[0, 10] == pytest.approx(2 * float(deviation[10]), rel=1e-4)
    assert change.nonzero()[:, 1].unique().tolist() == [10]


def test_the_ranking_alone_cannot_tell_channels_of_the_same_styles(fit_context):
    assert chosen(small(candidates=1).fit(fit_context()))["smile"] == DEAD


def test_localised_channels_belong_to_the_targets_regions(fit_context):
    fitted = small(channels="localised", candidates=1).fit(fit_context())
    assert chosen(fitted) == {"smile": 2, "glasses": 10} and tuple(fitted.editor.targets) == ("smile", "glasses")
    assert fitted.tables["channels"][-1] == {"attribute": "age", "of": 0}  # it names no region
    counts = {row["region"]: (row["channels"], row["n"], row["guide"]) for row in fitted.tables["localised_counts"]}
    assert counts == {region: (1, 3, "segmenter") for region in REGIONS}
    found = {row["region"]: (row["layer"], row["channel"], row["overlap"]) for row in fitted.tables["localised_channels"]}
    assert found == {"mouth": ("l0", 2, 1), "ground": ("l0", 4, 1), "eyes": ("l1", 1, 1), "sky": ("l1", 4, 1)}


def test_falls_are_edited_in_the_other_sense(fit_context):
    context = fit_context()
    context.bank.scores = -context.bank.scores
    editor = small(candidates=1).fit(context).editor
    assert editor.directions[NAMES.index("age"), TARGETS["age"]] == -1


@pytest.mark.parametrize("options", [{}, {"channels": "localised"}])
def test_restored_is_fitted(fit_context, codes, options):
    method, context = small(**options), fit_context()
    fitted = method.fit(context)
    again = method.restore(context, fitted.state())
    at = lambda fit: fit.editor.path(codes(context.generator), [Request("smile")]).at(1.5).codes.values  # noqa: E731
    assert torch.equal(at(fitted), at(again)) and again.tables == fitted.tables
    assert method.fit(fit_context()).tables == fitted.tables


def test_what_it_cannot_do_is_said(fit_context, toy):
    info = Painted().info
    assert StyleSpace().supports(info, DOMAIN) is None and StyleSpace(channels="localised").supports(info, DOMAIN) is None
    without = replace(DOMAIN, guides={"attributes": "reader"})
    assert StyleSpace().supports(info, without) is None
    assert "segmentation" in StyleSpace(channels="localised").supports(info, without)
    assert "no space s" in StyleSpace().supports(toy().info, DOMAIN)
    assert "shifts" in StyleSpace().supports(Painted("stylegan").info, DOMAIN)
    assert "does not say" in StyleSpace().supports(Painted(card=False).info, DOMAIN)
    plain = replace(DOMAIN, attributes=tuple(Attribute(n, "continuous") for n in NAMES))
    assert "names the regions" in StyleSpace(channels="localised").supports(info, plain)
    with pytest.raises(InputError, match="more than half"):
        small().fit(fit_context(n=50))
    with pytest.raises(UnsupportedError, match="age"):
        small(channels="localised").fit(fit_context(targets=("age",)))
    with pytest.raises(InputError, match="5 classes"):
        small(channels="localised").fit(fit_context(segmenter=Segmenter(5)))
    with pytest.raises(InputError, match="divide"):
        small(channels="localised", size=5).fit(fit_context())
    with pytest.raises(InputError, match="do not tell"):
        context = fit_context()
        context.bank.scores = torch.zeros_like(context.bank.scores)
        small().fit(context)
