"""Step-down comparisons: family-wise error and power on drawn data, and the textbook order of p-values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.replicates import bootstrap_weights
from metrics.statistics import significantly_better
from metrics.stepdown import stepdown_better, stepdown_p


def entries(rng, shifts, n=48, replicates=400, shared=1.0):
    """Bootstrap means [B, E] of entries that share part of their noise: [n, E] normals shifted by `shifts`."""
    data = shared * rng.standard_normal((n, 1)) + rng.standard_normal((n, len(shifts))) + np.asarray(shifts)
    weights = rng.exponential(size=(replicates, n))
    return (weights / weights.sum(1, keepdims=True)) @ data


def test_equal_entries_are_seldom_called_different():
    """Family-wise error among 18 equal entries, 153 pairs, of 48 codes: 5 %, and more where few codes are taken for many."""
    rng = np.random.default_rng(0)
    drawn = [entries(rng, [0.0] * 18) for _ in range(150)]
    assert sum(stepdown_better(one, False, samples=48).any() for one in drawn) <= 14  # 7.5 expected; more come once in 100
    assert sum(stepdown_better(one, False).any() for one in drawn) > 14


def test_what_differs_is_found_where_holm_has_too_few_replicates():
    rng = np.random.default_rng(1)
    drawn = entries(rng, [0.0] * 9 + [2.0] * 9)
    better = stepdown_better(drawn, False)
    assert better[:9, 9:].all() and not better[9:, :9].any() and better.sum() <= 83
    assert not significantly_better(drawn, False).any()  # 153 pairs ask for 6119 replicates
    assert (stepdown_better(drawn, True) == better.T).all()


def test_a_step_down_is_as_powerful_as_one_test_where_all_others_are_clear():
    """Once the clear differences are passed, the last one is compared with its own null alone."""
    rng = np.random.default_rng(2)
    last = rng.standard_normal(999) + 2.2
    clear = rng.standard_normal((999, 30)) + 50
    alone = stepdown_p(last[:, None])[0]
    among = stepdown_p(np.column_stack([clear, last]))
    assert among[-1] == alone < 0.05 and (among[:-1] == 1 / 1000).all()
    noise = rng.standard_normal((999, 30))
    assert stepdown_p(np.column_stack([noise, last]))[-1] > 5 * alone


def test_identical_differences_are_one():
    """Holm would count a comparison that is there ten times ten times over."""
    rng = np.random.default_rng(3)
    one = rng.standard_normal((499, 1)) + 2.5
    assert stepdown_p(np.repeat(one, 10, 1)).tolist() == [stepdown_p(one)[0]] * 10


def test_the_fewer_the_samples_the_less_is_sure():
    rng = np.random.default_rng(6)
    values = rng.standard_normal((999, 12)) + 3.4
    found = [stepdown_p(values, samples=n).max() for n in (8, 16, 48, 10_000)]
    assert found == sorted(found, reverse=True) and found[0] > 2 * found[-1]
    assert found[-1] == pytest.approx(stepdown_p(values).max(), abs=0.002)
    mixed = stepdown_better(values[:, :3], True, samples=[48, 48, 4])
    assert mixed.shape == (3, 3)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_p_values_are_ordered_as_statistics_and_within_bounds(pairs, replicates, seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((replicates, pairs)) + rng.uniform(-4, 4, pairs)
    p = stepdown_p(values)
    size = np.abs(values.mean(0)) / values.std(0, ddof=1)
    assert ((1 / (replicates + 1) <= p) & (p <= 1)).all()
    assert (np.diff(p[np.argsort(-size, kind="stable")]) >= 0).all()


def test_what_never_varies():
    values = np.column_stack([np.zeros(99), np.full(99, 2.0), np.random.default_rng(4).standard_normal(99)])
    p = stepdown_p(values)
    assert p[0] == 1 and p[1] == 1 / 100 and p[2] > 0.05
    assert not stepdown_better(np.ones((9, 3)), True).any() and stepdown_better(np.ones((9, 1)), True).shape == (1, 1)
    with pytest.raises(ValueError, match="two samples"):
        stepdown_p(np.ones((5, 2)), samples=[1, 5])
    for bad in (np.full((5, 2), np.nan), np.full((5, 2), np.inf), np.ones((1, 2)), np.ones(4)):
        with pytest.raises(ValueError, match="difference"):
            stepdown_p(bad)


def test_weights_of_the_benchmark_give_the_same_answer():
    """The family-wise error with the weights that the ranking uses, over three entries of unequal spread."""
    rng, wrong = np.random.default_rng(5), 0
    for seed in range(100):
        data = rng.standard_normal((40, 3)) * [1, 2, 4]
        weights = bootstrap_weights(np.arange(40), 300, seed)
        wrong += stepdown_better(weights[1:] @ data / weights[1:].sum(1, keepdims=True), True).any()
    assert wrong <= 13
