"""Streaming levels and counts against the official figures (golden/dissection.npz) and against metrics.localisation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.localisation import unit_iou, upsampled
from metrics.unit_streams import Levels, class_maps, counts, grown, iou_of, shares


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parents[1] / "golden" / "dissection.npz", allow_pickle=False) as file:
        return dict(file)


def streamed(maps, classes, size, quantile, concepts, batch=3):
    """(IoU [C, U], levels [U]) in batches."""
    levels = Levels(maps.amin((0, 2, 3)), maps.amax((0, 2, 3)))
    for part in maps.split(batch):
        levels.update(grown(part, size))
    cut = levels.level(quantile)
    parts = [counts(grown(m, size), c, cut, concepts) for m, c in zip(maps.split(batch), classes.split(batch), strict=True)]
    shared, on, area = (sum(one.double().sum(0) for one in some).numpy() for some in zip(*parts, strict=True))
    return iou_of(shared, on, area).T, cut


def test_iou_and_levels_are_those_of_the_2020_code(golden):
    maps, seg = torch.from_numpy(golden["activations"]), golden["segmentation"]
    side, labels = seg.shape[-1], int(seg.max()) + 1
    official = golden["dissect/iou_condition_by_unit"]
    for channel in range(seg.shape[1]):
        iou, levels = streamed(maps, torch.from_numpy(seg[:, channel].astype(np.int64)), side, 0.02, labels)
        others = np.delete(seg, channel, 1)
        mine = [label for label in range(1, labels) if (seg[:, channel] == label).any() and not (others == label).any()]
        assert mine
        # A bin is 1/8192 of the range: a pixel or two of a level's own value fall on its other side.
        np.testing.assert_allclose(iou[mine], official[mine], atol=3e-3)
    tall = upsampled(golden["activations"].reshape(-1, *maps.shape[2:]), (side, side), border=False)
    np.testing.assert_allclose(grown(maps, side).numpy().reshape(tall.shape), tall, atol=1e-5)
    values = tall.reshape(*maps.shape[:2], -1).swapaxes(0, 1).reshape(maps.shape[1], -1)
    # Between two values that lie far apart any level will do: what counts is which pixels it parts.
    more = (values > levels.numpy()[:, None]).sum(1) - (values > golden["dissect/level"][:, None]).sum(1)
    assert np.abs(more).max() <= 2 and np.abs(levels.numpy() - golden["dissect/level"]).max() < 0.01


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99), st.integers(1, 7))
def test_batches_do_not_matter_and_the_whole_is_unit_iou(seed, batch):
    rng = np.random.default_rng(seed)
    maps = torch.from_numpy(rng.normal(size=(7, 3, 4, 4))).float()
    classes = torch.from_numpy(rng.integers(0, 4, size=(7, 8, 8)))
    iou, levels = streamed(maps, classes, 8, 0.1, 4, batch)
    once, same = streamed(maps, classes, 8, 0.1, 4, 7)
    np.testing.assert_array_equal(iou, once)
    assert torch.equal(levels, same) and iou.min() >= 0 and iou.max() <= 1
    np.testing.assert_allclose(iou[1:], unit_iou(maps, classes, quantile=0.1, labels=4)[1:], atol=0.02)


def test_a_unit_that_never_changes_is_never_on_and_a_value_out_of_range_is_refused():
    maps = torch.zeros(2, 2, 4, 4)
    maps[:, 1, 0] = 1
    levels = Levels(maps.amin((0, 2, 3)), maps.amax((0, 2, 3)))
    levels.update(maps)
    assert levels.level(0.25).tolist()[0] == 0 and levels.level(0.3)[1] < 1
    shared, on, area = counts(maps, torch.ones(2, 4, 4), levels.level(0.3), 3)
    assert not on[:, 0].any() and on[:, 1].tolist() == [4, 4] and area.tolist() == [[0, 16, 0]] * 2
    assert iou_of(shared.numpy(), on.numpy(), area.numpy())[0].tolist() == [[0, 0, 0], [0, 0.25, 0]]
    with pytest.raises(ValueError, match="outside of the range"):
        levels.update(5 * maps)
    with pytest.raises(ValueError, match="quantile is the share"):
        levels.level(0.9)


def test_class_maps_take_the_most_frequent_class():
    best = torch.tensor([[[0, 0, 1, 1], [0, 2, 1, 2], [2, 2, 1, 1], [2, 2, 0, 0]]])
    logits = torch.nn.functional.one_hot(best, 3).movedim(3, 1).float()
    assert class_maps(logits, 2).tolist() == [[[0, 1], [2, 0]]] and class_maps(logits, 4).dtype == torch.uint8
    assert shares(best, 3, 2)[0, :, 0, 0].tolist() == [0.75, 0, 0.25]
    assert class_maps(logits, 8)[0, ::2, ::2].tolist() == best[0].tolist()
    with pytest.raises(ValueError, match="not finite"):
        class_maps(logits * float("nan"), 2)
