"""mini-Xception: expression and gender from grey pictures (Arriaga et al. 2017, arXiv:1710.07557; MIT;
https://github.com/oarriaga/face_classification)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.domains.base import Network
from bench.networks.faces.files import arrays, locate, prepared, window
from bench.networks.faces.layers import TensorFlowWeights, log_odds, max_pool_same
from bench.networks.windows import WHOLE, Window

EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
BLOCKS = 4


class MiniXception(Network):
    """Attributes of seven classes (the logit of each against the others) or of two ('male'). Differentiable.

    kind: 'expression' or 'gender'; the latter wants the whole head with its hair in the picture.
    """

    def __init__(self, kind: str, weights: Mapping[str, np.ndarray], frame: Window = WHOLE) -> None:
        super().__init__()
        self.name, self.frame = f"mini-xception-{kind}", frame
        self.readings = frozenset({"attributes"})
        self.names = EXPRESSIONS if kind == "expression" else ("male",)
        # Keras repeats the layer's name, with a number added where a file was saved twice: the first and the last part say all.
        self.weights = TensorFlowWeights({f"{k.split('/')[0]}/{k.split('/')[-1]}": v for k, v in weights.items()})
        self.register_buffer("window", torch.tensor(window(self.name, frame)))
        self.eval().requires_grad_(False)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        x = prepared(images, self.name, self.frame)
        for i in (1, 2):
            x = F.relu(self._norm(self.weights.conv(x, f"conv2d_{i}/kernel:0", same=False), i))
        for block in range(BLOCKS):
            first = 3 * block + 3  # batch normalisations: the short cut's, then the two of the main path
            short = self._norm(self.weights.conv(x, f"conv2d_{block + 3}/kernel:0", stride=2), first)
            x = F.relu(self._norm(self._separable(x, 2 * block + 1), first + 1))
            x = max_pool_same(self._norm(self._separable(x, 2 * block + 2), first + 2)) + short
        logits = self.weights.conv(x, "conv2d_7/kernel:0", "conv2d_7/bias:0").mean((2, 3))
        odds = log_odds(logits)
        return {"attributes": odds if len(self.names) > 1 else odds[:, 1:]}

    def _norm(self, x: Tensor, i: int) -> Tensor:
        return self.weights.norm(x, f"batch_normalization_{i}")

    def _separable(self, x: Tensor, i: int) -> Tensor:
        name = f"separable_conv2d_{i}"
        return self.weights.separable(x, f"{name}/depthwise_kernel:0", f"{name}/pointwise_kernel:0")


def load_mini_xception(kind: str, folder: Path | None = None, frame: Window = WHOLE) -> MiniXception:
    """kind: 'expression' or 'gender'."""
    return MiniXception(kind, arrays(locate(f"mini-xception-{kind}", folder)), frame)
