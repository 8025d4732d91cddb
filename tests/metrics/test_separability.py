"""Linear separability and accuracy of boundaries: closed forms, InterFaceGAN's golden boundaries, invariants."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import separability as s


def test_conditional_entropy_closed_forms():
    y = np.array([0, 1, 0, 1])
    assert s.conditional_entropy(y, y) == 0
    assert s.conditional_entropy(np.zeros(4), y) == pytest.approx(np.log(2))
    # p(0, 0) = 3/8, p(0, 1) = 1/8, p(1, 0) = 1/8, p(1, 1) = 3/8: H of (3/4, 1/4).
    x, y = np.repeat([0, 1], 4), np.array([0, 0, 0, 1, 0, 1, 1, 1])
    assert s.conditional_entropy(x, y) == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_conditional_entropy_is_joint_less_marginal(pairs):
    def entropy(values):
        share = np.unique(values, axis=0, return_counts=True)[1] / len(values)
        return -(share * np.log(share)).sum()

    x, y = np.array(pairs).T
    assert s.conditional_entropy(x, y) == pytest.approx(entropy(np.array(pairs)) - entropy(x), abs=1e-12)


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(2000, 4))
    scores = codes @ rng.normal(size=(4, 3))
    return codes, scores, rng


def test_separable_attributes_score_1_and_random_ones_2_to_their_number(drawn):
    codes, scores, rng = drawn
    labels = scores > 0
    assert s.linear_separability(codes, labels, np.abs(scores)) == pytest.approx(1, abs=0.02)
    chance = rng.integers(2, size=(2000, 3))
    assert s.linear_separability(codes, chance, rng.random((2000, 3))) == pytest.approx(8, abs=0.15)
    whole, parts = s.linear_separability(codes, labels, None), [s.linear_separability(codes, y, None) for y in labels.T]
    assert whole == pytest.approx(np.prod(parts))  # exp of the sum


def test_the_surest_half_is_kept(drawn):
    codes, scores, rng = drawn
    sure = np.abs(scores[:, 0])
    labels = np.where(sure > np.median(sure), scores[:, 0] > 0, rng.integers(2, size=2000))  # the unsure half is noise
    kept = s.linear_separability(codes, labels, sure)
    assert kept < 1.02 < 1.3 < s.linear_separability(codes, labels, -sure)
    assert kept < s.linear_separability(codes, labels, sure, keep=0.8) < s.linear_separability(codes, labels, None)


def test_it_is_blind_to_order_rotation_and_names(drawn):
    codes, scores, rng = drawn
    labels = (scores + rng.normal(size=scores.shape) > 0).astype(int)
    plain = s.linear_separability(codes, labels, None)
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert s.linear_separability(codes @ turn, labels, None) == pytest.approx(plain, rel=0.01)
    assert s.linear_separability(codes, 5 - 2 * labels[:, ::-1], None) == pytest.approx(plain, rel=0.01)


def test_noise_raises_it(drawn):
    codes, scores, rng = drawn
    noise = rng.normal(size=scores.shape)
    found = [s.linear_separability(codes, scores + a * noise > 0, None) for a in (0, 1, 3, 20)]
    assert found == sorted(found) and 1 <= found[0] < found[-1] <= 8


def test_one_class_among_the_surest_leaves_nothing_to_tell(drawn):
    codes = drawn[0]
    labels = codes[:, 0] > 0
    assert s.linear_separability(codes, labels, np.where(labels, 2, 1 + codes[:, 0]), keep=0.2) == 1


def test_boundary_accuracy_of_golden_boundaries():
    with np.load(Path(__file__).parents[1] / "golden" / "interfacegan_manipulator.npz", allow_pickle=False) as file:
        golden = dict(file)
    cases = json.loads(str(golden["meta"]))["cases"]
    codes, order = golden["codes"], np.argsort(-golden["scores"][:, 0], kind="stable")
    for name in ("default", "ratio10"):
        positive, negative = golden[f"train/{name}/positive_order"], golden[f"train/{name}/negative_order"]
        n = int(len(positive) * cases[name]["split_ratio"])
        rows = np.concatenate([order[: len(positive)][positive], order[-len(negative) :][negative]])
        labels = np.repeat([1, 0], [len(positive), len(negative)])
        held = np.r_[n : len(positive), len(positive) + n : len(rows)]
        fitted = np.setdiff1d(np.arange(len(rows)), held)
        normal = golden[f"train/{name}/boundary"]
        official = golden[f"train/{name}/accuracy_validation_remaining"]
        assert s.boundary_accuracy(codes[rows[held]], labels[held], normal, None) == official[0] == 1
        mine = s.fit_boundary(codes[rows[fitted]], labels[fitted])
        assert mine.normal @ normal[0] > 0.98
        assert s.boundary_accuracy(codes[rows[held]], labels[held], *mine) > 0.98
        # The official code tells the remaining codes' classes by the midpoint of the extreme scores.
        rest = order[len(positive) : -len(negative)]
        scores = golden["scores"][:, 0]
        truth = scores[rest] > (scores.max() + scores.min()) / 2
        assert s.boundary_accuracy(codes[rest], truth, *mine) == pytest.approx(official[1], abs=0.03)


def test_boundary_accuracy_and_its_best_offset():
    codes = np.array([[0.0], [1], [2], [3]])
    labels = np.array([0, 0, 1, 1])
    assert s.boundary_accuracy(codes, labels, [1], 1.5) == 1
    assert s.boundary_accuracy(codes, labels, [1]) == 0.75  # at 0, the code 1 is on the wrong side
    assert s.boundary_accuracy(codes, labels, [-1], -1.5) == 0
    assert s.boundary_accuracy(codes, labels, [1], None) == 1
    assert s.boundary_accuracy(codes, [0, 1, 0, 1], [1], None) == 0.75
    assert s.boundary_accuracy(np.zeros((4, 1)), [0, 1, 1, 1], [1], None) == 0.75  # ties cannot be parted


def test_what_cannot_be_told_apart_is_refused(drawn):
    codes, scores, _ = drawn
    labels = scores > 0
    for call, message in (
        (lambda: s.linear_separability(codes, labels & False, None), "labels holds one class only in column 0"),
        (lambda: s.linear_separability(codes, np.digitize(scores, [-1, 1]), None), "labels holds 3 values"),
        (lambda: s.linear_separability(codes, labels, scores[:, :2]), "confidences must have the shape"),
        (lambda: s.linear_separability(codes, labels, scores * np.nan), "confidences holds"),
        (lambda: s.linear_separability(codes, labels[:5], None), "labels has 5 rows"),
        (lambda: s.linear_separability(codes[:3], labels[:3], None), "codes has fewer rows"),
        (lambda: s.linear_separability(codes, labels, None, keep=0), "keep"),
        (lambda: s.boundary_accuracy(codes, labels[:, 0], np.zeros(4)), "normal must be"),
        (lambda: s.boundary_accuracy(codes, labels[:, 0], [1, 2]), "normal must be"),
        (lambda: s.boundary_accuracy(codes[:0], labels[:0, 0], np.ones(4)), "codes is empty"),
        (lambda: s.conditional_entropy([], []), "x and y"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
