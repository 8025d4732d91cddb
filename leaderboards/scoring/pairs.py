"""What judges read off pairs of pictures, a chunk at a time: scores and vectors that are kept, and distances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from bench.domains.base import Domain, Network
from bench.errors import UnsupportedError
from bench.passes import CHUNK, Passes
from bench.tasks.editing.regions import class_maps, localities
from leaderboards.scoring.folders import Pair, read
from metrics.base import EditBatch
from metrics.editing import PerceptualDistance
from metrics.perceptual import mse, psnr, ssim

# What judges are asked for.
READINGS = ("attributes", "identity", "perceptual", "features", "segmentation")
# Those whose vectors are kept of every picture; perceptual vectors and segmentations are as large as pictures.
KEPT = ("attributes", "identity", "features")
# Of pictures in [-1, 1].
RANGE = 2.0
# The window of SSIM, in px.
WINDOW = 11


@dataclass(frozen=True)
class Panel:
    """The judges of a domain by reading, on the device, and for every other reading why there is none.

    names: the attributes of the card that the judge scores, in the card's order.
    """

    judges: dict[str, Network]
    missing: dict[str, str]
    names: tuple[str, ...]

    def record(self, reading: str) -> dict[str, str]:
        """What a record says of the judge of a reading."""
        judge = self.judges.get(reading)
        return {} if judge is None else {"judge": f"{reading}[{judge.name}]", "judge_sha": judge.fingerprint[:16]}

    def columns(self, values: Tensor) -> Tensor:
        """Attribute scores in the order of `names`."""
        order = list(self.judges["attributes"].names)
        return values[:, [order.index(name) for name in self.names]]


def find_panel(domain: Domain, device: torch.device) -> Panel:
    """The domain's judges. One that is not there (not fetched, say) is missing with its reason."""
    judges, missing = {}, {}
    for reading in READINGS:
        try:
            judges[reading] = domain.judge(reading).to(device)
        except UnsupportedError as error:
            missing[reading] = str(error)
    scored = set(judges["attributes"].names) if "attributes" in judges else set()
    return Panel(judges, missing, tuple(name for name in domain.info.names if name in scored))


@dataclass
class Readings:
    """N pairs as read. before, after: reading -> [N, ...], those of KEPT. columns: one number a pair, [N], by metric.

    missing: metric -> why it is not among the columns. first: pictures [k, 3, R, R] of the first pairs, before and after.
    """

    names: list[str]
    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    columns: dict[str, np.ndarray]
    missing: dict[str, str] = field(default_factory=dict)
    first: tuple[Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def unreadable(self, reading: str) -> np.ndarray:
        """Which before pictures the judge could not read, bool [N]: what no edit can be blamed for."""
        return ~np.isfinite(self.before[reading]).all(axis=1)


def measure(panel: Panel, images: Tensor, passes: Passes) -> dict[str, Tensor]:
    """Every reading of pictures [N, 3, R, R]; attribute scores in the panel's order."""
    found = passes.measure(panel.judges, images) if panel.judges else {}
    if "attributes" in found:
        found["attributes"] = panel.columns(found["attributes"])
    return found


def judging(device: torch.device) -> Passes:
    """Passes that only measure: there is no generator behind pictures from files."""
    return Passes(None, device=device)  # type: ignore[arg-type]


def read_pairs(
    pairs: Sequence[Pair],
    side: int,
    panel: Panel,
    passes: Passes,
    region: Sequence[int] | str,
    *,
    keep: int = 8,
    on_pairs: Callable[[int], None] = lambda done: None,
) -> Readings:
    """Read all pairs. region: classes of the target's, or why locality cannot be told. on_pairs: told how many are done.

    Raises InputError for a picture that cannot be read.
    """
    parts: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []
    columns: list[dict[str, np.ndarray]] = []
    first = None
    for start in range(0, len(pairs), CHUNK):
        chunk = pairs[start : start + CHUNK]
        images = tuple(read([getattr(pair, when) for pair in chunk], side) for when in ("before", "after"))
        found = tuple(measure(panel, one, passes) for one in images)
        columns.append(_distances(images, found, region))
        parts.append(tuple({name: one[name] for name in KEPT if name in one} for one in found))  # type: ignore[arg-type]
        first = first or tuple(one[:keep].clone() for one in images)
        on_pairs(start + len(chunk))
    joined = [{name: torch.cat([part[i][name] for part in parts]).double().numpy() for name in parts[0][i]} for i in (0, 1)]
    found_columns = {name: np.concatenate([one[name] for one in columns]) for name in columns[0]}
    missing = {"locality": region} if isinstance(region, str) else {}
    if side < WINDOW:
        missing["ssim"] = f"pictures of {side} px are smaller than its window of {WINDOW} px"
    return Readings([pair.name for pair in pairs], *joined, found_columns, missing, first)  # type: ignore[arg-type]


def _distances(
    images: tuple[Tensor, ...], found: tuple[dict[str, Tensor], ...], region: Sequence[int] | str
) -> dict[str, np.ndarray]:
    """What is read off two pictures at once, by metric, [n] each."""
    before, after = images
    out: dict[str, list[np.ndarray]] = {"mse": [], "psnr": []}
    for i in range(len(before)):  # one by one: windows over a chunk of large pictures would not fit in memory
        a, b = before[i : i + 1], after[i : i + 1]
        out["mse"].append(mse(a, b))
        out["psnr"].append(psnr(a, b, data_range=RANGE))
        if a.shape[-1] >= WINDOW:
            out.setdefault("ssim", []).append(ssim(a, b, data_range=RANGE))
    made = {name: np.concatenate(values) for name, values in out.items()}
    if "perceptual" in found[0]:
        vectors: list[Mapping[str, np.ndarray]] = [{"perceptual": one["perceptual"].numpy()} for one in found]
        batch = EditBatch(*vectors, names=(), sigma=np.ones(0), target="", sign=1)  # type: ignore[arg-type]
        made["perceptual"] = PerceptualDistance().per_sample(batch)
    if not isinstance(region, str):  # as the editing task does, at the segmentation's own resolution
        seen = [class_maps(one, of["segmentation"]) for one, of in zip(images, found, strict=True)]
        small, maps = (np.stack([part.numpy() for part in parts], 1) for parts in zip(*seen, strict=True))
        shares, areas = localities(small, maps, region)
        made["locality"], made["region_share"] = shares[:, 1], areas[:, 1]
    return made
