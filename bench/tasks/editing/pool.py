"""What every cell of one generator shares: the unedited test pool as judges see it, sigma of every attribute, the reference."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.bank import stream_ids
from bench.codes import Codes
from bench.tasks.base import CellContext
from bench.tasks.editing.judged import GUIDE, judges_of, read_pictures, readers_of
from bench.tasks.editing.protocol import POOL, STRIP_IDS, is_binary

# A spread below this share of the scores' own size is rounding, not spread.
FLAT = 1e-6


@dataclass(frozen=True)
class Pool:
    """The unedited test stream. codes: z, P codes. readings: reading -> [P, ...], the guide's scores under GUIDE.

    sigma, guide_sigma: [A] float64 spread of each attribute by judge and guide; inf where an attribute never changes, so that no
    change of it counts. rules: how each sigma was made. reference: features [M, D] of the reference stream, or None.
    strip: pictures [STRIP_IDS, 3, R, R] of the first ids.
    """

    codes: Codes
    readings: dict[str, Tensor]
    sigma: Tensor
    guide_sigma: Tensor
    rules: tuple[str, ...]
    reference: Tensor | None
    strip: Tensor

    def rows(self, ids: Tensor) -> Tensor:
        """The rows of these ids: the test stream starts at its own first id and has no gaps."""
        return ids - int(self.codes.ids[0])


def spread(values: Tensor, binary: bool) -> tuple[float, str]:
    """sigma of one attribute's scores [N] over samples, and the rule that made it.

    continuous: the standard deviation over samples. binary: the distance between the mean logits of those judged to have it
    (above 0) and to lack it; where fewer than two are judged either way there is no such distance, and the standard deviation
    stands in. Scores that could not be read (NaN) are left out. A spread of nothing is inf.
    """
    values = values[values.isfinite()].double()
    if len(values) < 2:
        return float("inf"), "unreadable"
    has = values > 0
    if binary and 2 <= int(has.sum()) <= len(values) - 2:
        sigma, rule = float(values[has].mean() - values[~has].mean()), "class means"
    else:
        sigma, rule = float(values.std()), "one class only: standard deviation" if binary else "standard deviation"
    flat = FLAT * max(1.0, float(values.abs().max()))
    return (sigma, rule) if sigma > flat else (float("inf"), "constant")


def load_pool(cell: CellContext) -> Pool:
    """The pool of a cell's generator, computed once for all cells. Raises UnsupportedError where a network is missing."""
    count = max(POOL * cell.settings.test_codes, STRIP_IDS)
    codes = cell.generator.sample(stream_ids("test", count), seed=cell.seed)
    whole = cell.share("editing-pool", lambda: _read_pool(cell, codes))
    strip = whole["strip"]
    readings = {name: values for name, values in whole.items() if name != "strip"}
    judged, guided = [], []
    for column, attribute in enumerate(cell.domain.info.attributes):
        judged.append(spread(readings["attributes"][:, column], is_binary(attribute)))
        guided.append(spread(readings[GUIDE][:, column], is_binary(attribute)))
    reference = _reference(cell)
    sigma, guide_sigma = (torch.tensor([one for one, _ in pairs], dtype=torch.float64) for pairs in (judged, guided))
    return Pool(codes, readings, sigma, guide_sigma, tuple(rule for _, rule in judged), reference, strip)


def _read_pool(cell: CellContext, codes: Codes) -> dict[str, Tensor]:
    readers = readers_of(cell.domain)
    parts, strip = [], None
    for start in range(0, len(codes), cell.passes.group):
        images = cell.passes.synthesize(codes[start : start + cell.passes.group])
        parts.append(read_pictures(cell.passes, cell.domain, readers, images))
        strip = images[:STRIP_IDS].clone() if strip is None else strip
    return {**{name: torch.cat([part[name] for part in parts]) for name in parts[0]}, "strip": strip}


def _reference(cell: CellContext) -> Tensor | None:
    judges = judges_of(cell.domain)
    if "features" not in judges:
        return None
    ids = stream_ids("reference", cell.settings.reference_codes)

    def compute() -> dict[str, Tensor]:
        found = cell.passes.read({"features": judges["features"]}, cell.generator.sample(ids, seed=cell.seed))["features"]
        return {"features": found[found.isfinite().all(1)]}

    return cell.share("editing-reference", compute)["features"]


def test_rows(pool: Pool, column: int, binary: bool, sign: int, count: int) -> Tensor:
    """The rows of the pool that one target and sign is tested on, [at most count].

    continuous: the first ones. binary: the first that the judge says lack it (positive edits) or have it (negative edits). A
    picture that the judge cannot read before it is edited is passed over: what becomes unreadable is the edit's doing.
    """
    scores = pool.readings["attributes"]
    wanted = scores.isfinite().all(1)
    if binary:
        wanted &= scores[:, column] <= 0 if sign > 0 else scores[:, column] > 0
    return wanted.nonzero().flatten()[:count]
