"""Set distances against clean-fid's and torch-fidelity's figures (golden/set_metrics.npz), closed forms and known truths."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UnsupportedError
from metrics import distribution as d
from metrics.statistics import bootstrap_weights, interval


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parents[1] / "golden" / "set_metrics.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files if not name.startswith("lpips")}


def test_frechet_distance_is_clean_fids(golden):
    f1, f2 = golden["features1"], golden["features2"]
    given_moments = d.frechet_distance(golden["mu1"], golden["sigma1"], golden["mu2"], golden["sigma2"])
    own_moments = d.frechet_distance(*d.moments(f1), *d.moments(f2))
    for mine in (given_moments, own_moments):
        assert mine == pytest.approx(float(golden["cleanfid/frechet_distance"]), rel=1e-9)
        assert mine == pytest.approx(float(golden["torch_fidelity/fid"]), rel=1e-9)
    deficient = d.frechet_distance(*d.moments(f1[:12]), *d.moments(f2))  # rank 11 in 24 dimensions
    assert deficient == pytest.approx(float(golden["cleanfid/frechet_distance_rank_deficient"]), rel=1e-8)


@pytest.mark.parametrize("subsets, size", [(100, 1000), (20, 50)])
def test_kid_is_clean_fids_with_its_seed(golden, subsets, size):
    mine = d.kid(golden["features1"], golden["features2"], subsets=subsets, subset_size=size, seed=171)
    assert mine == pytest.approx(float(golden[f"cleanfid/kernel_distance_{subsets}_{size}"]), abs=1e-12)


def test_whole_set_mmd_is_clean_fids_and_subsets_are_torch_fidelitys(golden):
    f1, f2 = golden["features1"], golden["features2"]
    assert d.mmd2(f1[:140], f2) == pytest.approx(float(golden["cleanfid/kernel_distance_full"]), abs=1e-12)
    rng = np.random.RandomState(2020)
    values = [d.mmd2(f1[rng.choice(150, 60, replace=False)], f2[rng.choice(140, 60, replace=False)]) for _ in range(10)]
    # torch-fidelity computes its kernel in float32
    np.testing.assert_allclose([np.mean(values), np.std(values)], golden["torch_fidelity/kid_mean_std"], atol=1e-7)


def test_frechet_distance_closed_forms():
    eye = np.eye(3)
    assert d.frechet_distance(np.zeros(3), eye, np.array([1.0, 2, 2]), eye) == pytest.approx(9)
    assert d.frechet_distance(np.zeros(3), 4 * eye, np.zeros(3), 9 * eye) == pytest.approx(3)
    assert d.frechet_distance(np.zeros(3), 4 * eye, np.zeros(3), 0 * eye) == pytest.approx(12)
    rng = np.random.default_rng(0)
    mean, cov = d.moments(rng.normal(size=(50, 3)))
    assert d.frechet_distance(mean, cov, mean, cov) == pytest.approx(0, abs=1e-12)


def test_fid_of_sets_and_how_many_it_needs(golden):
    mine = d.fid(golden["features1"], golden["features2"])
    assert mine == pytest.approx(float(golden["cleanfid/frechet_distance"]), rel=1e-9)
    rng = np.random.default_rng(0)
    near, far = (d.fid(rng.normal(size=(400, 4)) + shift, rng.normal(size=(400, 4))) for shift in (0, 2))
    assert near < 0.2 and far == pytest.approx(16, rel=0.15)
    d.enough_for_fid(4, 40, 400)
    with pytest.raises(UnsupportedError, match="needs 40 pictures a side, not 39"):
        d.enough_for_fid(4, 39, 400)


def features_of(seed, n, dim):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, dim)) @ rng.normal(size=(dim, dim)) + rng.normal(size=dim)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.integers(1, 5))
def test_fid_is_zero_of_equal_sets_symmetric_and_blind_to_order_and_rotation(seed, dim):
    a, b = features_of(seed, 30, dim), features_of(seed + 100, 40, dim)
    value = d.fid(a, b)
    scale = np.trace(d.moments(a)[1]) + np.trace(d.moments(b)[1])
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))[0]
    assert d.fid(a, a[::-1]) <= 1e-7 * scale
    assert d.fid(b, a) == pytest.approx(value, rel=1e-6, abs=1e-7 * scale)
    assert d.fid(a @ rotation + 3, b @ rotation + 3) == pytest.approx(value, rel=1e-6, abs=1e-7 * scale)
    assert d.fid(2 * a, 2 * b) == pytest.approx(4 * value, rel=1e-6, abs=1e-7 * scale)


def test_fid_and_kid_grow_with_noise():
    base, reference = features_of(1, 400, 4), features_of(1, 400, 4)
    noise = np.random.default_rng(5).normal(size=base.shape)
    for metric in (d.fid, d.mmd2):
        values = [metric(base + level * noise, reference) for level in (0, 0.5, 1, 2, 4)]
        assert values == sorted(values) and values[-1] > values[0] + 0.1


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 20), st.floats(-1e6, 1e6))
def test_streaming_moments_are_those_of_the_whole_whatever_the_batches(sizes, block, shift):
    rows = np.random.default_rng(sum(sizes)).normal(size=(sum(sizes) + 2, 3)) * [1, 10, 0.1] + shift
    stream = d.Moments(block=block)
    for batch in np.split(rows, np.cumsum(sizes)):
        stream.update(batch)
    assert stream.n == len(rows)
    mean, covariance = stream.compute()
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-12, atol=1e-9)
    # The reference is centred first: at a mean of 1e6 the digits left are those of the data.
    np.testing.assert_allclose(covariance, np.cov(rows - rows[0], rowvar=False), rtol=1e-6, atol=1e-6)
    again = stream.compute()
    np.testing.assert_array_equal(again[1], covariance)


def test_streaming_moments_go_on_after_a_reading_and_hold_no_rows():
    rows = features_of(3, 500, 4)
    stream = d.Moments(block=16)
    for batch in np.array_split(rows, 50):
        stream.update(batch)
        if stream.n == 250:
            np.testing.assert_allclose(stream.compute()[1], np.cov(rows[:250], rowvar=False), rtol=1e-10)
    np.testing.assert_allclose(stream.compute()[1], np.cov(rows, rowvar=False), rtol=1e-10)
    held = sum(value.nbytes for value in vars(stream).values() if isinstance(value, np.ndarray))
    assert held == 8 * (17 * 4 + 4 + 16)


def test_kid_blocks_are_what_the_mean_is_of(golden):
    blocks = d.kid_blocks(golden["features1"], golden["features2"], subsets=20, subset_size=50, seed=171)
    assert blocks.mean == pytest.approx(float(golden["cleanfid/kernel_distance_20_50"]), abs=1e-12)
    assert blocks.values.shape == (20,) and blocks.std == pytest.approx(np.std(blocks.values)) and blocks.std > 0.01
    whole = d.kid_interval(golden["features1"], golden["features2"], level=0.95)
    wide = d.kid_interval(golden["features1"], golden["features2"], level=0.99)
    assert wide.low < whole.low and whole.high < wide.high and wide.value == whole.value
    assert whole.low < blocks.mean < whole.high and whole.low > 0
    assert whole.value == pytest.approx(d.mmd2(golden["features1"], golden["features2"]))


def test_kid_interval_is_the_same_both_ways_and_bears_constant_sets():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(40, 3)) + 0.4, rng.normal(size=(25, 3))
    one, two = d.kid_interval(a, b), d.kid_interval(b, a)
    np.testing.assert_allclose(one, two, rtol=1e-9)
    still = d.kid_interval(np.ones((5, 2)), np.zeros((6, 2)))
    np.testing.assert_allclose(still, 8 + 1 - 2 * 1, rtol=1e-9)  # (1 + 1)^3 and twice 1: nothing varies


def test_kid_interval_is_about_four_deviations_of_repeated_draws():
    rng = np.random.default_rng(4)
    found = np.array([d.kid_interval(rng.normal(size=(100, 8)) + 0.5, rng.normal(size=(100, 8))) for _ in range(500)])
    assert (found[:, 2] - found[:, 1]).mean() / found[:, 0].std() == pytest.approx(4.1, rel=0.1)


@pytest.mark.parametrize("width", [1, 5])
def test_memory_of_moments_is_independent_of_how_many(width):
    def peak(rows):
        stream, block = d.Moments(block=64), np.random.default_rng(0).normal(size=(50, width * 64))
        tracemalloc.start()
        for _ in range(rows // 50):
            stream.update(block)
        stream.compute()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(500), peak(5000)
    assert many < 1.05 * few < 0.5 * 8 * 5000 * width * 64


@pytest.mark.parametrize("k", [3, 5])
def test_precision_and_recall_are_torch_fidelitys(golden, k):
    found = d.precision_recall(golden["features1"], golden["features2"], k=k)
    np.testing.assert_allclose([*found, found.f_score], golden[f"torch_fidelity/precision_recall_f_k{k}"], atol=1e-12)
    recall, precision = d.precision_recall(golden["features2"], golden["features1"], k=k)
    assert (precision, recall) == found


def test_precision_recall_density_and_coverage_by_hand():
    real = np.array([[0.0], [1], [3]])  # with k = 1: balls of radius 1, 1, 2
    generated = np.array([[0.5], [-3.0], [4.5], [0.6]])
    assert d.precision_recall(generated, real, k=1) == (0.75, 1.0)  # balls of the generated: 0.1, 3.5, 3.9, 0.1
    assert d.density_coverage(generated, real, k=1) == pytest.approx((5 / 4, 1.0))
    assert d.precision_recall(generated + 100, real, k=1) == (0, 0)
    assert d.precision_recall(generated + 100, real, k=1).f_score == 0


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 50), st.integers(1, 5))
def test_equal_distributions_have_density_about_one_and_more_noise_has_less(seed, k):
    rng = np.random.default_rng(seed)
    real, generated = rng.normal(size=(2, 150, 2))
    density, coverage = d.density_coverage(generated, real, k=k)
    assert 0.6 < density < 1.5 and coverage > (1 - 2.0**-k) - 0.17
    worse = d.density_coverage(generated * 4, real, k=k)
    assert worse.density < density and worse.coverage < coverage
    np.testing.assert_allclose(d.density_coverage(generated * 3 + 1, real * 3 + 1, k=k), (density, coverage), atol=0.01)


def test_inception_score_is_torch_fidelitys_and_has_its_bounds(golden):
    found = d.inception_score(golden["torch_fidelity/isc_logits"], splits=10, seed=2020)
    np.testing.assert_allclose(found, golden["torch_fidelity/isc_mean_std"], rtol=1e-9)
    assert d.inception_score(np.zeros((20, 4)), splits=2) == pytest.approx((1, 0))
    sure = np.where(np.eye(4)[np.arange(40) % 4] > 0, 0.0, -1e4)
    assert d.inception_score(sure, splits=1).mean == pytest.approx(4)
    assert d.inception_score(sure[::4], splits=1).mean == pytest.approx(1)  # one class is drawn: no variety


def pictures(seed, n=6, side=32):
    return np.random.default_rng(seed).normal(size=(n, 3, side, side)).astype(np.float32)


def test_sliced_wasserstein_is_zero_of_equal_sets_symmetric_and_blind_to_a_channels_scale():
    a, b = pictures(0), pictures(1)
    assert d.sliced_wasserstein(a, a, seed=0) == 0
    value = d.sliced_wasserstein(a, b, seed=0)
    assert value > 0 and value == pytest.approx(d.sliced_wasserstein(b, a, seed=0), rel=1e-6)
    assert value == pytest.approx(d.sliced_wasserstein(100 * a - 7, b, seed=0), rel=1e-2)
    assert value != d.sliced_wasserstein(a, b, seed=1)


def test_sliced_wasserstein_has_pggans_levels_and_sees_blur_where_it_is():
    a, b = pictures(0, side=64), pictures(1, side=64)
    floor = d.sliced_wasserstein_levels(a, b, seed=0)
    assert list(floor) == [64, 32, 16]
    blurred = d.laplacian_pyramid(a)
    from metrics.sliced import upsampled

    coarse = upsampled(blurred[1] + upsampled(blurred[2]))  # without the finest band
    np.testing.assert_allclose(coarse + blurred[0], a, atol=1e-5)  # the pyramid loses nothing
    seen = d.sliced_wasserstein_levels(coarse + 0.02 * b, b, seed=0)
    assert seen[64] > 1.4 * floor[64] and seen[16] < 1.1 * floor[16]


def test_sliced_wasserstein_against_a_direct_computation():
    from scipy.stats import wasserstein_distance

    from bench.streams import stream_rng
    from metrics import sliced

    a, b = pictures(0, n=3, side=16), pictures(1, n=3, side=16)  # one level
    rng = stream_rng("sliced-wasserstein", 4)
    image, row, column = np.repeat(np.arange(3), 5), rng.integers(10, size=15), rng.integers(10, size=15)
    sets = []
    for one in (a, b):
        cut = np.stack([one[i, :, r : r + 7, c : c + 7] for i, r, c in zip(image, row, column, strict=True)])
        cut = (cut - cut.mean((0, 2, 3), keepdims=True)) / cut.std((0, 2, 3), keepdims=True)
        sets.append(cut.reshape(15, -1))
    lines = rng.standard_normal((147, 8)).astype(np.float32)
    lines /= np.linalg.norm(lines, axis=0)
    wanted = 1000 * np.mean([wasserstein_distance(sets[0] @ line, sets[1] @ line) for line in lines.T])
    found = sliced.sliced_wasserstein_levels(a, b, seed=4, patches=5, directions=8)
    assert found == {16: pytest.approx(wanted, rel=1e-4)}


GOOD = np.random.default_rng(0).normal(size=(30, 4))
HOLED = np.where(np.arange(120).reshape(30, 4) == 7, np.nan, GOOD)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: d.fid(HOLED, GOOD), "features_a holds 1 values"),
        (lambda: d.fid(GOOD, GOOD[:3]), "features_b has fewer rows"),
        (lambda: d.fid(GOOD, GOOD[:, :3]), "features_b has 3 columns"),
        (lambda: d.fid(GOOD[:0], GOOD), "features_a is empty"),
        (lambda: d.frechet_distance(np.zeros(2), np.eye(2), np.zeros(3), np.eye(3)), "sigma2 must be|mu2 has 3"),
        (lambda: d.frechet_distance(np.zeros(2), np.eye(2), np.zeros(2), -np.eye(2)), "sigma2 is no covariance"),
        (lambda: d.frechet_distance(np.zeros(2), [[1, 2], [0, 1]], np.zeros(2), np.eye(2)), "sigma1 is not symmetric"),
        (lambda: d.frechet_distance([np.nan, 0], np.eye(2), np.zeros(2), np.eye(2)), "mu1 holds"),
        (lambda: d.kid(GOOD, HOLED, seed=0), "features_b holds"),
        (lambda: d.kid(GOOD, GOOD[:1], seed=0), "features_b has 1 rows"),
        (lambda: d.kid(GOOD, GOOD, subsets=0, seed=0), "subsets must be"),
        (lambda: d.kid_interval(GOOD, GOOD[:, :2]), "features_b has 2 columns"),
        (lambda: d.kid_interval(GOOD, GOOD[:3]), "features_b has 3 rows"),
        (lambda: d.kid_interval(GOOD, GOOD, level=1.0), "level of an interval"),
        (lambda: d.precision_recall(HOLED, GOOD, k=3), "generated holds"),
        (lambda: d.precision_recall(GOOD, GOOD[:3], k=3), "real has 3 rows"),
        (lambda: d.density_coverage(GOOD, GOOD, k=0), "k must be"),
        (lambda: d.inception_score(GOOD[:, :1]), "logits has one class"),
        (lambda: d.inception_score(GOOD[:3]), "logits has 3 rows for 10"),
        (lambda: d.sliced_wasserstein(pictures(0), pictures(0)[:3], seed=0), "images_b has the shape"),
        (lambda: d.sliced_wasserstein(pictures(0), np.zeros((6, 3, 32, 32)), seed=0), "images_b at level 0 has a constant"),
        (lambda: d.sliced_wasserstein(pictures(0) * np.nan, pictures(0), seed=0), "images_a holds"),
        (lambda: d.sliced_wasserstein(pictures(0, side=6), pictures(0, side=6), seed=0), "images_a has sides"),
        (lambda: d.Moments().compute(), "features had 0 rows"),
        (lambda: d.moments(HOLED), "features holds"),
    ],
)
def test_what_cannot_be_used_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_kid_is_unbiased_on_one_distribution_and_positive_on_two():
    rng = np.random.default_rng(0)
    same = np.array([d.mmd2(rng.normal(size=(30, 8)), rng.normal(size=(40, 8))) for _ in range(400)])
    assert abs(same.mean()) < 4 * same.std() / 20  # a biased estimate is off by about (k_ii - k_ij) / n, many standard errors
    assert (same < 0).mean() > 0.3
    other = np.array([d.mmd2(rng.normal(size=(30, 8)) + 1, rng.normal(size=(40, 8))) for _ in range(50)])
    assert other.min() > same.max()


def test_split_floor_is_near_zero():
    rng = np.random.default_rng(0)
    assert abs(d.split_floor(d.mmd2, rng.normal(size=(400, 8)), rng)) < 0.05


def features(n=40, m=200, dim=8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, dim)), rng.normal(size=(m, dim)), bootstrap_weights(np.arange(n), 300, seed)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 30), st.integers(1, 40), st.integers(0, 99))
def test_no_edit_no_difference_exactly(n, m, seed):
    unedited, reference, weights = features(n, m, seed=seed)
    np.testing.assert_array_equal(d.kid_difference(unedited.copy(), unedited, reference, weights), 0)


def test_kid_difference_is_the_difference_of_two_kids():
    unedited, reference, _ = features()
    edited = unedited * 1.3 + 0.2
    mine = d.kid_difference(edited, unedited, reference, np.ones((1, 40)))
    assert mine[0] == pytest.approx(d.mmd2(edited, reference) - d.mmd2(unedited, reference), abs=1e-12)


def test_kid_difference_goes_both_ways():
    unedited, reference, weights = features()
    worse = d.kid_difference(unedited + 1, unedited, reference, weights)
    assert interval(worse)[0] > 0
    better = d.kid_difference(unedited, unedited + 1, reference, weights)
    np.testing.assert_allclose(better, -worse, atol=1e-12)


def test_a_resampled_code_makes_no_pair_with_itself():
    unedited, reference, _ = features(n=3)
    edited = unedited + 0.5
    counts = np.array([[2.0, 1, 0]])
    pair = d.kid_difference(edited[:2], unedited[:2], reference, np.array([[2.0, 1]]))
    np.testing.assert_allclose(d.kid_difference(edited, unedited, reference, counts), pair)
    within = lambda x: d.polynomial_kernel(x[:1], x[1:2])[0, 0]  # noqa: E731
    across = lambda x: 2 * (counts[0, :2] / 3 @ d.polynomial_kernel(x[:2], reference).mean(1))  # noqa: E731
    assert pair[0] == pytest.approx(within(edited) - across(edited) - within(unedited) + across(unedited))


def test_bootstrap_spread_of_kid_difference_is_its_sampling_spread():
    reference = features()[1]
    draws = []
    for seed in range(200):
        unedited = np.random.default_rng(seed + 1).normal(size=(40, 8))
        draws.append(d.kid_difference(unedited + 0.5, unedited, reference, np.ones((1, 40)))[0])
    unedited, _, weights = features(seed=3)
    replicates = d.kid_difference(unedited + 0.5, unedited, reference, weights)
    assert 0.6 < replicates.std() / np.std(draws) < 1.6


def test_failed_pictures_never_bring_the_loss_below_that_of_the_readable_ones():
    unedited, reference, weights = features()
    for shift in (0.0, 0.2, 1.0, 30.0):
        edited = unedited + shift
        before, none = d.kid_difference_failed(edited, unedited, reference, weights)
        np.testing.assert_array_equal(before, d.kid_difference(edited, unedited, reference, weights))
        failed = edited.copy()
        failed[:4] = np.nan
        after, count = d.kid_difference_failed(failed, unedited, reference, weights)
        read = d.kid_difference(edited[4:], unedited[4:], reference, weights[:, 4:])
        assert (none, count) == (0, 4) and np.all(after >= read - 1e-9 * np.abs(read))
        assert shift == 30 or np.all(after > read)
    failed[:] = np.nan
    assert np.all(d.kid_difference_failed(failed, unedited, reference, weights)[0] == np.inf)
    with pytest.raises(ValueError, match="finite"):
        d.kid_difference(failed, unedited, reference, weights)
    with pytest.raises(ValueError, match="fit"):
        d.kid_difference(unedited[:5], unedited, reference, weights)
