"""What inverted codes give back, how they edit and how far out they lie: closed forms and invariants."""

import numpy as np
import pytest

from metrics import inversion as m
from metrics.plausibility import fit_channels, fit_vectors


def test_reconstruction_has_what_it_was_given():
    rng = np.random.default_rng(0)
    original = rng.uniform(-1, 1, size=(3, 3, 16, 16))
    found = m.reconstruction(original, original, data_range=2)
    assert sorted(found) == ["mse", "psnr", "ssim"]
    np.testing.assert_allclose([found["mse"], found["ssim"]], [[0] * 3, [1] * 3])
    vectors, faces = rng.normal(size=(2, 3, 5)), rng.normal(size=(3, 4))
    faces_again = np.where(np.arange(3)[:, None] == 1, np.nan, 2 * faces)
    rebuilt = original + 0.1
    found = m.reconstruction(
        original, rebuilt, data_range=2, perceptual=tuple(vectors), identity=(faces, faces_again), seconds=[1, 2, 3]
    )
    np.testing.assert_allclose(found["mse"], 0.01)
    np.testing.assert_allclose(found["psnr"], 10 * np.log10(400))
    np.testing.assert_allclose(found["perceptual"], np.square(vectors[0] - vectors[1]).sum(1))
    np.testing.assert_allclose(found["identity"], [1, np.nan, 1])
    np.testing.assert_allclose(found["seconds"], [1, 2, 3])
    with pytest.raises(ValueError, match="seconds has the shape"):
        m.reconstruction(original, rebuilt, data_range=2, seconds=[1.0])


def test_editability_against_sampled_codes():
    sampled = np.tile([1.0, 0.2, -0.2], (6, 1))
    found = m.editability(sampled, sampled[:3], target=0)
    assert found == pytest.approx((1, 0.2, 1, 0))
    stiff = m.editability(sampled * [0.5, 1, 1], sampled, target=0)
    assert stiff == pytest.approx((0.5, 0.2, 0.5, 0.2))
    assert m.editability(-sampled, -sampled, target=0, sign=-1).ratio == pytest.approx(1)
    assert m.editability(-sampled, sampled, target=0).excess == np.inf
    for inverted, other, message in (
        (sampled * np.nan, sampled, "inverted holds"),
        (sampled, -sampled, "sampled codes show no effect"),
        (sampled, sampled[:, :2], "sampled has 2 attributes"),
        (sampled[:0], sampled, "inverted must be"),
    ):
        with pytest.raises(ValueError, match=message):
            m.editability(inverted, other, target=0)


def test_latent_consistency_and_distance_from_the_mean():
    codes = np.zeros((2, 3, 4))
    np.testing.assert_allclose(m.latent_editing_consistency(codes, codes + 1), 12**0.5)
    np.testing.assert_allclose(m.latent_editing_consistency(codes, codes), 0)
    w = np.array([[3.0, 4], [0, 0]])
    np.testing.assert_allclose(m.distance_to_mean(w, [0, 0]), [5, 0])
    np.testing.assert_allclose(m.distance_to_mean(np.repeat(w[:, None], 7, 1), [0, 0]), [5, 0])  # w+ of equal rows is its w
    with pytest.raises(ValueError, match="mean has the shape"):
        m.distance_to_mean(w, [0.0])
    with pytest.raises(ValueError, match="returned has the shape"):
        m.latent_editing_consistency(codes, codes[:1])


def test_sampled_codes_have_a_p_norm_of_one_and_moved_ones_more():
    rng = np.random.default_rng(0)
    p = rng.normal(size=(4000, 5)) @ rng.normal(size=(5, 5)) + 1
    w = np.where(p >= 0, p, p / 5)
    statistics = fit_vectors(w, p=True)
    assert m.p_norm(w, statistics).mean() == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(5 * m.p_norm(w, statistics), m.mahalanobis(w, statistics) ** 2)
    plus = np.stack([w[:9], w[9:18]], 1)
    both = [m.p_norm(one, statistics) for one in (w[:9], w[9:18])]
    np.testing.assert_allclose(m.p_norm(plus, statistics), np.mean(both, 0))
    assert np.all(m.p_norm(3 * w[:50] + 9, statistics) > 1)
    with pytest.raises(ValueError, match="style channels"):
        m.p_norm(w, fit_channels(w))
    with pytest.raises(ValueError, match="codes holds"):
        m.p_norm(w * np.nan, statistics)
