"""What the naming task says of components whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from bench.errors import InputError, UnsupportedError
from bench.tasks.base import CellResult
from bench.tasks.naming.protocol import NamingSettings
from bench.tasks.naming.quantities import metric_names
from bench.tasks.naming.task import NamingTask
from leaderboards.folder import plain as as_json
from methods.editors import DirectionPath

from .conftest import SETTINGS

# Three attributes, one of them the other way round; what no word speaks of; two attributes at once.
PLANTED = {"0": {0: 1.0}, "1": {1: -1.0}, "2": {4: 1.0}, "3": {8: 1.0}, "4": {0: 1.0, 1: 1.0}}
NAMED = {"0": ("warmth", 1), "1": ("height", -1), "2": ("hat", 1)}


@pytest.fixture(scope="module")
def planted(name, world):
    return name(world.directions(PLANTED))


def names_of(cells, kind):
    return {row["component"]: row for row in cells[0][1].facts["names"][kind]}


def test_planted_components_are_named_and_others_are_not(planted, blocks):
    cells, records = planted
    for kind in ("text", "attributes"):
        rows = names_of(cells, kind)
        assert {c: (row["subject"], row["way"]) for c, row in rows.items() if row["named"]} == NAMED
        find = lambda metric, k=kind: blocks.find(records, target=k, metric=metric)  # noqa: E731
        assert find("named_share").value == pytest.approx(3 / 5) and find("named_share").n == 5
        hit = find("naming_hit_rate")
        assert (hit.value, hit.n, hit.headline, hit.judge) == (1.0, 3, True, "attributes[exact]")
        # Jeffreys' interval of 3 in 3 is [0.47, 1]; what the judge is sure of adds nothing to it.
        assert hit.ci_low == pytest.approx(0.47, abs=0.1) and hit.ci_high == 1.0
        # A third of the names fit a component of one attribute, warmth or height one in two of the mixture's.
        assert 1 / 5 <= find("naming_chance").value < 2 / 5
    assert names_of(cells, "text")["1"]["words"] in ("flat blocks", "tall blocks")
    assert names_of(cells, "text")["0"]["confidence"] > 0.95 > names_of(cells, "text")["4"]["confidence"]
    assert names_of(cells, "text")["4"]["runner_up"] in ("warmth", "height")


def test_unknown_components_are_shown_from_edge_to_edge(planted, blocks):
    result = planted[0][0][1]
    strip = result.facts["strips"]["unknown"]
    assert strip["components"] == ["3", "4"] and strip["shares"] == [-1.0, -0.5, 0.0, 0.5, 1.0]
    pictures = result.pictures["unknown"]
    assert pictures.shape == (2, 2, 5, blocks.R, blocks.R, 3) and pictures.dtype == np.uint8
    assert (pictures[0, :, 2] == pictures[1, :, 2]).all()  # unedited
    moved = pictures[0, :, :, 1, 0, 0].astype(int)  # the pixel of dimension 8
    assert (np.diff(moved, axis=1) > 0).all()


def test_attributes_are_assigned_one_to_one(planted):
    assigned = planted[0][0][1].facts["assignment"]
    assert {t: (row["component"], row["sign"]) for t, row in assigned.items() if row["confidence"] > 0.9} == {
        "warmth": ("0", 1), "height": ("1", -1), "hat": ("2", 1),
    }  # fmt: skip
    assert assigned["warmth"]["runner_up"] == "4"
    matrix = planted[0][0][1].arrays["attributes/changes"].mean(1)
    assert matrix.shape == (5, 5) and matrix[0, 0] > 0.5 and abs(matrix[0, 4]) < 0.1


def test_a_wrong_guide_is_found_out_by_the_judge(name, world, blocks):
    class Swapped(blocks.Guide):
        """Takes height for warmth."""

        name, names = "swapped", tuple({"warmth": "height", "height": "warmth"}.get(n, n) for n in blocks.Guide.names)

    _, records = name(world.directions(PLANTED), guide=Swapped())
    assert blocks.find(records, target="attributes", metric="naming_hit_rate").value == pytest.approx(1 / 3)
    assert blocks.find(records, target="text", metric="naming_hit_rate").value == 1.0
    prompts = {"warmth": ("colder blocks", "warmer blocks"), "hat": ("bare blocks", "hatted blocks")}
    cells, records = name(world.directions(PLANTED), prompts=prompts)
    assert names_of(cells, "text")["1"]["subject"] == "warmth" and names_of(cells, "text")["1"]["named"]
    hit = blocks.find(records, target="text", metric="naming_hit_rate")
    assert hit.value < 1 and hit.ci_low < hit.value < hit.ci_high


def test_a_name_with_the_wrong_end_is_not_right(name, world, blocks):
    turned = {"warmth": ("warm blocks", "cold blocks"), "hat": ("bare blocks", "hatted blocks")}
    _, records = name(world.directions({"0": {0: 1.0}, "1": {4: 1.0}}), prompts=turned)
    assert blocks.find(records, target="text", metric="naming_hit_rate").value == pytest.approx(0.5)


def test_words_of_a_suite_name_what_no_attribute_is(name, world, blocks):
    settings = SETTINGS.model_copy(update={"prompts": {"stripes": ("plain blocks", "striped blocks")}})
    cells, records = name(world.directions(PLANTED), settings)
    row = names_of(cells, "text")["3"]
    assert row["named"] and row["subject"] == "stripes" and row["way"] == 0 and not names_of(cells, "attributes")["3"]["named"]
    assert blocks.find(records, target="text", metric="named_share").value == pytest.approx(4 / 5)
    assert blocks.find(records, target="text", metric="naming_hit_rate").n == 3  # nobody can judge stripes
    with pytest.raises(InputError, match="words cannot tell 'odd blocks' from what else is said of oddness"):
        name(world.directions(PLANTED), SETTINGS.model_copy(update={"prompts": {"oddness": ("odd blocks", "even blocks")}}))


def test_where_nothing_is_named_the_hit_rate_is_the_worst(name, world, blocks):
    cells, records = name(world.directions({"0": {8: 1.0}, "1": {9: 1.0}}))
    share, hit = (blocks.find(records, target="text", metric=m) for m in ("named_share", "naming_hit_rate"))
    assert (share.value, share.ci_low) == (0.0, 0.0) and share.ci_high > 0.3
    assert hit.status == "unreached" and hit.value is None and "no component has a name" in hit.reason
    lines = NamingTask().headlines(SETTINGS, cells, 3)
    assert lines["text", "", "naming_hit_rate"].value == -np.inf and set(lines) == {
        (kind, "", metric) for kind in ("text", "attributes") for metric in ("naming_hit_rate", "named_share")
    }


def test_without_a_guide_of_texts_attributes_alone_name(name, world, blocks):
    cells, records = name(world.directions(PLANTED), words=False)
    assert list(cells[0][1].facts["names"]) == ["attributes"]
    lost = blocks.find(records, target="text", metric="naming_hit_rate")
    assert lost.status == "skipped" and lost.reason == "domain blocks has no guide for text_image"
    assert blocks.find(records, target="attributes", metric="naming_hit_rate").value == 1.0


def test_editors_without_components_are_refused(name, world):
    with pytest.raises(UnsupportedError, match="m offers no components"):
        name(world.directions({"warmth": {0: 1.0}}))


def test_a_component_without_a_plausible_step_has_no_name(name, world, blocks):
    cells, records = name(world.directions({"0": {0: 1.0}, "1": {4: 1e9}}))
    assert cells[0][1].facts["moved"] == ["0"] and cells[0][1].facts["components"] == ["0", "1"]
    assert blocks.find(records, target="text", metric="named_share").value == 0.5
    with pytest.raises(UnsupportedError, match="no component of m makes a plausible step"):
        name(world.directions({"0": {0: 1e9}}))


def test_an_editor_of_one_way_is_measured_from_where_it_starts(name, world, blocks):
    class Forward:
        targets, signed, per_code = ("0",), False, False

        def path(self, codes, requests, *, seed):
            step = world.directions({"0": {4: -1.0}}).directions[0]
            return DirectionPath(world.generator.convert(codes, "w"), step)

    cells, records = name(Forward())
    row = names_of(cells, "text")["0"]
    assert row["named"] and (row["subject"], row["way"]) == ("hat", -1)
    both = names_of(name(world.directions({"0": {4: -1.0}}))[0], "attributes")["0"]["effect"]
    assert names_of(cells, "attributes")["0"]["effect"] == pytest.approx(both, rel=0.1)
    assert blocks.find(records, target="text", metric="naming_hit_rate").value == 1.0


def test_numbers_come_again_from_what_is_stored(planted, world):
    cells, records = planted
    card, result = cells[0]
    facts = json.loads(json.dumps(as_json(result.facts)))
    again = NamingTask().summarise(SETTINGS, [(card, CellResult(dict(result.arrays), facts))], world.seed)
    assert again == records
    assert {r.metric for r in records} == {m for m in metric_names() if not m.endswith("_true")}
    two = NamingTask().summarise(SETTINGS, [*cells, (replace(card, fit_seed=1), result)], world.seed)
    assert {r.ci_over for r in two if r.ci_over} == {"codes+components+fits"}
    one = next(r for r in two if (r.target, r.metric) == ("text", "naming_hit_rate"))
    assert (one.value, one.n) == (1.0, 6)


def test_settings_and_protocol(name, planted):
    with pytest.raises(ValidationError, match="prompts: stripes lists a value twice"):
        NamingSettings(prompts={"stripes": ("a", "a")})
    with pytest.raises(ValidationError):
        NamingSettings(prompts={"stripes": ("a",)})
    task, domain = NamingTask(), name.domain
    with pytest.raises(InputError, match="metric of the naming task"):
        task.validate(NamingSettings(metrics=("hits",)), domain.info, None)
    one = task.protocol(SETTINGS, domain, 3)
    assert one == task.protocol(SETTINGS.model_copy(update={"metrics": ("named_share",)}), domain, 3)
    assert one != task.protocol(SETTINGS.model_copy(update={"prompts": {"stripes": ("a", "b")}}), domain, 3)
    assert ["warmth", ["cold blocks"], -1] in one["statements"] and one["rules"]["LEVEL"] == 0.05
    wanted = SETTINGS.model_copy(update={"metrics": ("named_share",)})
    assert {r.metric for r in task.summarise(wanted, planted[0], 3)} == {"named_share"}


def test_chance_is_over_the_replicates_that_hold_a_name(planted, name, world, blocks):
    """Of three fits one has names: some resamples of fits have none, and say nothing of chance."""
    card, result = planted[0][0]
    nameless = name(world.directions({"0": {8: 1.0}, "1": {9: 1.0}}))[0][0][1]
    cells = [(replace(card, fit_seed=i), one) for i, one in enumerate((result, nameless, nameless))]
    records = NamingTask().summarise(SETTINGS, cells, world.seed)
    chance = blocks.find(records, target="text", metric="naming_chance")
    assert 0 < chance.ci_low <= chance.value <= chance.ci_high < 1 and chance.n == 3
    assert blocks.find(records, target="text", metric="naming_hit_rate").ci_low < 0.47
