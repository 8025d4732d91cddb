"""Verification, impostors and edit consistency by hand and by what must not change them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import identity as m


def test_verification_rate_by_hand():
    impostor = np.arange(100) / 100  # 0 to 0.99
    found = m.verification_rate([0.98, 0.985, 0.5, np.nan], impostor, far=0.01)
    assert found == (0.25, 0.98, 0.01, 1)  # one impostor may pass: 0.99; 0.98 is the threshold, and a tie is refused
    assert m.verification_rate([0.95, 0.5], impostor, far=0.07).rate == 0.5
    assert m.verification_rate([2.0], np.zeros(1000), far=0.001).far == 0  # ties let nobody through
    assert m.verification_rate([0.5], impostor, far=0.29).far == 0.29  # not 28, as rounding of 0.29 * 100 would have it


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.sampled_from([0.01, 0.05, 0.2]))
def test_verification_keeps_its_rate_and_follows_the_order_alone(seed, far):
    rng = np.random.default_rng(seed)
    genuine, impostor = rng.normal(1, 1, 50), rng.normal(0, 1, 200)
    found = m.verification_rate(genuine, impostor, far=far)
    assert found.far == pytest.approx(far) and 0 <= found.rate <= 1
    assert m.verification_rate(np.exp(genuine), np.exp(impostor), far=far).rate == found.rate
    assert m.verification_rate(genuine + 0.5, impostor, far=far).rate >= found.rate
    assert m.verification_rate(genuine, impostor, far=min(0.9, 2 * far)).rate >= found.rate


@pytest.mark.parametrize(
    "genuine, impostor, far, message",
    [
        ([], [0.1], 0.5, "genuine must be"),
        ([0.5], [], 0.5, "impostor must be"),
        ([0.5], [np.nan, 1], 0.5, "impostor holds"),
        ([0.5], np.zeros(99), 0.01, "impostor has 99 pairs: .* needs at least 100"),
        ([0.5], np.zeros(99), 0, "far must"),
    ],
)
def test_verification_names_what_it_cannot_use(genuine, impostor, far, message):
    with pytest.raises(ValueError, match=message):
        m.verification_rate(genuine, impostor, far=far)


def test_impostors_are_pairs_of_different_people():
    rows = np.array([[1.0, 0], [2, 0], [0, 3]])
    np.testing.assert_allclose(m.impostor_similarities(rows), [1, 0, 0])
    np.testing.assert_allclose(m.impostor_similarities(rows, [0, 0, 1]), [0, 0])
    for bad, people, message in (
        (rows, [0, 0, 0], "people names one person only"),
        (rows, [0], "people has the shape"),
        (rows * 0, None, "row of zeros"),
        (rows[:1], None, "embeddings has 1 rows"),
    ):
        with pytest.raises(ValueError, match=message):
            m.impostor_similarities(bad, people)


def test_edit_consistency_is_the_mean_difference_over_pairs_of_orders():
    scores = np.array([[1.0, 2], [1, 4], [3, 2]])  # three orders, two pictures
    np.testing.assert_allclose(m.order_discrepancy(scores), [(0 + 2 + 2) / 3, (2 + 0 + 2) / 3])
    assert m.edit_consistency(scores) == pytest.approx(4 / 3)
    np.testing.assert_allclose(m.edit_consistency(np.stack([scores, 10 * scores], 2)), [4 / 3, 40 / 3])
    assert m.edit_consistency(np.tile(scores[:1], (4, 1))) == 0  # edits that commute
    np.testing.assert_allclose(m.edit_consistency(scores[::-1] + 5), 4 / 3)
    for bad, message in ((scores[:1], "orders >= 2"), (scores * np.nan, "scores holds"), (scores[0], "orders >= 2")):
        with pytest.raises(ValueError, match=message):
            m.edit_consistency(bad)


def test_identity_cosine_is_handed_on():
    np.testing.assert_allclose(m.identity_cosine(np.eye(2), np.array([[2.0, 0], [1, 1]])), [1, 0.5**0.5])
