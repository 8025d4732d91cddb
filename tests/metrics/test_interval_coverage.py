"""Do 95 % intervals hold 95 %? Each kind covers a known truth in 93 to 97 % of at least 1,000 simulations."""

import numpy as np
import pytest

from metrics import reading
from metrics import statistics as s
from metrics.distribution import kid_interval, mmd2
from metrics.fit_coverage import coverage_note, percentile_coverage

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


def moments(law, shift, scale):
    """First three moments of shift + scale times a standard normal or an exponential less 1."""
    third = {"normal": 0.0, "exponential": 2.0}[law]
    return shift, shift**2 + scale**2, shift**3 + 3 * shift * scale**2 + scale**3 * third


def mean_kernel(x, y, d):
    """E (x.y / d + 1)^3 of two independent vectors with d independent coordinates each, whose first three moments are given."""
    p1, p2, p3 = (a * b for a, b in zip(x, y, strict=True))
    square = (d * p2 + d * (d - 1) * p1**2) / d**2
    cube = (d * p3 + 3 * d * (d - 1) * p2 * p1 + d * (d - 1) * (d - 2) * p1**3) / d**3
    return 1 + 3 * p1 + 3 * square + cube


@pytest.mark.parametrize(
    "law, n, m, d, first, second",
    [
        ("normal", 80, 80, 8, (0.5, 1), (0, 1)),
        ("normal", 60, 60, 4, (0.5, 1), (0, 1)),  # the cubic kernel scatters upward
        ("normal", 64, 96, 8, (0.3, 1), (0, 1)),  # twice its own deviation from 0
        ("normal", 100, 100, 8, (0, 1.5), (0, 1)),  # no first-order part to speak of
        ("exponential", 100, 100, 8, (1.3, 1.3), (1, 1)),
    ],
)
def test_kid_above_zero(law, n, m, d, first, second):
    a_moments, b_moments = moments(law, *first), moments(law, *second)
    within = mean_kernel(a_moments, a_moments, d) + mean_kernel(b_moments, b_moments, d)
    truth = within - 2 * mean_kernel(a_moments, b_moments, d)

    def draw(rng, rows, shift, scale):
        values = rng.normal(size=(rows, d)) if law == "normal" else rng.exponential(size=(rows, d)) - 1
        return shift + scale * values

    rng = np.random.default_rng(0)
    large = [mmd2(draw(rng, 2000, *first), draw(rng, 2000, *second)) for _ in range(4)]
    assert truth == pytest.approx(np.mean(large), rel=0.15)
    simulate = lambda rng, i: ends(kid_interval(draw(rng, n, *first), draw(rng, m, *second)))  # noqa: E731
    assert 0.93 <= coverage(simulate, truth) <= 0.97


@pytest.mark.parametrize("fit, code, cell", [(1.0, 1.0, 1.0), (1.0, 0.0, 0.3)])
def test_crossed_means_with_twenty_fits(fit, code, cell):
    def simulate(rng, i):
        values = fit * rng.normal(size=(20, 1)) + code * rng.normal(size=24) + cell * rng.normal(size=(20, 24))
        return ends(s.crossed_bootstrap(values, seed=i, replicates=REPLICATES))

    assert 0.93 <= coverage(simulate, 0.0) <= 0.97


def test_what_three_fits_give():
    """The range of three fits covers their mean 75 % of the time; records stop there, crossed_bootstrap goes on."""
    assert s.coverage_with_fits(3, codes=8, simulations=400, replicates=200) >= 0.89
    assert s.coverage_with_fits(3, fit_share=0.0, codes=24, simulations=400, replicates=200) >= 0.92
    found = percentile_coverage(3)
    assert found.fits_alone == pytest.approx(0.75, abs=0.02)
    assert 0.87 <= found.halves <= 0.93 and 0.92 <= found.codes_alone <= 0.96
    assert percentile_coverage(20, simulations=1000).fits_alone > 0.91 > found.fits_alone
    assert "76 % of the time where all" in coverage_note(3)
    with pytest.raises(ValueError, match="at least 2"):
        percentile_coverage(1)


@pytest.mark.parametrize("n", [48, 64, 128])
def test_readings_along_a_curve(n):
    """Leakage where the mean effect reaches 0.5: curves straight in strength, with slopes that differ between codes."""
    strengths = np.array([0, 0.5, 1, 2, 3])
    weights = s.bootstrap_weights(np.arange(n), 1000, seed=0)  # the same in every simulation: few would speak for all
    level = s.small_sample_level(0.95, n, exponential=True)

    def simulate(rng, i):
        effect = (0.5 + 0.25 * rng.normal(size=(n, 1))) * strengths + 0.2 * rng.normal(size=(n, 5)) * (strengths > 0)
        leakage = rng.exponential(0.3, size=(n, 1)) * strengths
        curves = [reading.mean_curve(one, weights) for one in (effect, leakage)]
        read = reading.read_at_level(strengths, curves[0], {"leakage": curves[1]}, 0.5, {"leakage": np.inf})
        return s.interval(read.values["leakage"], level)

    assert 0.93 <= coverage(simulate, 0.3) <= 0.97
