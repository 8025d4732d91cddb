"""Interventional robustness: disentanglement_lib's figures, known codes, invariants."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.irs import irs, robustness


def test_golden_figures():
    with np.load(Path(__file__).parents[1] / "golden" / "disentanglement_lib.npz", allow_pickle=False) as file:
        golden = dict(file)
    codes, factors = golden["fixed/codes_train"].T, golden["fixed/factors_train"].T
    found = robustness(codes, factors)
    assert irs(codes, factors) == pytest.approx(json.loads(str(golden["meta"]))["scores"]["irs"], abs=1e-12)
    np.testing.assert_allclose(found.matrix, golden["irs/IRS_matrix"], atol=1e-9)
    np.testing.assert_allclose(found.per_code, golden["irs/disentanglement_scores"], atol=1e-9)
    np.testing.assert_allclose(found.deviations, golden["irs/max_deviations"], rtol=1e-12)
    np.testing.assert_array_equal(found.parents, golden["irs/parents"])


def test_a_code_of_one_factor_is_robust_and_a_sum_is_not():
    rng = np.random.default_rng(0)
    factors = rng.integers(5, size=(2000, 3))
    assert irs(factors.astype(float), factors) == pytest.approx(1, abs=1e-12)
    found = robustness(np.column_stack([factors[:, 1], factors.sum(1)]), factors)
    np.testing.assert_array_equal(found.parents[:1], [1])
    assert found.per_code[0] == pytest.approx(1) and found.per_code[1] < 0.5


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_order_scale_and_names_of_classes_do_not_count(seed):
    rng = np.random.default_rng(seed)
    factors = np.concatenate([np.arange(3)[:, None].repeat(2, 1), rng.integers(3, size=(60, 2))])
    codes = factors @ rng.normal(size=(2, 3)) + 0.2 * rng.normal(size=(63, 3))
    plain = irs(codes, factors)
    assert 0 <= plain <= 1
    assert irs(-3.7 * codes[:, ::-1] + 2, factors) == pytest.approx(plain, abs=1e-9)
    assert irs(codes, rng.permutation(3)[factors][:, ::-1]) == pytest.approx(plain, abs=1e-9)


def test_noise_lowers_it():
    rng = np.random.default_rng(1)
    factors, noise = rng.integers(4, size=(2, 1500, 3))
    found = [irs(factors + s * noise, factors) for s in (0.0, 0.1, 0.5, 2.0)]
    assert found == sorted(found, reverse=True) and found[0] == 1 and found[-1] < 0.5


def test_quantile_is_refused():
    with pytest.raises(ValueError, match="quantile"):
        robustness(np.eye(3), np.arange(3)[:, None], quantile=1.5)
