"""Explicitness and SAP: disentanglement_lib's figures, known codes, invariants."""

import json
from pathlib import Path

import numpy as np
import pytest

from metrics.predictability import explicitness, explicitness_per_factor, sap, sap_matrix


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parents[1] / "golden" / "disentanglement_lib.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def four(golden):
    return [golden[f"fixed/{name}"].T for name in ("codes_train", "factors_train", "codes_test", "factors_test")]


def test_golden_sap(golden, four):
    scores = json.loads(str(golden["meta"]))["scores"]
    assert sap(*four) == pytest.approx(scores["sap_discrete"]["SAP_score"], abs=1e-9)
    assert sap(*four, continuous=True) == pytest.approx(scores["sap_continuous"]["SAP_score"], abs=1e-12)
    np.testing.assert_allclose(sap_matrix(*four), golden["sap/score_matrix_discrete"], atol=1e-9)
    np.testing.assert_allclose(sap_matrix(*four, continuous=True), golden["sap/score_matrix_continuous"], atol=1e-12)


def test_golden_explicitness(golden, four):
    scores = json.loads(str(golden["meta"]))["scores"]
    assert explicitness(*four) == pytest.approx(scores["explicitness_train_test"][1], abs=1e-6)
    np.testing.assert_allclose(explicitness_per_factor(*four), golden["explicitness/per_factor_train_test"][:, 1], atol=1e-6)
    train = explicitness(*four[:2], *four[:2])
    assert train == pytest.approx(scores["explicitness_train_test"][0], abs=1e-6)


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    factors = rng.integers(3, size=(600, 2))
    return rng, factors, rng.normal(size=(600, 2))


def halves(codes, factors):
    return codes[:300], factors[:300], codes[300:], factors[300:]


def test_noise_lowers_both(drawn):
    _, factors, noise = drawn
    found = [[f(*halves(factors + s * noise, factors)) for f in (explicitness, sap)] for s in (0.05, 0.5, 1.5, 20)]
    assert found == sorted(found, reverse=True)
    assert found[0][0] > 0.8 and abs(found[-1][0] - 0.5) < 0.06 and found[-1][1] < 0.1


def test_a_rotation_leaves_explicitness_and_lowers_sap(drawn):
    _, factors, noise = drawn
    codes = factors - 1 + 0.3 * noise
    turned = codes @ (np.array([[1, 1], [-1, 1]]) / np.sqrt(2))
    assert explicitness(*halves(turned, factors)) == pytest.approx(explicitness(*halves(codes, factors)), abs=0.02)
    for continuous in (False, True):
        plain, mixed = (sap(*halves(c, factors), continuous=continuous) for c in (codes, turned))
        assert plain > 0.25 and mixed < 0.3 * plain


def test_scale_order_and_names_of_classes_do_not_count(drawn):
    _, factors, noise = drawn
    codes = factors + 0.5 * noise
    plain = explicitness(*halves(codes, factors))
    assert explicitness(*halves(codes[:, ::-1] * [1e-3, 7] + 1, factors)) == pytest.approx(plain, abs=1e-4)
    assert explicitness(*halves(codes, (2 - factors)[:, ::-1])) == pytest.approx(plain, abs=1e-4)
    plain = sap(*halves(codes, factors), continuous=True)
    assert sap(*halves(codes[:, ::-1] * [1e-3, 7] + 1, factors), continuous=True) == pytest.approx(plain, abs=1e-12)


def test_what_cannot_be_read_is_refused(drawn):
    _, factors, noise = drawn
    codes = factors + 0.5 * noise
    short = halves(codes, factors)
    only = np.where(short[3] == 2, 0, short[3])
    with pytest.raises(ValueError, match="factors_test .*class 2"):
        explicitness(*short[:3], only)
    for score in (explicitness, sap):
        with pytest.raises(ValueError, match="factors .*whole numbers"):
            score(*halves(codes, factors + 0.5))
    with pytest.raises(ValueError, match="codes has 1 column"):
        sap(*halves(codes[:, :1], factors))
