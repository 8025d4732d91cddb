"""MIG, modularity, Gaussian correlation: disentanglement_lib's figures, scikit-learn's information, closed forms, invariants."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from metrics import information as m


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parents[1] / "golden" / "disentanglement_lib.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def scores(golden):
    return json.loads(str(golden["meta"]))["scores"]


@pytest.fixture(scope="module")
def pair(golden):
    return golden["fixed/codes_train"].T, golden["fixed/factors_train"].T


def test_golden_scores(pair, golden, scores):
    codes, factors = pair
    assert m.mig(codes, factors, bins=20) == pytest.approx(scores["mig"]["discrete_mig"], abs=1e-12)
    assert m.modularity(codes, factors, bins=20) == pytest.approx(scores["modularity"], abs=1e-12)
    np.testing.assert_array_equal(m.discretise(codes, 20) + 1, golden["mig/discretised_codes"].T)
    np.testing.assert_allclose(m.mutual_information(codes, factors, bins=20), golden["mig/mutual_information"], atol=1e-12)


def test_golden_correlations(pair, scores):
    assert m.gaussian_total_correlation(pair[0]) == pytest.approx(scores["gaussian_total_correlation"], rel=1e-9)
    assert m.gaussian_wasserstein_correlation(pair[0]) == pytest.approx(scores["gaussian_wasserstein_correlation"], rel=1e-9)


@given(st.integers(0, 10**6), st.integers(2, 9))
@settings(max_examples=15, deadline=None)
def test_information_is_scikit_learns_for_every_pair(seed, bins):
    rng = np.random.default_rng(seed)
    codes = rng.normal(size=(60, 3))
    factors = np.stack([codes[:, 0] > 0, rng.integers(4, size=60)], 1).astype(int)
    factors[0], factors[1] = (0, 0), (1, 1)
    edges = [np.histogram(c, bins)[1][:-1] for c in codes.T]
    mine = m.mutual_information(codes, factors, bins=bins)
    for d in range(3):
        for k in range(2):
            theirs = mutual_info_score(factors[:, k], np.digitize(codes[:, d], edges[d]))
            assert mine[d, k] == pytest.approx(theirs, abs=1e-12)


def test_blocks_of_codes_change_nothing(pair, monkeypatch):
    whole = m.mutual_information(*pair)
    monkeypatch.setattr(m, "CHUNK", 2500)
    np.testing.assert_array_equal(m.mutual_information(*pair), whole)


def test_one_clean_code_a_factor_scores_1_and_a_shared_factor_0():
    rng = np.random.default_rng(0)
    factors = rng.integers(4, size=(4000, 2))
    clean = np.column_stack([factors, rng.normal(size=4000)])
    assert m.mig(clean, factors) == pytest.approx(1, abs=0.01)
    assert m.modularity(clean[:, :2], factors) == pytest.approx(1, abs=1e-4)
    assert m.mig(np.repeat(factors, 2, axis=1), factors) == pytest.approx(0, abs=1e-12)
    both = (factors[:, 0] * 4 + factors[:, 1])[:, None].astype(float)  # one code that tells both factors alike
    assert m.modularity(both, factors) == pytest.approx(0, abs=1e-3)


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_order_scale_and_names_of_classes_do_not_count(seed):
    rng = np.random.default_rng(seed)
    factors = rng.integers(3, size=(200, 3))
    factors[:3] = np.arange(3)[:, None]
    codes = factors + rng.normal(size=(200, 3))
    order, classes = rng.permutation(3), rng.permutation(3)
    for score in (m.mig, m.modularity):
        plain = score(codes, factors)
        assert 0 <= plain <= 1
        assert score(codes[:, order] * 4, factors) == pytest.approx(plain, abs=1e-12)
        assert score(-codes, factors) == pytest.approx(plain, abs=0.1)  # bins close on the other side
        assert score(codes, classes[factors][:, order]) == pytest.approx(plain, abs=1e-12)


def test_noise_lowers_mig():
    rng = np.random.default_rng(1)
    factors = rng.integers(5, size=(3000, 3))
    noise = rng.normal(size=(3000, 3))
    found = [m.mig(factors + s * noise, factors) for s in (0.05, 0.3, 0.8, 2, 6)]
    assert found == sorted(found, reverse=True) and found[0] > 0.9 > 0.1 > found[-1]


def test_continuous_factors_are_binned():
    rng = np.random.default_rng(2)
    factors = rng.normal(size=(2000, 2))
    binned = np.stack([np.digitize(f, np.histogram(f, 20)[1][:-1]) for f in factors.T], 1)
    codes = factors + 0.3 * rng.normal(size=(2000, 2))
    assert m.mig(codes, factors, bins=20) == pytest.approx(m.mig(codes, binned, bins=20), abs=1e-12)


def test_correlations_of_known_gaussians():
    rng = np.random.default_rng(3)
    free = rng.normal(size=(4000, 3))
    free = np.linalg.qr(free - free.mean(0))[0]  # no sample correlation at all
    assert m.gaussian_total_correlation(free) == pytest.approx(0, abs=1e-9)
    assert m.gaussian_wasserstein_correlation(free) == pytest.approx(0, abs=1e-9)
    root = np.linalg.cholesky([[1, 0.8], [0.8, 1]])
    tied = free[:, :2] * np.sqrt(3999) @ root.T
    assert m.gaussian_total_correlation(tied) == pytest.approx(-0.5 * np.log(1 - 0.64), rel=1e-6)
    assert m.gaussian_total_correlation(tied * [5, 0.1]) == pytest.approx(-0.5 * np.log(1 - 0.64), rel=1e-6)
    # Eigenvalues 1.8 and 0.2: 2 * 2 - 2 (sqrt 1.8 + sqrt 0.2).
    assert m.gaussian_wasserstein_correlation(tied) == pytest.approx(4 - 2 * (1.8**0.5 + 0.2**0.5), rel=1e-6)
    with pytest.raises(ValueError, match="codes .*without an inverse"):
        m.gaussian_total_correlation(np.column_stack([free[:, :2], free[:, 0] + free[:, 1]]))


@pytest.mark.parametrize("bins", [1, 0, 2.5, True])
def test_bins_are_refused(pair, bins):
    with pytest.raises(ValueError, match="bins"):
        m.mig(*pair, bins=bins)
