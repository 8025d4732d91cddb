"""One source of one cell: its pictures inverted, rebuilt, read and edited, as the arrays behind every number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from bench.bank import stream_ids
from bench.codes import Codes, Space
from bench.errors import LatentbenchError, SpaceError, UnsupportedError
from bench.generators.p_rows import whitened_rows
from bench.passes import CHUNK
from bench.tasks.base import CellContext, CellResult
from bench.tasks.editing.plausible import Plausible
from bench.tasks.inversion.edits import load_edits, moved
from bench.tasks.inversion.protocol import MOST_DB, SPREAD_CODES, STRIP_IDS
from bench.tasks.inversion.quantities import edit_key, picture_key
from bench.tasks.inversion.sources import Originals, Spreads, find_judges, judged, load_originals, read, sampled
from methods.base import Edit
from metrics.inversion import distance_to_mean, reconstruction

DATA_RANGE = 2.0  # of pictures in [-1, 1]


class SourceMeasure:
    """Measures one cell, source by source. done: told after every chunk of pictures."""

    def __init__(self, cell: CellContext, spreads: Spreads) -> None:
        self.cell, self.spreads = cell, spreads
        self.judges = find_judges(cell.domain)[0]
        self.plausible = Plausible(cell)

    def measure(self, source: str, result: CellResult) -> Iterator[int]:
        """Add a source's arrays, pictures and facts to the result; yields how many more pictures are inverted.

        Raises UnsupportedError where the domain has no such pictures, and for tuned weights or noise, which nothing here renders.
        """
        original = load_originals(self.cell, source)
        parts, seconds = [], []
        for start in range(0, len(original.ids), CHUNK):
            part = slice(start, start + CHUNK)
            codes, took = self._invert(original.images[part], original.ids[part])
            parts.append(codes)
            seconds.append(took)
            yield len(codes)
        codes, taken = Codes.cat(parts), torch.cat(seconds)
        rebuilt = self.cell.passes.synthesize(codes)
        after = read(self.cell, self.judges, rebuilt)
        arrays = {**self._pictures(original, rebuilt, after), **self._codes(codes), "ids": original.ids.numpy()}
        result.arrays |= {picture_key(source, name): array for name, array in arrays.items()}
        # Time differs from run to run: it is a fact, and never among the values.
        result.facts.setdefault("seconds", {})[source] = float(taken.mean())
        result.facts["space"] = str(codes.space)
        self._strip(source, original, rebuilt, result)
        if "attributes" in self.judges:
            self._edits(source, codes, after["attributes"], result)

    def _invert(self, images: Tensor, ids: Tensor) -> tuple[Codes, Tensor]:
        with self.cell.passes.clock.measure("inversion"):
            found = self.cell.fitted.inverter.invert(images, seed=self.cell.seed)
        if found.noise or found.weights:
            raise UnsupportedError(f"{self.cell.method.name} tunes noise or weights, which this task cannot render")
        codes = found.codes.to("cpu")
        if len(codes) != len(images):
            raise LatentbenchError(f"{self.cell.method.name} gives {len(codes)} codes for {len(images)} pictures")
        if not bool(codes.values.isfinite().all()):
            raise LatentbenchError(f"{self.cell.method.name} gives codes that are not finite")
        seconds = torch.full((len(codes),), float("nan")) if found.seconds is None else found.seconds.cpu().double()
        return Codes(codes.space, codes.values.detach(), ids, codes.labels), seconds

    def _pictures(self, original: Originals, rebuilt: Tensor, after: dict[str, Tensor]) -> dict[str, np.ndarray]:
        """Per-picture values, NaN where the judge cannot read the rebuilt picture; `lost/<reading>`: not even the original."""
        before = {name: values.double().numpy() for name, values in original.readings.items()}
        now = {name: values.double().numpy() for name, values in after.items()}
        vectors = {name: _blanked(before[name], now[name]) for name in ("perceptual", "identity") if name in now}
        found = reconstruction(original.images.numpy(), rebuilt.numpy(), data_range=DATA_RANGE, **vectors)
        found["psnr"] = np.minimum(found["psnr"], MOST_DB)
        if "attributes" in now:
            change = (now["attributes"] - before["attributes"]) / self.spreads.sigma.numpy()
            found["change"] = np.where(np.isfinite(change).all(1, keepdims=True), change, np.nan)
        lost = {f"lost/{name}": ~np.isfinite(values).all(1) for name, values in before.items()}
        return {**{name: values.astype(np.float64) for name, values in found.items()}, **lost}

    def _codes(self, codes: Codes) -> dict[str, np.ndarray]:
        """How far out the codes lie among samples, [N] each; what has no meaning in their space is absent."""
        generator = self.cell.generator
        codes = codes.to(generator.device)
        found = {"code_distance": self.plausible.ratio(Edit(codes)).numpy()}
        with torch.no_grad():
            # Where a space has no way to p_n or w, the value stays out, and the records say so.
            with suppress(SpaceError):
                found["p_norm"] = whitened_rows(generator, codes).square().mean((1, 2)).cpu().double().numpy()
            with suppress(SpaceError):
                w = generator.convert(codes, Space.W_PLUS if codes.space.layered else Space.W).values
                mean, typical = self._samples_of_w()
                found["w_norm"] = distance_to_mean(w.cpu().double().numpy(), mean) / typical
        return found

    def _samples_of_w(self) -> tuple[np.ndarray, float]:
        """The mean w over samples and their root mean square distance from it. Raises SpaceError without a w."""
        generator = self.cell.generator
        drawn = generator.sample(stream_ids("reference", SPREAD_CODES), seed=self.cell.seed)
        w = generator.convert(drawn, Space.W).values.cpu().double().numpy()
        return w.mean(0), float(np.sqrt(np.square(distance_to_mean(w, w.mean(0))).mean()))

    def _strip(self, source: str, original: Originals, rebuilt: Tensor, result: CellResult) -> None:
        """uint8 [2, ids, R, R, 3]: the originals, and below them what their codes give back."""
        rows = [_bytes(images[:STRIP_IDS]) for images in (original.images, rebuilt)]
        result.pictures[source] = np.stack(rows)
        ids = (original.ids[:STRIP_IDS] - original.ids[0]).tolist()
        result.facts.setdefault("strips", {})[source] = {"ids": ids, "rows": ["original", "rebuilt"]}

    def _edits(self, source: str, codes: Codes, unedited: Tensor, result: CellResult) -> None:
        """What the judge sees when the edits of the codes' own space are applied, [N, A] in sigma, beside sampled codes'."""
        facts = result.facts.setdefault("edits", {})
        for target, edit in load_edits(self.cell, codes.space, self.spreads).items():
            facts[target] = {"reason": edit.reason, "guide_effect": None if np.isnan(edit.effect) else edit.effect}
            if edit.step is None:
                continue
            judge = {"attributes": self.judges["attributes"]}
            after = read(self.cell, judge, self.cell.passes.synthesize(moved(codes, edit.step)))["attributes"]
            change = ((after - unedited).double() / self.spreads.sigma).numpy()
            result.arrays[edit_key(source, target)] = _whole_rows(change)
            result.arrays[edit_key("sampled", target)] = _whole_rows(edit.changes.numpy())
        result.arrays[picture_key("sampled", "ids")] = sampled(self.cell).ids.numpy()


def attribute_facts(cell: CellContext, spreads: Spreads) -> dict[str, object]:
    """Which attributes are judged, in the order of the arrays' columns, and how their sigma was made."""
    names = judged(cell.domain)
    return {"attributes": names, "sigma_rules": dict(zip(names, spreads.rules, strict=True))}


def _blanked(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both readings [N, D] with rows that could not be read on either side NaN throughout."""
    failed = ~(np.isfinite(before).all(1) & np.isfinite(after).all(1))
    return tuple(np.where(failed[:, None], np.nan, one) for one in (before, after))


def _whole_rows(change: np.ndarray) -> np.ndarray:
    """Changes [N, A] as float32, a row NaN where any of it could not be read."""
    return np.where(np.isfinite(change).all(1, keepdims=True), change, np.nan).astype(np.float32)


def _bytes(images: Tensor) -> np.ndarray:
    """uint8 [N, R, R, 3] of pictures in [-1, 1]."""
    return ((images.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
