"""Re-scoring against HiGAN's own figures (golden/higan.npz) and by hand."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import rescoring

GOLDEN = Path(__file__).parents[1] / "golden" / "higan.npz"


def test_delta_and_layerwise_delta_are_higans():
    with np.load(GOLDEN, allow_pickle=False) as golden:
        scores, delta, layerwise = (golden[f"rescore/{name}"] for name in ("scores", "delta", "delta_layerwise"))
    mine, mine_layerwise = rescoring.layer_deltas(scores)
    np.testing.assert_allclose(mine, delta, atol=4e-7)
    np.testing.assert_allclose(mine_layerwise, layerwise, atol=4e-7)


def test_falls_count_as_nothing_and_do_not_cancel_rises():
    before, after = np.zeros((4, 2)), np.array([[1.0, -1], [1, -1], [-1, -1], [-5, -1]])
    np.testing.assert_allclose(rescoring.rescoring_delta(before, after), [0.5, 0])
    with pytest.raises(ValueError, match="before is empty"):
        rescoring.rescoring_delta(np.zeros((0, 2)), np.zeros((0, 2)))
    with pytest.raises(ValueError, match="after has the shape"):
        rescoring.rescoring_delta(np.zeros((1, 2)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="after holds 1"):
        rescoring.rescoring_delta(np.zeros((1, 2)), np.array([[0, np.nan]]))


def test_signed_matrix_is_normalised_by_each_attributes_spread():
    before = np.array([[0.0, 1], [2, 1]])
    after = np.stack([before + [2, -1], before + [[0, 0], [4, 1]]])
    np.testing.assert_allclose(rescoring.rescoring_matrix(before, after, [2, 0.5]), [[1, -2], [1, 1]])
    each = np.stack([before, before + 1])  # codes of their own for each target
    np.testing.assert_allclose(rescoring.rescoring_matrix(each, each + 1, [2, 0.5]), [[0.5, 2], [0.5, 2]])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 99))
def test_matrix_and_delta_follow_codes_and_attributes(targets, codes, seed):
    rng = np.random.default_rng(seed)
    before, after, spread = rng.normal(size=(codes, 3)), rng.normal(size=(targets, codes, 3)), rng.uniform(0.5, 2, 3)
    matrix = rescoring.rescoring_matrix(before, after, spread)
    order, turn = rng.permutation(codes), rng.permutation(3)
    np.testing.assert_allclose(rescoring.rescoring_matrix(before[order], after[:, order], spread), matrix, atol=1e-12)
    turned = rescoring.rescoring_matrix(before[:, turn], after[:, :, turn], spread[turn])
    np.testing.assert_allclose(turned, matrix[:, turn])
    np.testing.assert_allclose(rescoring.rescoring_matrix(7 * before, 7 * after, 7 * spread), matrix)
    delta = np.stack([rescoring.rescoring_delta(before, one) for one in after])
    assert np.all(delta >= 0) and np.all(delta >= matrix * spread - 1e-12)


@pytest.mark.parametrize(
    "before, after, spread, name",
    [
        (np.full((2, 2), np.nan), np.zeros((1, 2, 2)), np.ones(2), "before holds"),
        (np.zeros((0, 2)), np.zeros((1, 0, 2)), np.ones(2), "before is empty"),
        (np.zeros((2, 2)), np.zeros((2, 2)), np.ones(2), "after must be"),
        (np.zeros((3, 2)), np.zeros((1, 2, 2)), np.ones(2), "before has the shape"),
        (np.zeros((2, 2)), np.zeros((1, 2, 2)), np.array([1, 0.0]), "spread must be positive"),
        (np.zeros((2, 2)), np.zeros((1, 2, 2)), np.ones(3), "spread has the shape"),
    ],
)
def test_matrix_names_what_it_cannot_use(before, after, spread, name):
    with pytest.raises(ValueError, match=name):
        rescoring.rescoring_matrix(before, after, spread)


def test_signed_change_keeps_unread_rows_and_refuses_a_spread_of_zero():
    change = rescoring.signed_change(np.zeros((2, 2)), np.array([[2.0, -1], [np.nan, 0]]), np.array([2.0, 0.5]))
    np.testing.assert_allclose(change, [[1, -2], [np.nan, 0]])
    with pytest.raises(ValueError, match="positive"):
        rescoring.signed_change(np.zeros((1, 2)), np.zeros((1, 2)), np.array([1.0, 0]))
