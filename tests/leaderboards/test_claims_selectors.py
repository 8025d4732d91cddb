"""Selectors: which entries a claim compares, and what is wrong with a malformed one, in one line."""

import textwrap

import pytest

from bench.errors import InputError
from leaderboards.claims.library import load_papers, parse_paper
from leaderboards.claims.model import Select, Side
from leaderboards.claims.selectors import amount, matches, meant_for, options_of, pairs, places, select


def card(name, variant="", space="w", approach="supervised", hold=()):
    return {
        "name": name,
        "variant": variant,
        "space": space,
        "approach": approach,
        "hold": list(hold),
        "fit_seed": 0,
        "version": 1,
    }


CARDS = {
    (one["name"], one["variant"]): one
    for one in (
        card("interfacegan"),
        card("interfacegan", "hold=glasses", hold=["glasses"]),
        card("interfacegan", "space=z", space="z"),
        card("interfacegan", "space=z,C=0.1", space="z"),
        card("interfacegan", "C=0.1"),
        card("sefa", approach="unsupervised"),
        card("random", approach="baseline"),
        card("styleclip_global", "beta=0.08", "s", "zero_shot"),
        card("styleclip_global", "beta=0.15", "s", "zero_shot"),
        card("styleclip_global", "beta=0.15,alpha=4", "s", "zero_shot"),
    )
}


def chosen(left, right, **more):
    return pairs(Select(task="editing", metrics="leakage", left=left, relation="less", right=right, **more), CARDS)


def test_options_are_read_from_the_variant():
    assert options_of("") == {}
    assert options_of("space=z,layer=main.0,num_samples=10000") == {"space": "z", "layer": "main.0", "num_samples": "10000"}
    assert options_of("layers=0-3+5,names=a,b") == {"layers": "0-3+5", "names": "a,b"}


def test_sides_narrow_down():
    assert select(Side(method="sefa"), CARDS) == [("sefa", "")]
    assert select(Side(method=["sefa", "random"]), CARDS) == [("random", ""), ("sefa", "")]
    assert len(select(Side(method="styleclip_*"), CARDS)) == 3
    assert select(Side(approach="supervised", hold="present"), CARDS) == [("interfacegan", "hold=glasses")]
    assert select(Side(method="interfacegan", space="z"), CARDS) == [
        ("interfacegan", "space=z"),
        ("interfacegan", "space=z,C=0.1"),
    ]
    assert ("random", "") not in select(Side(except_method="random"), CARDS) and len(select(Side(), CARDS)) == len(CARDS)
    assert select(Side(method="interfacegan", options={"C": 0.10}), CARDS) == [
        ("interfacegan", "C=0.1"), ("interfacegan", "space=z,C=0.1"),
    ]  # fmt: skip
    assert not matches(Side(options={"C": "absent"}), CARDS["interfacegan", "C=0.1"])
    assert matches(Side(options={"C": "present"}), CARDS["interfacegan", "C=0.1"])


def test_pairs_are_alike_in_what_they_are_paired_on():
    w, z = {"method": "interfacegan", "space": "w", "hold": "absent"}, {"method": "interfacegan", "space": "z"}
    assert chosen(w, z, paired_on=["method", "options"]) == [
        (("interfacegan", ""), ("interfacegan", "space=z")), (("interfacegan", "C=0.1"), ("interfacegan", "space=z,C=0.1")),
    ]  # fmt: skip
    assert len(chosen(w, z)) == 4
    assert chosen({"hold": "present"}, {"hold": "absent"}, paired_on=["method", "space", "options"]) == [
        (("interfacegan", "hold=glasses"), ("interfacegan", ""))
    ]


def test_options_that_a_side_speaks_of_may_differ_and_others_may_not():
    found = chosen(
        {"method": "styleclip_global", "options": {"beta": 0.08}},
        {"method": "styleclip_global", "options": {"beta": 0.15}},
        paired_on=["method", "options"],
    )
    assert found == [(("styleclip_global", "beta=0.08"), ("styleclip_global", "beta=0.15"))]


def test_the_side_with_more_of_an_option_is_the_left_one():
    words = {"method": "styleclip_global"}
    found = chosen(words, words, paired_on=["method", "options"], larger="beta")
    assert found == [(("styleclip_global", "beta=0.15"), ("styleclip_global", "beta=0.08"))]
    found = chosen(words, words, larger="alpha")  # at its default, 5, where the variant does not name it
    assert {(a, b) for (_, a), (_, b) in found} == {("beta=0.08", "beta=0.15,alpha=4"), ("beta=0.15", "beta=0.15,alpha=4")}
    assert chosen(words, words, larger="templates") == []  # no number
    assert chosen({"method": "interfacegan"}, {"method": "sefa"}, larger="C") == []  # SeFa has none
    assert amount(card("styleclip_global"), "beta") == 0.13 and amount(card("of_a_plug_in"), "beta") is None


def test_an_option_may_be_one_of_several():
    some = Side(method="styleclip_global", options={"beta": [0.08, "absent"]})
    assert select(some, CARDS) == [("styleclip_global", "beta=0.08")]
    assert matches(some, card("styleclip_global", "alpha=4", "s")) and not matches(some, CARDS["styleclip_global", "beta=0.15"])


def test_an_entry_stands_against_itself_only_with_another_metric():
    sefa = {"method": "sefa"}
    assert chosen(sefa, sefa) == []
    itself = Select(
        task="editing", left={**sefa, "metric": "locality"}, relation="greater", right={**sefa, "metric": "region_share"}
    )
    assert pairs(itself, CARDS) == [(("sefa", ""), ("sefa", ""))]
    assert chosen(sefa, {"chance": 0.5}) == [(("sefa", ""), None)]


def test_generators_are_names_or_patterns():
    assert meant_for(None, "heads-oracle") and meant_for(("*stylegan2*",), "heads-stylegan2")
    assert not meant_for(("*stylegan", "*stylegan-*"), "heads-stylegan2")


CLAIM = """
    id: toy
    title: A toy
    authors: Nobody
    venue: nowhere
    arxiv: "2001.00001"
    system: supervised
    setting: none
    claims:
      - id: one
        location: Sec. 1
        verified: false
        statement: Left is less than right.
        metric: leakage
        scope: everywhere
"""
SELECT = """
        select:
          task: editing
          metrics: [leakage]
          left: {method: a}
          relation: less
          right: {method: b}
"""


def paper(text):
    return parse_paper(textwrap.dedent(CLAIM.rstrip("\n") + text), "toy.yaml")


def test_a_well_formed_paper_is_read():
    assert paper(SELECT).claims[0].select.right.method == ("b",)
    assert paper("\n        not_evaluated: nobody measures it\n").claims[0].select is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("left: {method: a}", "left: {methods: a}", "claims.0.select.left.methods: Extra inputs are not permitted"),
        ("right: {method: b}", "right: {spaces: w}", "claims.0.select.right.spaces: Extra inputs are not permitted"),
        ("right: {method: b}", "right: random", "claims.0.select.right"),
        ("relation: less", "relation: below", "claims.0.select.relation"),
        ("relation: less", "relation: equal_within", "equal_within needs a tolerance"),
        ("relation: less", "relation: less\n          tolerance: {absolute: 1}", "nothing else has one"),
        ("metrics: [leakage]", "paired_on: [generator]", "claims.0.select.paired_on.0"),
        ("metrics: [leakage]", "signs: ['+']", "give metrics, or a metric to either side"),
        ("metrics: [leakage]", "metrics: [change of held]", "needs a left side with hold: present"),
        ("task: editing", "task: fit", "a fit has fit_seconds and TABLE.COLUMN, not 'leakage'"),
        ("right: {method: b}", "right: {figure: 95}", "no verdict is computed from a figure that is not verified"),
        ("right: {method: b}", "right: {figure: 95, chance: 50}", "give either chance or figure"),
        ("right: {method: b}", "right: {chance: 0}\n          larger: beta", "larger compares two sides"),
        ("left: {method: a}", "left: {method: a, options: {beta: [1]}}", "claims.0.select.left.options.beta"),
        ("left: {method: a}", "left: {method: a, hold: maybe}", "claims.0.select.left.hold"),
        ("left: {method: a}", "left: {method: [}", "not well-formed YAML"),
        ("task: editing", "task: editing\n          task: text", "the key 'task' is given twice"),
    ],
)
def test_a_malformed_selector_ends_in_one_clear_line(old, new, said):
    assert old in SELECT
    with pytest.raises(InputError) as error:
        paper(SELECT.replace(old, new))
    text = str(error.value)
    assert text.startswith("toy.yaml") and "\n" not in text
    assert said in text


def test_a_claim_is_selectable_or_says_why_not():
    with pytest.raises(InputError, match="claim one: give either select or not_evaluated"):
        paper("")
    with pytest.raises(InputError, match="claim one: give either select or not_evaluated"):
        paper(SELECT + "        not_evaluated: a reason\n")


def test_verified_figures_may_decide():
    text = textwrap.dedent(CLAIM.replace("verified: false", "verified: true").rstrip("\n") + SELECT)
    assert parse_paper(text.replace("{method: b}", "{figure: 95}"), "toy.yaml").claims[0].select.right.value == 95


def test_a_file_bears_its_paper_s_id(tmp_path):
    (tmp_path / "other.yaml").write_text(textwrap.dedent(CLAIM.rstrip("\n") + SELECT))
    with pytest.raises(InputError, match="name the file toy.yaml"):
        load_papers([tmp_path / "other.yaml"])
    (tmp_path / "other.yaml").write_text("- 1\n")
    with pytest.raises(InputError, match="a paper is a mapping"):
        load_papers([tmp_path / "other.yaml"])
    with pytest.raises(InputError, match="cannot be read"):
        load_papers([tmp_path / "none.yaml"])


def test_sides_of_two_generators_stand_against_each_other():
    both = {"left": {"method": "sefa", "generator": "with"}, "right": {"method": "sefa", "generator": "without"}}
    claim = Select(task="editing", metrics="leakage", relation="less", **both)
    assert places(claim, ["without", "other", "with"]) == [("with", "without")]
    assert places(claim, ["with", "other"]) == []
    assert pairs(claim, CARDS, CARDS) == [(("sefa", ""), ("sefa", ""))] and pairs(claim, CARDS, {}) == []
    within = Select(task="editing", metrics="leakage", relation="less", left={}, right={}, generators="w*")
    assert places(within, ["without", "other", "with"]) == [("without", "without"), ("with", "with")]
    for wrong in (both | {"right": {}}, both | {"right": {"chance": 0.5}}, both | {"generators": "with"}):
        with pytest.raises(ValueError, match="either both sides name a generator"):
            Select(task="editing", metrics="leakage", relation="less", **wrong)
