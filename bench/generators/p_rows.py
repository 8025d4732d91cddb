"""Codes as rows of whitened p: where the distribution of samples is standard normal, if it is anything."""

from __future__ import annotations

from torch import Tensor

from bench.codes import Codes, Space
from bench.generators.base import Generator


def whitened_rows(generator: Generator, codes: Codes) -> Tensor:
    """p_n of every row of codes, [N, L, D] for w+ and p+, [N, 1, D] for spaces with one vector a code; differentiable.

    Every layer's row is whitened by the same PCA of p over samples (Zhu et al. 2020, 'Improved StyleGAN Embedding', section 3.2).
    Raises SpaceError where the generator has no p_n, or mathematics no way from the codes to it.
    """
    if not codes.space.layered:
        return generator.convert(codes, Space.P_N).values[:, None]
    rows = generator.convert(codes, Space.P_PLUS).values
    layers = rows.shape[1]
    labels = None if codes.labels is None else codes.labels.repeat_interleave(layers, 0)
    flat = Codes(Space.P, rows.flatten(0, 1), codes.ids.repeat_interleave(layers), labels)
    return generator.convert(flat, Space.P_N).values.view_as(rows)
