"""What the editing task says of edits whose truth is known."""

import math

import numpy as np
import pytest

from bench.tasks.editing.summary import headline_replicates


def test_the_true_direction_leaks_nothing_and_reaches(pure, blocks):
    _, records = pure
    for sign in "+-":
        for target in ("warmth", "hat"):
            place = dict(target=target, sign=sign)
            leak = blocks.find(records, **place, point="effect_0.5", metric="leakage")
            assert leak.status == "ok" and leak.headline and abs(leak.value) < 1e-4 and leak.n == 16 and leak.n_failed == 0
            assert blocks.find(records, **place, point="effect_0.5", metric="identity").value == pytest.approx(1, abs=1e-4)
            effect = blocks.find(records, **place, point="effect_0.5", metric="target_effect")
            assert effect.value == pytest.approx(0.5, abs=1e-5) and effect.judge == "attributes[exact]"
            assert blocks.find(records, **place, point="effect_1", metric="target_effect").value == pytest.approx(1, abs=1e-5)
            assert not blocks.find(records, **place, point="effect_1", metric="leakage").headline
            reach = blocks.find(records, **place, point="summary", metric="reach")
            assert reach.headline and 0 < reach.value <= 1
    assert blocks.find(records, target="warmth", sign="+", point="summary", metric="reach").value == 1
    assert blocks.find(records, target="warmth", sign="+", point="summary", metric="monotonicity").value == pytest.approx(1)


def test_crosstalk_is_read_exactly(world, blocks):
    cells, records = world.run(world.directions({"warmth": {0: 1.0, 1: 0.3, 2: -0.2}}))
    sigma = cells[0][1].arrays["sigma"]
    for point, level in (("effect_0.5", 0.5), ("effect_1", 1.0)):
        for sign, way in (("+", 1), ("-", -1)):
            step = level * sigma[0]
            place = dict(target="warmth", sign=sign, point=point)
            expected = step * (0.3 / sigma[1] + 0.2 / sigma[2]) / 4
            leak = blocks.find(records, **place, metric="leakage")
            assert leak.value == pytest.approx(expected, rel=1e-4)
            assert leak.ci_low == pytest.approx(expected, rel=1e-4) and leak.ci_high == pytest.approx(expected, rel=1e-4)
            mine = [r for r in records if (r.sign, r.point, r.metric) == (sign, point, "attribute_change")]
            changes = {r.attribute: r.value for r in mine}
            assert changes["height"] == pytest.approx(way * 0.3 * step / sigma[1], rel=1e-4)
            assert changes["width"] == pytest.approx(-way * 0.2 * step / sigma[2], rel=1e-4)
            assert changes["warmth"] == pytest.approx(way * level, rel=1e-4) and abs(changes["tilt"]) < 1e-4
            assert blocks.find(records, **place, metric="rescoring_delta").value == pytest.approx(step, rel=1e-4)
            assert blocks.find(records, **place, metric="attribute_dependency").value == pytest.approx(expected, rel=1e-4)


def test_a_weak_method_is_unreached_and_loses(world, blocks):
    cells, records = world.run(world.directions({"warmth": {0: 0.1, 9: 1.0}}))
    result = cells[0][1]
    place = dict(target="warmth", sign="+")
    for metric in ("leakage", "identity", "realism_loss", "attribute_change"):
        mine = [r for r in records if (r.target, r.sign, r.point, r.metric) == ("warmth", "+", "effect_0.5", metric)]
        assert mine and all(r.status == "unreached" and r.value is None and "sigma" in r.reason for r in mine)
        assert all(r.ci_low is None for r in mine)
    edge = result.facts["questions"]["warmth/+"]["edge"]
    reach = blocks.find(records, **place, point="summary", metric="reach")
    assert (
        reach.status == "ok"
        and reach.value == pytest.approx(0.1 * edge / result.arrays["sigma"][0], rel=1e-4)
        and reach.value < 0.5
    )
    table = headline_replicates(world.settings, cells, world.seed)
    assert table["warmth", "+", "leakage"].value == math.inf and table["warmth", "+", "identity"].value == -math.inf
    assert (table["warmth", "+", "leakage"].replicates == math.inf).all()
    overall = blocks.find(records, target="", metric="leakage", point="summary")
    assert overall.status == "unreached" and overall.value is None and "2 of 2" in overall.reason


def test_some_replicates_that_do_not_reach_count_as_worst(world, blocks):
    """A target whose effect differs by code: the mean only just reaches, so that some resamples do not."""

    class Uneven:
        targets, signed, per_code = ("warmth",), False, False

        def path(self, codes, requests, *, seed):
            line = world.directions({"warmth": {0: 1.0}}).path(codes, requests, seed=seed)
            lazy = codes.ids % 2 == 0

            class Path:
                def at(self, strength):
                    edit = line.at(float(strength))
                    values = edit.codes.values.clone()
                    moved = (values[:, 0] - codes.values[:, 0]) * 0.56 / (float(strength) + 1e-9) * min(float(strength), 1.0)
                    values[:, 0] = codes.values[:, 0] + moved * (~lazy) * 2
                    return type(edit)(edit.codes.with_values(values))

            return Path()

    cells, records = world.run(Uneven())
    leak = blocks.find(records, target="warmth", sign="+", point="effect_0.5", metric="leakage")
    replicates = headline_replicates(world.settings, cells, world.seed)["warmth", "+", "leakage"].replicates
    lost = np.isinf(replicates).mean()
    assert leak.status == "ok" and leak.ci_high == math.inf and 0.03 < lost < 0.6
    skipped = blocks.find(records, target="warmth", sign="-", point="effect_0.5", metric="leakage")
    assert skipped.status == "skipped" and "one way" in skipped.reason
    assert not cells[0][1].facts["questions"]["warmth/+"]["edge_found"]


def test_holding_an_attribute_reaches_the_editor(world, blocks):
    rows = {"warmth": {0: 1.0, 1: 0.3}, "height": {1: 1.0}}
    editor = world.directions(rows, targets=("warmth",))
    free = blocks.find(world.run(editor)[1], target="warmth", sign="+", point="effect_0.5", metric="leakage").value
    held = blocks.find(
        world.run(editor, hold=("height",))[1], target="warmth", sign="+", point="effect_0.5", metric="leakage"
    ).value
    assert free > 0.02 and abs(held) < 1e-4


def test_realism_falls_when_edits_leave_the_samples(world, blocks):
    """A nuisance beside the target takes pictures where no sample is: realism is lost, though no attribute shows it."""
    pure = world.run(world.directions({"warmth": {0: 1.0}}))[1]
    away = world.run(world.directions({"warmth": {0: 1.0, 7: 1.5, 8: 1.5}}))[1]
    place = dict(target="warmth", sign="+", point="effect_0.5", metric="realism_loss")
    assert blocks.find(away, **place).value > blocks.find(pure, **place).value
    assert blocks.find(away, **place).judge == "features[exact]"


def test_components_are_assigned_with_their_sign(world, blocks):
    rows = {str(i): {j: w} for i, (j, w) in enumerate([(7, 1.0), (4, -1.0), (8, 1.0), (0, -1.0), (2, 1.0)])}
    rows["5"] = {0: 1.0, 2: 1.0}
    cells, records = world.run(world.directions(rows), approach="unsupervised")
    facts = cells[0][1].facts["assignment"]["targets"]
    assert (facts["warmth"]["component"], facts["warmth"]["sign"], facts["warmth"]["runner_up"]) == ("3", -1, "5")
    assert (facts["hat"]["component"], facts["hat"]["sign"]) == ("1", -1)
    assert facts["warmth"]["confidence"] > 0.95 > facts["warmth"]["runner_up_confidence"]
    for target in ("warmth", "hat"):
        for sign in "+-":
            assert blocks.find(records, target=target, sign=sign, point="effect_0.5", metric="leakage").value < 1e-4
    confidence = blocks.find(records, target="warmth", metric="assignment_confidence")
    assert confidence.judge == "attributes[wobbly]" and "component 3" in confidence.reason and "runner-up 5" in confidence.reason


def test_a_target_the_editor_does_not_have_is_skipped(world, blocks):
    _, records = world.run(world.directions({"warmth": {0: 1.0}}))
    mine = [r for r in records if r.target == "hat"]
    assert {r.status for r in mine} == {"skipped"} and {r.metric for r in mine} == {
        "leakage",
        "identity",
        "realism_loss",
        "reach",
    }
    assert all("no such target" in r.reason and r.value is None for r in mine)
