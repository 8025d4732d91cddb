"""The dissection task on a generator that draws with known units: what it says of right, wrong and random units."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from bench.errors import InputError, UnsupportedError
from bench.tasks.base import CellResult
from bench.tasks.dissection.plain import random_sets
from bench.tasks.dissection.protocol import DissectionSettings
from bench.tasks.dissection.task import DissectionTask
from leaderboards.folder import plain as as_json
from methods.base import Fitted
from methods.baselines.random_units import RandomUnits
from methods.supervised.gan_dissection import GanDissection

SETTINGS = DissectionSettings(samples=48, concepts=("square", "bar"), ablate_units=1, contexts=("sky", "ground"), replicates=200)
OPTIONS = {"samples": 96, "size": 32, "units": 1, "eval_codes": 16, "layer": "draw", "quantile": 0.03, "survey": ("early",)}


@pytest.fixture(scope="module")
def measure(painted):
    """(method, units=) -> (cells, records); cells share what they may."""
    store: dict = {}

    def run(method, units=None, settings=SETTINGS):
        fitted = method.fit(painted.fit_context())
        cell = painted.cell(method, fitted if units is None else replace(fitted, units=units(fitted.units)), settings, store)
        cells = [(cell.method, DissectionTask().run(cell))]
        return cells, DissectionTask().summarise(settings, cells, cell.seed)

    return run


@pytest.fixture(scope="module")
def right(measure):
    return measure(GanDissection(**OPTIONS, ranking="ace", candidates=4, single_codes=8))


def find(records, metric, target="square", attribute=""):
    (one,) = [r for r in records if (r.metric, r.target, r.attribute) == (metric, target, attribute)]
    return one


def test_the_right_units_remove_their_concept_and_nothing_else(right):
    _, records = right
    for concept in ("square", "bar"):
        effect, removed, random = (find(records, m, concept) for m in ("ablation_effect", "area_removed", "area_removed_random"))
        assert removed.value == 1 and effect.headline and effect.sign == "-" and effect.n == 48
        assert effect.value == pytest.approx(1 - random.value) and effect.judge == "segmentation[painted-judge]"
        assert 0 <= random.value <= 2 / 3
        special = find(records, "specificity", concept)
        assert special.value == special.ci_low == special.ci_high == 1 and special.headline
    # What is under a square is ground, which grows as it goes; the bar and the sky stay.
    assert find(records, "area_change", "square", "bar").value == 0 == find(records, "area_change", "square", "sky").value
    ground = find(records, "area_change", "square", "ground")
    assert ground.ci_low < ground.value < ground.ci_high and ground.value > 0


def test_units_that_are_said_to_match_are_measured_again(right, painted):
    _, records = right
    square, bar = find(records, "matched_units"), find(records, "matched_units", "bar")
    assert square.value == bar.value == 1 and square.headline and square.sign == ""
    # The top 1 % of a unit's values is 1 % of the picture: of a square on 3 % of it, of a bar on 6 %.
    assert find(records, "unit_iou", "bar").value == pytest.approx(0.01 * 16, abs=0.02)
    assert find(records, "unit_iou").value == pytest.approx(0.01 * 32, abs=0.08)
    layers = {r.attribute: r.value for r in records if r.metric == "interpretable_units"}
    assert list(layers) == ["early", "draw"] and layers["early"] <= 3 <= layers["draw"]


def test_a_square_comes_where_it_belongs_and_not_in_the_sky(right, painted):
    cells, records = right
    home, sky = find(records, "inserted_where_it_belongs"), find(records, "inserted_at", attribute="sky")
    ground, gap = find(records, "inserted_at", attribute="ground"), find(records, "context_gap")
    assert home.value == 1 and sky.value == 0 and ground.value == 1 and gap.value == pytest.approx(0.5)
    lacking = int(cells[0][1].facts["questions"]["square"]["lacking"])
    assert home.n == gap.n == lacking and 10 < lacking < 38 and ground.n == 48
    assert find(records, "insertion_effect").value == pytest.approx(1)
    skipped = find(records, "insertion_effect", "bar")
    assert skipped.status == "skipped" and "0 of 48 pictures lack bar" in skipped.reason


def test_units_that_only_look_alike_match_and_cause_nothing(measure, painted):
    def twins(units):
        ranking = units.ranking.clone()
        ranking[units.index("square"), 0] = painted.TWIN
        return replace(units, ranking=ranking)

    _, records = measure(GanDissection(**OPTIONS, ranking="iou"), twins)
    random = find(records, "area_removed_random").value
    assert find(records, "area_removed").value == 0 and find(records, "ablation_effect").value == -random
    assert find(records, "matched_units").value == 1 and find(records, "insertion_effect").value == 0
    special = find(records, "specificity")
    assert special.status == "unreached" and special.value is None and "changes no class" in special.reason


def test_random_units_are_a_floor(measure, right):
    _, records = measure(RandomUnits(**OPTIONS))
    for metric in ("ablation_effect", "matched_units"):
        theirs, ours = (np.mean([find(found, metric, c).value for c in ("square", "bar")]) for found in (records, right[1]))
        assert theirs < ours - 0.4
    tasks, both = DissectionTask(), [right[0], measure(RandomUnits(**OPTIONS))[0]]
    found = [tasks.headlines(SETTINGS, cells, 3) for cells in both]
    signed = (("-", "ablation_effect"), ("-", "specificity"), ("", "matched_units"))
    wanted = {(c, s, m) for c in ("square", "bar") for s, m in signed}
    assert set(found[0]) == wanted and len(found[0]["square", "-", "ablation_effect"].replicates) == 200


def test_records_come_again_from_what_a_folder_keeps(right):
    cells, records = right
    card, result = cells[0]
    kept = CellResult(arrays=result.arrays, facts=json.loads(json.dumps(as_json(result.facts), sort_keys=True)))
    assert DissectionTask().summarise(SETTINGS, [(card, kept)], 3) == records
    strip = result.facts["strips"]["square"]
    assert result.pictures["square"].shape == (8, 3, 32, 32, 3) and strip["columns"] == ["unchanged", "off", "on"]
    plain, off, on = (result.pictures["square"][:, i, ..., 0].max((1, 2)) for i in range(3))
    assert (off < 70).all() and (on > 180).all() and 0 < (plain > 180).sum() < 8
    # Two fits alike: the same numbers, over codes and fits.
    twice = DissectionTask().summarise(SETTINGS, [(card, result), (replace(card, fit_seed=1), result)], 3)
    one = find(twice, "area_removed")
    assert one.value == 1 and one.n == 96 and one.ci_over == "codes+fits"


def test_what_cannot_be_asked_says_why(measure, painted, right):
    settings = SETTINGS.model_copy(update={"concepts": ("square", "sky"), "metrics": ("ablation_effect",)})
    options = OPTIONS | {"concepts": ("square",)}
    _, records = measure(GanDissection(**options, ranking="iou"), settings=settings)
    assert {r.metric for r in records} == {"ablation_effect"}
    assert find(records, "ablation_effect", "sky").reason == "the method knows no units of sky"
    cell = painted.cell(GanDissection(), Fitted(), SETTINGS, {})
    with pytest.raises(UnsupportedError, match="has no units"):
        DissectionTask().run(cell)
    task, info = DissectionTask(), painted.Painter().info
    for change, message in (({"concepts": ("moon",)}, "moon"), ({"contexts": ("sun",)}, "sun"), ({"metrics": ("iou",)}, "iou")):
        with pytest.raises(InputError, match=message):
            task.validate(DissectionSettings(**change), painted.INFO, info)
    with pytest.raises(ValidationError, match="twice"):
        DissectionSettings(concepts=("square", "square"))


def test_the_protocol_is_of_the_question_alone(painted):
    domain, task = painted.Paintings(), DissectionTask()
    one = task.protocol(SETTINGS, domain, 0)
    assert one == task.protocol(SETTINGS.model_copy(update={"metrics": ("specificity",)}), domain, 0)
    assert one != task.protocol(SETTINGS.model_copy(update={"ablate_units": 2}), domain, 0) != task.protocol(SETTINGS, domain, 1)
    assert one["judges"]["segmentation"][0] == "painted-judge" and one["rules"]["LEAST_IOU"] == 0.04
    sets = random_sets(12, 5, "draw", 0)
    assert len(sets) == 3 and all(len(set(s.tolist())) == 5 for s in sets) and not torch.equal(sets[0], sets[1])
