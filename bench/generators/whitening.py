"""PCA whitening, exact both ways: p <-> p_n of 'Improved StyleGAN Embedding' (Zhu et al. 2020, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Below this share of the largest variance a direction counts as having that variance, so that the way back exists.
FLOOR = 1e-10


@dataclass(frozen=True)
class Whitening:
    """mean [D], basis [D, D] (columns are principal axes, the widest first) and deviation [D], all float64."""

    mean: Tensor
    basis: Tensor
    deviation: Tensor

    def whiten(self, x: Tensor) -> Tensor:
        """(x - mean) basis / deviation, [N, D]: over samples, mean 0 and covariance I."""
        mean, basis, deviation = (t.to(x.device) for t in (self.mean, self.basis, self.deviation))
        return ((x.double() - mean) @ basis / deviation).to(x.dtype)

    def color(self, y: Tensor) -> Tensor:
        """The inverse of `whiten`."""
        mean, basis, deviation = (t.to(y.device) for t in (self.mean, self.basis, self.deviation))
        return ((y.double() * deviation) @ basis.T + mean).to(y.dtype)


def fit_whitening(chunks: Iterable[Tensor]) -> Whitening:
    """The whitening of all rows of the chunks [N, D], each of which is read once and not kept.

    Raises ValueError for fewer than two rows.
    """
    rows, origin = 0, None
    for chunk in chunks:
        x = chunk.detach().cpu().double()
        if origin is None:
            # Sums about a point near the mean lose no digits to its square.
            origin = x.mean(0)
            total, factor = torch.zeros_like(origin), origin.new_zeros(0, len(origin) + 1)
        x = x - origin
        rows += len(x)
        total += x.sum(0)
        # Behind a column of ones the triangular factor is that of the centred rows.
        factor = torch.linalg.qr(torch.cat([factor, F.pad(x, (1, 0), value=1.0)]), mode="r").R
    if rows < 2:
        raise ValueError("a covariance needs two rows or more")
    centred = factor[1:, 1:]
    basis = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)
    # Not the eigenvalues: squares keep half the digits, and of the narrowest axes among wide ones hardly any.
    variance = (centred @ basis).square().sum(0) / (rows - 1)
    variance = variance.clamp_min(FLOOR * float(variance.max().clamp_min(1e-300)))
    return Whitening(origin + total / rows, basis, variance.sqrt())
