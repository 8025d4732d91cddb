"""The plausible range: the largest strength at which nearly all edited codes still look like samples.

A space decides the statistic: z, w and p by Mahalanobis distance in p_n (whitened p; in w, or z, where the generator has no p); w+ and
p+ by the worst of their rows; s by its largest standardised channel; interventions by the activations they leave. Each is divided by
that statistic's own quantile over samples, so that up to 1 is plausible.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.codes import Codes, Space
from bench.generators.base import Generator
from bench.interventions import Unit
from bench.streams import stream_seed
from bench.tasks.base import CellContext
from bench.tasks.editing.activations import ActivationRange
from bench.tasks.editing.protocol import BISECTIONS, DOUBLINGS, PLAUSIBLE_QUANTILE, PLAUSIBLE_SAMPLES, PLAUSIBLE_SHARE
from methods.base import Edit
from metrics.plausibility import channel_statistic, mahalanobis, standardise, whiten

# Codes converted at a time.
ROWS = 256


def measured_space(info_spaces: dict[str, tuple[int, ...]], space: Space) -> Space:
    """The space in which codes of `space` are compared with samples."""
    if space == Space.S:
        return space
    ways = (Space.P_PLUS, Space.W_PLUS, Space.Z_PLUS) if space.layered else (Space.P, Space.W, Space.Z)
    # Codes never go back toward z: whatever is left of the space itself in that order is the way.
    allowed = ways[: ways.index(Space.P if space == Space.P_N else space) + 1] if space in ways else ways[:1]
    return next((way for way in allowed if way in info_spaces), space)
