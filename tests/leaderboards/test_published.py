"""The papers that ship: every file is well-formed, and every claim is decided where the records for it exist."""

from importlib import import_module, resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from bench.tasks.editing.protocol import THEN
from leaderboards.claims import evaluate, papers
from leaderboards.claims.model import CHANGE_OF, FIT, HELD, Constant, Side
from leaderboards.claims.text import sections, summary
from leaderboards.claims.values import Values
from leaderboards.ranking import Reading

PAPERS = {paper.id: paper for paper in papers()}
SELECTED = [(paper, claim) for paper in papers() for claim in paper.claims if claim.select]
BUILT = {
    "interfacegan", "sefa", "ganspace", "styleflow", "stylespace", "styleclip", "higan", "gan_dissection", "hessian_penalty",
    "image2stylegan", "improved_stylegan_embedding", "stylegan", "stylegan2", "disentanglement_lib", "own",
}  # fmt: skip


def test_the_papers_are_there_and_our_own_come_last():
    assert set(PAPERS) >= BUILT and list(PAPERS)[-1] == "own"
    folder = resources.files("leaderboards") / "published"
    assert {file.name for file in folder.iterdir() if file.name.endswith(".yaml")} == {f"{name}.yaml" for name in PAPERS}


def test_published_files_reach_the_wheel():
    """Package data is '*.yaml' of every package found; a folder without modules is one where namespaces are looked for."""
    setuptools, root = pytest.importorskip("setuptools"), Path(__file__).resolve().parents[2]
    chosen = {"include": ["leaderboards*"], "exclude": ["leaderboards.results*"]}
    assert {"leaderboards.published", "leaderboards.claims"} <= set(setuptools.find_namespace_packages(str(root), **chosen))


@pytest.mark.parametrize("name", sorted(BUILT))
def test_every_claim_is_selectable_or_has_a_reason(name):
    paper = PAPERS[name]
    assert paper.claims
    for claim in paper.claims:
        assert bool(claim.select) != bool(claim.not_evaluated), claim.id
    for table in paper.tables:
        assert table.verified != (table.source == "recalled"), f"{table.id}: what was read names where, what was recalled says so"


def test_no_figure_of_a_paper_enters_a_verdict():
    constants = [claim.select.right for _, claim in SELECTED if isinstance(claim.select.right, Constant)]
    assert constants and {one.figure for one in constants} == {None} and {one.chance for one in constants} == {0, 0.5}


def test_a_known_table_is_what_was_read():
    dci = next(table for table in PAPERS["stylespace"].tables if table.id == "dci-w-s-read")
    assert dci.verified and [row.values for row in dci.rows] == [(0.54, 0.57), (0.75, 0.87)]
    accuracy = PAPERS["interfacegan"].tables[0]
    assert not accuracy.verified and accuracy.rows[1].values == (90.3, 78.5, 75.3, 84.2, 80.1)


def test_files_hold_plain_values():
    for file in (resources.files("leaderboards") / "published").iterdir():
        if file.name.endswith(".yaml"):
            text = file.read_text(encoding="utf-8")
            assert yaml.safe_load(text)["id"] == file.name.removesuffix(".yaml") and "find_string" not in text


# Synthetic records: for each claim entries that both sides select, and readings that go as it says, or not.

GUESSES = {"option": "1", "method": "some_method", "approach": "supervised", "space": "w"}


def card_of(side, **more):
    """A card that the side selects. more: options beside those that it speaks of."""
    method = (side.method or (GUESSES["method"],))[0].replace("*", "")
    firsts = {name: value[-1] if isinstance(value, tuple) else value for name, value in side.options.items()}
    wanted = {name: value for name, value in firsts.items() if value != "absent"}
    options = {name: GUESSES["option"] if value == "present" else value for name, value in wanted.items()} | more
    hold = ["glasses"] if side.hold == "present" else []
    options |= {"hold": "glasses"} if hold else {}
    approach = (side.approach or (GUESSES["approach"],))[0]
    space = (side.space or (GUESSES["space"],))[0]
    options |= {"space": space} if space != "w" else {}
    variant = ",".join(f"{name}={value}" for name, value in options.items())
    return {"name": method, "variant": variant, "approach": approach, "space": space, "hold": hold, "fit_seed": 0, "version": 1}


class Synthetic:
    """Stands for a folder's Source: two entries, and values by side."""

    def __init__(self, claim, left, right):
        chosen, generator = claim.select, (claim.select.generators or ("g",))[0].replace("*", "")
        named = [claim.select.left.generator, getattr(claim.select.right, "generator", None)]
        self.results = SimpleNamespace(generators=list(filter(None, named)) or [generator])
        amounts = [{chosen.larger: 0.9}, {chosen.larger: 0.8}] if chosen.larger else [{}, {}]
        both = zip((chosen.left, chosen.right), amounts, strict=True)
        sides = [card_of(side, **more) for side, more in both if isinstance(side, Side)]
        self.table = {(card["name"], card["variant"]): card for card in sides}
        self.chosen, self.first, self.both = chosen, (sides[0]["name"], sides[0]["variant"]), (left, right)

    def cards(self, task, generator):
        assert task == self.chosen.task
        return self.table

    def values(self, task, generator, one, metric):
        chosen = self.chosen
        ours = chosen.left.metric == metric if chosen.left.metric else one == self.first
        ours = generator == chosen.left.generator if chosen.left.generator else ours
        value = self.both[0 if ours else 1]
        count = {"any": 2}.get(chosen.sequence, chosen.sequence)
        targets = [">".join(["age", "glasses", "beard", "smile"][:count])]
        if chosen.left.target:
            targets = [chosen.left.target, getattr(chosen.right, "target", None) or "another"]
        if chosen.targets:
            targets = list(chosen.targets)
        if task == FIT:
            rows = targets if chosen.targets or chosen.left.target else [""]
            level = lambda row: self.both[row != chosen.left.target] if chosen.left.target else value  # noqa: E731
            return Values(points={(row, ""): (level(row),) for row in rows}, metric=metric, n=(1,))
        made = {}
        for target in targets:
            mine = value if not chosen.left.target else self.both[target != chosen.left.target]
            noise = 0.001 * np.random.default_rng(5).standard_normal(200)
            made[target, "+"] = Reading(mine, mine + noise, False)
        return Values(made, {}, metric, ("attributes[toy]",), (16,))


def sides(claim):
    """(left, right) that go as the claim says, and that do not; a constant in place of the right one is what it is."""
    chosen = claim.select
    if isinstance(chosen.right, Constant):
        value = chosen.right.value
        near = 0.001 if chosen.relation == "equal_within" else 0.4
        good = value - near if chosen.relation == "less" else value + near
        bad = value + 0.4 if chosen.relation in ("less", "equal_within") else value - 0.4
        return (good, 0.0), (bad, 0.0)
    right = {"less": (0.2, 0.9), "greater": (0.9 * chosen.times, 0.2), "equal_within": (0.5, 0.5)}[chosen.relation]
    return right, (9.0, 0.1) if chosen.relation == "less" else (0.1, 9.0)


@pytest.mark.parametrize(("paper", "claim"), SELECTED, ids=lambda one: one.id)
def test_a_claim_follows_the_records(paper, claim):
    good, bad = sides(claim)
    alone = paper.model_copy(update={"claims": (claim,)})
    found = evaluate(Synthetic(claim, *good), [alone])
    assert found and {one.result.verdict for one in found} == {"holds"}
    assert len(found) == max(1, len(claim.select.metrics))
    if f"{CHANGE_OF}{HELD}" in claim.select.metrics:
        assert found[0].metrics == ("change of glasses",) * 2
    assert {one.result.verdict for one in evaluate(Synthetic(claim, *bad), [alone])} == {"fails"}
    assert claim.statement in sections(found)[0]["text"]
    assert f"| `{paper.id}` | 1 | 1 | 0 | 0 |" in summary([alone], found)


@pytest.mark.parametrize(
    "wanted",
    [
        "interfacegan/conditional-preserves-condition", "own/holding-lowers-leakage", "interfacegan/w-edits-better-than-z",
        "stylespace/s-attribute-dependency-below-interfacegan", "own/channels-leak-less-than-weights-directions",
        "stylespace/s-more-disentangled-than-w", "stylespace/w-more-disentangled-than-z",
        "styleflow/sequences-leak-less-than-linear", "own/global-directions-leak-less-than-optimisation",
        "image2stylegan/wplus-optimisation-beats-w", "sefa/no-sampling-cheaper-than-ganspace", "own/truth-leaks-less",
        "own/supervised-leaks-less-than-chance", "own/unsupervised-leaks-less-than-chance",
        "gan_dissection/ablating-class-units-removes-class", "gan_dissection/causal-choice-beats-iou-choice",
        "gan_dissection/insertion-depends-on-context", "higan/early-layers-set-layout", "higan/layerwise-edit-keeps-other-levels",
        "styleflow/flow-roundtrip", "styleflow/conditional-samples-have-attributes", "hessian_penalty/search-lowers-penalty",
        "styleclip/larger-beta-fewer-channels", "styleclip/identity-term-keeps-identity", "stylespace/single-channel-localised",
    ],
)  # fmt: skip
def test_the_claims_that_matter_most_are_selected(wanted):
    assert wanted in {f"{paper.id}/{claim.id}" for paper, claim in SELECTED}


def test_sequences_are_named_as_the_editing_task_names_them():
    assert import_module("leaderboards.claims.evaluate").THEN == THEN


def test_sequences_of_another_length_are_other_questions():
    claim = next(claim for _, claim in SELECTED if claim.id == "sequences-leak-less-than-linear")
    source = Synthetic(claim, 0.2, 0.9)
    source.chosen = claim.select.model_copy(update={"sequence": 2})  # the folder has sequences of two alone
    assert evaluate(source, [PAPERS["styleflow"].model_copy(update={"claims": (claim,)})]) == []


def test_an_entry_beside_itself_is_not_judged_by_what_it_does_not_reach():
    claim = next(claim for _, claim in SELECTED if claim.id == "single-channel-localised")
    source = Synthetic(claim, 0.6, 0.3)
    plain = source.values

    def values(task, generator, one, metric):
        """A third of locality's replicates is not reached, and a second question is not at all; shares have no worst."""
        found = plain(task, generator, one, metric).readings
        if metric != "locality":
            return Values(found | {("beard", "+"): found["age", "+"]}, metric=metric)
        some = found["age", "+"].replicates.copy()
        some[::3] = -np.inf
        lost = Reading(-np.inf, np.full(len(some), -np.inf), True)
        return Values({("age", "+"): Reading(0.6, some, True), ("beard", "+"): lost}, metric=metric)

    source.values = values
    (found,) = evaluate(source, [PAPERS["stylespace"].model_copy(update={"claims": (claim,)})])
    assert (found.result.verdict, found.result.questions, found.result.difference) == ("holds", 1, pytest.approx(0.3))
