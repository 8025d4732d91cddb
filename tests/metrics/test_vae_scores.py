"""BetaVAE and FactorVAE scores: disentanglement_lib's figures on its own minibatches, known codes, samplers."""

import json
from pathlib import Path

import numpy as np
import pytest

from metrics import vae_scores as v


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parents[1] / "golden" / "disentanglement_lib.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def meta(golden):
    return json.loads(str(golden["meta"]))


@pytest.fixture(scope="module")
def represent(golden):
    def apply(factors):
        centred = factors / (golden["rep/sizes"] - 1) - 0.5
        return np.tanh(centred @ golden["rep/A_sampled_metrics"] * 2 + 0.3 * golden["rep/phase"])

    return apply


def test_golden_beta_vae(golden, meta, represent):
    n = meta["num_train"]
    values = v.mean_differences(represent(golden["beta_vae/factors1"]), represent(golden["beta_vae/factors2"]))
    fixed = golden["beta_vae/fixed_factor"]
    np.testing.assert_allclose(values, golden["beta_vae/features"], atol=1e-12)
    found = v.beta_vae_score(values[:n], fixed[:n], values[n:], fixed[n:])
    assert found == pytest.approx(meta["scores"]["beta_vae"]["eval_accuracy"], abs=1e-9)
    found = v.beta_vae_score(values[:n], fixed[:n], values[:n], fixed[:n])
    assert found == pytest.approx(meta["scores"]["beta_vae"]["train_accuracy"], abs=1e-9)


def test_golden_factor_vae(golden, meta, represent):
    n, scores, pairs = meta["num_train"], meta["scores"]["factor_vae"], golden["factor_vae/votes_factor_argmin"]
    scale = represent(golden["factor_vae/variance_factors"]).var(0, ddof=1)
    np.testing.assert_allclose(scale, golden["factor_vae/global_variances"], rtol=1e-12)
    values, fixed = v.minibatch_variances(represent(golden["factor_vae/factors"])), pairs[:, 0]
    train, test = (values[:n], fixed[:n]), (values[n:], fixed[n:])
    assert v.factor_vae_score(*train, scale=scale) == scores["train_accuracy"]
    assert v.factor_vae_score(*train, *test, scale=scale) == scores["eval_accuracy"]
    assert v.factor_vae_score(scale, pairs[:n]) == scores["train_accuracy"]
    assert v.factor_vae_score(scale, pairs[:n], None, pairs[n:]) == scores["eval_accuracy"]
    live = scale > 0.05**2  # variances over the whole data's, without the code that is pruned
    assert v.factor_vae_score(values[:n, live] / scale[live], fixed[:n]) == scores["train_accuracy"]


def test_pruning_is_by_the_standard_deviation():
    votes = np.array([0, 1] * 10)
    values = np.where(votes[:, None] == [0, 1], 0.1, 1.0) * [1e-3, 1]
    values = np.column_stack([values, np.zeros(20)])  # the least variance of all, in a code that is dead
    scale = [1e-3, 1, 1e-9]
    assert v.factor_vae_score(values, votes, scale=scale, prune=0.01) == 1
    assert v.factor_vae_score(values, votes, scale=scale, prune=0.05) == 0.5  # one live code stands for one factor
    assert v.factor_vae_score(values, votes, scale=scale, prune=2) == 0
    assert v.factor_vae_score(np.full(3, 1e-9), np.array([[0, 1]])) == 0


def draw(n, rng):
    return rng.integers(4, size=(n, 3)).astype(float)


MIXING = np.random.default_rng(8).normal(size=(3, 3))


@pytest.mark.parametrize("clean", [True, False])
def test_drawn_minibatches_tell_clean_codes_from_mixed(clean):
    def represent(factors):
        return factors @ (np.eye(3) if clean else MIXING)

    beta = v.beta_vae_batches(draw, represent, 300, batch=16, seed=1)
    factor = v.factor_vae_batches(draw, represent, 300, batch=16, seed=1)
    scale = represent(draw(2000, np.random.default_rng(2))).var(0, ddof=1)
    scores = (
        v.beta_vae_score(beta.values[:200], beta.fixed[:200], beta.values[200:], beta.fixed[200:]),
        v.factor_vae_score(factor.values[:200], factor.fixed[:200], factor.values[200:], factor.fixed[200:], scale=scale),
    )
    if clean:
        np.testing.assert_array_equal(beta.values.argmin(1), beta.fixed)
        np.testing.assert_array_equal(factor.values[np.arange(300), factor.fixed], 0)
        assert scores == (1, 1)
    else:
        assert scores[1] < 0.95
    again = v.factor_vae_batches(draw, represent, 300, batch=16, seed=1)
    np.testing.assert_array_equal(again.values, factor.values)


def test_minibatches_of_a_table_share_the_fixed_factor(monkeypatch):
    rng = np.random.default_rng(3)
    factors = rng.integers(4, size=(500, 3))
    factors[0, 0] = 9  # a class of one row: its companion is itself
    codes = factors.astype(float)
    beta = v.beta_vae_batches_from(codes, factors, 100, batch=8, seed=0)
    factor = v.factor_vae_batches_from(codes, factors, 100, batch=8, seed=0)
    for found in (beta, factor):
        assert set(found.fixed) == {0, 1, 2}
        np.testing.assert_array_equal(found.values[np.arange(100), found.fixed], 0)
        assert found.values.mean() > 0.3
    chance = v.beta_vae_score(rng.normal(size=(100, 3)), beta.fixed, rng.normal(size=(100, 3)), beta.fixed)
    assert chance < 0.6 < v.beta_vae_score(*beta, *beta)
    assert v.factor_vae_score(*factor) > 0.95


def test_a_continuous_factor_of_a_table_is_shared_by_its_bin():
    factors = np.random.default_rng(4).normal(size=(3000, 2))
    found = v.factor_vae_batches_from(factors, factors, 200, batch=16, bins=40, seed=0)
    assert found.values[np.arange(200), found.fixed].max() < 0.05


def test_blocks_of_a_table_change_nothing(monkeypatch):
    factors = np.random.default_rng(5).integers(3, size=(50, 2))
    whole = v.factor_vae_batches_from(factors, factors, 9, batch=4, seed=0)
    monkeypatch.setattr(v, "BLOCK", 20)
    monkeypatch.setattr(v, "ROWS", 7)
    np.testing.assert_array_equal(v.factor_vae_batches_from(factors, factors, 9, batch=4, seed=0).values, whole.values)
    assert v.beta_vae_batches(draw, lambda f: f, 9, batch=4).values.shape == (9, 3)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"variances": np.full((4, 2), np.nan)}, "variances holds 8 values"),
        ({"variances": -np.ones((4, 2))}, "variances holds negative"),
        ({"variances": np.ones((0, 2))}, "variances is empty"),
        ({"votes": np.array([0, 1, 1])}, "votes must be one number for each of 4"),
        ({"votes": np.array([0, 1, 1, 0.5])}, "votes must be whole"),
        ({"votes": np.array([0, 1, 1, np.nan])}, "votes must be whole"),
        ({"votes": np.zeros((4, 3))}, "votes as pairs"),
        ({"scale": np.ones(3)}, "scale must hold"),
        ({"variances_test": np.ones((4, 2))}, "variances_test and votes_test"),
    ],
)
def test_minibatches_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        v.factor_vae_score(**{"variances": np.ones((4, 2)), "votes": np.array([0, 1, 1, 0]), **change})


def test_differences_that_do_not_fit_are_refused():
    x, y = np.ones((4, 2)), np.array([0, 1, 1, 0])
    for four, message in (
        ((x, y * 0, x, y), "fixed holds one factor"),
        ((x * np.nan, y, x, y), "differences holds"),
        ((x, y, x[:, :1], y), "differences_test has 1"),
        ((x, y, x, y[:2]), "fixed_test must be"),
        ((x[0], y, x, y), "differences must be"),
    ):
        with pytest.raises(ValueError, match=message):
            v.beta_vae_score(*four)
    with pytest.raises(ValueError, match="represent"):
        v.factor_vae_batches(draw, lambda f: f[:-1], 3, batch=4)
