"""PCA whitening, exact both ways: p <-> p_n of 'Improved StyleGAN Embedding' (Zhu et al. 2020, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
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


def fit_whitening(samples: Tensor) -> Whitening:
    """The whitening of rows [N, D]. Raises ValueError for fewer than two rows."""
    if len(samples) < 2:
        raise ValueError("a covariance needs two rows or more")
    x = samples.detach().cpu().double()
    mean = x.mean(0)
    variance, basis = torch.linalg.eigh((x - mean).T @ (x - mean) / (len(x) - 1))
    variance = variance.flip(0).clamp_min(FLOOR * float(variance[-1].clamp_min(1e-300)))
    return Whitening(mean, basis.flip(1), variance.sqrt())
