"""Plausibility: known distances, thresholds that hold on fresh samples, rows, channels, floors."""

import numpy as np
import pytest
from scipy.stats import chi2

from metrics import plausibility as p


def leaky(x):
    return np.where(x >= 0, x, 0.2 * x)


def correlated(n, seed=0, dim=6):
    mix = np.random.default_rng(99).normal(size=(dim, dim))
    return np.random.default_rng(seed).normal(size=(n, dim)) @ mix + 3


def test_to_p_undoes_the_last_activation():
    x = np.random.default_rng(0).normal(size=(4, 5, 3))
    np.testing.assert_allclose(p.to_p(leaky(x)), x)


def test_mahalanobis_distance_is_the_textbook_one():
    samples, codes = correlated(500), correlated(20, seed=1)
    stats = p.fit_vectors(samples, floor=1e-12)
    centred = codes - samples.mean(0)
    expected = np.sqrt(np.einsum("nd,de,ne->n", centred, np.linalg.inv(np.cov(samples, rowvar=False)), centred))
    np.testing.assert_allclose(p.statistic(codes, stats), expected, rtol=1e-9)


def test_threshold_holds_on_fresh_samples_and_is_the_chi_of_a_gaussian():
    stats = p.fit_vectors(correlated(40000))
    assert stats.threshold == pytest.approx(np.sqrt(chi2.ppf(0.999, 6)), rel=0.03)
    assert 1 - p.plausible(correlated(40000, seed=1), stats).mean() == pytest.approx(0.001, abs=0.0006)


def test_a_long_step_leaves_the_range_in_w_through_p():
    samples = leaky(correlated(5000) - 3)
    stats = p.fit_vectors(samples, p=True)
    codes = leaky(correlated(300, seed=1) - 3)
    inside = [p.plausible(codes + step * np.eye(6)[0], stats).mean() for step in (0, 3, 30)]
    assert inside[0] > 0.99 and inside[0] > inside[1] > inside[2] == 0
    # In p the samples are Gaussian and in w they are not: a negative step is five times as far there.
    origin = np.zeros((1, 6))
    there, back = (p.statistic(origin + step, stats)[0] for step in (1.0, -1.0))
    assert back > 3 * there


def test_layered_codes_are_judged_by_their_worst_row():
    w = correlated(3000)
    one = p.fit_vectors(w)
    rows = np.repeat(correlated(50, seed=1)[:, None], 4, 1)
    np.testing.assert_allclose(p.statistic(rows, one), p.statistic(rows[:, 0], one))
    rows[:, 2] += 100
    assert p.plausible(rows, one).sum() == 0
    np.testing.assert_allclose(p.statistic(rows, one), p.statistic(rows[:, 2], one))


def test_rows_with_their_own_statistics():
    w = correlated(3000) - 3
    samples = np.stack([w, 0.5 * w + 1], 1)  # a truncated row beside an untruncated one
    stats = p.fit_vectors(samples)
    assert stats.whiten.shape == (2, 6, 6)
    np.testing.assert_allclose(p.statistic(samples, stats), p.statistic(w, p.fit_vectors(w)), rtol=1e-8)
    assert p.plausible(samples, stats).mean() == pytest.approx(0.999, abs=0.0005)
    moved = np.stack([w, w + 1], 1)
    assert p.plausible(moved, stats).mean() < 0.9


def test_largest_standardised_channel():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(5000, 10)) * np.arange(1, 11)
    stats = p.fit_channels(samples)
    code = samples.mean(0, keepdims=True).repeat(2, 0)
    code[0, 3] += 7 * samples[:, 3].std(ddof=1)
    np.testing.assert_allclose(p.statistic(code, stats), [7, 0], atol=1e-9)
    assert p.plausible(code, stats).tolist() == [False, True]
    assert p.plausible(samples, stats).mean() == pytest.approx(0.999, abs=0.0003)


def test_dead_channels_and_flat_directions_do_not_decide_by_rounding():
    samples = np.random.default_rng(0).normal(size=(500, 5))
    samples[:, 0] = 1.0
    for stats in (p.fit_channels(samples), p.fit_vectors(samples)):
        code = samples[:1].copy()
        code[0, 0] += 1e-6
        near = p.plausible(code, stats)[0]
        code[0, 0] += 5
        assert near and not p.plausible(code, stats)[0]


def test_codes_that_are_not_finite_are_not_plausible():
    stats = p.fit_vectors(correlated(100))
    codes = correlated(3, seed=1)
    codes[1, 2], codes[2, 0] = np.nan, np.inf
    assert p.statistic(codes, stats)[1:].tolist() == [np.inf, np.inf]
    assert p.plausible(codes, stats).tolist() == [True, False, False]


@pytest.mark.parametrize("fit", [lambda: p.fit_vectors(leaky(correlated(100)), p=True), lambda: p.fit_channels(correlated(100))])
def test_statistics_survive_the_store(fit):
    stats = fit()
    again = p.CodeStatistics.from_arrays(stats.arrays())
    codes = correlated(9, seed=1)
    assert (again.kind, again.p, again.threshold) == (stats.kind, stats.p, stats.threshold)
    np.testing.assert_array_equal(p.statistic(codes, again), p.statistic(codes, stats))


def test_too_few_or_constant_samples_are_refused():
    for samples in (correlated(7), np.full((100, 6), np.nan)):
        with pytest.raises(ValueError, match="no covariance"):
            p.fit_vectors(samples)
    with pytest.raises(ValueError, match="do not vary"):
        p.fit_vectors(np.ones((100, 3)))
    with pytest.raises(ValueError, match="do not vary"):
        p.fit_channels(np.ones((100, 3)))
