"""The pictures that are inverted, what judges read of them, and the spread of every attribute over samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.bank import stream_ids
from bench.codes import Codes
from bench.domains.base import Domain, Network
from bench.errors import UnsupportedError
from bench.streams import stream_seed
from bench.tasks.base import CellContext
from bench.tasks.editing.pool import spread
from bench.tasks.editing.protocol import is_binary
from bench.tasks.inversion.protocol import READINGS, REAL_START, REAL_STREAM, SAMPLED_CODES, SPREAD_CODES
from bench.tasks.judges import judges_for


@dataclass(frozen=True)
class Originals:
    """Pictures to be inverted. ids: [N]; images: [N, 3, R, R] in [-1, 1]; readings: reading -> [N, ...] of the judges."""

    ids: Tensor
    images: Tensor
    readings: dict[str, Tensor]


@dataclass(frozen=True)
class Spreads:
    """sigma: [A] float64, the judged spread of each judged attribute over samples (inf: it never changes); rules: how made.

    guide: the guide's spread of each attribute of its own, by name; empty without a guide.
    """

    sigma: Tensor
    rules: tuple[str, ...]
    guide: dict[str, float]


def find_judges(domain: Domain) -> tuple[dict[str, Network], dict[str, str]]:
    """The judges of this task by reading, and for every other reading why there is none."""
    return judges_for(domain, READINGS)


def find_guide(domain: Domain) -> Network | None:
    """The guide of attributes, which places edits; None where the domain has none."""
    try:
        return domain.guide("attributes")
    except UnsupportedError:
        return None


def judged(domain: Domain) -> list[str]:
    """The attributes of the card that the judge scores, in the card's order; none without a judge of attributes."""
    judges, _ = find_judges(domain)
    known = set(judges["attributes"].names) if "attributes" in judges else set()
    return [name for name in domain.info.names if name in known]


def read(cell: CellContext, judges: dict[str, Network], images: Tensor) -> dict[str, Tensor]:
    """What the judges say of pictures, reading -> [N, ...]; attributes in the order of `judged`."""
    found = cell.passes.measure(judges, images) if judges else {}
    if "attributes" in found:
        names = list(judges["attributes"].names)
        found["attributes"] = found["attributes"][:, [names.index(name) for name in judged(cell.domain)]]
    return found


def load_originals(cell: CellContext, source: str) -> Originals:
    """The pictures of a source, made and read once for all cells. Raises UnsupportedError where the domain has none."""
    count = cell.settings.pictures
    ids = stream_ids("test", count) if source == "generated" else REAL_START + torch.arange(count)
    judges, _ = find_judges(cell.domain)

    def compute() -> dict[str, Tensor]:
        images = _generated(cell, ids) if source == "generated" else _real(cell, ids)
        return {"images": images, **read(cell, judges, images)}

    found = dict(cell.share(f"inversion-originals-{source}", compute))
    return Originals(ids, found.pop("images"), found)


def sampled(cell: CellContext) -> Codes:
    """The first codes of the test stream, in z, those of the generated pictures among them."""
    return cell.generator.sample(stream_ids("test", max(SAMPLED_CODES, cell.settings.pictures)), seed=cell.seed)


def _generated(cell: CellContext, ids: Tensor) -> Tensor:
    return cell.passes.synthesize(cell.generator.sample(ids, seed=cell.seed))


def _real(cell: CellContext, ids: Tensor) -> Tensor:
    draw, side = getattr(cell.domain, "pictures", None), cell.generator.info.resolution
    if draw is None:
        raise UnsupportedError(f"domain {cell.domain.info.name} has no pictures of its own")
    images = draw(ids, seed=stream_seed(REAL_STREAM, cell.seed), size=side)
    if tuple(images.shape) != (len(ids), 3, side, side):
        raise ValueError(f"{len(ids)} pictures of {side} px were asked for, got {list(images.shape)}")
    return images.float().clamp(-1, 1).cpu()


def load_spreads(cell: CellContext) -> Spreads:
    """The spread of every judged attribute over samples, read once for all cells."""
    judges, _ = find_judges(cell.domain)
    guide = find_guide(cell.domain)
    networks = {"attributes": judges["attributes"]} if "attributes" in judges else {}

    def compute() -> dict[str, Tensor]:
        codes, parts = cell.generator.sample(stream_ids("reference", SPREAD_CODES), seed=cell.seed), []
        for start in range(0, len(codes), cell.passes.group):
            images = cell.passes.synthesize(codes[start : start + cell.passes.group])
            found = read(cell, networks, images)
            if guide is not None:
                found["guide"] = cell.passes.measure({"attributes": guide}, images)["attributes"]
            parts.append(found)
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    if not networks and guide is None:
        return Spreads(torch.empty(0, dtype=torch.float64), (), {})
    found, card = cell.share("inversion-spreads", compute), cell.domain.info
    kind = {attribute.name: is_binary(attribute) for attribute in card.attributes}
    pairs = [spread(found["attributes"][:, i], kind[name]) for i, name in enumerate(judged(cell.domain))]
    names = [] if guide is None else [name for name in guide.names if name in kind]
    guided = {name: spread(found["guide"][:, list(guide.names).index(name)], kind[name])[0] for name in names}
    return Spreads(torch.tensor([one for one, _ in pairs], dtype=torch.float64), tuple(rule for _, rule in pairs), guided)
