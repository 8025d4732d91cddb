"""One cell: steps along every component, what guides say of them on fit codes and judge and truth on test codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bench.bank import stream_ids
from bench.codes import Codes, Space
from bench.domains.base import Network
from bench.errors import UnsupportedError
from bench.streams import stream_seed
from bench.tasks.base import CellContext, CellResult
from bench.tasks.editing.arrays import as_bytes
from bench.tasks.editing.judged import GUIDE, guided, read_edits
from bench.tasks.editing.moves import Move, assignment_facts, component_edges, component_edits
from bench.tasks.editing.plausible import Plausible
from bench.tasks.editing.pool import Pool, load_pool, spread
from bench.tasks.editing.protocol import is_binary
from bench.tasks.naming.namers import Namer, attribute_namer, statement_directions, text_guide, text_namer
from bench.tasks.naming.protocol import ATTRIBUTES, STRIP_IDS, STRIP_SHARES, TEXT
from bench.tasks.naming.rule import name_components
from methods.base import Edit
from metrics.assignment import assign

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Words:
    """The statements of a cell as directions [C, D] of the guide's picture vectors, and the spread [C] of pictures along them."""

    namer: Namer
    guide: Network
    directions: np.ndarray
    sigma: np.ndarray


def load_words(cell: CellContext, pool: Pool) -> Words:
    """Raises UnsupportedError where the domain has no guide of texts, or nothing can be said of it."""
    guide, statements = text_guide(cell.domain), cell.settings.statements(cell.domain)
    if not statements:
        raise UnsupportedError(f"domain {cell.domain.info.name} has no words for its pictures")
    directions = statement_directions(guide, statements)
    vectors = cell.share("naming-pool", lambda: cell.passes.read({"text_image": guide}, pool.codes))["text_image"]
    along = vectors.double() @ torch.from_numpy(directions).T
    sigma = np.array([spread(column, False)[0] for column in along.T])
    return Words(text_namer(statements), guide, directions, sigma)


class ComponentMeasure:
    """Measures one cell. Its result has `<namer>/changes` [K, n, C] and `judged`, `true` [K, M, A], all in sigma."""

    def __init__(self, cell: CellContext, result: CellResult) -> None:
        self.cell, self.result, self.pool = cell, result, load_pool(cell)
        calibrate = cell.generator.sample(stream_ids("calibrate", cell.settings.calibrate_codes), seed=cell.seed)
        self.edges = component_edges(cell, Plausible(cell), calibrate)
        if not self.edges:
            raise UnsupportedError(f"no component of {cell.method.name} makes a plausible step")
        self.components = list(self.edges)
        self.seed = stream_seed("naming", cell.seed)
        self.test = self.pool.codes[: cell.settings.test_codes]
        result.facts |= {"moved": self.components, "edges": list(self.edges.values())}

    def name(self) -> None:
        """Names by attributes and, where there is a guide of texts, by words; and the one-to-one assignment of attributes."""
        cell, names = self.cell, guided(self.cell.domain)
        columns = [cell.domain.info.names.index(name) for name in names]
        readers = {GUIDE: cell.domain.guide("attributes")}
        try:
            words = load_words(cell, self.pool)
            readers["text_image"] = words.guide
        except UnsupportedError as error:
            words = None
            self.result.facts[f"no_{TEXT}"] = str(error)
        found = self._changes(cell.bank.codes(Space.Z)[: cell.settings.codes], readers)
        by_attribute = found[GUIDE][:, :, columns] / self.pool.guide_sigma.numpy()[columns]
        self.result.facts["guided"] = names
        self._named(ATTRIBUTES, attribute_namer(names), by_attribute)
        if words is not None:
            self._named(TEXT, words.namer, found["text_image"] @ words.directions.T / words.sigma)

    def _named(self, kind: str, namer: Namer, changes: np.ndarray) -> None:
        changes = changes[:, np.isfinite(changes).all((0, 2))]
        if changes.shape[1] < 2:
            self.result.facts[f"no_{kind}"] = "the guide can read hardly any of the pictures"
            return
        naming = name_components(changes, namer.numbers, self.seed)
        self.result.facts.setdefault("names", {})[kind] = namer.facts(naming, self.components)
        self.result.arrays[f"{kind}/changes"] = changes.astype(np.float32)
        if kind == ATTRIBUTES:
            pairs = assign(naming.effects, namer.names, namer.names)
            self.result.facts["assignment"] = assignment_facts(pairs, self.components, naming.effects, namer.names)

    def judge(self) -> None:
        """What the judge, and the generator's own factors where it knows them, say of test codes."""
        cell, info = self.cell, self.cell.domain.info
        judged = self._changes(self.test, {"attributes": cell.domain.judge("attributes")})["attributes"]
        self.result.arrays |= {"ids": self.test.ids.numpy(), "judged": (judged / self.pool.sigma.numpy()).astype(np.float32)}
        known = [name for name in info.names if name in cell.generator.factor_names]
        if known:
            columns = [list(cell.generator.factor_names).index(name) for name in known]
            sigma = [
                # Opacities are parted at one half, as logits are at zero.
                spread(values - 0.5 if is_binary(info.attribute(name)) else values, is_binary(info.attribute(name)))[0]
                for name, values in zip(known, self._factors(self.pool.codes)[:, columns].T, strict=True)
            ]
            true = self._per_code(torch.stack([self._factors(edit.codes)[:, columns] for edit in self._edits(self.test)]))
            self.result.facts["known"] = known
            self.result.arrays["true"] = (true / np.array(sigma)).astype(np.float32)

    def _factors(self, codes: Codes) -> torch.Tensor:
        with torch.no_grad():
            return self.cell.generator.factors(codes).double().cpu()

    def _changes(self, codes: Codes, readers: dict[str, Network]) -> dict[str, np.ndarray]:
        """What every reader's values change by, code by code, [K, N, ...] float64."""
        edits = self._edits(codes)
        readings, _ = read_edits(self.cell.passes, self.cell.domain, readers, edits)
        return {reading: self._per_code(torch.stack([one[reading].double() for one in readings])) for reading in readings[0]}

    def _edits(self, codes: Codes) -> list[Edit]:
        """The steps, those of one component together; where the editor goes one way, what it starts from is the other."""
        edits, start = component_edits(self.cell, self.edges, codes), Edit(codes)
        return edits if self.cell.fitted.editor.signed else [one for step in edits for one in (step, start)]

    def _per_code(self, values: torch.Tensor) -> np.ndarray:
        """Of `_edits`, [2 K, N, ...] -> [K, N, ...]: half of forward less back, which cancels what is even in the step.

        One way, all of forward less the start.
        """
        forward, back = values[::2], values[1::2]
        return ((forward - back) / (2 if self.cell.fitted.editor.signed else 1)).numpy()

    def show(self) -> None:
        """Pictures of the components that match no attribute, [U, ids, shares, R, R, 3], from edge to edge."""
        named = {row["component"] for row in self.result.facts.get("names", {}).get(ATTRIBUTES, ()) if row["named"]}
        unknown = [name for name in self.components if name not in named]
        if not unknown:
            return
        codes = self.pool.codes[:STRIP_IDS]
        shares = [one for one in STRIP_SHARES if one >= 0 or self.cell.fitted.editor.signed]
        unedited = as_bytes(self.pool.strip[:STRIP_IDS])
        sheets = [self._strip(name, codes, shares, unedited) for name in unknown]
        self.result.pictures[UNKNOWN] = np.stack(sheets)
        strip = {"ids": codes.ids.tolist(), "shares": shares, "components": unknown}
        self.result.facts.setdefault("strips", {})[UNKNOWN] = strip

    def _strip(self, name: str, codes: Codes, shares: Sequence[float], unedited: np.ndarray) -> np.ndarray:
        path, columns = Move(name).path(self.cell, codes), []
        for share in shares:
            edit = path.at(share * self.edges[name])
            columns.append(as_bytes(self.cell.passes.synthesize(edit.codes, edit.intervene)) if share else unedited)
        return np.stack(columns, 1)
