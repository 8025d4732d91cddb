"""The editing metrics: pure edits, bad edits, failures, symmetries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from bench.errors import InputError
from metrics import editing as e
from metrics import effects
from metrics.base import EditBatch

NAMES = ("smile", "age", "yaw", "glasses")
SIGMA = np.array([2.0, 10.0, 0.5, 4.0])


def batch(step, n=6, target="smile", sign=1, names=NAMES, seed=0, **readings):
    """A batch whose attributes change by `step` sigma ([K] or [N, K]); other readings given as (before, after)."""
    rng = np.random.default_rng(seed)
    sigma = SIGMA[[NAMES.index(name) for name in names]]
    scores = rng.normal(size=(n, len(names))) * sigma
    before, after = {"attributes": scores}, {"attributes": scores + np.asarray(step) * sigma}
    extra = readings.pop("extra", {})
    for name, (one, two) in readings.items():
        before[name], after[name] = one, two
    return EditBatch(before, after, names, sigma, target, sign, extra=extra)


def value(metric, *batches, key=None):
    for one in batches:
        metric.update(one)
    return metric.compute()[key or metric.name].value


def test_a_pure_edit_has_its_effect_and_no_leakage():
    pure = batch([0.7, 0, 0, 0])
    assert value(e.TargetEffect(), pure) == pytest.approx(0.7)
    assert value(e.Leakage(), pure) == pytest.approx(0, abs=1e-12)
    assert value(e.ReScoring(), pure) == pytest.approx(1.4)  # in the score's own units
    assert value(e.AttributeChange(), pure) == pytest.approx(0, abs=1e-12)
    assert value(e.AttributeDependency(0.5), pure) == pytest.approx(0, abs=1e-12)


def test_the_sign_asked_turns_the_effect():
    down = batch([-0.7, 0.3, 0, 0], sign=-1)
    assert value(e.TargetEffect(), down) == pytest.approx(0.7)
    assert value(e.ReScoring(), down) == pytest.approx(1.4)
    wrong_way = batch([-0.7, 0, 0, 0])
    assert value(e.TargetEffect(), wrong_way) == pytest.approx(-0.7)
    assert value(e.ReScoring(), wrong_way) == 0


def test_leakage_is_the_mean_over_others_and_does_not_cancel():
    assert value(e.Leakage(), batch([0.5, 0.3, -0.6, 0])) == pytest.approx(0.3)
    step = np.tile([0.5, 0.3, 0, 0], (6, 1))
    step[::2, 1] *= -1  # half the pictures up, half down
    assert value(e.Leakage(), batch(step)) == pytest.approx(0.1)
    assert value(e.AttributeChange(), batch(step)) == pytest.approx(0, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(4)), st.lists(st.floats(-2, 2), min_size=4, max_size=4))
def test_the_order_of_attributes_does_not_matter(order, step):
    step = np.array(step)
    names = tuple(NAMES[i] for i in order)
    for metric in (e.TargetEffect, e.Leakage, e.AttributeChange):
        assert value(metric(), batch(step[list(order)], names=names)) == pytest.approx(value(metric(), batch(step)), abs=1e-9)


def test_splitting_a_stream_into_batches_changes_nothing():
    rng = np.random.default_rng(0)
    whole = batch(rng.normal(size=(10, 4)), n=10, identity=tuple(rng.normal(size=(2, 10, 5))))
    take = lambda half, rows: {k: v[rows] for k, v in half.items()}  # noqa: E731
    part = lambda rows: EditBatch(take(whole.before, rows), take(whole.after, rows), NAMES, SIGMA, "smile", 1)  # noqa: E731
    parts = [part(slice(3)), part(slice(3, 10))]
    for metric in (e.TargetEffect, e.Leakage, e.AttributeChange, e.IdentityPreservation, e.AttributeDependency, e.ReScoring):
        one, two = metric(), metric()
        one.update(whole)
        for one_part in parts:
            two.update(one_part)
        for key, score in one.compute().items():
            assert two.compute()[key].value == pytest.approx(score.value, nan_ok=True)
            assert (score.n, score.n_failed) == (two.compute()[key].n, two.compute()[key].n_failed)


def test_attribute_change_is_the_signed_row_of_the_matrix():
    metric = e.AttributeChange()
    metric.update(batch([0.5, -0.3, 0.6, 0], sign=-1))
    scores = metric.compute()
    np.testing.assert_allclose([scores[f"attribute_change/{name}"].value for name in NAMES], [0.5, -0.3, 0.6, 0], atol=1e-12)
    assert scores["attribute_change"].per_sample.shape == (6, 4)
    with pytest.raises(InputError, match="different targets"):
        metric.update(batch([0, 0, 0, 0], target="age"))


def test_identity_from_the_same_to_the_opposite():
    a = np.eye(6)[:, :5] + 0.1
    for other, cosine in ((a, 1), (3 * a, 1), (-a, -1)):
        assert value(e.IdentityPreservation(), batch([0] * 4, identity=(a, other))) == pytest.approx(cosine)
    tilted = (np.array([[1.0, 0]] * 6), np.array([[1.0, 1]] * 6))
    assert value(e.IdentityPreservation(), batch([0] * 4, identity=tilted)) == pytest.approx(np.sqrt(0.5))


def test_perceptual_distance_is_squared_and_zero_for_equal_pictures():
    a = np.zeros((6, 3))
    assert value(e.PerceptualDistance(), batch([0] * 4, perceptual=(a, a))) == 0
    assert value(e.PerceptualDistance(), batch([0] * 4, perceptual=(a, a + [3.0, 4, 0]))) == pytest.approx(25)


@pytest.mark.parametrize("metric, good", [(e.TargetEffect, 0.7), (e.Leakage, 0.1), (e.IdentityPreservation, 1.0)])
def test_unreadable_samples_count_as_worst_in_headlines(metric, good):
    a = np.ones((4, 3))
    step = np.tile([0.7, 0.3, 0, 0], (4, 1))
    bad = batch(step, n=4, identity=(a, a.copy()))
    bad.after["attributes"][1, 2] = np.nan
    bad.after["identity"][1, 0] = np.inf
    one = metric()
    one.update(bad)
    score = one.compute()[one.name]
    assert (score.n, score.n_failed) == (4, 1)
    assert np.isnan(score.per_sample).tolist() == [False, True, False, False]
    assert score.value == pytest.approx((3 * good + metric.worst) / 4)
    assert (score.value < good) == metric.higher_is_better


def test_unreadable_samples_are_counted_where_there_is_no_worst():
    a = np.zeros((4, 3))
    b = a + 1
    b[0] = np.nan
    one = e.PerceptualDistance()
    one.update(batch(np.zeros((4, 4)), n=4, perceptual=(a, b)))
    score = one.compute()["perceptual"]
    assert (score.value, score.n, score.n_failed) == (3, 4, 1)
    with pytest.raises(ValueError, match="no worst"):
        effects.with_worst(score.per_sample, e.PerceptualDistance.worst)


def test_identity_without_length_is_a_failure():
    one = e.IdentityPreservation()
    one.update(batch([0] * 4, identity=(np.ones((6, 2)), np.zeros((6, 2)))))
    assert one.compute()["identity"].n_failed == 6 and one.compute()["identity"].value == -1


def test_guide_gap_shows_a_fooled_guide_in_each_networks_own_sigma():
    def gap(step, guide, sign=1):
        extra = {"guide_before": np.zeros(6), "guide_after": np.full(6, guide), "guide_sigma": np.array(4.0)}
        return batch([step, 0, 0, 0], sign=sign, extra=extra)

    assert value(e.GuideGap(), gap(0.5, 2.0)) == pytest.approx(0)
    assert value(e.GuideGap(), gap(0.1, 4.0)) == pytest.approx(0.9)
    assert value(e.GuideGap(), gap(-0.1, -4.0, sign=-1)) == pytest.approx(0.9)
    assert value(e.GuideGap(), gap(0.5, 0.0)) == pytest.approx(-0.5)
    assert value(e.GuideGap(), gap(0.5, 0.0), gap(0.0, 2.0), key="guide_gap_abs") == pytest.approx(0.5)
    with pytest.raises(InputError, match="guide_after, guide_before, guide_sigma"):
        e.GuideGap().update(batch([0] * 4))


def test_attribute_dependency_reads_every_code_at_its_own_equal_change():
    step = np.array([[1.0, 0.4, 0, 0], [2.0, 0.4, 0, 0.8], [0.2, 5, 5, 5]])
    metric = e.AttributeDependency(level=0.5)
    metric.update(batch(step, n=3))
    scores = metric.compute()
    # halfway to the first batch strength, a quarter of the way, never
    np.testing.assert_allclose(scores["attribute_dependency"].per_sample, [0.2 / 3, 0.3 / 3, np.nan])
    assert scores["attribute_dependency"].value == pytest.approx(0.25 / 3)
    assert scores["attribute_dependency"].n_failed == 1
    assert scores["attribute_dependency_max"].value == pytest.approx(0.15)
    assert scores["attribute_dependency_reached"].value == pytest.approx(2 / 3)
    never = e.AttributeDependency(0.5)
    never.update(batch([-1.0, 0, 0, 0]))
    assert np.isnan(never.compute()["attribute_dependency"].value) and never.compute()["attribute_dependency_reached"].value == 0


def test_attribute_dependency_on_a_bent_curve_uses_the_first_crossing():
    path = np.array([[0.25, 0.75, 0.1], [0.2, np.nan, 0.9], [0.6, np.nan, np.nan]])
    others = np.array([1.0, 3.0, 9.0])[None, :, None] * np.ones((3, 1, 2))
    mean, each = effects.attribute_dependency(path, others, 0.5)
    np.testing.assert_allclose(mean, [2.0, np.nan, 1 / 1.2])
    assert each.shape == (3, 2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=5, max_size=5))
def test_monotonicity_is_spearmans(scores):
    strengths = [0, 0.5, 1, 2, 9]
    mine = effects.monotonicity(strengths, np.array([scores]))[0]
    theirs = spearmanr(strengths, scores).statistic if len(set(scores)) > 1 else 0
    assert mine == pytest.approx(theirs, abs=1e-12)


def test_monotonicity_of_rising_falling_still_and_unreadable_curves():
    scores = np.array([[1, 2, 30.0], [3, 2, 1], [5, 5, 5], [1, np.nan, 3]])
    np.testing.assert_allclose(effects.monotonicity([0, 1, 2], scores), [1, -1, 0, np.nan])
    with pytest.raises(ValueError):
        effects.monotonicity([0, 1, 1], scores)


def test_unusable_batches_are_refused_in_one_line():
    with pytest.raises(InputError, match="did you mean smile"):
        e.TargetEffect().update(batch([0] * 4, target="smiles"))
    with pytest.raises(InputError, match="no reading 'identity'"):
        e.IdentityPreservation().update(batch([0] * 4))
    with pytest.raises(InputError, match="seen no batch"):
        e.Leakage().compute()
    alone = EditBatch({"attributes": np.zeros((2, 1))}, {"attributes": np.zeros((2, 1))}, ("smile",), np.ones(1), "smile", 1)
    for metric in (e.Leakage(), e.AttributeDependency()):
        with pytest.raises(InputError, match="more than the target"):
            metric.update(alone)
    short = EditBatch({"attributes": np.zeros((2, 3))}, {"attributes": np.zeros((2, 3))}, NAMES, SIGMA, "smile", 1)
    with pytest.raises(InputError, match="do not fit"):
        e.Leakage().update(short)
