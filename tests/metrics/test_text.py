"""CLIP score and directional similarity in closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import text as m


def test_clip_score_is_the_papers():
    images, texts = np.array([[2.0, 0], [0, 3], [-1, 0]]), np.array([[1.0, 1]])
    np.testing.assert_allclose(m.clip_score(images, texts), [2.5 * 0.5**0.5] * 2 + [0])
    np.testing.assert_allclose(m.clip_score(images, images, weight=100), 100)


def test_directional_similarity_by_hand():
    before, source = np.array([[1.0, 0, 0]]), np.array([1.0, 0, 0])
    target = np.array([0, 5.0, 0])  # the text step is (-1, 1, 0) / root 2
    after = np.array([[0, 2.0, 0], [1, 0, 0], [0, 0, 1]])
    found = m.directional_similarity(np.repeat(before, 3, 0), after, source, target)
    np.testing.assert_allclose(found, [1, np.nan, 0.5])
    np.testing.assert_allclose(m.directional_similarity(before, after[:1], target, source), [-1])


def test_templates_are_averaged_after_each_is_normalised():
    source, target = np.array([[1.0, 0], [3, 0]]), np.array([[0, 9.0], [0, 1]])
    np.testing.assert_allclose(m.text_direction(source, target), m.text_direction(source[0], target[0]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99))
def test_lengths_and_rotations_of_embeddings_change_nothing(seed):
    rng = np.random.default_rng(seed)
    before, after, source, target = rng.normal(size=(5, 4)), rng.normal(size=(5, 4)), rng.normal(size=4), rng.normal(size=4)
    value = m.directional_similarity(before, after, source, target)
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    scaled = m.directional_similarity(before * 3 @ turn, after @ turn, source @ turn, target * 0.1 @ turn)
    np.testing.assert_allclose(scaled, value, atol=1e-9)
    assert np.all(np.abs(value) <= 1)
    np.testing.assert_allclose(m.directional_similarity(after, before, source, target), -value, atol=1e-9)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: m.clip_score(x * np.nan, x), "images holds"),
        (lambda x: m.clip_score(x, x[:2]), "texts has the shape"),
        (lambda x: m.clip_score(x, 0 * x), "texts holds a row of zeros"),
        (lambda x: m.clip_score(x[:0], x), "images is empty"),
        (lambda x: m.directional_similarity(x, x[:1], x[0], x[1]), "after has the shape"),
        (lambda x: m.directional_similarity(x, x, x[0], 2 * x[0]), "target equals source"),
        (lambda x: m.directional_similarity(x, x, x[0, :2], x[1, :2]), "target has 2 dimensions"),
    ],
)
def test_what_cannot_be_used_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0).normal(size=(3, 4)))
