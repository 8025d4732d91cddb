"""GAN Dissection on a generator that draws with known units, and its streams against the official figures."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.cards import GeneratorInfo, LayerInfo
from bench.errors import InputError, UnsupportedError
from bench.generators.layered import apply_unit
from methods.base import Request
from methods.baselines.random_units import RandomUnits
from methods.supervised.gan_dissection import GanDissection
from methods.supervised.gan_dissection_survey import survey
from methods.supervised.gan_dissection_units import concept_of, middle_layer, targets_of

PAINTED = Path(__file__).parents[2] / "bench" / "tasks" / "dissection"
SMALL = {"samples": 96, "size": 32, "units": 1, "eval_codes": 32, "layer": "draw", "quantile": 0.03}
RANKED = {
    "iou": {"ranking": "iou"},
    "ace": {"ranking": "ace", "candidates": 5, "single_codes": 16, "concepts": ("square", "bar")},
    "alpha": {"ranking": "alpha", "steps": 20, "batch": 8, "pool": 32, "concepts": ("square", "bar")},
}


@pytest.fixture(scope="module")
def painted():
    sys.path.append(str(PAINTED))
    import painted_units

    return painted_units


@pytest.fixture(scope="module")
def fits(painted):
    context = painted.fit_context()
    return {name: GanDissection(**SMALL, **options).fit(context) for name, options in RANKED.items()}


@pytest.fixture
def test_codes(painted):
    return painted.Painter().sample(torch.arange(48), seed=9)


def shares(painted, codes, edit):
    """Share of each picture that is of each region."""
    images = painted.Painter().synthesize(edit.codes, intervene=edit.intervene)
    classes = painted.Reader().measure(images)["segmentation"].argmax(1)
    return {name: (classes == i).double().mean((1, 2)) for i, name in enumerate(painted.REGIONS)}


def test_iou_finds_the_units_that_draw(fits, painted):
    units = fits["iou"].units
    square, bar = (units.index(name) for name in ("square", "bar"))
    assert units.layer == "draw" and units.concepts == painted.REGIONS
    iou, labels = units.iou["draw"], units.labels["draw"]
    # Half of the pictures have a square of 4 cells of 64: as many as the level lets through. The bar has 4 in each of them.
    assert iou[square, painted.SQUARE] > 0.93 and iou[bar, painted.BAR] == pytest.approx(0.03 * 64 / 4, abs=0.01)
    assert labels[painted.SQUARE] == labels[painted.TWIN] == square and labels[painted.BAR] == bar
    others = [u for u in range(painted.UNITS) if u not in (painted.SQUARE, painted.TWIN, painted.BAR)]
    assert iou[square, others].max() < 0.2 and iou[bar, others].max() < 0.2
    row = next(r for r in fits["iou"].tables["units"] if r["unit"] == painted.BAR and r["concept"] == "bar")
    assert row["rank"] == 1 and row["iou"] == pytest.approx(float(iou[bar, painted.BAR])) and row["matches"]


@pytest.mark.parametrize("ranking", ["ace", "alpha"])
def test_causes_rank_before_what_only_looks_alike(fits, painted, ranking):
    units = fits[ranking].units
    square, bar = (units.index(name) for name in ("square", "bar"))
    assert units.ranking[square, 0] == painted.SQUARE and units.ranking[bar, 0] == painted.BAR
    found = {row["concept"]: row for row in fits[ranking].tables["concepts"]}
    assert found["square"]["removed"] == found["bar"]["removed"] == 1 and found["square"]["n"] == 32
    # Switched on, half of the pictures gain a square where it may stand: more than the half that had one lose.
    assert found["square"]["ace"] > 1.5 and found["square"]["guide"] == "painted-guide"
    if ranking == "ace":
        assert units.effects[square, painted.SQUARE] > 1.5
        assert units.effects[square, painted.TWIN] == 0 < units.effects[bar, painted.BAR]


def test_edits_switch_the_concept_and_nothing_else(fits, painted, test_codes):
    editor = fits["ace"].editor
    assert editor.targets == ("square", "bar", "bar_size") and editor.signed and not editor.per_code
    path = editor.path(test_codes, [Request("square")], seed=0)
    plain = path.at(0.0)
    assert plain.intervene == () and plain.codes is test_codes
    before, off, on = (shares(painted, test_codes, path.at(s)) for s in (0.0, -1.0, 1.0))
    has = before["square"] > 0
    assert 10 < has.sum() < 38 and not off["square"].any()
    assert (on["square"] > 0).all() and torch.equal(on["bar"], before["bar"])
    torch.testing.assert_close(off["ground"], before["ground"] + before["square"])
    # Half a unit draws just as long as it is above half of what it was.
    assert torch.equal(shares(painted, test_codes, path.at(-0.3))["square"], before["square"])
    assert torch.equal(shares(painted, test_codes, path.at(-7.0))["square"], off["square"])
    same = editor.path(test_codes, [Request("bar_size")], seed=0).at(-1.0)
    assert not shares(painted, test_codes, same)["bar"].any()


def test_strength_is_the_straight_way_and_one_per_code(fits, painted, test_codes):
    editor, generator = fits["ace"].editor, painted.Painter()
    path = editor.path(test_codes[:3], [Request("square")], seed=0)
    maps = generator.features(test_codes[:3], ["draw"])["draw"]
    strengths = torch.tensor([-0.25, 0.0, 0.5])
    edit = path.at(strengths)
    changed = maps
    for one in edit.intervene:
        changed = apply_unit(changed, one)
    units = fits["ace"].units
    assert torch.equal(changed[1], maps[1])
    torch.testing.assert_close(changed[0, painted.SQUARE], 0.75 * maps[0, painted.SQUARE])
    place = torch.nn.functional.interpolate(units.places[[units.index("square")]], size=(8, 8), mode="area")[0, 0]
    value = units.values[units.index("square"), painted.SQUARE]
    wanted = maps[2, painted.SQUARE] + 0.5 * place * (value - maps[2, painted.SQUARE])
    torch.testing.assert_close(changed[2, painted.SQUARE], wanted)
    rest = [u for u in range(painted.UNITS) if u != painted.SQUARE]
    assert torch.equal(changed[:, rest], maps[:, rest])
    alone = path.at(0.5)
    images = generator.synthesize(edit.codes, intervene=edit.intervene)
    torch.testing.assert_close(images[2], generator.synthesize(alone.codes, intervene=alone.intervene)[2])


def test_requests_follow_one_another_hold_and_take_a_region(fits, painted, test_codes):
    editor = fits["ace"].editor
    both = editor.path(test_codes, [Request("square"), Request("bar")], seed=0).at(-1.0)
    found = shares(painted, test_codes, both)
    assert not found["square"].any() and not found["bar"].any()
    sky = torch.zeros(1, 1, 8, 8)
    sky[:, :, :4] = 1
    path = editor.path(test_codes, [Request("square", region=sky)], seed=0)
    added, before = (shares(painted, test_codes, path.at(s))["square"] for s in (1.0, 0.0))
    assert torch.equal(added, before)  # squares are not drawn in the sky
    with pytest.raises(InputError, match="hold less"):
        fits["ace"].units.top("square", painted.UNITS, without=["bar"])
    kept = editor.path(test_codes, [Request("square", hold=("bar", "mood"))], seed=0)
    assert kept.steps[0][1].tolist() == [painted.SQUARE]
    with pytest.raises(InputError, match="unknown target"):
        editor.path(test_codes, [Request("circle")], seed=0)


def test_a_fit_comes_again_from_its_tensors_and_from_its_seed(fits, painted):
    context = painted.fit_context()
    fit, method = fits["ace"], GanDissection(**SMALL, **RANKED["ace"])
    again, twice = method.restore(context, fit.state()), method.fit(context)
    for other in (again, twice):
        assert other.units.rows() == fit.units.rows() and other.tables == fit.tables
        assert torch.equal(other.units.ranking, fit.units.ranking) and torch.equal(other.units.values, fit.units.values)
        assert other.editor.targets == fit.editor.targets


def test_random_units_are_a_shuffle_of_the_same_survey(fits, painted):
    context = painted.fit_context()
    one, ours = RandomUnits(**SMALL).fit(context), fits["iou"].units
    assert torch.equal(one.units.labels["draw"].sort().values, ours.labels["draw"].sort().values)
    assert torch.equal(one.units.ranking.sort(1).values, ours.ranking.sort(1).values)
    assert torch.equal(one.units.values, ours.values) and not torch.equal(one.units.ranking, ours.ranking)
    assert torch.equal(RandomUnits(**SMALL).restore(context, one.state()).units.ranking, one.units.ranking)
    assert not torch.equal(RandomUnits(**SMALL).fit(painted.fit_context(seed=1)).units.ranking, one.units.ranking)


def test_surveys_of_more_layers_fewer_concepts_and_another_level(painted):
    context = painted.fit_context()
    options = GanDissection(**SMALL | {"survey": ("early",), "concepts": ("square",)}).options
    found = survey(context, options)
    assert list(found.iou) == ["early", "draw"] and found.iou["early"].shape == (1, 3) and found.concepts == ("square",)
    # The bar's unit is not taken for a square because bars were not asked for.
    assert found.labels["draw"][painted.BAR] == -1 and found.labels["draw"][painted.SQUARE] == 0
    high = survey(context, GanDissection(**SMALL, inserted="quantile", inserted_quantile=0.01).options)
    low = survey(context, GanDissection(**SMALL).options)
    noise = [u for u in range(painted.UNITS) if u not in (painted.SQUARE, painted.TWIN, painted.BAR)]
    assert high.values[2, noise].min() > 0.2 > low.values[2, noise].abs().max()
    assert low.values[2, painted.SQUARE] == pytest.approx(1.0, abs=0.03) and low.values[2, painted.BAR] == 0
    with pytest.raises(UnsupportedError, match="sees none of square"):
        survey(context, replace_options(options, least_presence=0.9))


def replace_options(options, **changes):
    return type(options)(**(options.model_dump() | changes))


def test_what_is_supported_and_what_an_attribute_maps_to(painted):
    info, domain = painted.Painter().info, painted.INFO
    assert GanDissection().supports(info, domain) is None
    assert "no feature layer paint" in GanDissection(layer="paint").supports(info, domain)
    assert "no region moon" in RandomUnits(concepts=("moon",)).supports(info, domain)
    assert "no layers" in GanDissection().supports(replace(info, layers=()), domain)
    assert "no guide for segmentation" in GanDissection().supports(info, replace(domain, guides={}))
    square, bar, mood = domain.attributes
    assert [concept_of(one, domain.regions) for one in (square, bar, mood)] == ["square", "bar", None]
    assert targets_of(domain, ("sky", "bar")) == {"sky": "sky", "bar": "bar", "bar_size": "bar"}
    sides = (4, 8, 8, 16, 16, 32, 32, 64, 64)
    layers = tuple(LayerInfo(f"c{i}", side, 8) for i, side in enumerate(sides))
    assert middle_layer(GeneratorInfo("g", "a", "d", 64, {"z": (4,)}, layers)) == "c2"
    with pytest.raises(ValueError):
        GanDissection(inserted="max")


def test_a_guide_that_knows_other_classes_is_refused(painted):
    context = painted.fit_context()
    with pytest.raises(InputError, match="tells 4 classes apart, paintings names 2 regions"):
        GanDissection(**SMALL).fit(replace(context, domain=replace(context.domain, regions=("sky", "ground"))))
    assert np.isfinite(context.generator.synthesize(context.generator.sample(torch.arange(2), seed=0)).numpy()).all()
