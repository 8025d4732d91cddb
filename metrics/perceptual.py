"""How far apart two pictures are: perceptual vectors, mean squared error, PSNR; and where in the picture a change lies."""

from __future__ import annotations

import numpy as np


def squared_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distance of vectors, [N, P] each -> [N], range [0, inf); the perceptual distance of a 'perceptual'
    reading."""
    _same(a, b)
    return np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64)).sum(1)


def mse(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean squared difference over all but the first axis, [N, ...] -> [N], in squared units of the pictures."""
    _same(a, b)
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return np.square(difference).reshape(len(difference), -1).mean(1)


def psnr(a: np.ndarray, b: np.ndarray, *, data_range: float) -> np.ndarray:
    """Peak signal-to-noise ratio 10 log10(data_range^2 / mse) in dB, [N, ...] -> [N]; inf for equal pictures.

    data_range: the width of the pictures' nominal range, 2 for [-1, 1], 1 for [0, 1], 255 for bytes. It is never guessed: a range
    of 1 for pictures in [-1, 1] is 6.02 dB low.
    """
    if not data_range > 0:
        raise ValueError("the data range must be positive")
    with np.errstate(divide="ignore"):
        return 10 * np.log10(data_range**2 / mse(a, b))


def locality(before: np.ndarray, after: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Share of the change that lies in a region: sum of |after - before| inside over the sum everywhere, [N], range [0, 1].

    before, after: pictures [N, C, h, w]; region: [N, h, w] or [1, h, w] in [0, 1], the target's region in the unedited picture
    (or its union with that in the edited one). NaN where nothing changed or a picture is not finite. Compare with region_share,
    what a change spread evenly would score. Raises ValueError where sizes differ.
    """
    _same(before, after)
    change = np.abs(np.asarray(after, np.float64) - np.asarray(before, np.float64)).sum(1)
    region = np.asarray(region, np.float64)
    if region.shape[1:] != change.shape[1:] or len(region) not in (1, len(change)):
        raise ValueError(f"a region of shape {region.shape} does not fit pictures of {change.shape}")
    if not np.all((region >= 0) & (region <= 1)):
        raise ValueError("a region's values lie between 0 and 1")
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
