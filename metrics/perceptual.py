"""How far apart two pictures are: perceptual vectors, MSE, PSNR, SSIM, MS-SSIM, each in a region too; where a change lies.

Pictures are [N, C, h, w]. A region is [N, h, w], or [1, h, w] for all, with weights in [0, 1]. LPIPS is the squared distance of
the vectors that an lpips judge reads (bench.networks.lpips_, which takes the lpips package's weights); layered_distance is its
form on feature maps, which a region can weigh.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from metrics.arrays import finite

MS_SSIM_BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW = 11


def squared_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distance of vectors, [N, P] each -> [N], range [0, inf); the perceptual distance of a 'perceptual'
    reading."""
    _same(a, b)
    return np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64)).sum(1)


def layered_distance(a: Sequence[ArrayLike], b: Sequence[ArrayLike], region: ArrayLike | None = None) -> np.ndarray:
    """LPIPS from feature maps: sum over layers of the mean over positions of the squared difference over channels, [N], [0, inf).

    a, b: one [N, C_l, h_l, w_l] a layer, normalised over channels and scaled by the roots of the linear weights (Zhang et al.
    2018, equation 1). region: the mean over positions is then weighted by the region, averaged down to the layer's size; NaN
    where it is empty. Receptive fields reach beyond the region: what happens near its border leaks in. Raises ValueError where
    maps do not fit.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"b has {len(b)} layers, a has {len(a)}")
    total = 0.0
    for x, y in zip(a, b, strict=True):
        x, y = _pictures(x, "a"), _pictures(y, "b")
        _same(x, y)
        difference = np.square(x - y).sum(1)
        if region is None:
            total = total + difference.mean((1, 2))
        else:
            weights = _averaged_down(_region(region, len(x)), difference.shape[1:])
            total = total + _weighted(difference, weights)
    return total


def mse(a: ArrayLike, b: ArrayLike, region: ArrayLike | None = None) -> np.ndarray:
    """Mean squared difference over all but the first axis, [N, ...] -> [N], in squared units of the pictures, range [0, inf).

    region: the mean over pixels is weighted by it; NaN where it is empty. Raises ValueError, naming the argument, for NaN, no
    pictures, and sizes that differ.
    """
    a, b = _values(a, "a"), _values(b, "b")
    _same(a, b)
    squared = np.square(a - b)
    if region is None:
        return squared.reshape(len(squared), -1).mean(1)
    if squared.ndim != 4:
        raise ValueError(f"a region needs pictures [N, C, h, w], not {squared.shape}")
    return _weighted(squared.mean(1), _region(region, len(squared), squared.shape[2:]))


def psnr(a: ArrayLike, b: ArrayLike, *, data_range: float, region: ArrayLike | None = None) -> np.ndarray:
    """Peak signal-to-noise ratio 10 log10(data_range^2 / mse) in dB, [N, ...] -> [N], higher is nearer; inf for equal pictures.

    data_range: the width of the pictures' nominal range, 2 for [-1, 1], 1 for [0, 1], 255 for bytes. It is never guessed: a
    range of 1 for pictures in [-1, 1] is 6.02 dB low. region: as for mse. A mean over pictures is the mean of these, not the
    PSNR of the mean error.
    """
    _check_range(data_range)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(data_range**2 / mse(a, b, region))


def ssim(a: ArrayLike, b: ArrayLike, *, data_range: float, region: ArrayLike | None = None) -> np.ndarray:
    """Structural similarity (Wang et al. 2004), [N, C, h, w] -> [N], range [-1, 1], 1 for equal pictures, higher is nearer.

    Gaussian window 11 x 11 of sigma 1.5, k1 = 0.01, k2 = 0.03, plug-in variances, mean over channels and over the positions whose
    window lies inside the picture, as in the paper; the map is scikit-image's, in float64. (torchmetrics also counts positions
    whose window is filled up by reflection: its values are others.) data_range: as for psnr. region: the mean over those
    positions is weighted by it; NaN where nothing of it lies there; windows reach across its border. Pictures need 11 px or more
    a side. Raises ValueError as mse.
    """
    x, y = _window_pictures(a, b, data_range, _WINDOW)
    positions = _inner(_ssim_map(x, y, data_range).mean(1))
    if region is None:
        return positions.mean((1, 2))
    return _weighted(positions, _inner(_region(region, len(x), x.shape[2:])))


def ms_ssim(a: ArrayLike, b: ArrayLike, *, data_range: float, betas: Sequence[float] = MS_SSIM_BETAS) -> np.ndarray:
    """Multi-scale structural similarity (Wang et al. 2003), [N, C, h, w] -> [N], range [0, 1], higher is nearer.

    Product over scales of the mean contrast-structure term (at the coarsest: of the mean SSIM) to the powers `betas`; five
    scales by default, each half the one before by 2 x 2 means; windows as in ssim; a negative mean counts as 0. Five scales
    need sides of 176 px: for smaller pictures give fewer betas, which is another metric and needs another name. As a diversity
    measure (PGGAN) it is taken between pairs of samples, where lower is more varied. Raises ValueError as mse.
    """
    if not len(betas) or not all(beta > 0 for beta in betas):
        raise ValueError("betas must be positive, one a scale")
    x, y = _window_pictures(a, b, data_range, _WINDOW * 2 ** (len(betas) - 1))
    product = np.ones(len(x))
    for scale, beta in enumerate(betas):
        last = scale == len(betas) - 1
        means = _inner(_ssim_map(x, y, data_range, luminance=last)).mean((1, 2, 3))
        product *= np.maximum(means, 0.0) ** beta
        if not last:
            x, y = _halved(x), _halved(y)
    return product


def locality(before: np.ndarray, after: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Share of the change that lies in a region: sum of |after - before| inside over the sum everywhere, [N], range [0, 1].

    before, after: pictures [N, C, h, w]; region: [N, h, w] or [1, h, w] in [0, 1], the target's region in the unedited picture
    (or its union with that in the edited one). NaN where nothing changed or a picture is not finite. Compare with region_share,
    what a change spread evenly would score. Raises ValueError where sizes differ.
    """
    _same(before, after)
    change = np.abs(np.asarray(after, np.float64) - np.asarray(before, np.float64)).sum(1)
    region = _region(region, len(change), change.shape[1:])
    change = np.where(np.isfinite(change).all(axis=(1, 2), keepdims=True), change, 0.0)
    total = change.sum((1, 2))
    inside = (change * region).sum((1, 2))
    return np.divide(inside, total, out=np.full(len(total), np.nan), where=total > 0)


def region_share(region: np.ndarray) -> np.ndarray:
    """The share of the picture that a region covers, [N, h, w] -> [N], range [0, 1]: the locality of a change spread evenly."""
    return np.asarray(region, np.float64).mean((1, 2))


def _same(a: np.ndarray, b: np.ndarray) -> None:
    if np.shape(a) != np.shape(b) or np.ndim(a) < 2:
        raise ValueError(f"cannot compare the shapes {np.shape(a)} and {np.shape(b)}")


def _values(values: ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, np.float64)
    if not array.size:
        raise ValueError(f"{name} is empty: its shape is {array.shape}")
    return finite(array, name)


def _pictures(values: ArrayLike, name: str) -> np.ndarray:
    array = _values(values, name)
    if array.ndim != 4:
        raise ValueError(f"{name} must be [N, C, h, w], not of shape {array.shape}")
    return array


def _window_pictures(a: ArrayLike, b: ArrayLike, data_range: float, least: int) -> tuple[np.ndarray, np.ndarray]:
    _check_range(data_range)
    x, y = _pictures(a, "a"), _pictures(b, "b")
    _same(x, y)
    if min(x.shape[2:]) < least:
        raise ValueError(f"a has sides of {x.shape[2:]} px: at least {least} are needed")
    return x, y


def _ssim_map(x: np.ndarray, y: np.ndarray, data_range: float, *, luminance: bool = True) -> np.ndarray:
    """SSIM at every position, [N, C, h, w]; without luminance its contrast-structure term, which is what a vast k1 leaves."""
    from skimage.metrics import structural_similarity

    channels = (x.reshape(-1, *x.shape[2:]), y.reshape(-1, *y.shape[2:]))
    _, full = structural_similarity(
        *channels,
        channel_axis=0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=data_range,
        K1=0.01 if luminance else 1e10,
        K2=0.03,
        full=True,
    )
    return full.reshape(x.shape)


def _inner(maps: np.ndarray) -> np.ndarray:
    """The positions whose window lies inside."""
    edge = _WINDOW // 2
    return maps[..., edge:-edge, edge:-edge]


def _halved(images: np.ndarray) -> np.ndarray:
    h, w = (side // 2 * 2 for side in images.shape[2:])
    return images[:, :, :h, :w].reshape(*images.shape[:2], h // 2, 2, w // 2, 2).mean((3, 5))


def _check_range(data_range: float) -> None:
    if not data_range > 0:
        raise ValueError("the data range must be positive")


def _region(region: ArrayLike, n: int, size: tuple[int, ...] | None = None) -> np.ndarray:
    """The region as float64, [n or 1, h, w]. Raises ValueError where it does not fit or leaves [0, 1]."""
    weights = np.asarray(region.detach().cpu() if hasattr(region, "detach") else region, np.float64)
    if weights.ndim != 3 or len(weights) not in (1, n) or (size is not None and weights.shape[1:] != tuple(size)):
        raise ValueError(f"a region of shape {weights.shape} does not fit {n} pictures of {size}")
    if not np.all((weights >= 0) & (weights <= 1)):
        raise ValueError("a region's values lie between 0 and 1")
    return weights


def _weighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of [N, h, w] under weights [N or 1, h, w], [N]; NaN where they sum to 0."""
    total = np.broadcast_to(weights.sum((1, 2)), len(values))
    return np.divide((values * weights).sum((1, 2)), total, out=np.full(len(values), np.nan), where=total > 0)


def _averaged_down(region: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Area means of [n, H, W] on a grid of `size`, [n, h, w]."""
    return _shares(size[0], region.shape[1]) @ region @ _shares(size[1], region.shape[2]).T


def _shares(target: int, source: int) -> np.ndarray:
    """What share of each target cell each source cell covers, [target, source], rows summing to 1."""
    edges = np.arange(target + 1) * source / target
    low, high = np.maximum(edges[:-1, None], np.arange(source)), np.minimum(edges[1:, None], np.arange(source) + 1)
    return np.clip(high - low, 0, None) * target / source
