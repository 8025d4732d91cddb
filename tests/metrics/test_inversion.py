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


def test_editability_under_weights():
    rng = np.random.default_rng(0)
    inverted, sampled = rng.normal(1, 0.3, size=(7, 3)), rng.normal(1, 0.3, size=(5, 3))
    equal = {"weights": np.ones((1, 7)), "sampled_weights": np.ones((1, 5))}
    rows, whole = m.editability_rows(inverted, sampled, 1, **equal), m.editability(inverted, sampled, 1)
    for name in ("effect", "leakage", "ratio", "excess"):
        assert getattr(rows, name)[0] == pytest.approx(getattr(whole, name)), name
    # All the weight on one code of each is that pair alone; more weight everywhere changes nothing.
    one = m.editability_rows(inverted, sampled, 1, weights=np.eye(7)[[2, 2]] * 9, sampled_weights=np.eye(5)[[3, 4]])
    assert one.ratio[0] == pytest.approx(inverted[2, 1] / sampled[3, 1])
    assert one.excess[1] == pytest.approx(
        np.abs(inverted[2, [0, 2]]).mean() / inverted[2, 1] - np.abs(sampled[4, [0, 2]]).mean() / sampled[4, 1]
    )
    # Unreadable: an inverted code has no effect and leaks 10 sigma, a sampled one is left out.
    blank = inverted.copy()
    blank[0] = np.nan
    lost = m.editability_rows(blank, np.concatenate([sampled, np.full((1, 3), np.nan)]), 1, weights=np.ones((1, 7)),
                              sampled_weights=np.ones((1, 6)))  # fmt: skip
    assert lost.effect[0] == pytest.approx(inverted[1:, 1].sum() / 7)
    assert lost.sampled_effect[0] == pytest.approx(sampled[:, 1].mean())
    # No effect: of inverted codes the excess is infinite, of sampled ones there is no ratio either.
    none = m.editability_rows(-inverted, sampled, 1, **equal)
    assert none.excess[0] == np.inf and none.ratio[0] < 0
    none = m.editability_rows(inverted, -sampled, 1, **equal)
    assert none.excess[0] == np.inf and np.isnan(none.ratio[0])
    # Pooled: ratios of means, not means of ratios.
    both = m.EditabilityRows.pooled([rows, one._replace(**{f: v[:1] for f, v in one._asdict().items()})])
    assert both.ratio[0] == pytest.approx((rows.effect[0] + one.effect[0]) / (rows.sampled_effect[0] + one.sampled_effect[0]))
    for bad, message in (
        ({"weights": np.ones((1, 6)), "sampled_weights": np.ones((1, 5))}, "weights .* do not fit"),
        ({"weights": np.ones((1, 7)), "sampled_weights": np.ones((1, 6))}, "sampled_weights .* do not fit"),
    ):
        with pytest.raises(ValueError, match=message):
            m.editability_rows(inverted, sampled, 1, **bad)
    with pytest.raises(ValueError, match="no row that could be read"):
        m.editability_rows(inverted, sampled * np.nan, 1, **equal)
    with pytest.raises(ValueError, match="edits is empty"):
        m.EditabilityRows.pooled([])
