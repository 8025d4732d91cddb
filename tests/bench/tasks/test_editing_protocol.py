"""The rules of the editing task: streams, plausible range, grid, failures, networks' roles, repeatability."""

import io
import json
from dataclasses import replace

import numpy as np
import pydantic
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.bank import STREAM_START, stream_ids
from bench.codes import Codes, Space
from bench.errors import InputError
from bench.interventions import Unit
from bench.tasks.base import CellResult
from bench.tasks.editing.activations import ActivationRange
from bench.tasks.editing.grid import guide_curve, place
from bench.tasks.editing.plausible import Plausible, find_edge
from bench.tasks.editing.pool import spread
from bench.tasks.editing.protocol import EditingSettings
from bench.tasks.editing.summary import change_replicates, headline_replicates
from bench.tasks.editing.task import EditingTask
from methods.base import Edit, Request


def same_records(a, b):
    return [replace(x, seconds=None) for x in a] == [replace(x, seconds=None) for x in b]


def test_the_edge_is_where_95_percent_stay_plausible(world):
    """w is standard normal: |w + s e|^2 <= t^2 has a closed form for every code; t is the samples' own 99.9th percentile."""
    cell = world.cell(world.directions({"warmth": {0: 1.0}}))
    calibrate = world.generator.sample(stream_ids("calibrate", 40), seed=world.seed)
    plausible = Plausible(cell)
    edge = find_edge(plausible, cell.fitted.editor.path(calibrate, [Request("warmth")]), 1)
    z = calibrate.values.double()
    t = plausible.statistics(Space.W).threshold
    assert t**2 == pytest.approx(32.91, abs=4)  # the 99.9th percentile of chi-square with 12 degrees of freedom, of 8192 samples
    each = np.sort((-z[:, 0] + (z[:, 0] ** 2 - z.square().sum(1) + t**2).sqrt()).numpy())
    assert edge.found and edge.strength == pytest.approx(each[2], rel=0.02)  # 38 of 40 may not fall below 95 %: the third leaves
    at = plausible.ratio(Edit(calibrate.with_values(calibrate.values + edge.strength * torch.eye(12)[0], Space.W)))
    assert int((at <= 1).sum()) == 38
    beyond = plausible.ratio(Edit(calibrate.with_values(calibrate.values + 1.01 * edge.strength * torch.eye(12)[0], Space.W)))
    assert int((beyond <= 1).sum()) == 37


def test_a_path_that_comes_to_its_end_has_no_edge(world, blocks):
    """Where codes are normalised, as z is by mapping networks, no step is implausible: the search stops where nothing moves."""

    class Sphere(blocks.Linear):
        def convert(self, codes, space):
            values = codes.values
            if codes.space == Space.Z and space != Space.Z:
                values = torch.nn.functional.normalize(values, dim=1) * blocks.D**0.5
            return codes.with_values(values, Space(space))

    round_world = world.but(generator=Sphere())
    cell = round_world.cell(round_world.directions({"warmth": {0: 1.0}}))
    calibrate = round_world.generator.sample(stream_ids("calibrate", 16), seed=3)
    path = replace(cell.fitted.editor, space=Space.Z).path(calibrate, [Request("warmth")])
    edge = find_edge(Plausible(cell), path, 1)
    assert not edge.found and 8 <= edge.strength <= 64


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_the_edge_does_not_depend_on_the_editors_unit(world, unit):
    cell = world.cell(world.directions({"warmth": {0: unit}}))
    calibrate = world.generator.sample(stream_ids("calibrate", 16), seed=world.seed)
    edge = find_edge(Plausible(cell), cell.fitted.editor.path(calibrate, [Request("warmth")]), -1)
    one = world.cell(world.directions({"warmth": {0: 1.0}}))
    reference = find_edge(Plausible(one), one.fitted.editor.path(calibrate, [Request("warmth")]), -1)
    assert edge.strength * unit == pytest.approx(reference.strength, rel=3e-3)


def test_interventions_are_bounded_by_activations(blocks):
    class Mapped(blocks.Linear):
        def features(self, codes, layers):
            return {
                name: codes.values[:, :1, None, None].expand(-1, 3, 4, 4) * torch.tensor([1.0, 10.0, 0.1]).view(3, 1, 1)
                for name in layers
            }

    generator = Mapped()
    samples = generator.sample(torch.arange(256), seed=0)
    limits = ActivationRange(generator, "layer", samples)
    codes = generator.sample(torch.arange(8) + 500, seed=0)

    def ratio(channel, value, **more):
        return limits.ratio(codes, Unit("layer", torch.tensor([channel]), torch.tensor([value]), **more), 0.999)

    assert (ratio(0, 2.0) < 1).all() and (ratio(0, 6.0) > 1).all()
    assert (ratio(1, 20.0) < 1).all() and (ratio(2, 2.0) > 1).all()
    assert torch.allclose(ratio(0, 2.0), ratio(1, 20.0), rtol=1e-4)
    assert (ratio(0, 9.0, mask=torch.zeros(1, 1, 4, 4)) == 0).all() and (ratio(0, 50.0, mode="add") > 1).all()


@given(
    effects=st.lists(st.integers(-300, 500).map(lambda v: v / 100), min_size=6, max_size=6),
    edge=st.floats(1e-4, 1e4),
)
@settings(max_examples=200, deadline=None)
def test_every_grid_rises_to_the_edge(effects, edge):
    levels = (0.35, 0.7, 1.4)
    strengths, curve = guide_curve(lambda s: np.interp(s, np.linspace(0, edge, 7), [0.0, *effects]), edge, 1.4)
    grid = place(strengths, curve, levels)
    assert grid.strengths.shape == (4,) and grid.strengths[0] > 0 and (np.diff(grid.strengths) > 0).all()
    assert grid.strengths[-1] == edge


def test_the_grid_lies_at_the_guides_levels_and_at_fractions_beyond():
    strengths = np.array([0, 1, 2, 4.0])
    grid = place(strengths, 0.25 * strengths, (0.35, 0.7, 1.4))
    assert grid.placed == (True, True, False)
    assert np.allclose(grid.strengths, [1.4, 2.8, 3.0, 4.0])
    assert np.allclose(place(strengths, 0 * strengths, (0.35, 0.7, 1.4)).strengths, [1, 2, 3, 4])


def test_a_wide_range_does_not_blur_small_effects():
    strengths, effects = guide_curve(lambda s: 1.3 * np.minimum(s, 2.0), 4096.0, 1.4)
    grid = place(strengths, effects, (0.35, 0.7, 1.4))
    assert np.allclose(grid.strengths[:3], np.array([0.35, 0.7, 1.4]) / 1.3, rtol=0.02) and grid.strengths[3] == 4096


def test_streams_are_disjoint_and_pictures_are_the_first_ids(pure, world, blocks):
    result = pure[0][0][1]
    start = STREAM_START["test"]
    assert result.arrays["warmth/+/ids"].tolist() == list(range(start, start + 16))
    for target in ("warmth", "hat"):
        strip = result.facts["strips"][target]
        assert strip["ids"] == list(range(start, start + 8)) and len(strip["strengths"]) == 7 and strip["strengths"][3] == 0
        pictures = result.pictures[target]
        assert pictures.shape == (8, 7, blocks.R, blocks.R, 3) and pictures.dtype == np.uint8
        codes = world.generator.sample(torch.arange(8) + start, seed=world.seed)
        column = 0 if target == "warmth" else 4
        for i, strength in enumerate(strip["strengths"]):
            value = (codes.values[:, column] + strength) * 0.05
            assert np.abs(pictures[:, i, 0, column, 0] - (value.numpy() + 1) * 127.5).max() <= 0.51


def test_binary_edits_start_from_codes_without_and_with_it(pure, world):
    result = pure[0][0][1]
    everyone = world.generator.sample(stream_ids("test", 128), seed=world.seed)
    has = everyone.values[:, 4] > 0
    assert result.arrays["hat/+/ids"].tolist() == everyone.ids[~has][:16].tolist()
    assert result.arrays["hat/-/ids"].tolist() == everyone.ids[has][:16].tolist()
    hat = everyone.values[:, 4].double()
    assert result.arrays["sigma"][4] == pytest.approx(float(hat[has].mean() - hat[~has].mean()), rel=1e-5)
    assert result.arrays["sigma"][0] == pytest.approx(float(everyone.values[:, 0].double().std()), rel=1e-5)


def test_what_a_generator_lost_is_not_asked_of_it(world, blocks):
    """Everything else is measured as ever; what was lost stays among what is judged."""
    poor = blocks.Linear()
    poor.lost = {"hat": "toy lost it: a rate of 0.01 where renders have 0.45"}
    _, records = world.but(generator=poor).run(world.directions({"warmth": {0: 1.0}, "hat": {4: 1.0}}))
    mine = [r for r in records if r.target == "hat"]
    assert mine and {(r.status, r.reason) for r in mine} == {("skipped", poor.lost["hat"])}
    assert all(r.status == "ok" for r in records if (r.target, r.sign, r.point) == ("warmth", "+", "grid"))
    assert [r for r in records if r.target == "warmth" and r.attribute == "hat"]


def test_too_few_binary_codes_are_skipped_with_the_count(world, blocks):
    rare = world.but(generator=blocks.Linear(rare=2.0))
    _, records = rare.run(rare.directions({"warmth": {0: 1.0}, "hat": {4: 1.0}}))
    mine = [r for r in records if (r.target, r.sign) == ("hat", "-")]
    assert mine and all(r.status == "skipped" and "of 128 samples have hat, 16 are needed" in r.reason for r in mine)
    assert all(r.status == "ok" for r in records if (r.target, r.sign, r.point) == ("hat", "+", "grid"))


def test_pictures_that_cannot_be_read_unedited_are_passed_over(world, blocks):
    blind = world.but(judge=blocks.Judge("blind", blind=1.0))
    cells, records = blind.run(blind.directions({"warmth": {0: 1.0}}))
    codes = world.generator.sample(stream_ids("test", 8 * 16), seed=world.seed)
    readable = (codes.values[:, 3] <= 1.0).nonzero().flatten()[:16]
    assert int(readable[-1]) > 15
    assert cells[0][1].arrays["warmth/+/ids"].tolist() == codes.ids[readable].tolist()
    one = blocks.find(records, target="warmth", sign="+", point="effect_0.5", metric="leakage")
    assert (one.n, one.n_failed) == (16, 0) and one.value < 1e-4


def test_pictures_that_become_unreadable_count_as_the_worst(world, blocks):
    """The edit tilts as much as it warms, and the judge cannot read what is tilted by more than 1."""
    blind = world.but(judge=blocks.Judge("blind", blind=1.0))
    cells, records = blind.run(blind.directions({"warmth": {0: 1.0, 3: 1.0}}))
    arrays = cells[0][1].arrays
    strengths = arrays["warmth/+/strengths"]
    codes = world.generator.sample(torch.from_numpy(arrays["warmth/+/ids"]), seed=world.seed)
    failed = codes.values[:, 3:4].numpy() + strengths.astype(np.float32) > 1.0
    assert (np.isnan(arrays["warmth/+/change"]).any(2) == failed).all() and failed.any() and not failed.all()
    assert not failed[:, 0].any()
    place = dict(target="warmth", sign="+", point="grid")
    for step, strength in enumerate(strengths[1:], start=1):
        count = int(failed[:, step].sum())
        tilt = strength / arrays["sigma"][3] / 4  # of the four attributes off target one changes
        one = blocks.find(records, **place, strength=float(strength), metric="leakage")
        assert one.n_failed == count
        assert one.value == pytest.approx((count * 10.0 + (16 - count) * tilt) / 16, rel=1e-3)
        # Unreadable pictures show no effect, and metrics without a worst value leave them out.
        effect = blocks.find(records, **place, strength=float(strength), metric="target_effect")
        assert effect.value == pytest.approx((16 - count) / 16 * strength / arrays["sigma"][0], rel=1e-3)
        seen = blocks.find(records, **place, strength=float(strength), metric="perceptual")
        assert seen.n_failed == count
        if count < 16:
            assert seen.value == pytest.approx(2 * (0.05 * strength) ** 2, rel=1e-2)
    some = next(step for step in range(1, len(strengths)) if 0 < failed[:, step].sum() < 16)
    realism = blocks.find(records, **place, strength=float(strengths[some]), metric="realism_loss")
    readable = [r.value for r in records if r.metric == "realism_loss" and r.point == "grid" and r.sign == "+" and not r.n_failed]
    assert realism.n_failed == int(failed[:, some].sum()) and realism.value > max(readable, default=0.0)


@pytest.mark.parametrize("guide", ["bent", "constant"])
def test_the_guide_only_places_strengths(world, blocks, guide):
    """Another guide gives other strengths, yet the same readings at equal judged effect: here all curves are straight lines."""
    other = world.but(guide=blocks.Guide(0.3, 0.2) if guide == "bent" else blocks.Constant())
    rows = {"warmth": {0: 1.0, 1: 0.3}}
    (first, _), (second, _) = world.run(world.directions(rows)), other.run(other.directions(rows))
    a, b = first[0][1], second[0][1]
    assert not np.allclose(a.arrays["warmth/+/strengths"], b.arrays["warmth/+/strengths"], rtol=1e-2)
    left = headline_replicates(world.settings, first, world.seed)
    right = headline_replicates(world.settings, second, world.seed)
    for sign in "+-":
        for name in ("leakage", "identity", "reach"):
            one, two = left["warmth", sign, name], right["warmth", sign, name]
            assert one.value == pytest.approx(two.value, abs=2e-3) and np.allclose(one.replicates, two.replicates, atol=2e-3)


def test_the_guides_gap_is_its_effect_less_the_judges(world, blocks):
    other = world.but(guide=blocks.Guide(0.0, 0.25))
    cells, records = other.run(other.directions({"warmth": {0: 1.0}}))
    result = cells[0][1]
    place = dict(target="warmth", sign="+", point="effect_0.5")
    guided = blocks.find(records, **place, metric="guide_gap")
    codes = other.generator.sample(stream_ids("test", 128), seed=other.seed).values[:, 0].double()
    bent = codes + 0.25 * codes.square()
    step = 0.5 * result.arrays["sigma"][0]
    moved = codes[:16] + step
    expected = float((moved + 0.25 * moved.square() - bent[:16]).mean() / bent.std()) - 0.5
    assert guided.value == pytest.approx(expected, abs=0.02) and guided.higher_is_better is None


def test_two_runs_and_two_batch_sizes_give_the_same(world, blocks):
    rows = {"warmth": {0: 1.0, 1: 0.3}, "hat": {4: 1.0}}
    cells, records = world.run(world.directions(rows))
    for other in (replace(world, store={}), replace(world, store={}, batch=16)):
        again, same = other.run(other.directions(rows))
        for name, array in cells[0][1].arrays.items():
            assert np.array_equal(array, again[0][1].arrays[name], equal_nan=True), name
        for name, array in cells[0][1].pictures.items():
            assert np.array_equal(array, again[0][1].pictures[name])
        assert same_records(records, same)


def test_stored_arrays_and_facts_give_the_same_headlines(pure, world):
    cells, _ = pure
    card, result = cells[0]
    file = io.BytesIO()
    np.savez(file, **{name.replace("/", "|"): one for name, one in result.arrays.items()})
    file.seek(0)
    arrays = {name.replace("|", "/"): one for name, one in np.load(file).items()}
    again = CellResult(arrays=arrays, facts=json.loads(json.dumps(result.facts)))
    first = headline_replicates(world.settings, cells, world.seed)
    second = headline_replicates(world.settings, [(card, again)], world.seed)
    assert first.keys() == second.keys() and len(first) == 16
    for key, one in first.items():
        assert one.value == second[key].value and np.array_equal(one.replicates, second[key].replicates)
        assert one.replicates.shape == (200,)


def test_replicates_are_paired_across_methods(world):
    """Two methods that differ by a constant leak differ by nearly that constant in every replicate."""
    first = world.run(world.directions({"warmth": {0: 1.0, 1: 0.3}}))[0]
    second = world.run(world.directions({"warmth": {0: 1.0, 1: 0.6}}))[0]
    a, b = (headline_replicates(world.settings, cells, world.seed)["warmth", "+", "realism_loss"] for cells in (first, second))
    assert (b.replicates - a.replicates).std() < 0.7 * np.hypot(a.replicates.std(), b.replicates.std())


def test_several_fits_widen_the_interval_and_one_that_fails_loses(world, blocks):
    cells = [
        world.run(world.directions({"warmth": {0: 1.0, 1: leak}}), fit_seed=i)[0][0] for i, leak in enumerate((0.1, 0.3, 0.5))
    ]
    records = EditingTask().summarise(world.settings, cells, world.seed)
    one = blocks.find(records, target="warmth", sign="+", point="effect_0.5", metric="leakage")
    sigma = cells[0][1].arrays["sigma"]
    unit = 0.5 * sigma[0] / sigma[1] / 4
    assert one.value == pytest.approx(0.3 * unit, rel=1e-3) and one.ci_over == "codes+fits" and one.n == 48
    assert one.ci_low == pytest.approx(0.1 * unit, rel=0.3) and one.ci_high == pytest.approx(0.5 * unit, rel=0.3)
    weak = world.run(world.directions({"warmth": {0: 0.05, 9: 1.0}}), fit_seed=3)[0][0]
    lost = EditingTask().summarise(world.settings, [*cells, weak], world.seed)
    one = blocks.find(lost, target="warmth", sign="+", point="effect_0.5", metric="leakage")
    assert one.status == "unreached" and one.value is None and "1 of 4 fits" in one.reason
    assert 0.5 < blocks.find(lost, target="warmth", sign="+", point="summary", metric="reach").value < 1
    table = change_replicates(world.settings, cells, world.seed, "height")
    assert table["warmth", "+", "change of height"].value == pytest.approx(0.3 * 4 * unit, rel=1e-3)


def test_spread_of_attributes():
    assert spread(torch.tensor([1.0, 3.0, float("nan")]), False) == (pytest.approx(2**0.5), "standard deviation")
    assert spread(torch.tensor([-2.0, -4.0, 1.0, 3.0]), True) == (5.0, "class means")
    assert spread(torch.tensor([-2.0, -4.0, -3.0]), True)[1].startswith("one class only")
    assert spread(torch.full((5,), 2.0), False) == (float("inf"), "constant")


@pytest.mark.parametrize(
    "wrong",
    [
        {"test_codes": -1},
        {"targets": []},
        {"effects": [0.0]},
        {"calibrate_codes": 0},
        {"replicates": 0},
        {"targets": ["a", "a"]},
        {"other": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(pydantic.ValidationError):
        EditingSettings(**{"targets": ["warmth"], **wrong})


def test_unknown_names_are_refused_with_the_nearest(world, blocks):
    domain = blocks.Blocks(world.judge, world.guide)
    check = lambda **fields: EditingTask().validate(EditingSettings(**{"targets": ["warmth"], **fields}), domain.info, None)  # noqa: E731
    check()
    with pytest.raises(InputError, match="did you mean warmth"):
        check(targets=["warmt"])
    with pytest.raises(InputError, match="did you mean leakage"):
        check(metrics=["leakge"])


def test_only_the_metrics_asked_for_are_recorded(pure, world):
    cells, _ = pure
    records = EditingTask().summarise(world.settings.model_copy(update={"metrics": ("leakage",)}), cells, world.seed)
    assert {r.metric for r in records} == {"leakage"}


def test_the_protocol_holds_the_question_and_not_the_answer(world, blocks):
    task, domain = EditingTask(), blocks.Blocks(world.judge, world.guide)
    asked = task.protocol(world.settings, domain, 0)
    assert json.loads(json.dumps(asked)) == json.loads(json.dumps(task.protocol(world.settings, domain, 0)))
    for other in (
        task.protocol(world.settings.model_copy(update={"test_codes": 17}), domain, 0),
        task.protocol(world.settings, domain, 1),
        task.protocol(world.settings, blocks.Blocks(blocks.Judge("other"), world.guide), 0),
    ):
        assert json.dumps(other) != json.dumps(asked)
    assert json.dumps(task.protocol(world.settings.model_copy(update={"metrics": ("leakage",)}), domain, 0)) == json.dumps(asked)


def test_codes_of_the_two_spaces_agree_on_what_is_plausible(world):
    cell = world.cell(world.directions({"warmth": {0: 1.0}}))
    codes = world.generator.sample(torch.arange(2000) + 7_000_000, seed=11)
    plausible = Plausible(cell)
    z, w = plausible.ratio(Edit(codes)), plausible.ratio(Edit(Codes(Space.W, codes.values, codes.ids)))
    assert torch.equal(z, w) and 0.99 < float((z <= 1).double().mean()) < 1
    broken = Codes(Space.W, torch.full((1, 12), float("nan")), torch.tensor([0]))
    assert not plausible.holds(Edit(broken))
