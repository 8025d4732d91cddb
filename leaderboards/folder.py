"""A results folder: results.csv, samples.npz and run.json hold everything; tables, plots and the report are made from them."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from bench.errors import InputError
from bench.records import Record
from leaderboards.ranking import Entry
from leaderboards.records import read_npz, read_records, write_atomic, write_npz, write_records

if TYPE_CHECKING:
    from bench.runner import RunResult
    from bench.tasks.base import CellResult, MethodCard

FORMAT = 1


@dataclass(frozen=True)
class Cell:
    """One cell as it lies in the folder. card: the fields of MethodCard. seconds and peak_mb vary between runs.

    fit_guide_calls: pictures that guides were shown for its fit. None where the folder is older than that.
    """

    task: str
    generator: str
    generator_sha: str
    domain: str
    card: dict[str, Any]
    status: str
    reason: str
    seconds: float
    fit_seconds: float
    facts: dict[str, Any]
    tables: dict[str, list[dict[str, Any]]]
    arrays: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    peak_mb: float | None = None
    fit_guide_calls: int | None = None

    @property
    def entry(self) -> Entry:
        return (self.card["name"], self.card["variant"])

    def parts(self) -> tuple[MethodCard, CellResult]:
        """What a task's summary takes. Imports torch."""
        from bench.tasks.base import CellResult, MethodCard

        card = {**self.card, "hold": tuple(self.card["hold"])}
        return MethodCard(**card), CellResult(arrays=self.arrays, facts=self.facts)


@dataclass(frozen=True)
class Results:
    """A folder, read. run: what run.json says beside the cells (suite, environment, seconds, protocol hashes, pictures)."""

    records: list[Record]
    cells: list[Cell]
    run: dict[str, Any]

    @property
    def tasks(self) -> list[str]:
        return list(self.run["suite"]["tasks"])

    @property
    def generators(self) -> list[str]:
        """In the order of the suite."""
        return list(self.run["suite"]["generators"])

    def groups(self, task: str, generator: str) -> dict[Entry, list[Cell]]:
        """Cells that went well, by (method, variant), in the order of their fits."""
        out: dict[Entry, list[Cell]] = defaultdict(list)
        for cell in self.cells:
            if (cell.task, cell.generator, cell.status) == (task, generator, "ok"):
                out[cell.entry].append(cell)
        return {entry: sorted(cells, key=lambda c: c.card["fit_seed"]) for entry, cells in sorted(out.items())}


def cell_key(task: str, generator: str, card: Mapping[str, Any]) -> str:
    """Where a cell's arrays lie in samples.npz: task/generator/method/variant/fit seed, each quoted ('' is 'default')."""
    parts = (task, generator, card["name"], card["variant"] or "default", str(card["fit_seed"]))
    return "/".join(quote(part, safe="=,+[]()") for part in parts)


def _digest(array: np.ndarray) -> str:
    array = np.asarray(array)
    return hashlib.sha256(f"{array.dtype.str}{array.shape}".encode() + array.tobytes()).hexdigest()


def plain(value: Any) -> Any:
    """The value as JSON holds it: numpy scalars and arrays become numbers and lists, tuples lists, not-finite numbers None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def store(result: RunResult, out: Path, pictures: Sequence[Mapping[str, Any]]) -> None:
    """Write results.csv, samples.npz and run.json. `pictures`: what the report says of each picture file.

    An array that several cells hold alike (the reference pictures' features, the judged spreads) is stored once, under the first
    cell's name; run.json says for each cell which member of samples.npz is which of its arrays.
    """
    arrays, cells, known = {}, [], {}
    for cell in sorted(result.cells, key=lambda c: cell_key(c.task, c.generator, asdict(c.method))):
        card = plain(asdict(cell.method))
        key = cell_key(cell.task, cell.generator, card)
        mine = cell.result.arrays if cell.result else {}
        members = {}
        for name, array in sorted(mine.items()):
            members[name] = known.setdefault(_digest(array), f"{key}/{name}")
            arrays.setdefault(members[name], array)
        cells.append({
            "task": cell.task, "generator": cell.generator, "generator_sha": cell.generator_sha, "domain": cell.domain,
            "card": card, "status": cell.status, "reason": cell.reason, "seconds": round(cell.seconds, 3),
            "fit_seconds": round(cell.fit_seconds, 3), "peak_mb": round(cell.peak_mb, 1),
            "fit_guide_calls": cell.fit_guide_calls, "facts": plain(cell.result.facts if cell.result else {}),
            "tables": plain(cell.tables), "arrays": members,
        })  # fmt: skip
    hashes = [{"task": t, "generator": g, "hash": value} for (t, g), value in sorted(result.protocol_hashes.items())]
    run = {
        "format": FORMAT, "suite": result.suite.model_dump(mode="json"), "cells": cells, "environment": plain(result.environment),
        "protocol_hashes": hashes, "seconds": {k: round(v, 3) for k, v in result.seconds.items()},
        "total_seconds": round(result.total_seconds, 3), "network_share": round(result.network_share, 4),
        "pictures": plain(pictures),
    }  # fmt: skip
    write_records(result.records, out / "results.csv")
    write_npz(arrays, out / "samples.npz")
    write_json(run, out / "run.json")


def write_json(value: Any, path: Path) -> None:
    write_atomic(path, (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode())


def load(folder: Path) -> Results:
    """Read a folder. Raises InputError where a file is missing, damaged or of another format."""
    folder = Path(folder)
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} holds no run.json: it is not a results folder") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / 'run.json'} cannot be read: {error}") from None
    if not isinstance(run, dict) or run.get("format") != FORMAT:
        raise InputError(f"{folder / 'run.json'} has another format than {FORMAT}: run the suite again")
    records, samples = read_records(folder / "results.csv"), read_npz(folder / "samples.npz")
    cells = []
    for one in run.pop("cells"):
        members = one.pop("arrays")
        missing = [member for member in members.values() if member not in samples]
        if missing:
            raise InputError(f"{folder / 'samples.npz'} lacks {missing[0]}, which run.json lists")
        cells.append(Cell(**one, arrays={name: samples[member] for name, member in members.items()}))
    return Results(records, cells, run)
