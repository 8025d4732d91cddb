"""The statistics of a comparison against closed forms and independent tests."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from leaderboards.compare.statistics import MOST_REPLICATES, UNKNOWN, enough_replicates, paired, unpaired
from metrics.statistics import bootstrap_weights, fit_weights, over_fits, weighted_mean

Z = stats.norm.ppf(0.975)


def means(values, weights):
    return float(values.mean()), weighted_mean(values, weights)


@pytest.mark.parametrize("codes", [12, 60, 400])
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_paired_means_agree_with_the_paired_t_test(codes, shift):
    rng = np.random.default_rng(codes)
    base = rng.standard_normal(codes)
    a, b = base + 0.3 * rng.standard_normal(codes), base + shift + 0.3 * rng.standard_normal(codes)
    weights = bootstrap_weights(np.arange(codes), 4000, seed=1)
    (pa, ra), (pb, rb) = means(a, weights), means(b, weights)
    found = paired(ra, rb, pa, pb, codes)
    truth = stats.ttest_rel(b, a)
    assert found.diff == pytest.approx((b - a).mean())
    # The t statistic within the noise of 4,000 replicates (1.1 % of a standard deviation).
    assert stats.t.isf(found.p / 2, codes - 1) == pytest.approx(abs(truth.statistic), rel=0.05, abs=0.05)
    assert found.low < found.diff < found.high
    assert found.high - found.low == pytest.approx(2 * Z * stats.sem(b - a), rel=0.15 if codes == 12 else 0.06)


def test_pairing_is_what_tells_small_differences():
    rng = np.random.default_rng(0)
    base = rng.standard_normal(100)
    weights = bootstrap_weights(np.arange(100), 500, seed=1)
    a, b = means(base, weights), means(base + 0.05 + 0.02 * rng.standard_normal(100), weights)
    found = paired(a[1], b[1], a[0], b[0], 100)
    assert found.p < 1e-6 and 0.04 < found.low < found.high < 0.06
    ends = [(point, *np.quantile(rows, (0.025, 0.975))) for point, rows in (a, b)]
    alone = unpaired(*ends)
    assert alone.diff == pytest.approx(found.diff) and alone.p > 0.5


def test_p_does_not_go_below_what_replicates_on_the_other_side_say():
    new = np.full(999, 1.0) + np.linspace(-1e-3, 1e-3, 999)
    new[:30] = -0.01
    found = paired(np.zeros(999), new, 0.0, 1.0, 1000)
    assert found.p >= 2 * 31 / 1000


def test_unreached_replicates_are_counted():
    old, new = np.full(199, 0.4), np.full(199, np.inf)
    lost = paired(old, new, 0.4, np.inf, 50)
    assert lost.diff == np.inf and lost.p == pytest.approx(2 / 200) and lost.floor
    new[:60] = 0.4
    unsure = paired(old, new, 0.4, np.inf, 50)
    assert unsure.p == pytest.approx(2 * 61 / 200) and not unsure.floor
    none = paired(new, new, np.inf, np.inf, 50)
    assert (none.diff, none.p) == (0.0, 1.0)


def test_a_point_that_its_replicates_deny_is_no_difference():
    """The point does not reach the level, and nearly all replicates do, in both runs alike."""
    old, new = np.full(199, 0.4), np.full(199, 0.4)
    new[:5] = np.inf
    assert paired(old, new, 0.4, np.inf, 50).p == 1.0
    assert paired(old - 0.1, new - 0.2, 0.3, np.inf, 50).p == 1.0


def test_numbers_without_better_and_worse_leave_out_what_is_not_reached():
    rng = np.random.default_rng(2)
    old = rng.normal(0, 0.01, 200)
    new = old + rng.normal(0.1, 0.01, 200)
    whole = paired(old, new, 0.0, 0.1, 50)
    old[:10] = np.nan
    assert paired(old, new, 0.0, 0.1, 50).p < 1e-6 and whole.p < 1e-6
    old[:80] = np.nan
    assert paired(old, new, 0.0, 0.1, 50) == UNKNOWN
    assert paired(old, new, np.nan, 0.1, 50) == UNKNOWN


def test_few_fits_are_not_taken_for_many():
    """Both runs' fits are drawn anew, with effects of their own beside what the codes share: no difference is there to find."""
    rng, codes, found = np.random.default_rng(4), 30, []
    weights = bootstrap_weights(np.arange(codes), 300, seed=1)
    drawn = fit_weights(3, 300, seed=1)
    for _ in range(300):
        values = rng.standard_normal((2, 3, 1)) + rng.standard_normal((1, 1, codes)) + 0.5 * rng.standard_normal((2, 3, codes))
        rows = [over_fits(np.stack([weighted_mean(fit, weights) for fit in side]), drawn) for side in values]
        points = values.mean((1, 2))
        fits = values.mean(2)[1] - values.mean(2)[0]
        found.append((paired(*rows, *points, codes), paired(*rows, *points, codes, fits)))
    plain, careful = ([one[i].p <= 0.05 for one in found] for i in (0, 1))
    assert np.mean(plain) > 0.1 and np.mean(careful) <= 0.065
    covered = np.mean([one.low <= 0 <= one.high for _, one in found])
    assert covered >= 0.93


def test_fits_that_move_alike_lose_nothing():
    old = np.random.default_rng(0).normal(0.5, 0.01, 300)
    new = old + np.random.default_rng(1).normal(0.02, 0.004, 300)
    alone = paired(old, new, 0.5, 0.52, 60)
    assert paired(old, new, 0.5, 0.52, 60, np.full(3, 0.02)).p == pytest.approx(alone.p)
    apart = paired(old, new, 0.5, 0.52, 60, np.array([0.0, 0.02, 0.04]))
    assert apart.p > 10 * alone.p and apart.high - apart.low > 2 * (alone.high - alone.low)


def test_unpaired_intervals_join_by_squares():
    found = unpaired((0.5, 0.4, 0.6), (0.7, 0.6, 0.8))
    assert found.diff == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.2 - np.sqrt(0.02), 0.2 + np.sqrt(0.02)))
    assert found.p == pytest.approx(2 * stats.norm.sf(Z * 0.2 / np.sqrt(0.02)))
    # Touching zero is p = 0.05.
    assert unpaired((0.0, -0.1, 0.1), (np.sqrt(0.02), np.sqrt(0.02) - 0.1, 1.0)).p == pytest.approx(0.05)


def test_unpaired_means_agree_with_the_t_test():
    """Two samples of equal size and spread: Student's t of their means, on the degrees of freedom of one of them."""
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal(50), 0.6 + rng.standard_normal(50)
    b = (b - b.mean()) / b.std() * a.std() + b.mean()
    ends = []
    for column, values in enumerate((a, b)):
        point, rows = means(values, bootstrap_weights(np.arange(50), 8000, seed=column))
        ends.append((point, *np.quantile(rows, (0.025, 0.975))))
    found = unpaired(*ends, codes=50)
    assert stats.t.isf(found.p / 2, 49) == pytest.approx(abs(stats.ttest_ind(b, a).statistic), rel=0.04)


def test_unpaired_with_open_or_missing_ends():
    assert unpaired((0.5, 0.4, 0.6), (0.7, None, None)) == (pytest.approx(0.2), None, None, None, False)
    # NEW rises and NEW's upper end is open: it is the lower end that counts.
    assert unpaired((0.5, 0.4, 0.6), (0.9, 0.8, np.inf)).p < 1e-3
    assert unpaired((0.5, 0.4, np.inf), (0.9, 0.8, 1.0)).p == 1.0
    assert unpaired((0.5, 0.5, 0.5), (0.6, 0.6, 0.6)).p == 0.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=6, max_size=6), st.integers(2, 50))
def test_swapping_sides_turns_the_sign(numbers, codes):
    a = (numbers[0], numbers[0] - abs(numbers[1]), numbers[0] + abs(numbers[2]))
    b = (numbers[3], numbers[3] - abs(numbers[4]), numbers[3] + abs(numbers[5]))
    one, other = unpaired(a, b), unpaired(b, a)
    assert one.diff == -other.diff and one.p == other.p
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    rng = np.random.default_rng(codes)
    x, y = rng.standard_normal((2, 99))
    one, other = paired(x, y, a[0], b[0], codes), paired(y, x, b[0], a[0], codes)
    assert (one.diff, one.low, one.high) == (-other.diff, -other.high, -other.low) and one.p == pytest.approx(other.p)


def test_enough_replicates_are_bounded():
    assert 2 / (enough_replicates(100, 0.05) + 1) * 100 <= 0.05
    assert enough_replicates(10**7, 0.05) == MOST_REPLICATES
