"""Networks that are not all there: a judge that was not fetched, a guide that scores some attributes only."""

import pytest

from bench.errors import UnsupportedError


def test_a_missing_judge_skips_its_own_headlines_and_says_why(world, blocks):
    here = world.but(absent=("identity", "features"))
    _, records = here.run(here.directions({"warmth": {0: 1.0}, "hat": {4: 1.0}}))
    skipped = {r.metric: r for r in records if r.status == "skipped"}
    assert set(skipped) == {"identity", "realism_loss"}
    assert skipped["identity"].reason == "the network of identity was not fetched"
    assert skipped["identity"].headline and skipped["identity"].point == "summary"
    whole = world.run(world.directions({"warmth": {0: 1.0}, "hat": {4: 1.0}}))[1]
    place = dict(target="warmth", sign="+", point="effect_0.5")
    for metric in ("leakage", "perceptual"):
        assert blocks.find(records, metric=metric, **place).value == blocks.find(whole, metric=metric, **place).value


def test_without_a_judge_of_attributes_nothing_is_measured(world):
    here = world.but(absent=("attributes",))
    with pytest.raises(UnsupportedError, match="attributes was not fetched"):
        here.run(here.directions({"warmth": {0: 1.0}}))


def test_a_guide_need_not_score_what_is_not_asked_for(world, blocks):
    """Height, width and tilt are judged off target, though the guide does not know them."""
    here = world.but(guide=blocks.Partial())
    rows = {"0": {0: 1.0}, "1": {4: -1.0}, "2": {1: 1.0}}
    cells, records = here.run(here.directions(rows), approach="unsupervised")
    facts = cells[0][1].facts["assignment"]["targets"]
    assert (facts["warmth"]["component"], facts["hat"]["component"], facts["hat"]["sign"]) == ("0", "1", -1)
    assert blocks.find(records, target="warmth", sign="+", point="effect_0.5", metric="leakage").value < 1e-4
    seen = {r.attribute for r in records if r.metric == "attribute_change"}
    assert seen == set(blocks.names)


def test_a_target_without_a_guide_is_skipped(world, blocks):
    settings = world.settings.model_copy(update={"targets": ("warmth", "tilt")})
    here = world.but(guide=blocks.Partial(), settings=settings)
    _, records = here.run(here.directions({"warmth": {0: 1.0}, "tilt": {3: 1.0}}))
    mine = [r for r in records if r.target == "tilt"]
    assert {r.status for r in mine} == {"skipped"}
    assert all("the guide partial does not score tilt" in r.reason for r in mine)
