"""Where the plausible range of edits inside the generator ends: at the strength from which nothing more is switched."""

from dataclasses import replace

import pytest
import torch

from bench.bank import stream_ids
from bench.interventions import Unit
from bench.tasks.editing.plausible import Plausible, find_edge, same_interventions
from methods.base import Edit

UNIT = Unit("layer", torch.tensor([0, 2]), torch.tensor([1.0, 2.0]), "set", torch.ones(1, 1, 2, 2))


def test_the_same_is_the_same_to_the_bit():
    assert same_interventions((UNIT,), (replace(UNIT, value=UNIT.value.clone()),)) and same_interventions((), ())
    others = [
        replace(UNIT, layer="other"), replace(UNIT, mode="add"), replace(UNIT, mask=None), replace(UNIT, value=UNIT.value + 1),
        replace(UNIT, channels=torch.tensor([0, 1])),
    ]  # fmt: skip
    assert not any(same_interventions((UNIT,), (other,)) for other in others)
    assert not same_interventions((UNIT,), (UNIT, UNIT)) and not same_interventions((UNIT,), ())


class Switch:
    """Complete at strength 1: beyond it nothing more happens."""

    def __init__(self, codes):
        self.codes = codes

    def at(self, strength):
        share = min(abs(strength), 1.0)
        return Edit(self.codes, (replace(UNIT, value=UNIT.value * share),) if share else ())


def test_a_complete_switch_ends_where_it_is_complete(world, monkeypatch):
    cell = world.cell(world.directions({"warmth": {0: 1.0}}))
    plausible = Plausible(cell)
    monkeypatch.setattr(Plausible, "ratio", lambda self, edit: torch.zeros(len(edit.codes)))
    edge = find_edge(plausible, Switch(cell.generator.sample(stream_ids("calibrate", 8), seed=0)), 1)
    assert edge.strength == pytest.approx(1.0) and not edge.found
