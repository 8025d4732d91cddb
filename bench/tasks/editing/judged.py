"""Network readings of edited pictures: every picture is synthesized once, and all judges and the guide read that one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bench.codes import Codes
from bench.domains.base import Domain, Network
from bench.errors import UnsupportedError
from bench.interventions import rows
from bench.passes import Passes
from bench.tasks.editing.protocol import READINGS, REGIONS
from bench.tasks.judges import judges_for
from methods.base import Edit

# The guide's attribute scores travel beside the judge's under this name.
GUIDE = "guide"


def find_judges(domain: Domain) -> tuple[dict[str, Network], dict[str, str]]:
    """The judges of this task by reading, and for every other reading why there is none (not fetched, say).

    Raises UnsupportedError where there is none for attributes: nothing else says what an edit did.
    """
    domain.judge("attributes")
    return judges_for(domain, (*READINGS, REGIONS))


def judges_of(domain: Domain) -> dict[str, Network]:
    """The judges of this task by reading. Raises UnsupportedError where there is none for attributes."""
    return find_judges(domain)[0]


def readers_of(domain: Domain) -> dict[str, Network]:
    """Judges of every picture by reading, and the guide of attributes under GUIDE.

    Raises UnsupportedError where attributes lack either, or the judge does not score every attribute of the domain.
    """
    judges, guide = judges_of(domain), domain.guide("attributes")
    missing = [name for name in domain.info.names if name not in judges["attributes"].names]
    if missing:
        raise UnsupportedError(f"domain {domain.info.name}: the judge does not score {', '.join(missing)}")
    return {**{reading: judge for reading, judge in judges.items() if reading != REGIONS}, GUIDE: guide}


def guided(domain: Domain) -> list[str]:
    """The attributes of the card that the guide scores, in the card's order."""
    known = set(domain.guide("attributes").names)
    return [name for name in domain.info.names if name in known]


def scores(domain: Domain, network: Network, values: Tensor) -> Tensor:
    """A network's attribute scores [N, A] with columns in the order of the domain's card; NaN where it does not score one."""
    names = list(network.names)
    none = torch.full_like(values[:, 0], float("nan"))
    return torch.stack([values[:, names.index(name)] if name in names else none for name in domain.info.names], 1)


def read_pictures(passes: Passes, domain: Domain, readers: Mapping[str, Network], images: Tensor) -> dict[str, Tensor]:
    """What the readers say of pictures: reading -> [N, ...], attribute scores in the card's order, the guide's under GUIDE."""
    judges = {reading: network for reading, network in readers.items() if reading != GUIDE}
    found = passes.measure(judges, images) if judges else {}
    if "attributes" in found:
        found["attributes"] = scores(domain, judges["attributes"], found["attributes"])
    if GUIDE in readers:
        guide = readers[GUIDE]
        found[GUIDE] = scores(domain, guide, passes.measure({"attributes": guide}, images)["attributes"])
    return found


def read_edits(
    passes: Passes, domain: Domain, readers: Mapping[str, Network], edits: Sequence[Edit], *, keep: int = 0
) -> tuple[list[dict[str, Tensor]], list[Tensor]]:
    """Readings of every edit [N, ...], in order, and the pictures [keep, 3, R, R] of each edit's first `keep` codes.

    Edits in one space without interventions go through the networks together, which fills the passes' chunks; a value does not
    depend on that.
    """
    together: dict[object, list[int]] = {}
    for i, edit in enumerate(edits):
        together.setdefault(i if edit.intervene else edit.codes.space, []).append(i)
    readings: list[dict[str, Tensor]] = [{} for _ in edits]
    pictures: list[Tensor] = [torch.empty(0) for _ in edits]
    for members in together.values():
        sizes = [len(edits[i].codes) for i in members]
        joined = Edit(Codes.cat([edits[i].codes for i in members]), edits[members[0]].intervene)
        kept = torch.cat([torch.arange(size) < keep for size in sizes])
        found, shown = _read(passes, domain, readers, joined, kept)
        for name, values in found.items():
            for i, part in zip(members, values.split(sizes), strict=True):
                readings[i][name] = part
        for i, part in zip(members, shown.split([min(size, keep) for size in sizes]), strict=True):
            pictures[i] = part
    return readings, pictures


def _read(
    passes: Passes, domain: Domain, readers: Mapping[str, Network], edit: Edit, kept: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """Readings of one edit and the pictures of the codes that `kept` [N] marks, a group of pictures in memory at a time."""
    parts, shown = [], []
    for start in range(0, len(edit.codes), passes.group):
        part = slice(start, start + passes.group)
        images = passes.synthesize(edit.codes[part], rows(edit.intervene, part))
        parts.append(read_pictures(passes, domain, readers, images))
        shown.append(images[kept[part]])
    return {name: torch.cat([one[name] for one in parts]) for name in parts[0]}, torch.cat(shown)
