"""What each style channel does to pictures in the eyes of a text-image network (StyleCLIP, section 6). No text enters here."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.cards import GeneratorInfo
from bench.codes import Codes, Space
from bench.domains.base import TextImageNetwork
from bench.errors import InputError
from bench.passes import Passes

# Codes built at a time: those of several channels go through the networks together.
ROWS = 512
# A channel that varies by less than this share of the one that varies most is dead.
DEAD = 1e-6
# Unit vectors in float32 that lie this near to each other are the same: what a channel without any effect leaves is rounding, and
# brought to length 1 it would be a direction of nothing.
SAME = 1e-5


def relevance(features: Tensor) -> Tensor:
    """The direction in which each channel moves pictures, [C, D] unit rows, from features [C, N, 2, D] of (minus, plus) pairs.

    Features are brought to length 1, each pair is differenced and brought to length 1, then averaged over pictures and brought to
    length 1 again, as the authors' code does; the paper's text has the mean of projections. 0 where nothing changes.
    """
    unit = F.normalize(features.double(), dim=3)
    step = unit[:, :, 1] - unit[:, :, 0]
    step = torch.where(step.norm(dim=2, keepdim=True) > SAME, step, 0.0)
    return F.normalize(F.normalize(step, dim=2).mean(1), dim=1)


def boundary(relevances: Tensor, direction: Tensor, beta: float) -> Tensor:
    """How far each channel goes with a text, [C], in its standard deviations, the largest magnitude is 1.

    relevances: [C, D]; direction: [D] unit. The channel's relevance to the text is their inner product, 0 where its magnitude is
    under beta (the disentanglement threshold); all are 0 where none reaches it.
    """
    projected = relevances.double() @ direction.double()
    kept = torch.where(projected.abs() < beta, 0.0, projected)
    most = kept.abs().max()
    return kept / most if most > 0 else kept


def style_channels(info: GeneratorInfo, resolution: int) -> Tensor:
    """The entries of s that feed a feature map of at most that resolution, int64 [C]; channels of toRGB layers are out."""
    found = [layer for layer in info.layers if layer.styles and not layer.is_rgb and layer.resolution <= resolution]
    return torch.cat([torch.arange(*layer.styles) for layer in found]) if found else torch.empty(0, dtype=torch.int64)


def population(codes: Codes) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [S] float64 of the style channels over codes of s."""
    values = codes.values.double().cpu()
    return values.mean(0), values.std(0, correction=0)


def measure_relevance(
    passes: Passes, guide: TextImageNetwork, codes: Codes, channels: Tensor, mean: Tensor, std: Tensor, step: float
) -> Tensor:
    """Relevance [S, D] float32 of the channels, zeros elsewhere and for dead ones.

    codes: [N] of s; each channel in turn is set, in all of them, to its mean less and plus `step` standard deviations, so that
    2 N pictures are made for every channel that varies.
    """
    if codes.space != Space.S or not len(codes):
        raise InputError("relevance is measured on codes of s")
    live = [c for c in channels.tolist() if std[c] > DEAD * std[channels].max()]
    n, found = len(codes), {}
    at_once = max(1, ROWS // (2 * n))
    for start in range(0, len(live), at_once):
        some = live[start : start + at_once]
        values = codes.values.repeat(2 * len(some), 1)  # [channel, side, code]
        block = values.view(len(some), 2, n, -1)
        for i, c in enumerate(some):
            block[i, 0, :, c], block[i, 1, :, c] = mean[c] - step * std[c], mean[c] + step * std[c]
        moved = codes[torch.arange(n).repeat(2 * len(some))].with_values(values)
        features = passes.read({"text_image": guide}, moved)["text_image"]
        rows = relevance(features.view(len(some), 2, n, -1).transpose(1, 2))
        found |= dict(zip(some, rows.float(), strict=True))
    if not found:
        raise InputError("no style channel varies over the codes: nothing can be measured")
    table = torch.zeros(codes.values.shape[1], len(next(iter(found.values()))))
    for c, row in found.items():
        table[c] = row
    return table
