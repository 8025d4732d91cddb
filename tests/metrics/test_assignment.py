"""Assignment of components to attributes: known answers, trades, signs, components that do nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import InputError
from metrics import assignment as a

NAMES = ("smile", "age", "yaw")


@settings(max_examples=40, deadline=None)
@given(
    st.permutations(range(3)),
    st.lists(st.sampled_from([-1, 1]), min_size=3, max_size=3),
    st.lists(st.floats(0.5, 9), min_size=3, max_size=3),
)
def test_signed_scaled_permutations_are_found_whatever_the_step(order, signs, steps):
    effects = np.zeros((3, 3))
    for k, (column, sign, step) in enumerate(zip(order, signs, steps, strict=True)):
        effects[k, column] = sign * step
    found = a.assign(effects, NAMES, NAMES)
    for k, column in enumerate(order):
        one = found[NAMES[column]]
        assert (one.component, one.sign) == (k, signs[k])
        assert one.confidence > 0.95 and one.margin == one.confidence


def test_a_component_is_worth_what_it_does_purely_not_strongly():
    effects = np.array([[3.0, 3.0, 3.0], [0.8, 0, 0]])
    found = a.assign(effects, NAMES, ("smile",))["smile"]
    assert (found.component, found.runner_up) == (1, 0)
    assert found.runner_up_confidence == pytest.approx(1 / np.sqrt(3), abs=1e-3)


def test_next_to_nothing_does_not_look_pure():
    effects = np.array([[1e-3, 0, 0], [0.5, 0.5, 0]])
    assert a.assign(effects, NAMES, ("smile",))["smile"].component == 1
    nothing = a.assign(np.zeros((2, 3)), NAMES, ("smile",))["smile"]
    assert nothing.confidence == 0 and nothing.margin == 0


def test_the_sum_decides_and_the_better_runner_up_shows():
    effects = np.array([[1.0, 0.9, 0], [0.8, 0, 0.9]])
    found = a.assign(effects, NAMES, ("smile", "age"))
    assert (found["age"].component, found["smile"].component) == (0, 1)
    assert found["smile"].runner_up == 0 and found["smile"].margin < 0


def test_fewer_components_than_targets_serve_those_that_gain_most():
    found = a.assign(np.array([[0.1, 0.0, -2.0]]), NAMES, NAMES)
    assert list(found) == ["yaw"] and found["yaw"].sign == -1 and found["yaw"].runner_up is None


def test_effect_matrix_in_sigma_and_central():
    rng = np.random.default_rng(0)
    before, sigma = rng.normal(size=(7, 3)), np.array([1.0, 2, 4])
    step = np.array([[2.0, 0, 4], [0, -2, 0]])
    even = np.abs(step)[:, None] * 5  # a change that is the same both ways, such as damage
    forward, back = before + step[:, None] + even, before - step[:, None] + even
    np.testing.assert_allclose(a.effect_matrix(before, forward - even, sigma), [[2, 0, 1], [0, -1, 0]], atol=1e-12)
    central = a.effect_matrix(before, np.stack([forward, back], 1), sigma)
    np.testing.assert_allclose(central, [[2, 0, 1], [0, -1, 0]], atol=1e-12)
    with pytest.raises(ValueError, match="positive"):
        a.effect_matrix(before, forward, np.zeros(3))


def test_unusable_input_is_refused():
    with pytest.raises(InputError, match="did you mean smile"):
        a.assign(np.ones((2, 3)), NAMES, ("smle",))
    with pytest.raises(InputError, match="twice"):
        a.assign(np.ones((2, 3)), NAMES, ("age", "age"))
    with pytest.raises(InputError, match="2 columns"):
        a.assign(np.ones((2, 2)), NAMES, ("age",))
    with pytest.raises(ValueError, match="finite"):
        a.assign(np.full((2, 3), np.nan), NAMES, ("age",))
