"""Re-scoring against HiGAN's own figures (golden/higan.npz) and by hand."""

from pathlib import Path

import numpy as np
import pytest

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
    with pytest.raises(ValueError):
        rescoring.rescoring_delta(np.zeros((0, 2)), np.zeros((0, 2)))
    with pytest.raises(ValueError):
        rescoring.rescoring_delta(np.zeros((1, 2)), np.zeros((3, 2)))


def test_signed_matrix_is_normalised_by_each_attributes_spread():
    sigma = np.array([2.0, 0.5])
    change = rescoring.signed_change(np.zeros((3, 2)), np.array([[2.0, -1], [4, 0], [np.nan, 0]]), sigma)
    targets, matrix = rescoring.rescoring_matrix({"smile": change, "age": change[2:]}, ("smile", "age"))
    assert targets == ("smile", "age")
    np.testing.assert_allclose(matrix, [[1.5, -1.0], [np.nan, np.nan]])
    _, weighted = rescoring.rescoring_matrix({"smile": change}, ("smile", "age"), weights=np.array([3.0, 1, 9]))
    np.testing.assert_allclose(weighted, [[1.25, -1.5]])
    with pytest.raises(ValueError, match="positive"):
        rescoring.signed_change(np.zeros((1, 2)), np.zeros((1, 2)), np.array([1.0, 0]))
