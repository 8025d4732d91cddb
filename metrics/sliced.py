"""Sliced Wasserstein distance of patches of a Laplacian pyramid (Karras et al. 2018, PGGAN; IDInvert reports it too)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import convolve1d

from bench.streams import stream_rng

PATCH = 7
SMALLEST = 16
PATCHES = 128
DIRECTIONS = 512
FACTOR = 1000.0
_TAPS = np.array([1.0, 4, 6, 4, 1], np.float32) / 16
_AT_ONCE = 64  # directions projected on together


def sliced_wasserstein(images_a: ArrayLike, images_b: ArrayLike, *, seed: int) -> float:
    """Mean of sliced_wasserstein_levels over levels: range [0, inf), lower is nearer, times 1000 as published; symmetric; 0 for
    equal sets."""
    return float(np.mean(list(sliced_wasserstein_levels(images_a, images_b, seed=seed).values())))


def sliced_wasserstein_levels(
    images_a: ArrayLike,
    images_b: ArrayLike,
    *,
    seed: int,
    patches: int = PATCHES,
    directions: int = DIRECTIONS,
) -> dict[int, float]:
    """Side of the level in px -> distance times 1000, from the full size down to 16 px.

    images: [N, C, h, w] each, as many of either. At every level of the Laplacian pyramid `patches` places an image are drawn, 7
    x 7 patches are brought to zero mean and unit deviation per channel over each set on its own, and the distance is the mean
    over `directions` random unit directions of the one-dimensional Wasserstein distance, the mean difference of sorted
    projections. A change of brightness or contrast of a whole channel is not seen. Levels: fine ones see texture, coarse ones
    layout.

    Places are the same in both sets (PGGAN draws them for each): equal sets are at 0 and the distance is symmetric, and of
    unpaired sets the expectation is the same. Published figures use 16384 images; few images have a floor above 0, so compare
    at equal N. Memory: 588 C / 3 bytes a patch, 75 kB an image and set. Raises ValueError, naming the argument, for NaN, sets
    that do not fit, sides below 7 px, and a channel that is constant at some level.
    """
    a, b = _images(images_a, "images_a"), _images(images_b, "images_b")
    if a.shape != b.shape:
        raise ValueError(f"images_b has the shape {b.shape}, images_a {a.shape}: both sets need as many of one size")
    if patches < 1 or directions < 1:
        raise ValueError("patches and directions must be at least 1")
    rng = stream_rng("sliced-wasserstein", seed)
    found = {}
    for level, (x, y) in enumerate(zip(laplacian_pyramid(a), laplacian_pyramid(b), strict=True)):
        places = _places(x.shape, patches, rng)
        p = _normalised(_cut(x, places), f"images_a at level {level}")
        q = _normalised(_cut(y, places), f"images_b at level {level}")
        found[min(x.shape[2:])] = FACTOR * _distance(p, q, directions, rng)
    return found


def laplacian_pyramid(images: np.ndarray) -> list[np.ndarray]:
    """Images [N, C, h, w] as bands, finest first, the last one the remaining coarse image; sides halve while even and 16 or more.

    Down: the 5-tap binomial filter, mirrored at the border, then every other pixel. A band is the image minus its coarser one
    brought up again. The sum of the bands, each brought up, is the image.
    """
    gaussian = [np.asarray(images)]
    while min(gaussian[-1].shape[2:]) // 2 >= SMALLEST and not any(side % 2 for side in gaussian[-1].shape[2:]):
        gaussian.append(_blur(gaussian[-1])[:, :, ::2, ::2])
    return [fine - upsampled(coarse) for fine, coarse in zip(gaussian[:-1], gaussian[1:], strict=True)] + [gaussian[-1]]


def upsampled(images: np.ndarray) -> np.ndarray:
    """Twice the size: zeros between the pixels, then the same filter times 4."""
    n, c, h, w = images.shape
    spread = np.zeros((n, c, 2 * h, 2 * w), images.dtype)
    spread[:, :, ::2, ::2] = 4 * images
    return _blur(spread)


def _blur(images: np.ndarray) -> np.ndarray:
    return convolve1d(convolve1d(images, _TAPS, axis=2, mode="mirror"), _TAPS, axis=3, mode="mirror")


def _places(shape: tuple[int, ...], patches: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, _, h, w = shape
    image = np.repeat(np.arange(n), patches)
    return image, rng.integers(h - PATCH + 1, size=n * patches), rng.integers(w - PATCH + 1, size=n * patches)


def _cut(images: np.ndarray, places: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), axis=(2, 3))
    image, row, column = places
    return windows[image, :, row, column]


def _normalised(patches: np.ndarray, name: str) -> np.ndarray:
    mean = patches.mean((0, 2, 3), keepdims=True, dtype=np.float64)
    deviation = patches.std((0, 2, 3), keepdims=True, dtype=np.float64)
    if not np.all(deviation > 0):
        raise ValueError(f"{name} has a constant channel: its patches cannot be brought to unit deviation")
    return ((patches - mean) / deviation).astype(np.float32).reshape(len(patches), -1)


def _distance(p: np.ndarray, q: np.ndarray, directions: int, rng: np.random.Generator) -> float:
    lines = rng.standard_normal((p.shape[1], directions)).astype(np.float32)
    lines /= np.linalg.norm(lines, axis=0)
    total = 0.0
    for start in range(0, directions, _AT_ONCE):
        block = np.ascontiguousarray(lines[:, start : start + _AT_ONCE].T)
        # Rows are directions, so that sorting runs along memory.
        u, v = np.sort(block @ p.T, axis=1), np.sort(block @ q.T, axis=1)
        total += float(np.abs(u - v).mean(1, dtype=np.float64).sum())
    return total / directions


def _images(values: ArrayLike, name: str) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    array = np.asarray(values, np.float32)
    if array.ndim != 4 or not array.size:
        raise ValueError(f"{name} must be images [N, C, h, w], not of shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds values that are NaN or infinite")
    if min(array.shape[2:]) < PATCH:
        raise ValueError(f"{name} has sides of {array.shape[2:]}: patches are {PATCH} px wide")
    return array
