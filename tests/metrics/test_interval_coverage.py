"""Do 95 % intervals hold 95 %? Each kind covers a known truth in 93 to 97 % of at least 1,000 simulations."""

import numpy as np
import pytest

from metrics import reading
from metrics import statistics as s
from metrics.distribution import kid_interval, mmd2

SIMULATIONS, REPLICATES = 1000, 250


def coverage(simulate, truth, simulations=SIMULATIONS):
    """The share of simulations whose interval holds the truth."""
    found = [simulate(np.random.default_rng(i), i) for i in range(simulations)]
    return float(np.mean([low <= truth <= high for low, high in found]))


def ends(found):
    return found.low, found.high


@pytest.mark.parametrize("n, draw", [(20, "normal"), (60, "exponential")])
def test_means(n, draw):
    truth = {"normal": 0.0, "exponential": 1.0}[draw]
    simulate = lambda rng, i: ends(s.bootstrap(np.mean, getattr(rng, draw)(size=n), seed=i, replicates=REPLICATES))  # noqa: E731
    assert 0.93 <= coverage(simulate, truth) <= 0.97


def test_paired_differences():
    def simulate(rng, i):
        shared = 5 * rng.normal(size=40)
        a, b = shared + 0.3 + rng.normal(size=40), shared + rng.exponential(size=40) - 1
        return ends(s.paired_difference(a, b, seed=i, replicates=REPLICATES))

    assert 0.93 <= coverage(simulate, 0.3) <= 0.97


def test_kid_above_zero():
    """Unit normals in d dimensions, one moved by t along every axis. With s = x.y / d + 1 the mean of s^3 is known."""
    d, shift, n = 8, 0.5, 80

    def mean_kernel(m1, m2):
        # Given x, s is normal of mean u = m2 sum(x) / d + 1 and variance |x|^2 / d^2, and E s^3 = u^3 + 3 u v.
        first, spread = m1 * m2 + 1, m2**2 / d
        cube = first**3 + 3 * first * spread
        # E u |x|^2 = (1 + m2 / d E sum) E |x|^2 + m2 / d cov(sum, |x|^2); cov(x_i, x_i^2) = 2 m1.
        return cube + 3 * (first * d * (1 + m1**2) + m2 * 2 * m1) / d**2

    truth = mean_kernel(shift, shift) + mean_kernel(0, 0) - 2 * mean_kernel(shift, 0)
    rng = np.random.default_rng(0)
    large = [mmd2(rng.normal(size=(1000, d)) + shift, rng.normal(size=(1000, d))) for _ in range(4)]
    assert truth == pytest.approx(np.mean(large), rel=0.1)

    def simulate(rng, i):
        a, b = rng.normal(size=(n, d)) + shift, rng.normal(size=(n, d))
        return ends(kid_interval(a, b, seed=i, replicates=REPLICATES))

    assert 0.93 <= coverage(simulate, truth) <= 0.97


@pytest.mark.parametrize("fit, code, cell", [(1.0, 1.0, 1.0), (1.0, 0.0, 0.3)])
def test_crossed_means_with_twenty_fits(fit, code, cell):
    def simulate(rng, i):
        values = fit * rng.normal(size=(20, 1)) + code * rng.normal(size=24) + cell * rng.normal(size=(20, 24))
        return ends(s.crossed_bootstrap(values, seed=i, replicates=REPLICATES))

    assert 0.93 <= coverage(simulate, 0.0) <= 0.97


def test_what_three_fits_give():
    """The range of three fits covers their mean 75 % of the time, and no resampling goes beyond it."""
    assert s.coverage_with_fits(3, codes=8, simulations=400, replicates=100) == pytest.approx(0.75, abs=0.06)
    assert s.coverage_with_fits(3, fit_share=0.0, codes=24, simulations=400, replicates=200) >= 0.92


def test_readings_along_a_curve():
    """Leakage where the mean effect reaches 0.5: curves straight in strength, with slopes that differ between codes."""
    n, strengths = 64, np.array([0, 0.5, 1, 2, 3])
    weights = s.bootstrap_weights(np.arange(n), REPLICATES, seed=0)
    level = s.small_sample_level(0.95, n, exponential=True)

    def simulate(rng, i):
        effect = (0.5 + 0.25 * rng.normal(size=(n, 1))) * strengths + 0.2 * rng.normal(size=(n, 5)) * (strengths > 0)
        leakage = rng.exponential(0.3, size=(n, 1)) * strengths
        curves = [reading.mean_curve(one, weights) for one in (effect, leakage)]
        read = reading.read_at_level(strengths, curves[0], {"leakage": curves[1]}, 0.5, {"leakage": np.inf})
        return s.interval(read.values["leakage"], level)

    assert 0.93 <= coverage(simulate, 0.3) <= 0.97
