"""Picture distances against closed forms, and where a change lies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import perceptual as p


def test_squared_distance():
    np.testing.assert_allclose(p.squared_distance(np.zeros((2, 2)), np.array([[3.0, 4], [0, 0]])), [25, 0])
    with pytest.raises(ValueError, match="compare"):
        p.squared_distance(np.zeros((2, 2)), np.zeros((2, 3)))


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 2), st.sampled_from([1.0, 2.0, 255.0]))
def test_psnr_of_a_constant_error_is_closed_form(error, data_range):
    a = np.zeros((2, 3, 4, 4))
    np.testing.assert_allclose(p.mse(a, a + error), error**2)
    np.testing.assert_allclose(p.psnr(a, a + error, data_range=data_range), 20 * np.log10(data_range / error))


def test_psnr_needs_its_range_and_is_infinite_for_equal_pictures():
    a = np.zeros((2, 3, 4, 4), np.uint8)
    assert np.all(np.isinf(p.psnr(a, a, data_range=255)))
    np.testing.assert_allclose(p.psnr(a, a + 255, data_range=255), 0)  # bytes do not wrap round
    with pytest.raises(TypeError):
        p.psnr(a, a)
    with pytest.raises(ValueError, match="positive"):
        p.psnr(a, a, data_range=0)


def test_locality_is_the_share_inside_the_region():
    before = np.zeros((5, 3, 4, 4))
    after, region = before.copy(), np.zeros((1, 4, 4))
    region[0, :2] = 1
    after[0, :, 0] = 1.0  # inside
    after[1, :, 3] = -1.0  # outside
    after[2] = 0.5  # everywhere
    after[4, 0, 0, 0] = np.nan
    np.testing.assert_allclose(p.locality(before, after, region), [1, 0, 0.5, np.nan, np.nan])
    np.testing.assert_allclose(p.region_share(region), [0.5])


def test_locality_refuses_what_does_not_fit():
    pictures = np.zeros((2, 3, 4, 4))
    for region in (np.zeros((1, 8, 8)), np.zeros((3, 4, 4)), np.full((1, 4, 4), 2.0)):
        with pytest.raises(ValueError, match="region"):
            p.locality(pictures, pictures, region)
