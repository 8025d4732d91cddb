"""Bootstrap, intervals, paired tests, Holm and ranks against closed forms, known truths and hand-made cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.streams import stream_seed
from metrics import statistics as s
from metrics.distribution import fid

INF = np.inf


def test_a_code_has_the_same_weights_whatever_other_codes_are_used():
    pool = s.bootstrap_weights(np.arange(50), 40, seed=3)
    some = s.bootstrap_weights(np.array([41, 7, 19]), 40, seed=3)
    np.testing.assert_array_equal(some, pool[:, [41, 7, 19]])
    np.testing.assert_array_equal(s.bootstrap_weights(np.arange(50), 60, seed=3)[:40], pool)
    assert not np.allclose(s.bootstrap_weights(np.arange(50), 40, seed=4), pool)


def test_a_codes_weights_are_those_of_a_fresh_generator():
    key = np.array([stream_seed("bootstrap-codes", 3), 7], np.uint64)
    fresh = np.random.Generator(np.random.Philox(key=key)).exponential(size=40)
    np.testing.assert_array_equal(s.bootstrap_weights(np.array([2, 7]), 40, seed=3)[:, 1], fresh)


def test_weights_are_exponential_and_independent():
    weights = s.bootstrap_weights(np.arange(40), 4000, seed=0)
    assert weights.min() > 0
    np.testing.assert_allclose(weights.mean(0), 1, atol=0.08)
    np.testing.assert_allclose(weights.var(0), 1, atol=0.25)
    correlation = np.corrcoef(weights.T) - np.eye(40)
    assert np.abs(correlation).max() < 0.08


@pytest.mark.parametrize("ids", [np.array([1, 1]), np.array([-1]), np.array([0.5]), np.zeros((2, 2), int)])
def test_bad_ids_are_refused(ids):
    with pytest.raises(ValueError):
        s.bootstrap_weights(ids, 10, seed=0)


def test_bootstrap_spread_is_the_standard_error():
    rng = np.random.default_rng(0)
    values = rng.normal(size=64)
    means = s.weighted_mean(values, s.bootstrap_weights(np.arange(64), 8000, seed=1))
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)
    assert means.std() == pytest.approx(values.std() / np.sqrt(65), rel=0.03)  # exact for Dirichlet weights: s_n / sqrt(n + 1)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    weights = s.bootstrap_weights(np.arange(60), 400, seed=2)
    inside = 0
    for _ in range(400):
        low, high = s.interval(s.weighted_mean(rng.exponential(size=60), weights))
        inside += low <= 1 <= high
    assert 0.90 <= inside / 400 <= 0.98


def test_interval_ends_are_outer_order_statistics_and_bear_infinities():
    assert s.interval(np.arange(101.0), 0.9) == (5.0, 95.0)
    assert s.interval(np.arange(100.0)) == (2.0, 97.0)
    assert s.interval(np.array([INF] * 5 + [1.0] * 95)) == (1.0, INF)
    assert s.interval(np.array([INF] * 2 + [1.0] * 98)) == (1.0, 1.0)
    assert s.interval(np.full(9, -INF)) == (-INF, -INF)
    low, high = s.interval(np.stack([np.arange(101.0), np.full(101, INF)], 1))
    assert low.tolist() == [2.0, INF] and high.tolist() == [98.0, INF]
    with pytest.raises(ValueError, match="NaN"):
        s.interval(np.array([1.0, np.nan]))


def test_fits_are_drawn_with_replacement_and_undrawn_infinities_do_not_spread():
    weights = s.fit_weights(3, 3000, seed=0)
    assert np.all(weights.sum(1) == 3) and weights.min() == 0
    np.testing.assert_allclose(weights.mean(0), 1, atol=0.06)
    np.testing.assert_array_equal(s.fit_weights(1, 5, seed=0), np.ones((5, 1)))
    replicates = np.array([[1.0] * 4, [INF] * 4, [3.0] * 4])
    mean = s.over_fits(replicates, np.array([[3, 0, 0], [1, 0, 2], [1, 1, 1], [0, 3, 0]]))
    np.testing.assert_allclose(mean, [1, 7 / 3, INF, INF])


def test_few_fits_are_widened_by_a_factor_of_their_number_alone():
    weights = s.fit_weights(3, 500, seed=0)
    rows = np.random.default_rng(0).normal(size=(3, 500))
    plain, wide = s.over_fits(rows, weights), s.over_fits_widened(rows, weights)
    np.testing.assert_allclose(wide - rows.mean(0), 4.302653 / 1.959964 * 1.5**0.5 * (plain - rows.mean(0)), rtol=1e-6)
    shift = np.array([[1.0], [2.0], [4.0]])  # differences of two methods stay paired
    np.testing.assert_allclose(
        s.over_fits_widened(rows + shift, weights) - wide, s.over_fits_widened(np.tile(shift, 500), weights), atol=1e-12
    )
    rows[1, :250] = INF
    found = s.over_fits_widened(rows, weights)
    np.testing.assert_array_equal(found[:250], s.over_fits(rows, weights)[:250])
    np.testing.assert_array_equal(found[250:], wide[250:])
    np.testing.assert_array_equal(s.over_fits_widened(rows[:1], np.ones((500, 1))), rows[0])
    with pytest.raises(ValueError, match="level"):
        s.over_fits_widened(rows, weights, level=0.0)


def test_interval_over_codes_and_fits_is_wider_where_fits_differ():
    rng = np.random.default_rng(0)
    weights, draws = s.bootstrap_weights(np.arange(64), 2000, seed=0), s.fit_weights(3, 2000, seed=0)
    codes = rng.normal(size=64)

    def spread(shift):
        return s.over_fits(np.stack([s.weighted_mean(codes + d, weights) for d in shift]), draws).std()

    assert spread([-1, 0, 1]) > 3 * spread([0, 0, 0])


def test_u_statistic_by_hand_and_without_the_diagonal():
    kernel = np.array([[100.0, 2, 4], [2, 100, 6], [4, 6, 100]])
    weights = np.array([[1.0, 1, 1], [2, 1, 0]])
    np.testing.assert_allclose(s.weighted_u_statistic(kernel, weights), [4.0, 2.0])
    np.testing.assert_array_equal(kernel.diagonal(), 100)  # the caller's kernel is left alone
    with pytest.raises(ValueError):
        s.weighted_u_statistic(np.ones((1, 1)), np.ones((1, 1)))


def test_replicate_difference_sees_a_small_shift_through_large_shared_noise():
    rng = np.random.default_rng(0)
    weights = s.bootstrap_weights(np.arange(64), 1000, seed=0)
    shared = rng.normal(scale=10, size=64)
    a = s.weighted_mean(shared + 0.3 + rng.normal(scale=0.2, size=64), weights)
    b = s.weighted_mean(shared, weights)
    result = s.replicate_difference(a, b)
    assert result.low > 0 and result.diff == pytest.approx(0.3, abs=0.1) and result.p == 2 / 1001
    low_a, high_a = s.interval(a)
    assert low_a < np.median(b) < high_a  # unpaired intervals overlap


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 5) | st.just(INF), st.floats(-5, 5) | st.just(INF)), min_size=1, max_size=60))
def test_replicate_difference_is_symmetrical(pairs):
    a, b = np.array(pairs).T
    one, two = s.replicate_difference(a, b), s.replicate_difference(b, a)
    assert (one.diff, one.low, one.high) == pytest.approx((-two.diff, -two.high, -two.low), rel=1e-12)
    assert one.p == two.p
    assert 2 / (len(a) + 1) <= one.p <= 1 or one.p == 1


def test_replicate_difference_of_unreached_replicates():
    unreached, reached = np.full(999, INF), np.linspace(1, 2, 999)
    tie = s.replicate_difference(unreached, unreached)
    assert (tie.diff, tie.low, tie.high, tie.p) == (0, 0, 0, 1)
    lost = s.replicate_difference(unreached, reached, point_a=INF, point_b=1.5)
    assert (lost.diff, lost.low, lost.p) == (INF, INF, 0.002)


def test_paired_p_is_rarely_small_where_nothing_differs():
    rng = np.random.default_rng(1)
    weights = s.bootstrap_weights(np.arange(60), 400, seed=0)
    p = [s.replicate_difference(s.weighted_mean(rng.normal(size=60), weights), np.zeros(400)).p for _ in range(300)]
    assert np.mean(np.array(p) <= 0.05) <= 0.09
    assert 0.35 < np.mean(p) < 0.65


def test_holm_by_hand():
    np.testing.assert_allclose(s.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(s.holm([0.5, 0.9]), [1.0, 1.0])
    np.testing.assert_allclose(s.holm([0.02]), [0.02])
    with pytest.raises(ValueError):
        s.holm([0.1, np.nan])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_holm_keeps_order_and_lies_between_raw_and_bonferroni(p, random):
    adjusted = s.holm(p)
    assert np.all(adjusted >= p) and np.all(adjusted <= np.minimum(1, len(p) * np.array(p)) + 1e-12)
    shuffled = list(range(len(p)))
    random.shuffle(shuffled)
    np.testing.assert_array_equal(s.holm([p[i] for i in shuffled]), adjusted[shuffled])


def test_enough_replicates_for_holm():
    needed = s.replicates_needed(45, 0.05)
    assert needed == 1799
    assert 2 / (needed + 1) * 45 <= 0.05 < 2 / needed * 45


def test_ranks_tie_the_unreached_last_and_leave_absent_entries_out():
    np.testing.assert_allclose(s.ranks(np.array([0.3, INF, 0.1, INF]), False), [2, 3.5, 1, 3.5])
    np.testing.assert_allclose(s.ranks(np.array([0.3, -INF, 0.1]), True), [1, 3, 2])
    np.testing.assert_allclose(s.ranks(np.array([0.3, np.nan, 0.1]), False), [2, np.nan, 1])


def test_mean_rank_over_groups_and_replicates():
    leakage, identity = np.array([0.1, 0.2, INF]), np.array([0.9, 0.95, np.nan])
    np.testing.assert_allclose(s.mean_rank([leakage, identity], [False, True]), [1.5, 1.5, 3])
    stacked = s.mean_rank([np.stack([leakage, leakage[::-1]])], [False])
    np.testing.assert_allclose(stacked, [[1, 2, 3], [3, 2, 1]])


@pytest.mark.parametrize("higher", [True, False])
def test_printed_rank_counts_only_significantly_better_entries(higher):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2000, 1))
    replicates = np.concatenate([noise + 5, noise, rng.normal(size=(2000, 1))], 1) * (1 if higher else -1)
    better = s.significantly_better(replicates, higher)
    assert better.tolist() == [[False, True, True], [False] * 3, [False] * 3]
    assert s.printed_rank(better).tolist() == [1, 2, 2]


def test_mean_rank_interval():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(500, 3))
    replicates = [noise + [0, 2, 9], noise * 0.01 + [0.5, 0.4, 0.1]]
    found = s.mean_rank_interval([np.array([0.0, 2, 9]), np.array([0.5, 0.4, 0.1])], replicates, [False, True])
    np.testing.assert_allclose(found.value, [1, 2, 3])
    assert np.all(found.low <= found.value) and np.all(found.value <= found.high)
    assert found.low[2] == found.high[2] == 3 and found.high[0] == 1.5  # the first two may change places in one group of two
    absent = np.array([np.nan, 1.0])
    found = s.mean_rank_interval([absent], [np.tile(absent, (9, 1))], [True])
    np.testing.assert_array_equal(found, [[np.nan, 1]] * 3)
    with pytest.raises(ValueError, match="replicates of group 0"):
        s.mean_rank_interval([absent], [np.ones((9, 2))], [True])


def test_bootstrap_of_a_mean_is_its_standard_error_with_students_t():
    values = np.random.default_rng(0).normal(size=12)
    found = s.bootstrap(np.mean, values, seed=0, replicates=20_000)
    half = 2.201 * values.std(ddof=1) / np.sqrt(12)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * half, rel=0.06)


def test_bootstrap_draws_rows_together_and_with_its_seed():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 2))
    joint = s.bootstrap(lambda a, b: (a[:, 0] - b).mean(), x, x[:, 0], seed=3, replicates=50)
    assert joint == (0, 0, 0)
    slow = s.bootstrap(lambda a: a.mean(), x[:, 0], seed=3, replicates=300)
    np.testing.assert_allclose(slow, s.bootstrap(np.mean, x[:, 0], seed=3, replicates=300), rtol=1e-12)
    assert slow != s.bootstrap(np.mean, x[:, 0], seed=4, replicates=300)
    each = s.bootstrap(lambda a: a.mean(0), x, seed=3, replicates=300)
    assert each.low.shape == (2,) and each.low[0] == pytest.approx(slow.low)


@pytest.mark.parametrize(
    "arrays, message",
    [
        (([],), "array 0"),
        (([1.0],), "array 0"),
        (([1.0, np.nan],), "array 0 holds NaN"),
        (([1.0, 2], [1.0, 2, 3]), "different lengths"),
        ((["a", "b"],), "array 0 must hold numbers"),
        ((), "no array"),
    ],
)
def test_bootstrap_names_what_it_cannot_use(arrays, message):
    with pytest.raises(ValueError, match=message):
        s.bootstrap(np.mean, *arrays, seed=0)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=2, max_size=12), st.integers(0, 9))
def test_paired_difference_of_samples_is_symmetrical(pairs, seed):
    a, b = np.array(pairs).T
    one = s.paired_difference(a, b, seed=seed, replicates=200)
    two = s.paired_difference(b, a, seed=seed, replicates=200)
    np.testing.assert_allclose([one.diff, one.low, one.high], [-two.diff, -two.high, -two.low], atol=1e-9)
    assert one.p == pytest.approx(two.p) and one.low <= one.diff + 1e-9 and one.diff <= one.high + 1e-9
    assert s.paired_difference(a, a, seed=seed, replicates=50) == (0, 0, 0, 1)


def test_paired_difference_sees_through_what_samples_share_and_holds_its_level():
    rng = np.random.default_rng(0)
    shared = rng.normal(scale=10, size=40)
    found = s.paired_difference(shared + 0.3 + rng.normal(scale=0.2, size=40), shared, seed=0)
    assert found.low > 0 and found.diff == pytest.approx(0.3, abs=0.1) and found.p < 0.01
    p = [s.paired_difference(rng.normal(size=12), np.zeros(12), seed=i, replicates=400).p for i in range(400)]
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.08
    assert s.paired_difference([np.inf, 1.0, 2], [np.inf, 1.0, 2], seed=0).p == 1  # both failed on one sample: no difference
    for a, b, name in (([1.0, 2], [1.0], "b"), ([np.nan, 1], [1.0, 2], "a"), ([1.0, 2], [[1.0], [2]], "b")):
        with pytest.raises(ValueError, match=f"^{name} "):
            s.paired_difference(a, b, seed=0)


def test_crossed_bootstrap_is_over_both_and_shares_its_draws():
    rng = np.random.default_rng(0)
    codes, fits = rng.normal(size=40), rng.normal(size=(20, 1))
    one = s.crossed_bootstrap(codes[None], seed=0)
    wide = s.crossed_bootstrap(codes + 3 * fits, seed=0)
    assert wide.high - wide.low > 2 * (one.high - one.low)
    table = codes + 0.1 * rng.normal(size=(20, 40))
    pair = s.crossed_bootstrap(table + 5 * fits - 5 * fits, seed=0)
    np.testing.assert_allclose(pair, s.crossed_bootstrap(table, seed=0), atol=1e-9)
    np.testing.assert_allclose(s.crossed_bootstrap(np.full((3, 4), 2.0), seed=0), 2, rtol=1e-12)
    for bad in (np.zeros((0, 4)), np.zeros(4), np.zeros((2, 1)), np.full((2, 3), np.nan)):
        with pytest.raises(ValueError, match="^values must be"):
            s.crossed_bootstrap(bad, seed=0)


def test_subsampling_covers_the_expected_frechet_distance_of_these_sizes():
    def draw(seed):
        rng = np.random.default_rng(seed)
        return rng.normal(size=(120, 3)) + 0.5, rng.normal(size=(120, 3))

    expected = np.mean([fid(*draw(10_000 + i)) for i in range(400)])
    found = [s.subsampling_interval(fid, *draw(i), seed=i, replicates=60) for i in range(80)]
    inside = np.mean([one.low <= expected <= one.high for one in found])
    assert 0.9 <= inside <= 1.0
    assert np.mean([one.high - one.low for one in found]) < 6 * np.std([one.value for one in found])  # about 4 where it is exact
    with pytest.raises(ValueError, match="3 rows"):
        s.subsampling_interval(fid, np.zeros((3, 1)), np.zeros((9, 1)), seed=0)


def test_small_sample_level_widens_and_fades():
    levels = [s.small_sample_level(0.95, n) for n in (5, 20, 60, 5000)]
    assert levels == sorted(levels, reverse=True) and levels[-1] == pytest.approx(0.95, abs=1e-3)
    assert s.small_sample_level(0.95, 20, exponential=True) > s.small_sample_level(0.95, 20)
    with pytest.raises(ValueError, match="^n is 1"):
        s.small_sample_level(0.95, 1)
