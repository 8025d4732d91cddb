"""The task as the engine and the report use it: facts and arrays are enough to read it again; the page says what was found."""

import csv
import io
from dataclasses import asdict

import numpy as np
import pytest
import torch

from bench.errors import InputError, UnsupportedError
from bench.registry import Registry
from bench.suite import load_suite
from bench.tasks.base import CellResult
from bench.tasks.validity import causes
from bench.tasks.validity.damage import blurred, brighter, noisy, rounded, shifted
from bench.tasks.validity.settings import ValiditySettings
from leaderboards.folder import Cell, Results, plain
from leaderboards.pages import validity as page_module
from methods.base import Fitted
from methods.baselines.oracle import Oracle, OracleTruth

CHEAP = ("units_shift", "units_permutation", "units_mix", "inversion_mean", "inversion_noise", "edit_order")


@pytest.fixture(scope="module")
def cell(planted):
    return planted.cell(faults=CHEAP)


@pytest.fixture(scope="module")
def result(planted, cell):
    with torch.no_grad():
        return planted.task.run(cell)


def records(planted, cell, result, settings=None):
    return [one.record for one in planted.task.measured(settings or cell.settings, [(cell.method, result)], 0)]


def test_a_method_without_the_truth_is_refused(planted, cell):
    with pytest.raises(UnsupportedError, match="oracle does not know the true map"):
        planted.task.run(planted.cell(Fitted(editor=cell.fitted.editor)))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"faults": ("edit_blurr",)}, "did you mean edit_blur"),
        ({"leak": "hairlength"}, "hair_length"),
        ({"factors": ("a", "b", "c", "d")}, "attribute"),
    ],
)
def test_unknown_names_are_refused(planted, change, message):
    with pytest.raises(InputError, match=message):
        planted.task.validate(ValiditySettings(**change), planted.domain.info, planted.generator.info)


def test_the_shipped_suite_asks_for_what_there_is(planted):
    suite = load_suite("validity")
    assert suite.generators == ("heads-oracle",) and [one.name for one in suite.methods] == ["oracle"]
    planted.task.validate(ValiditySettings(**suite.tasks["validity"]), planted.domain.info, planted.generator.info)
    assert planted.task.produces in Oracle.produces and Registry(plugins=False).load("methods", "oracle") is Oracle


def test_the_truth_is_the_generators_own(planted):
    truth, generator = OracleTruth(planted.generator), planted.generator
    codes = generator.convert(generator.sample(torch.arange(40), seed=3), "w")
    normals = truth.normals(codes)
    assert torch.allclose(truth.codes(normals, codes.ids).values, codes.values, atol=1e-4)
    lifted = normals.clone()
    lifted[:, truth.column("smile")] += 0.7
    assert torch.allclose(truth.codes(lifted, codes.ids).values, generator.moved(codes, "smile", 0.7).values, atol=1e-4)
    assert len(truth.names) == normals.shape[1] and set(truth.identity) < set(truth.names)
    seen = truth.segmentation(codes[:4])
    assert seen.shape == (4, 64, 64) and 0 <= int(seen.min()) and int(seen.max()) < len(planted.domain.info.regions)
    with pytest.raises(InputError, match="smile"):
        truth.column("smiles")


def test_another_run_with_other_faults_gives_the_same_numbers(planted, result):
    alone = planted.run("inversion_noise")
    assert len(alone.arrays) == 11
    assert all(np.array_equal(result.arrays[name], values) for name, values in alone.arrays.items())


def test_records_do_not_pass_for_measurements_of_a_method(planted, cell, result):
    found = records(planted, cell, result)
    assert len(found) == 3 * len(result.facts["pairs"])
    assert {r.metric for r in found} == {"validity_rho", "validity_change", "validity_start"}
    assert not any(r.headline for r in found) and {r.point for r in found} == {"summary"}
    one = {r.metric: r for r in found if (r.target, r.attribute) == ("inversion_noise", "perceptual")}
    assert {r.judge for r in one.values()} == {"heads-features"} and {r.n for r in one.values()} == {20}
    rho, change = one["validity_rho"], one["validity_change"]
    assert rho.value == 1 and -1 <= rho.ci_low <= rho.value <= rho.ci_high <= 1 and rho.higher_is_better
    assert 0 < change.ci_low < change.value < change.ci_high and change.unit == "distance"
    assert rho.reason == "sees it; expected worse: as expected"
    values = result.arrays["inversion_noise/perceptual"]
    assert change.value == pytest.approx(values[:, -1].mean() - values[:, 0].mean())
    # Less is worse for identity: the change is turned, the value at severity 0 is not.
    one = {r.metric: r for r in found if (r.target, r.attribute) == ("inversion_noise", "identity")}
    assert one["validity_change"].value > 0 and one["validity_start"].value == pytest.approx(1, abs=1e-3)


def test_it_is_read_again_with_other_replicates(planted, cell, result):
    more = records(planted, cell, result, cell.settings.model_copy(update={"replicates": 500}))
    for one, two in zip(records(planted, cell, result), more, strict=True):
        assert (one.target, one.attribute, one.value) == (two.target, two.attribute, two.value)
    rows = [one.rows for one in planted.task.measured(cell.settings, [(cell.method, result)], 0)]
    assert {len(one) for one in rows} == {cell.settings.replicates + 1}
    assert planted.task.headlines(cell.settings, [(cell.method, result)], 0) == {}


def test_what_is_not_reached_has_no_size(planted, cell, result):
    lost = CellResult(dict(result.arrays), result.facts)
    lost.arrays["inversion_noise/mse"] = result.arrays["inversion_noise/mse"].copy()
    lost.arrays["inversion_noise/mse"][:, -1] = np.inf
    measured = list(planted.task.measured(cell.settings, [(cell.method, lost)], 0))
    mine = {m.record.metric: m for m in measured if (m.record.target, m.record.attribute) == ("inversion_noise", "mse")}
    change = mine["validity_change"]
    assert (change.record.status, change.record.value, change.record.ci_low) == ("unreached", None, None)
    assert np.all(change.rows == np.inf) and mine["validity_rho"].record.value == 1


def test_the_question_says_how_strong_faults_are_and_not_what_is_expected(planted, cell):
    protocol = planted.task.protocol(cell.settings, planted.domain, 0)
    assert protocol["rules"]["ROTATION"] == 60 and protocol["judges"]["identity"][0] == "heads-id"
    assert "expected" not in str(protocol)


def as_read(cell, result, planted) -> Results:
    """A folder with this one cell, as it would be read."""
    card = plain(asdict(cell.method))
    facts = plain(result.facts)
    one = Cell("validity", "heads-oracle", "0" * 64, "heads", card, "ok", "", 0.0, 0.0, facts, {}, result.arrays)
    suite = {"tasks": {"validity": cell.settings.model_dump(mode="json")}, "seed": 0}
    return Results(records(planted, cell, result), [one], {"suite": suite})


def test_the_page_says_what_was_found(planted, cell, result, monkeypatch):
    monkeypatch.setattr(page_module, "settings_of", lambda results, task: cell.settings)
    surprise = CellResult(dict(result.arrays), result.facts)
    surprise.arrays["units_shift/unit_iou"] = np.full_like(result.arrays["units_shift/unit_iou"], 0.5)
    monkeypatch.setitem(causes.CAUSES, ("units_shift", "unit_iou"), "it was made constant")
    text, files = page_module.page(as_read(cell, surprise, planted), "heads-oracle", None)
    assert "| mse | ✓ sees | ✓ sees |" in text and "it was made constant" in text
    assert "| unit iou | ○ blind **!** | ✓ sees | = still |" in text  # shifted, mixed, permuted
    assert "clip score, directional similarity" in text or not result.facts["absent"]
    rows = list(csv.DictReader(io.StringIO(files["validity.csv"].decode())))
    assert len(rows) == len(result.facts["pairs"]) and tuple(rows[0]) == page_module.COLUMNS
    one = next(row for row in rows if (row["fault"], row["metric"]) == ("units_shift", "unit_iou"))
    assert (one["verdict"], one["as_expected"], one["cause"]) == ("blind", "false", "it was made constant")
    assert float(one["rho"]) == 0 and one["n"] == "20"
    held = sum(row["as_expected"] == "true" for row in rows)
    assert f"{held} of {len(rows)} pairs" in text


def test_damage_does_what_it_says():
    images = torch.rand(2, 3, 24, 24) * 2 - 1
    assert blurred(images, 0.0) is images and shifted(images, 0) is images
    flat = torch.full((1, 3, 24, 24), 0.25)
    assert torch.allclose(blurred(flat, 1.5), flat, atol=1e-6)
    point = torch.zeros(1, 1, 25, 25)
    point[0, 0, 12, 12] = 1
    spread = blurred(point, 1.5)[0, 0]
    at = torch.arange(25.0) - 12
    assert float(spread.sum()) == pytest.approx(1, abs=1e-5)
    assert float((spread.sum(0) * at**2).sum()) == pytest.approx(1.5**2, rel=0.03)  # cut at 3 deviations
    moved = shifted(images, 3)
    assert torch.equal(moved[..., 3:], images[..., :-3]) and torch.equal(moved[..., 0], images[..., 0])
    assert float(brighter(images, 0.3).max()) <= 1 and torch.allclose(brighter(flat, 0.3), flat + 0.3)
    noise = noisy(torch.zeros(4, 3, 24, 24), 0.1, np.random.default_rng(0))
    assert float(noise.std()) == pytest.approx(0.1, rel=0.05)
    assert float((rounded(images) - images).abs().max()) <= 1 / 255 + 1e-6
