"""Edits that take another code's feature map inside a mask (Blend) go through the editing task as any other edit does."""

from dataclasses import replace

import pytest
import torch

from bench.bank import stream_ids
from bench.cards import LayerInfo
from bench.generators.layered import Layered
from bench.interventions import Blend
from bench.tasks.editing.plausible import Plausible, find_edge, same_interventions
from methods.base import Edit, Request


class Painter:
    """Moves every code along a direction and takes the moved code's map inside the mask; beyond `most` nothing more happens."""

    signed, per_code, targets = True, False, ("warmth",)

    def __init__(self, direction, mask, most=float("inf")):
        self.direction, self.mask, self.most = direction, mask, most

    def path(self, codes, requests, *, seed):
        return Painting(self, codes)


class Painting:
    def __init__(self, painter, codes):
        self.painter, self.codes = painter, codes

    def at(self, strength):
        strength = max(-self.painter.most, min(self.painter.most, float(strength)))
        if not strength:
            return Edit(self.codes)
        moved = self.codes.with_values(self.codes.values + strength * self.painter.direction)
        return Edit(self.codes, (Blend("picture", self.painter.mask, moved),))


@pytest.fixture(scope="module")
def painted(world, blocks):
    """The world of known truth, whose generator shows its picture as a layer."""

    class Canvas(blocks.Linear, Layered):
        def __init__(self):
            super().__init__()
            self.info = replace(self.info, layers=(LayerInfo("picture", blocks.R, 3),))

        def run(self, codes, *, noise, visit=lambda name, x: x, last=None):
            return visit("picture", super().synthesize(codes))

        synthesize = Layered.synthesize

    return world.but(generator=Canvas(), settings=world.settings.model_copy(update={"targets": ("warmth",)}))


def both(blocks):
    """A direction of warmth and, as much again, of height: pixels 0 and 1 of the first row."""
    direction = torch.zeros(blocks.D)
    direction[:2] = 1
    return direction


def masked(blocks, columns):
    mask = torch.zeros(1, 1, blocks.R, blocks.R)
    mask[:, :, 0, :columns] = 1
    return mask


def test_a_blend_of_everything_is_the_moved_code(painted, blocks):
    """Each number is that of the same direction as an edit of codes."""
    cells, whole = painted.run(Painter(both(blocks), torch.ones(1, 1, blocks.R, blocks.R)))
    codes = painted.run(painted.directions({"warmth": {0: 1.0, 1: 1.0}}))[1]
    key = lambda r: (r.target, r.sign, r.attribute, r.point, r.metric)  # noqa: E731
    left, right = ({key(r): r.value for r in records if r.value is not None and r.point != "grid"} for records in (whole, codes))
    # An intervention holds for the code that it was made for: there is no code from which to take it back.
    assert all("inside the generator" in facts["undone"] for facts in cells[0][1].facts["questions"].values())
    assert {one[-1] for one in right.keys() - left.keys()} == {"reversibility"} and len(left) > 40
    for one in left:
        assert left[one] == pytest.approx(right[one], rel=1e-3, abs=1e-4), one


def test_a_mask_keeps_what_lies_outside_it(painted, blocks):
    place = dict(target="warmth", sign="+", point="effect_0.5", metric="leakage")
    editors = [Painter(both(blocks), masked(blocks, n)) for n in (1, 2)] + [painted.directions({"warmth": {0: 1.0, 1: 1.0}})]
    one, two, plain = (blocks.find(painted.run(editor)[1], **place).value for editor in editors)
    assert one < 1e-4 and two == pytest.approx(plain, rel=1e-3) and plain > 0.1


def test_what_a_blend_shows_has_to_be_plausible(painted, blocks):
    """The edge is that of the moved code, not of the code that stays."""
    codes = painted.generator.sample(stream_ids("calibrate", 32), seed=0)
    plausible = Plausible(painted.cell(Painter(both(blocks), masked(blocks, 1))))
    painting = Painter(both(blocks), masked(blocks, 1)).path(codes, [], seed=0)
    plain = painted.directions({"warmth": {0: 1.0, 1: 1.0}}).path(codes, [Request("warmth")], seed=0)
    assert find_edge(plausible, painting, 1) == find_edge(plausible, plain, 1)
    assert float(plausible.ratio(painting.at(50.0)).min()) > 1 >= float(plausible.ratio(painting.at(0.0)).median())


def test_a_painting_that_is_complete_ends_there(painted, blocks, monkeypatch):
    monkeypatch.setattr(Plausible, "ratio", lambda self, edit: torch.zeros(len(edit.codes)))
    painter = Painter(both(blocks), masked(blocks, 1), most=4.0)
    codes = painted.generator.sample(stream_ids("calibrate", 8), seed=0)
    edge = find_edge(Plausible(painted.cell(painter)), painter.path(codes, [], seed=0), 1)
    assert edge.strength == pytest.approx(4.0) and not edge.found


def test_blends_are_the_same_to_the_bit(painted, blocks):
    codes = painted.generator.sample(stream_ids("calibrate", 4), seed=0)
    one = Blend("picture", masked(blocks, 1), codes)
    assert same_interventions((one,), (replace(one, mask=one.mask.clone()),))
    moved = codes.with_values(codes.values + 1e-6)
    others = [replace(one, layer="other"), replace(one, mask=masked(blocks, 2)), replace(one, other=moved)]
    assert not any(same_interventions((one,), (other,)) for other in others)
