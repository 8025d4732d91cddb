"""Sequences, undone edits and locality, in the world whose truth is known."""

from dataclasses import replace as replaced

import numpy as np
import pydantic
import pytest
import torch

from bench.cards import Attribute, DomainInfo
from bench.codes import Space
from bench.passes import Passes
from bench.tasks.editing.protocol import EditingSettings
from bench.tasks.editing.task import EditingTask
from leaderboards.records import records_csv
from methods.base import Edit

SETTINGS = EditingSettings(
    targets=("warmth", "hat"), sequences=(("warmth", "hat"),), test_codes=16, calibrate_codes=16, reference_codes=48,
    replicates=200,
)  # fmt: skip
NAME = "warmth>hat"


@pytest.fixture(scope="module")
def ordered(blocks):
    return blocks.World(settings=SETTINGS)


class Bent:
    """Warmth moves by strength (1 + bend warmth) (1 + cross hat), hat by strength: neither undone nor swapped without a rest."""

    targets = ("warmth", "hat")
    signed = True
    per_code = False

    def __init__(self, bend=0.0, cross=0.0):
        self.bend, self.cross = bend, cross

    def path(self, codes, requests, *, seed):
        codes = codes.with_values(codes.values, Space.W)
        bend, cross, target = self.bend, self.cross, requests[0].target

        class Path:
            def at(self, strength):
                values = codes.values.clone()
                if target == "warmth":
                    values[:, 0] += strength * (1 + bend * codes.values[:, 0]) * (1 + cross * codes.values[:, 4])
                else:
                    values[:, 4] += strength
                return Edit(codes.with_values(values))

        return Path()


def test_a_pure_sequence_moves_its_targets_and_nothing_else(ordered, blocks):
    _, records = ordered.run(ordered.directions({"warmth": {0: 1.0}, "hat": {4: 1.0}}))
    at = {"target": NAME, "sign": "+", "point": "effect_0.5"}
    assert blocks.find(records, metric="leakage", **at).value == pytest.approx(0.0, abs=1e-5)
    assert blocks.find(records, metric="target_effect", **at).value == pytest.approx(0.5, abs=1e-6)
    change = {name: blocks.find(records, metric="attribute_change", attribute=name, **at).value for name in blocks.names}
    # The effect is the mean over the sequence's targets: together they make it up, and the others do not move.
    assert (change["warmth"] + change["hat"]) / 2 == pytest.approx(0.5, abs=1e-5)
    assert min(change["warmth"], change["hat"]) > 0.2 and max(abs(change[n]) for n in ("height", "width", "tilt")) < 1e-5
    assert blocks.find(records, metric="leakage", **at).headline
    assert not [r for r in records if r.target == NAME and r.sign == "-"]


def test_leaks_of_a_sequence_add_up(ordered, blocks):
    leak = {"warmth": {0: 1.0, 2: 0.3}, "hat": {4: 1.0}}
    records = ordered.run(ordered.directions(leak))[1]
    both = blocks.find(records, target=NAME, metric="attribute_change", attribute="width", point="effect_0.5")
    warmth = blocks.find(records, target=NAME, metric="attribute_change", attribute="warmth", point="effect_0.5")
    # Width has the spread of warmth: the leak goes along with warmth's own change, 0.3 of it.
    sigma = ordered.run(ordered.directions(leak))[0][0][1].arrays["sigma"]
    assert both.value / warmth.value == pytest.approx(0.3 * sigma[0] / sigma[2], rel=1e-4)


def test_order_and_return_hold_by_construction_for_straight_lines(ordered, blocks):
    _, records = ordered.run(ordered.directions({"warmth": {0: 1.0}, "hat": {4: 1.0}}))
    order = blocks.find(records, target=NAME, metric="order_consistency")
    back = blocks.find(records, target="warmth", sign="+", metric="reversibility")
    assert (order.value, back.value) == (0.0, 0.0) and "by construction" in order.reason and "by construction" in back.reason


def test_a_bent_editor_is_neither_undone_nor_swapped(ordered, blocks):
    cells, records = ordered.run(Bent(bend=0.3, cross=0.4))
    arrays = cells[0][1].arrays
    back = blocks.find(records, target="warmth", sign="+", metric="reversibility")
    # x' = x + s (1 + b x) c, x'' = x' - s (1 + b x') c: what is left is -b s c (x' - x), in pictures the square of it.
    pairs = arrays["warmth/+/undone"].astype(np.float64)
    codes = ordered.generator.sample(torch.from_numpy(arrays["warmth/+/ids"]), seed=ordered.seed).values.double().numpy()
    strength, cross = arrays["warmth/+/strengths"][2], 1 + 0.4 * codes[:, 4]
    first = strength * (1 + 0.3 * codes[:, 0]) * cross
    left = -0.3 * strength * cross * first
    assert np.allclose(pairs, (0.05 * np.stack([left, first], 1)) ** 2, rtol=1e-3, atol=1e-9)
    assert back.value == pytest.approx(pairs[:, 0].sum() / pairs[:, 1].sum(), rel=1e-4) and back.value > 1e-3 and not back.reason
    assert back.ci_low < back.value < back.ci_high and back.n == len(pairs)
    order = blocks.find(records, target=NAME, metric="order_consistency")
    assert order.value > 1e-3 and not order.reason
    straight = blocks.find(ordered.run(Bent(bend=0.3))[1], target=NAME, metric="order_consistency")
    assert straight.value == 0.0  # hat does not enter warmth's step: the two commute


def test_sequences_that_cannot_be_asked_say_why(ordered, blocks):
    _, records = ordered.run(ordered.directions({"warmth": {0: 1.0}}))
    lost = blocks.find(records, target=NAME, metric="leakage", status="skipped")
    assert lost.reason == "hat cannot be raised by itself"
    editor = Bent()
    editor.per_code = True
    few = ordered.but(settings=SETTINGS.model_copy(update={"per_code_codes": 8}))
    _, records = few.run(editor)
    assert "works anew for every code" in blocks.find(records, target=NAME, metric="leakage").reason
    assert {r.n for r in records if r.target == "warmth" and r.metric == "leakage"} == {8}


@pytest.mark.parametrize("sequence", [("warmth", "warmth"), ("warmth", "tilt"), ("warmth",)])
def test_a_sequence_is_of_different_targets(sequence):
    with pytest.raises(pydantic.ValidationError):
        EditingSettings(targets=("warmth", "hat"), sequences=(sequence,))


@pytest.fixture(scope="module")
def mapped(ordered, blocks):
    """A judge that says which row of the picture is 'top' (pixels of w 0 to 7) and which 'rest'."""

    class Mapping(blocks.Judge):
        readings = blocks.Judge.readings | {"segmentation"}

        def measure(self, images):
            logits = torch.zeros(len(images), 2, blocks.R, blocks.R)
            logits[:, 0, :1] = 1
            logits[:, 1, 1:] = 1
            return {**super().measure(images), "segmentation": logits}

    class Regions(blocks.Blocks):
        def __init__(self, judge, guide):
            super().__init__(judge, guide)
            kinds = ("binary" if name == "hat" else "continuous" for name in blocks.names)
            attributes = tuple(Attribute(n, k, region=("top",) if n == "warmth" else ()) for n, k in zip(blocks.names, kinds))
            self.info = DomainInfo("blocks", attributes, self.info.guides, self.info.judges, ("top", "rest"))

    world = ordered.but(judge=Mapping())

    def run(rows):
        cell = replaced(world.cell(world.directions(rows)), domain=Regions(world.judge, world.guide))
        result = EditingTask().run(cell)
        return EditingTask().summarise(world.settings, [(cell.method, result)], world.seed)

    return run


def test_locality_is_the_share_of_the_change_in_the_region(mapped, blocks):
    at = {"target": "warmth", "sign": "+", "point": "effect_0.5"}
    inside = mapped({"warmth": {0: 1.0}, "hat": {4: 1.0}})
    assert blocks.find(inside, metric="locality", **at).value == pytest.approx(1.0)
    assert blocks.find(inside, metric="region_share", **at).value == pytest.approx(1 / blocks.R)
    # Dimension 9 lies in the second row: a third of the change is outside.
    outside = mapped({"warmth": {0: 1.0, 9: 0.5}, "hat": {4: 1.0}})
    assert blocks.find(outside, metric="locality", **at).value == pytest.approx(2 / 3, abs=1e-4)
    assert "segmentation[exact]" == blocks.find(outside, metric="locality", **at).judge
    # Hat's card leaves its region open, so that nothing is said of it, nor of the sequence.
    assert not [r for r in outside if r.metric == "locality" and r.target != "warmth"]


def test_sequences_do_not_depend_on_the_batch(ordered, blocks):
    editor = lambda: Bent(bend=0.2, cross=0.2)  # noqa: E731
    one, other = ordered.run(editor())[1], ordered.but(batch=16).run(editor())[1]
    plain = lambda records: records_csv(replaced(r, seconds=None) for r in records)  # noqa: E731
    assert plain(one) == plain(other) and Passes(ordered.generator, batch=16).group == 16
