"""Invariants of the direction editor."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.codes import Space
from bench.errors import InputError, SpaceError
from methods.base import Request, pack_json, unpack_json
from methods.editors import DirectionEditor, largest_positive, project_off, unit

SEEDS = st.integers(0, 2**31)


def directions(*shape, seed=0):
    return unit(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


@pytest.fixture
def generator(toy):
    return toy()


@pytest.mark.parametrize("space", ["z", "w", "w+"])
def test_strength_zero_changes_no_bit(generator, codes, space):
    editor = DirectionEditor(generator, directions(3, generator.info.spaces[space][-1]), ("a", "b", "c"), space)
    path = editor.path(codes(generator), [Request("a"), Request("c")])
    assert torch.equal(path.at(0).codes.values, codes(generator, space=space).values)
    assert torch.equal(path.at(torch.zeros(5)).codes.values, codes(generator, space=space).values)


def test_a_strength_per_code_is_the_edit_of_each_code_alone(generator, codes):
    editor = DirectionEditor(generator, directions(1, 12), ("a",), "w", scale=torch.tensor([2.5]))
    strengths = torch.tensor([-2.0, -0.5, 0.0, 1.0, 3.0])
    together = editor.path(codes(generator), [Request("a")]).at(strengths).codes
    for i, strength in enumerate(strengths.tolist()):
        alone = editor.path(codes(generator)[[i]], [Request("a")]).at(strength).codes
        torch.testing.assert_close(together.values[[i]], alone.values, rtol=1e-6, atol=1e-6)
    moved = together.values - codes(generator, space="w").values
    torch.testing.assert_close(moved.norm(dim=1), strengths.abs() * 2.5, rtol=1e-5, atol=1e-5)


def test_edits_of_chosen_rows_leave_the_other_rows_as_they_are(generator, codes):
    editor = DirectionEditor(generator, directions(2, 12), ("a", "b"), "w+", rows=(1, 3))
    before = codes(generator, space="w+").values
    after = editor.path(codes(generator), [Request("b")]).at(1.5).codes
    assert after.space == Space.W_PLUS
    assert torch.equal(after.values[:, [0, 2]], before[:, [0, 2]])
    torch.testing.assert_close(after.values[:, [1, 3]] - before[:, [1, 3]], (1.5 * editor.directions[1]).expand(5, 2, 12))


def test_layered_directions_move_each_row_its_own_way(generator, codes):
    layered = directions(1, 4, 12)
    editor = DirectionEditor(generator, layered, ("a",), "w+")
    moved = editor.path(codes(generator), [Request("a")]).at(2.0).codes.values - codes(generator, space="w+").values
    torch.testing.assert_close(moved, 2 * layered.expand(5, -1, -1), rtol=1e-5, atol=2e-6)


def test_codes_of_w_plus_stay_there_when_the_editor_moves_in_w(generator, codes):
    editor = DirectionEditor(generator, directions(1, 12), ("a",), "w")
    edited = editor.path(codes(generator, space="w+"), [Request("a")]).at(1.0).codes
    same = editor.path(codes(generator), [Request("a")]).at(1.0).codes
    assert edited.space == Space.W_PLUS
    assert torch.equal(edited.values, generator.convert(same, "w+").values)


def test_several_requests_add_up(generator, codes):
    editor = DirectionEditor(generator, directions(2, 12), ("a", "b"), "w")
    both = editor.path(codes(generator), [Request("a"), Request("b")]).at(0.7).codes
    first = editor.path(codes(generator), [Request("a")]).at(0.7).codes
    second = editor.path(first, [Request("b")]).at(0.7).codes
    torch.testing.assert_close(both.values, second.values, rtol=1e-5, atol=1e-5)


def test_gradients_reach_codes_and_strength(generator, codes):
    strength = torch.ones(5, requires_grad=True)
    start = codes(generator, space="w")
    start = start.with_values(start.values.clone().requires_grad_())
    editor = DirectionEditor(generator, directions(1, 12), ("a",), "w")
    (editor.path(start, [Request("a")]).at(strength).codes.values @ editor.directions[0]).sum().backward()
    torch.testing.assert_close(strength.grad, torch.ones(5))
    torch.testing.assert_close(start.values.grad, editor.directions.expand(5, -1))


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, conditions=st.integers(1, 6), near=st.floats(0, 0.999))
def test_a_projected_direction_is_a_unit_vector_orthogonal_to_every_condition(seed, conditions, near):
    held = directions(conditions, 24, seed=seed)
    primal = unit(near * held[:1] + (1 - near) * directions(1, 24, seed=seed + 1))[0]
    found = project_off(primal, held)
    assert (held @ found).abs().max() < 1e-5
    assert abs(found.norm() - 1) < 1e-5
    assert found @ primal > 0


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_dependent_conditions_project_as_their_span(seed):
    held, primal = directions(2, 16, seed=seed), directions(1, 16, seed=seed + 1)[0]
    doubled = torch.cat([held, unit(held.sum(0, keepdim=True)), held[:1]])
    torch.testing.assert_close(project_off(primal, doubled), project_off(primal, held), rtol=1e-4, atol=1e-5)


def test_held_attributes_are_projected_off_but_never_the_target_itself(generator):
    editor = DirectionEditor(generator, directions(3, 12), ("a", "b", "c"), "w", hold=("b",), scale=torch.tensor([1.0, 2.0, 3.0]))
    a, b, c = editor.directions
    assert abs(editor.step(Request("a")) @ b) < 1e-5
    assert abs(editor.step(Request("a", hold=("c",))) @ c) < 1e-5
    assert abs(editor.step(Request("a", hold=("c",))) @ b) < 1e-5
    assert torch.equal(editor.step(Request("b")), 2 * b)
    assert abs(editor.step(Request("c")).norm() - 3) < 1e-5


def test_a_direction_inside_the_held_span_is_refused(generator):
    editor = DirectionEditor(generator, directions(1, 12).repeat(2, 1), ("a", "b"), "w")
    with pytest.raises(InputError, match="hold fewer"):
        editor.step(Request("a", hold=("b",)))


def test_largest_entry_is_positive():
    signed = largest_positive(directions(6, 9))
    assert (signed.gather(1, signed.abs().argmax(1, keepdim=True)) > 0).all()
    torch.testing.assert_close(signed.abs(), directions(6, 9).abs())


@pytest.mark.parametrize("rows,space", [(None, "w"), ((0, 2), "w+")])
def test_a_stored_editor_comes_back_the_same(generator, codes, rows, space):
    editor = DirectionEditor(
        generator, directions(3, 12), ("a", "b", "c"), space, rows=rows, scale=torch.rand(3), hold=("c",), targets=("a", "b")
    )
    again = DirectionEditor.from_state(generator, editor.state())
    assert all(isinstance(value, torch.Tensor) for value in editor.state().values())
    assert (again.names, again.targets, again.space, again.rows, again.hold) == (
        editor.names,
        editor.targets,
        editor.space,
        editor.rows,
        editor.hold,
    )
    one, two = (e.path(codes(generator), [Request("b")]).at(1.3).codes.values for e in (editor, again))
    assert torch.equal(one, two)


@given(value=st.dictionaries(st.text(), st.lists(st.floats(allow_nan=False) | st.none())))
def test_packed_json_comes_back(value):
    assert unpack_json(pack_json(value)) == value


@pytest.mark.parametrize(
    "change,match",
    [
        ({"names": ("a",)}, "as many names"),
        ({"space": "p"}, "no space p"),
        ({"directions": torch.ones(2, 7)}, "shape"),
        ({"rows": (0,)}, "layered space"),
        ({"space": "w+", "rows": (0, 4)}, "rows 0 to 3"),
        ({"space": "w+", "rows": ()}, "rows 0 to 3"),
        ({"hold": ("smille",)}, "unknown direction 'smille'"),
        ({"targets": ("x",)}, "unknown direction 'x'"),
    ],
)
def test_editors_that_cannot_be(generator, change, match):
    with pytest.raises(InputError, match=match):
        DirectionEditor(**{"generator": generator, "directions": directions(2, 12), "names": ("a", "b"), "space": "w", **change})


def test_requests_that_cannot_be(generator, codes):
    editor = DirectionEditor(generator, directions(2, 12), ("smile", "age"), "w", targets=("smile",))
    with pytest.raises(InputError, match="unknown target 'smiles': did you mean smile"):
        editor.path(codes(generator), [Request("smiles")])
    with pytest.raises(InputError, match="unknown target 'age'"):
        editor.path(codes(generator), [Request("age")])
    with pytest.raises(InputError, match="unknown direction 'glass'"):
        editor.path(codes(generator), [Request("smile", hold=("glass",))])
    with pytest.raises(InputError, match="at least one request"):
        editor.path(codes(generator), [])
    with pytest.raises(InputError, match="5 codes need one strength"):
        editor.path(codes(generator), [Request("smile")]).at(torch.ones(4))
    in_z = DirectionEditor(generator, directions(1, 8), ("smile",), "z")
    with pytest.raises(SpaceError):
        in_z.path(codes(generator, space="w"), [Request("smile")])
    with pytest.raises(InputError, match="length zero or is not finite"):
        unit(torch.zeros(1, 3))
