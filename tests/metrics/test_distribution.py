"""Set distances against clean-fid's and torch-fidelity's figures (golden/set_metrics.npz), closed forms and known truths."""

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
    mine = d.kid(golden["features1"], golden["features2"], subsets=subsets, size=size, rng=np.random.RandomState(171))
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


def test_fid_refuses_small_sets_with_a_reason():
    rng = np.random.default_rng(0)
    with pytest.raises(UnsupportedError, match="needs 40 pictures a side, not 39"):
        d.fid(rng.normal(size=(39, 4)), rng.normal(size=(400, 4)))
    near, far = (d.fid(rng.normal(size=(400, 4)) + shift, rng.normal(size=(400, 4))) for shift in (0, 2))
    assert near < 0.2 and far == pytest.approx(16, rel=0.15)


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
