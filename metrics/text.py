"""Do pictures say what a text says? From CLIP embeddings: CLIP score and directional similarity."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from metrics.arrays import matrix


def clip_score(images: ArrayLike, texts: ArrayLike, *, weight: float = 2.5) -> np.ndarray:
    """CLIPScore w max(cos(image, text), 0) of pairs, [N], range [0, w], higher is better (Hessel et al. 2021, equation 1).

    images: [N, D] embeddings; texts: [N, D] or [1, D] (one text for all). weight: 2.5 is the paper's; 100 is what generation
    papers and torchmetrics print. Bare cosines of pictures and texts lie in a narrow band: compare differences. Scores of the
    CLIP model that a method optimised are no evidence for it: judge with another. Raises ValueError, naming the argument, for
    NaN, shapes that do not fit, and an embedding without length.
    """
    if not weight > 0:
        raise ValueError(f"weight must be positive, not {weight}")
    image, text = _unit(images, "images"), _unit(texts, "texts")
    _fits(text, "texts", image)
    return weight * np.clip((image * text).sum(1), 0.0, 1.0)


def directional_similarity(before: ArrayLike, after: ArrayLike, source: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Cosine of the step between pictures and the step between texts, [N], range [-1, 1], higher is better.

    cos(i(after) - i(before), t(target) - t(source)), all embeddings of length 1 first (Gal et al. 2022, StyleGAN-NADA, whose
    loss is 1 minus it). before, after: [N, D]; source, target: [D], or [T, D], one row a prompt template: text steps are then
    averaged over templates, as the authors do. NaN for a picture that did not change, which has no direction. Raises
    ValueError, naming the argument, for NaN, shapes that do not fit, an embedding without length, and a target whose texts
    equal the source's.
    """
    first, second = _unit(before, "before"), _unit(after, "after")
    if first.shape != second.shape:
        raise ValueError(f"after has the shape {second.shape}, before {first.shape}")
    text = text_direction(source, target)
    if len(text) != first.shape[1]:
        raise ValueError(f"target has {len(text)} dimensions, before has {first.shape[1]}")
    step = second - first
    length = np.linalg.norm(step, axis=1)
    cosine = np.divide(step @ text, length, out=np.full(len(step), np.nan), where=length > 0)
    return np.clip(cosine, -1.0, 1.0)


def text_direction(source: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Unit step from source to target texts, [D]: rows (templates) to length 1, differenced, averaged, to length 1."""
    first = _unit(np.atleast_2d(_plain(source)), "source")
    second = _unit(np.atleast_2d(_plain(target)), "target")
    if first.shape != second.shape:
        raise ValueError(f"target has the shape {second.shape}, source {first.shape}: the same templates are needed")
    step = (second - first).mean(0)
    length = np.linalg.norm(step)
    if not length > 1e-12:
        raise ValueError("target equals source: their texts have no direction")
    return step / length


def _plain(values: ArrayLike) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _unit(values: ArrayLike, name: str) -> np.ndarray:
    rows = matrix(values, name)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(lengths > 0):
        raise ValueError(f"{name} holds a row of zeros, which has no direction")
    return rows / lengths


def _fits(text: np.ndarray, name: str, image: np.ndarray) -> None:
    if text.shape[1] != image.shape[1] or len(text) not in (1, len(image)):
        raise ValueError(f"{name} has the shape {text.shape}, images {image.shape}")
