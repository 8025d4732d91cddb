"""Layers as TensorFlow and Keras have them, over weights read from an npz file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TensorFlowWeights(nn.Module):
    """Weights under their published names, as frozen buffers, with the layers that use them.

    Convolution kernels come as [height, width, in, out], depthwise ones as [height, width, channels, 1], dense ones as [in, out].
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        for name, value in weights.items():
            tensor = torch.from_numpy(np.ascontiguousarray(value, np.float32))
            if name.split("/")[-1].startswith("depthwise"):
                tensor = tensor.permute(2, 3, 0, 1)
            elif tensor.dim() == 4:
                tensor = tensor.permute(3, 2, 0, 1)
            elif tensor.dim() == 2:
                tensor = tensor.T
            self.register_buffer(_key(name), tensor.contiguous())

    def get(self, name: str) -> Tensor:
        """The tensor of a published name, in torch's layout."""
        return self.get_buffer(_key(name))

    def conv(self, x: Tensor, kernel: str, bias: str | None = None, *, stride: int = 1, same: bool = True) -> Tensor:
        """Convolution; `same`: TensorFlow's SAME padding, else none."""
        weight = self.get(kernel)
        x = same_padded(x, weight.shape[-1], stride) if same else x
        return F.conv2d(x, weight, None if bias is None else self.get(bias), stride)

    def separable(self, x: Tensor, depthwise: str, pointwise: str, bias: str | None = None, *, stride: int = 1) -> Tensor:
        """A 3x3 convolution of every channel, then a 1x1 one across them; SAME padding."""
        each = self.get(depthwise)
        x = F.conv2d(same_padded(x, each.shape[-1], stride), each, None, stride, groups=len(each))
        return F.conv2d(x, self.get(pointwise), None if bias is None else self.get(bias))

    def dense(self, x: Tensor, weights: str, bias: str) -> Tensor:
        return F.linear(x, self.get(weights), self.get(bias))

    def norm(self, x: Tensor, name: str, epsilon: float = 1e-3) -> Tensor:
        """Batch normalisation by the running statistics; epsilon as in Keras."""
        parts = (self.get(f"{name}/{part}") for part in ("moving_mean:0", "moving_variance:0", "gamma:0", "beta:0"))
        return F.batch_norm(x, *parts, eps=epsilon)


def same_padded(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """TensorFlow's SAME: as many outputs as inputs over the stride; an odd pixel of padding goes right and below."""
    down, across = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:])
    return F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2), value=value)


def max_pool_same(x: Tensor) -> Tensor:
    """3x3 maxima, 2 apart, SAME padding."""
    return F.max_pool2d(same_padded(x, 3, 2, float("-inf")), 3, 2)


def log_odds(logits: Tensor) -> Tensor:
    """[N, C] class logits to the logit of every class against all others, log p / (1 - p), [N, C]."""
    chosen = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
    others = logits[:, None].expand(-1, logits.shape[1], -1).masked_fill(chosen, float("-inf"))
    return logits - others.logsumexp(2)


def _key(name: str) -> str:
    """A published name as a buffer's: dots would split it."""
    return name.replace("/", "-").replace(".", "_")
