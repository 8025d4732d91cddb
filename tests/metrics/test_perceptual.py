"""Picture distances against closed forms, and where a change lies."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from metrics import perceptual as p


def test_squared_distance():
    np.testing.assert_allclose(p.squared_distance(np.zeros((2, 2)), np.array([[3.0, 4], [0, 0]])), [25, 0])
    with pytest.raises(ValueError, match="compare"):
        p.squared_distance(np.zeros((2, 2)), np.zeros((2, 3)))


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 2), st.sampled_from([1.0, 2.0, 255.0]))
@example(1.9999999999999998, 2.0)
def test_psnr_of_a_constant_error_is_closed_form(error, data_range):
    a = np.zeros((2, 3, 4, 4))
    np.testing.assert_allclose(p.mse(a, a + error), error**2)
    # As the ratio that it stands for: near 0 dB, rounding of the ratio is all of its logarithm.
    np.testing.assert_allclose(10 ** (p.psnr(a, a + error, data_range=data_range) / 20), data_range / error)


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


def pair(seed=0, n=2, side=24, noise=0.3):
    rng = np.random.default_rng(seed)
    a = rng.uniform(-1, 1, size=(n, 3, side, side))
    return a, a + noise * rng.normal(size=a.shape)


def ssim_maps(a, b, data_range):
    """Wang et al. 2004 written out with scipy's Gaussian filter, over positions whose window lies inside, [N, C, h, w]."""
    blur = lambda x: gaussian_filter(x, 1.5, axes=(2, 3), radius=5)[:, :, 5:-5, 5:-5]  # noqa: E731
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
    contrast = (2 * cov + c2) / (va + vb + c2)
    return (2 * ma * mb + c1) / (ma**2 + mb**2 + c1) * contrast, contrast


@pytest.mark.parametrize("data_range", [2.0, 1.0])
def test_ssim_is_the_papers_formula(data_range):
    a, b = pair()
    wanted = ssim_maps(a, b, data_range)[0].mean((1, 2, 3))
    np.testing.assert_allclose(p.ssim(a, b, data_range=data_range), wanted, rtol=1e-9)
    assert np.all(wanted < 0.95)
    np.testing.assert_allclose(p.ssim(a, a, data_range=data_range), 1)
    np.testing.assert_allclose(p.ssim(b, a, data_range=data_range), wanted, rtol=1e-9)
    np.testing.assert_allclose(p.ssim(127.5 * a, 127.5 * b, data_range=127.5 * data_range), wanted, rtol=1e-9)


def test_ms_ssim_is_the_papers_product():
    betas = (0.2, 0.3, 0.5)
    a, b = pair(side=48)
    wanted, x, y = 1.0, a, b
    for scale, beta in enumerate(betas):
        full, contrast = ssim_maps(x, y, 2.0)
        wanted = wanted * (full if scale == 2 else contrast).mean((1, 2, 3)) ** beta
        x, y = (one.reshape(2, 3, one.shape[2] // 2, 2, one.shape[3] // 2, 2).mean((3, 5)) for one in (x, y))
    np.testing.assert_allclose(p.ms_ssim(a, b, data_range=2, betas=betas), wanted, rtol=1e-9)
    with pytest.raises(ValueError, match="a has sides of .* 176"):
        p.ms_ssim(a, b, data_range=2)
    assert sum(p.MS_SSIM_BETAS) == pytest.approx(1, abs=1e-3)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99))
def test_more_noise_is_never_nearer(seed):
    found = [p.ssim(*pair(seed, n=1, noise=level), data_range=2)[0] for level in (0.05, 0.2, 0.8)]
    assert found == sorted(found, reverse=True)
    found = [p.psnr(*pair(seed, n=1, noise=level), data_range=2)[0] for level in (0.05, 0.2, 0.8)]
    assert found == sorted(found, reverse=True)


def test_regions_weigh_and_a_whole_region_changes_nothing():
    a, b = pair()
    whole, left, none = np.ones((1, 24, 24)), np.zeros((1, 24, 24)), np.zeros((2, 24, 24))
    left[:, :, :12] = 1
    half = b.copy()
    half[..., :12] = a[..., :12]  # differs on the right alone
    for measure in (
        p.mse,
        lambda x, y, r=None: p.psnr(x, y, data_range=2, region=r),
        lambda x, y, r=None: p.ssim(x, y, data_range=2, region=r),
    ):
        np.testing.assert_allclose(measure(a, b, whole), measure(a, b), rtol=1e-9)
        assert np.isnan(measure(a, b, none)).all()
    np.testing.assert_allclose(p.mse(a, half, left), 0)
    np.testing.assert_allclose(p.mse(a, half, 1 - left), 2 * p.mse(a, half))
    one = np.stack([left[0], 0.5 * (1 - left[0])])  # a weight common to all pixels falls out
    np.testing.assert_allclose(p.mse(a, half, one), [0, 2 * p.mse(a, half)[1]])
    inside = p.ssim(a, half, data_range=2, region=left)
    assert np.all(inside > p.ssim(a, half, data_range=2)) and np.all(inside < 1)  # windows reach across the border


def test_layered_distance_is_lpips_form_and_takes_a_region():
    rng = np.random.default_rng(0)
    a, b = ([rng.normal(size=(2, 4, side, side)) for side in (8, 4)] for _ in range(2))
    vectors = [np.concatenate([x.reshape(2, -1) / x.shape[2] for x in maps], 1) for maps in (a, b)]
    np.testing.assert_allclose(p.layered_distance(a, b), p.squared_distance(*vectors))
    np.testing.assert_allclose(p.layered_distance(a, b, np.ones((1, 16, 16))), p.layered_distance(a, b))
    region = np.zeros((1, 16, 16))
    region[:, :8] = 1
    upper = [[x[:, :, : x.shape[2] // 2] for x in maps] for maps in (a, b)]
    np.testing.assert_allclose(p.layered_distance(a, b, region), p.layered_distance(*upper))
    assert np.isnan(p.layered_distance(a, b, 0 * region)).all()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda a: p.mse(a * np.nan, a), "a holds"),
        (lambda a: p.mse(a[:0], a[:0]), "a is empty"),
        (lambda a: p.psnr(a, a[:1], data_range=2), "compare"),
        (lambda a: p.ssim(a, a * np.inf, data_range=2), "b holds"),
        (lambda a: p.ssim(a[0], a[0], data_range=2), "a must be"),
        (lambda a: p.ssim(a, a, data_range=-1), "positive"),
        (lambda a: p.ssim(a[:, :, :9], a[:, :, :9], data_range=1), "at least 11"),
        (lambda a: p.mse(a, a, np.ones((3, 24, 24))), "region"),
        (lambda a: p.layered_distance([a], []), "layers"),
    ],
)
def test_what_cannot_be_compared_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(pair()[0])
