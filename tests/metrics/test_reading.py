"""Reading at equal effect: exact by hand, against scikit-learn's isotonic regression, and where nothing is reached."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.isotonic import IsotonicRegression

from metrics import reading as r
from metrics.statistics import bootstrap_weights

GRID = np.array([0.0, 1.0, 2.0, 4.0])


def test_mean_curve_by_hand():
    values = np.array([[0.0, 1.0], [0.0, 3.0]])
    np.testing.assert_allclose(r.mean_curve(values, np.array([[1, 1], [3, 1], [0, 2]])), [[0, 2], [0, 1.5], [0, 3]])
    with pytest.raises(ValueError, match="NaN"):
        r.mean_curve(np.array([[0, np.nan]]), np.ones((1, 1)))


def test_isotonic_by_hand():
    curves = np.array([[0, 3.0, 1, 2], [0, -1, -2, 5], [0, -3, -2, -1], [0, 1, 2, 3]])
    np.testing.assert_allclose(r.isotonic(curves), [[0, 2, 2, 2], [0, 0, 0, 5], [0, 0, 0, 0], [0, 1, 2, 3]])
    with pytest.raises(ValueError, match="effect 0"):
        r.isotonic(np.array([[0.1, 1.0]]))


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.floats(-3, 3, width=32)))
def test_isotonic_is_scikit_learns_through_zero(rest):
    curves = np.concatenate([np.zeros((len(rest), 1)), rest], 1)
    x = np.arange(curves.shape[1])
    weight = np.ones(len(x))
    weight[0] = 1e12  # the zero point stays where it is
    for mine, curve in zip(r.isotonic(curves), curves, strict=True):
        theirs = IsotonicRegression().fit(x, curve, sample_weight=weight).predict(x)
        np.testing.assert_allclose(mine, theirs, atol=1e-9)
        assert mine[0] == 0 and np.all(np.diff(mine) >= 0)


def test_crossing_by_hand():
    curves = np.array([[0, 1.0, 1, 3], [0, 0, 0.5, 0.5], [0, 0.1, 0.2, 0.4], [0, 2.0, 2, 2], [0, 0, 0, 1.0]])
    np.testing.assert_array_equal(r.crossing(GRID, curves, 0.5), [0.5, 2, np.nan, 0.25, 3])
    np.testing.assert_array_equal(r.crossing(GRID, curves, 1.0), [1, np.nan, np.nan, 0.5, 4])
    with pytest.raises(ValueError):
        r.crossing(GRID, curves, 0.0)
    with pytest.raises(ValueError, match="rise from 0"):
        r.crossing(GRID + 1, curves, 0.5)


def test_read_at_by_hand():
    curves = np.array([[5.0, 7, 9, 1], [0, 10, 20, 30], [1, 1, 1, 1], [1, 2, np.inf, np.inf]])
    np.testing.assert_array_equal(r.read_at(GRID, curves, np.array([0.5, 3, np.nan, 1])), [6, 25, np.nan, 2])
    assert r.read_at(GRID, curves[3:], np.array([1.5]))[0] == np.inf
    with pytest.raises(ValueError, match="outside"):
        r.read_at(GRID, curves, np.full(4, 4.5))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.015625, 2, width=32), min_size=2, max_size=7), st.floats(0.01, 0.99))
def test_the_effect_read_where_it_is_reached_is_the_level(steps, share):
    strengths = np.arange(len(steps) + 1) ** 1.5
    curve = np.concatenate([[0], np.cumsum(steps)])[None]
    level = share * curve[0, -1]
    at = r.crossing(strengths, curve, level)
    np.testing.assert_allclose(r.read_at(strengths, curve, at), level, rtol=1e-9)


def test_reach_is_capped_and_never_negative():
    np.testing.assert_allclose(r.reach(np.array([[0, 0.3, 0.7], [0, 2, 3], [0, -1, -2]])), [0.7, 1, 0])


def test_unreached_replicates_read_as_worst_and_are_kept():
    effect = np.array([[0, 0.4, 0.8, 1.6], [0, 0.1, 0.05, 0.2]])
    others = {"leakage": np.array([[0, 0.1, 0.2, 0.3]] * 2), "identity": np.array([[1, 0.9, 0.8, 0.7]] * 2)}
    read = r.read_at_level(GRID, effect, others, 0.5, {"leakage": np.inf, "identity": -np.inf})
    np.testing.assert_allclose(read.values["leakage"], [0.125, np.inf])
    np.testing.assert_allclose(read.values["identity"], [0.875, -np.inf])
    assert read.reached.tolist() == [True, False]


def test_a_stronger_step_size_changes_nothing_at_equal_effect():
    rng = np.random.default_rng(0)
    effect, leak = np.cumsum(rng.random((6, 4)), 1) - 0.2, rng.random((6, 4))
    effect[:, 0] = leak[:, 0] = 0
    one = r.read_at_level(GRID, effect, {"leakage": leak}, 0.3, {"leakage": np.inf})
    ten = r.read_at_level(10 * GRID, effect, {"leakage": leak}, 0.3, {"leakage": np.inf})
    np.testing.assert_allclose(one.values["leakage"], ten.values["leakage"])
    np.testing.assert_allclose(ten.strength, 10 * one.strength)


def test_a_thousand_replicates_take_milliseconds():
    rng = np.random.default_rng(0)
    weights = bootstrap_weights(np.arange(64), 1000, 0)
    values = np.cumsum(rng.random((64, 5)), 1) - 0.3
    values[:, 0] = 0
    best = np.inf
    for _ in range(5):
        start = time.perf_counter()
        curves = r.mean_curve(values, weights)
        r.read_at_level(np.arange(5.0), curves, {"leakage": curves}, 0.5, {"leakage": np.inf})
        best = min(best, time.perf_counter() - start)
    assert best < 0.05
