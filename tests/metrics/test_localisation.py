"""Unit-concept IoU against both official codes (golden/dissection.npz), and causal effects by hand."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import localisation as m


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parents[1] / "golden" / "dissection.npz", allow_pickle=False) as file:
        return dict(file)


def test_iou_is_that_of_the_2020_code(golden):
    iou = m.unit_iou(golden["activations"], golden["segmentation"], quantile=0.02)
    np.testing.assert_allclose(iou, golden["dissect/iou_condition_by_unit"], atol=1e-6)
    label, best = m.best_labels(iou)
    np.testing.assert_array_equal(label, golden["dissect/best_label"])
    np.testing.assert_allclose(best, golden["dissect/best_iou"], atol=1e-6)
    assert m.best_labels(iou, least=0.2)[0].tolist() == [1, 2, -1, 4, 5, 6]


def test_iou_is_that_of_the_2019_code(golden):
    iou = m.unit_iou(golden["activations"], golden["segmentation"], quantile=0.02, convention="iclr2019")
    np.testing.assert_allclose(iou, golden["gandissect/align_true/iou_label_by_unit"], atol=1e-9)


def test_upsampling_is_the_2020_codes_and_repeats_the_border_where_asked(golden):
    maps = golden["activations"][:, 0]
    np.testing.assert_allclose(m.upsampled(maps, (28, 28), border=False), golden["dissect/upsampled"][:, 0], atol=1e-5)
    flat = np.ones((1, 3, 5))
    np.testing.assert_allclose(m.upsampled(flat, (12, 20), border=True), 1)
    assert m.upsampled(flat, (12, 20), border=False)[0, 0, 0] == pytest.approx((5 / 8) ** 2)
    np.testing.assert_allclose(m.upsampled(maps, maps.shape[1:], border=False), maps)


def test_the_2019_code_counts_a_unit_only_where_its_category_is_shown():
    seg = np.zeros((2, 2, 4, 4), int)
    seg[0, 0, :2], seg[1, 1, :] = 1, 2
    maps = np.zeros((2, 1, 4, 4))
    maps[0, 0, 0], maps[1, 0, 0] = 1, 1  # on in the first row of either image
    late, early = (m.unit_iou(maps, seg, quantile=0.3, convention=c)[:, 0] for c in m.CONVENTIONS)
    np.testing.assert_allclose(late, [8 / 32, 4 / 12, 4 / 20])
    np.testing.assert_allclose(early, [0, 4 / 8, 4 / 16])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.sampled_from(m.CONVENTIONS))
def test_iou_is_bounded_and_follows_units_images_and_rising_maps(seed, convention):
    rng = np.random.default_rng(seed)
    maps, seg = rng.normal(size=(4, 3, 4, 4)), rng.integers(0, 3, size=(4, 8, 8))
    iou = m.unit_iou(maps, seg, quantile=0.1, convention=convention, labels=4)
    assert iou.shape == (4, 3) and iou.min() >= 0 and iou.max() <= 1 and not iou[3].any()
    units, images = rng.permutation(3), rng.permutation(4)
    turned = m.unit_iou(maps[images][:, units], seg[images], quantile=0.1, convention=convention, labels=4)
    np.testing.assert_allclose(turned, iou[:, units])
    np.testing.assert_allclose(m.unit_iou(3 * maps, seg, quantile=0.1, convention=convention, labels=4), iou)


def test_a_unit_that_is_the_concept_has_an_iou_of_one():
    seg = np.zeros((5, 8, 8), int)
    seg[:, 2:4, 2:6] = 1
    assert m.unit_iou(seg[:, None].astype(float), seg, quantile=0.2)[1, 0] == 1


@pytest.mark.parametrize(
    "change, message",
    [
        ({"activations": np.full((2, 1, 4, 4), np.nan)}, "activations holds"),
        ({"activations": np.ones((2, 1, 4, 4))}, "activations of unit 0 never change"),
        ({"activations": np.zeros((0, 1, 4, 4))}, "activations must be"),
        ({"segmentation": np.zeros((3, 4, 4), int)}, "segmentation has 3 images"),
        ({"segmentation": np.full((2, 4, 4), -1)}, "segmentation holds labels from -1"),
        ({"segmentation": np.full((2, 4, 4), 0.5)}, "segmentation must hold whole"),
        ({"quantile": 0.99}, "quantile is the share"),
        ({"convention": "2021"}, "convention must be one of"),
        ({"segmentation": np.ones((2, 2, 4, 4), int), "convention": "iclr2019"}, "segmentation has label 1 in channels"),
    ],
)
def test_what_cannot_be_used_is_named(change, message):
    given_ = {"activations": np.arange(32.0).reshape(2, 1, 4, 4), "segmentation": np.ones((2, 4, 4), int), "quantile": 0.1}
    with pytest.raises(ValueError, match=message):
        m.unit_iou(**(given_ | change))


def test_causal_effects_by_hand():
    assert m.causal_effect([0.5, 0.3], [0.1, 0.1]) == pytest.approx(0.3)
    assert m.causal_effect([0.5, 0.3], [0.1, 0.1], [0.2, 0.4]) == pytest.approx(1)
    assert m.ablation_effect([0.4, 0.2], [0.1, 0.05]) == pytest.approx(0.75)
    assert m.ablation_effect([0.4, 0.2], [0.4, 0.2]) == 0
    assert m.insertion_effect([0, 0, 0.1], [0.1, 0.3, 0.1], [7, 7, 2]) == {2: 0, 7: pytest.approx(0.2)}
    assert m.insertion_effect([0.0], [0.25]) == {0: 0.25}
    for call, message in (
        (lambda: m.ablation_effect([0.0, 0], [0, 0]), "before is zero throughout"),
        (lambda: m.causal_effect([0.1], [0.1, 0.2]), "ablated has 2"),
        (lambda: m.causal_effect([np.nan], [0.1]), "inserted holds"),
        (lambda: m.insertion_effect([0.1], [0.1], [1, 2]), "where has the shape"),
        (lambda: m.ablation_effect([], []), "before must be"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
