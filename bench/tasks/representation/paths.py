"""How pictures move as a generator is driven through a space: perceptual path length and the Hessian penalty.

Pictures are clamped to [-1, 1], as every judge sees them. Codes come from the test stream, after those of the blocks, and are the
same samples in every space, so that values of two spaces are paired.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bench.bank import stream_ids
from bench.codes import Codes, Space
from bench.domains.base import Network
from bench.passes import CHUNK
from bench.streams import stream_rng
from bench.tasks.base import CellContext
from bench.tasks.representation.protocol import CURVATURE_DIRECTIONS, CURVATURE_STEP, SPREAD_CODES, STEP
from metrics.disentanglement import hessian_penalties, perceptual_path_length, rademacher

# Codes of one z are on a sphere in high dimensions; straight lines between them would leave it (Karras et al. 2019, section 4.1).
ROUND = (Space.Z, Space.Z_PLUS)


def path_lengths(cell: CellContext, space: Space, judge: Network, progress: Callable[[], None]) -> dict[str, np.ndarray]:
    """Squared perceptual distance over epsilon^2 of every pair, [P] each: 'ppl_full', anywhere between two samples of the space,
    and 'ppl_end', at a sample.

    Along great circles in z and straight lines elsewhere. slerp gives unit vectors, which are brought to the length sqrt(D) of
    typical samples: mapping networks that normalise z do not notice, others would see a z near 0. A pair has the class of its
    start. The distance is the squared Euclidean one between the judge's perceptual vectors.
    """
    pairs = cell.settings.pairs
    between = stream_rng("representation-path", cell.seed).random(pairs)
    start, end = _later(cell, space, 0, pairs), _later(cell, space, pairs, pairs)
    length = start.values.shape[-1] ** 0.5 if space in ROUND else 1.0

    def distance(a: Tensor, b: Tensor) -> Tensor:
        seen = cell.passes.measure({"perceptual": judge}, torch.cat([a, b]))["perceptual"].double()
        return (seen[: len(a)] - seen[len(a) :]).square().sum(1)

    found: dict[str, list[np.ndarray]] = {"ppl_full": [], "ppl_end": []}
    for first in range(0, pairs, CHUNK // 2):
        part = slice(first, first + CHUNK // 2)
        one, other = start[part], end[part]
        twice = Codes.cat([one, one])

        def synthesize(values: Tensor, twice: Codes = twice) -> Tensor:
            return cell.passes.synthesize(twice.with_values(values * length))

        for name, t in (("ppl_full", torch.from_numpy(between[part])), ("ppl_end", None)):
            kind = "slerp" if space in ROUND else "lerp"
            how = {"t": t, "epsilon": STEP, "interpolation": kind, "batch": len(one)}
            found[name].append(perceptual_path_length(synthesize, distance, one.values, other.values, **how).distances)
        progress()
    return {name: np.concatenate(some) for name, some in found.items()}


def curvature(cell: CellContext, space: Space) -> np.ndarray:
    """The Hessian penalty of the pixels at each code, [N]: the largest over pixels, as in the paper, but of one code at a time.

    Channels are in units of their own deviation over samples, so that a step means the same in every space. The sum it stands for
    runs over all pairs of channels: spaces of more channels have more of them, and compare only with that in mind.
    """
    spread = _values(cell, cell.generator.sample(stream_ids("test", SPREAD_CODES), seed=cell.seed), space).values.std(0)
    codes = _later(cell, space, 2 * cell.settings.pairs, cell.settings.hessian_codes)
    # One draw for all codes, so that the batches below do not show in it.
    directions = rademacher(CURVATURE_DIRECTIONS, codes.values.shape, seed=cell.seed)
    found = []
    for first in range(0, len(codes), CHUNK):
        part = codes[first : first + CHUNK]

        def pictures(offset: Tensor, part: Codes = part) -> tuple[Tensor, ...]:
            return cell.passes.synthesize(part.with_values(part.values + offset * spread)).unbind(0)

        here = torch.zeros_like(part.values)
        steps = directions[:, first : first + CHUNK]
        found.append(hessian_penalties(pictures, here, directions=steps, epsilon=CURVATURE_STEP).double().cpu().numpy())
    return np.concatenate(found)


def _later(cell: CellContext, space: Space, first: int, count: int) -> Codes:
    """Samples of the test stream that no block uses, from their `first` on."""
    start = cell.settings.samples + first
    ids = stream_ids("test", start + count)[start:]
    return _values(cell, cell.generator.sample(ids, seed=cell.seed), space)


def _values(cell: CellContext, codes: Codes, space: Space) -> Codes:
    with torch.no_grad():
        return cell.generator.convert(codes, space)
