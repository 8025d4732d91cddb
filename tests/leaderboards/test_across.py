"""The tables across generators: every number where it was ranked, in the order of the ranks, and gaps said as gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.records import Record
from leaderboards.across import methods_by_generators, spaces_by_metrics
from leaderboards.folder import Cell, Results
from leaderboards.ranking import Reading
from leaderboards.tables import leaderboard

GOOD, FAIR, FLOOR, LONE = ("pca", ""), ("svm", "space=z"), ("random", ""), ("svm", "")


def board(generator, values, reached=None):
    """A leaderboard of leakage on two targets, with replicates that vary by 0.01."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, 200)
    table = {}
    for entry, value in values.items():
        table[entry] = {}
        for target in ("smile", "age"):
            unreached = reached is not None and entry in reached and target == "age"
            level = np.inf if unreached else value
            table[entry][target, "+", "leakage"] = Reading(level, level + noise, False)
    spaces = {entry: "z" if entry[1] == "space=z" else "w" for entry in values}
    return leaderboard(generator, table, spaces, ["leakage"])


def rows_of(markdown, heading):
    """{first cell: the others} of the table under a heading."""
    lines = markdown.split(heading)[1].split("###")[0].strip().splitlines()
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return lines[0], {line[0]: line[1:] for line in lines[2:]}


def test_methods_stand_beside_one_another_in_the_order_of_their_ranks():
    one = board("gan-a", {GOOD: 0.1, FAIR: 0.3, FLOOR: 0.9}, reached=[FLOOR])
    two = board("gan-b", {FAIR: 0.2, FLOOR: 0.8})
    text = methods_by_generators({"editing": {"gan-a": one, "gan-b": two, "gan-c": None}})
    heads, ranks = rows_of(text, "### editing: average rank")
    assert heads == ["entry", "gan-a (3 entries)", "gan-b (2 entries)"]
    assert list(ranks) == ["pca", "svm", "random"]
    assert ranks["pca"] == ["1.000 [1.000, 1.000]", "–"] and ranks["random"][1].startswith("2.000")
    _, leaks = rows_of(text, "### editing: leakage")
    assert leaks["svm"][0].startswith("0.300 [0.27") and leaks["svm"][1].startswith("0.200 [0.17")
    assert leaks["random"][0].startswith("0.900 [") and leaks["random"][0].endswith("(1 of 2)")
    assert text.endswith("In these tables svm is svm (space=z).")


def test_one_generator_is_no_comparison():
    assert methods_by_generators({"editing": {"gan-a": board("gan-a", {GOOD: 0.1, FLOOR: 0.9})}}) == ""


def test_nothing_reached_is_said():
    reading = {GOOD: {("smile", "+", "leakage"): Reading(np.inf, np.full(50, np.inf), False)}}
    none = leaderboard("gan-a", reading, {GOOD: "w"}, ["leakage"])
    text = methods_by_generators({"editing": {"gan-a": none, "gan-b": none}})
    assert rows_of(text, "### editing: leakage")[1]["pca"] == ["unreached", "unreached"]


def cell(space, variant):
    card = {"name": "native", "variant": variant, "approach": "baseline", "space": space, "fit_seed": 0}
    return Cell("representation", "gan-a", "", "heads", card, "ok", "", 1.0, 1.0, {"channels": [4, 4]}, {})


def record(variant, metric, value, **more):
    base = Record(
        task="representation", generator="gan-a", method="native", variant=variant, target="judged", metric=metric, value=value,
        ci_low=value - 0.01, ci_high=value + 0.01, judge="attributes[eyes]", n=64, higher_is_better=True, status="ok",
    )  # fmt: skip
    return replace(base, **more)


def test_spaces_come_in_the_order_of_the_field_with_their_controls():
    records = [
        record("space=s", "mig", 0.4),
        record("", "mig", 0.2),
        record("as_many_as=s", "mig", 0.1),
        record("", "separability", 3.0, higher_is_better=False),
        record("space=s", "separability", 7.0, higher_is_better=False, status="skipped"),
        record("", "mig", 9.0, attribute="smile"),
    ]
    cells = [cell("s", "space=s"), cell("w", ""), cell("w", "as_many_as=s"), cell("z", "space=z")]
    run = {"suite": {"tasks": {"representation": {}}, "generators": ["gan-a"], "seed": 0}}
    boards = {"editing": {"gan-a": board("gan-a", {FAIR: 0.3, LONE: 0.1, GOOD: 0.2})}}
    text = spaces_by_metrics(Results(records, cells, run), boards)
    head = "Judge: attributes[eyes]; n = 64."
    assert head in text
    lines = [line for line in text.splitlines() if line.startswith("| gan-a")]
    assert lines[:3] == [
        "| gan-a | w | 0.200 [0.190, 0.210] | 3.000 [2.990, 3.010] |",
        "| gan-a | w, mixed into as many channels as s | 0.100 [0.090, 0.110] | – |",
        "| gan-a | s | 0.400 [0.390, 0.410] | – |",
    ]
    assert "| generator | space | mig ↑ | separability ↓ |" in text
    # The method that edits in two spaces; the other one has nothing to be compared with.
    assert [line.split(" | ")[1:3] for line in lines[3:]] == [["svm", "z"], ["svm", "w"]]
    assert lines[4].split(" | ")[4].startswith("0.100")
