"""The report's page: tables of records as they are, and a verdict that paired replicates decide."""

import numpy as np
import pytest

from bench.records import Record
from leaderboards.folder import Cell, Results
from leaderboards.pages.representation import page, verdicts
from leaderboards.ranking import Reading

DCI = "dci_disentanglement[lasso]"
VARIANTS = {"z": "space=z", "w": "", "s": "space=s"}


def cell(space, method="native", approach="baseline"):
    card = {"name": method, "variant": VARIANTS[space], "space": space, "approach": approach, "fit_seed": 0}
    facts = {"channels": [64, 60 if space == "s" else 64]}
    return Cell("representation", "g", "a" * 64, "d", card, "ok", "", 1.0, 0.0, facts, {})


def cells(*spaces):
    return {("native", VARIANTS[space]): cell(space) for space in spaces}


def readings(points, spread=0.01, metric=DCI, up=True, replicates=400, target="judged"):
    """Readings of each space around its point, whose replicates move together."""
    shared = np.random.default_rng(0).standard_normal(replicates)
    own = np.random.default_rng(1)
    found = {}
    for space, point in points.items():
        rows = point + 10 * spread * shared + spread * own.standard_normal(replicates)
        found["native", VARIANTS[space]] = {(target, "", metric): Reading(point, rows, up)}
    return found


def test_the_chain_holds_where_both_steps_do():
    said = verdicts(readings({"s": 0.8, "w": 0.5, "z": 0.3}), cells("z", "w", "s"))
    assert said.startswith(f"- S > W > Z by {DCI} (judged) **holds** here: S − W = 0.300 [")
    assert "W − Z = 0.200 [" in said and said.endswith("], holds.")


def test_paired_replicates_decide_where_intervals_overlap():
    points = {"s": 0.56, "w": 0.53, "z": 0.5}  # replicates of each spread by 0.1, of their differences by 0.014
    said = verdicts(readings(points, spread=0.005), cells("z", "w", "s"))
    assert "**holds**" in said
    unpaired = readings(points, spread=0.005)
    rows = unpaired["native", ""]["judged", "", DCI]
    shuffled = np.random.default_rng(7).permutation(rows.replicates)
    unpaired["native", ""] = {("judged", "", DCI): rows._replace(replicates=shuffled)}
    assert "**cannot tell**" in verdicts(unpaired, cells("z", "w", "s"))


def test_a_step_the_other_way_breaks_it_and_a_doubtful_one_says_so():
    assert "**does not hold** here" in verdicts(readings({"s": 0.8, "w": 0.3, "z": 0.5}), cells("z", "w", "s"))
    said = verdicts(readings({"s": 0.8, "w": 0.5, "z": 0.5}), cells("z", "w", "s"))
    assert "**cannot tell** here: S − W = 0.300" in said and said.endswith("cannot tell.")
    assert "W > Z" in verdicts(readings({"w": 0.8, "z": 0.5}), cells("z", "w")) and "S" not in verdicts(
        readings({"w": 0.8, "z": 0.5}), cells("z", "w")
    )


def test_lower_is_better_turns_the_chain_round():
    found = readings({"s": 2.0, "w": 5.0, "z": 30.0}, metric="separability", up=False)
    assert "S > W > Z by separability (judged) **holds** here: S − W = -3.000" in verdicts(found, cells("z", "w", "s"))


def test_too_few_replicates_are_said_to_be():
    said = verdicts(readings({"s": 0.8, "w": 0.5, "z": 0.3}, replicates=40), cells("z", "w", "s"))
    assert "**cannot tell**" in said and "40 replicates are too few for 2 comparisons: 79 are needed." in said


def test_one_space_asks_nothing():
    assert verdicts(readings({"w": 0.5}), cells("w")).startswith("Not asked")
    other = {("learned", ""): cell("w", "learned", "supervised"), **cells("z")}
    assert verdicts(readings({"z": 0.5}), other).startswith("Not asked")  # an encoder is not the space itself


@pytest.fixture
def results(monkeypatch):
    """A folder of few records, and no arrays to read headlines from."""
    monkeypatch.setattr("leaderboards.pages.representation.readings", lambda *_: {})
    base = dict(task="representation", generator="g", method="native", variant="", point="summary", judge="attributes[j]")
    lost = dict(headline=True, reason="hat is left out: x")
    ok = dict(n=12_800, ci_over="blocks", ci_low=0.29, ci_high=0.31)
    records = [
        Record(**base, metric="active_channels", value=64.0, n=12_800),
        Record(**base, **ok, target="judged", metric=DCI, value=0.3, higher_is_better=True, **lost),
        Record(**base, **ok, target="judged", metric="separability", value=9.1, higher_is_better=False, n_failed=7),
        Record(**base, **ok, target="judged", attribute="smile", metric="explicitness", value=0.87, higher_is_better=True),
        Record(**base, target="true", metric=DCI, status="skipped", reason="g does not know", higher_is_better=True),
    ]
    run = {"suite": {"tasks": {"representation": {}}, "generators": ["g"], "seed": 0}}
    return Results(records, [cell("w")], run)


def test_the_page_shows_what_records_say(results):
    text, files = page(results, "g", None)
    assert not files and text.startswith("### Factors as judged")
    assert "Read by attributes[j]: n = 12800, 7 more could not be read; 95 % intervals over blocks. Hat is left out: x." in text
    row = next(line for line in text.splitlines() if line.startswith("| w |"))
    assert row == "| w | native | 64 | 9.100 [0.290, 0.310] | 0.300 [0.290, 0.310] |"
    assert f"{DCI} ↑" in text and "separability ↓" in text and "| smile | 0.870 [0.290, 0.310] |" in text
    assert "### True factors\n\nNot measured: g does not know." in text and "Not asked" in text


def test_a_control_says_what_channels_alone_give(results):
    def dci(variant, value):
        ends = dict(value=value, ci_low=value - 0.01, ci_high=value + 0.01, n=9, ci_over="blocks")
        place = dict(task="representation", generator="g", method="native", variant=variant, point="summary", target="judged")
        return Record(**place, **ends, metric=DCI, judge="attributes[j]", higher_is_better=True)

    mixed = Cell(**{**vars(cell("w")), "card": {**cell("w").card, "variant": "as_many_as=s"}})
    several = [cell("w"), cell("s"), mixed]
    for score, words in ((0.88, "**it is no evidence for s**"), (0.95, "**s is beyond what its channels alone give**")):
        records = [dci("", 0.3), dci("space=s", score), dci("as_many_as=s", 0.89)]
        text, _ = page(Results(records, several, results.run), "g", None)
        assert f"as many random mixtures of w as s has channels score 0.890 [0.880, 0.900], s itself {score:.3f}" in text
        assert words in text
    # The control is not the space that it mixes.
    found = readings({"w": 0.5, "z": 0.3}) | {("native", "as_many_as=s"): readings({"w": 0.1})["native", ""]}
    assert "**holds**" in verdicts(found, {**cells("z", "w"), ("native", "as_many_as=s"): mixed})
