"""One side of a comparison: a results folder or a lone results.csv, and which of its records are compared."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import InputError
from bench.records import Record
from leaderboards.folder import Results, load
from leaderboards.records import fits_behind, read_records

# What says that two records are the same number of two runs. Not in it: fit_seed, n and device, which are facts of the answer.
IDENTITY = (
    "task", "generator", "method", "variant", "space", "codes_source", "target", "sign", "attribute", "point", "metric",
)  # fmt: skip
NUMBERS = ("ok", "unreached")
GRID = "grid"

Key = tuple[str, ...]


def key_of(record: Record) -> Key:
    return tuple(getattr(record, name) for name in IDENTITY)


def compared(record: Record) -> bool:
    """Whether a record is a number that `compare` looks at.

    Those that are `ok` or `unreached`, except for two kinds. Points of the grid: the strengths lie where a method's own range
    puts them, so that two runs have few in common, and everything read at equal effect is made from the same curves. And what has
    no value at all, such as the time of an edit, which differs from run to run.
    """
    return record.status in NUMBERS and record.point != GRID and (record.value is not None or record.status == "unreached")


@dataclass(frozen=True)
class Side:
    """One run as compared. name: as the user gave it.

    results: the folder with its arrays, None where there is a table alone; why_not: then the reason. run: run.json, maybe empty.
    """

    name: str
    records: list[Record]
    results: Results | None = None
    why_not: str = ""
    run: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, results: Results, name: str) -> Side:
        return cls(name, results.records, results, "", results.run)

    def numbers(self, records: Iterable[Record]) -> dict[Key, Record]:
        """The compared ones among these records by identity. Raises InputError for one that is there twice or is no number."""
        out: dict[Key, Record] = {}
        for record in records:
            if not compared(record):
                continue
            key = key_of(record)
            if key in out:
                raise InputError(f"{self.name} holds {describe(record)} twice: give one run's results")
            # An end may be infinite (a resample that does not reach), a value may not.
            if _is_nan(record.ci_low) or _is_nan(record.ci_high) or not math.isfinite(record.value or 0.0):
                raise InputError(f"{self.name} holds what is no number: {describe(record)}")
            out[key] = record
        return out


def readable_codes(record: Record) -> int:
    """Test codes of a question that a judge could read, by its record, whose n counts a code for every fit; 0 where unknown."""
    if not record.sign or not record.n:
        return 0
    return max(1, (record.n - record.n_failed) // fits_behind(record))


def _is_nan(value: float | None) -> bool:
    return value is not None and math.isnan(value)


def describe(record: Record) -> str:
    """'leakage of interfacegan (space=w) at effect_0.5, smile +'."""
    entry = f"{record.method} ({record.variant})" if record.variant else record.method
    asked = f", {record.target} {record.sign}".rstrip() if record.target else ""
    return f"{record.metric} of {entry} at {record.point}{asked}"


def read_side(path: Path) -> Side:
    """Read a results folder, with its arrays where it kept them, or a results.csv alone.

    Raises InputError where there is nothing, or what there is is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is nothing at {path}: give a folder that `latentbench run` wrote, or its results.csv")
    if path.is_file():
        return Side(str(path), _not_empty(read_records(path), path), None, f"{path} is a table alone")
    if (path / "run.json").exists() and (path / "samples.npz").exists():
        results = _load(path)
        _not_empty(results.records, path / "results.csv")
        return Side.of(results, str(path))
    missing = " and ".join(name for name in ("run.json", "samples.npz") if not (path / name).exists())
    records = _not_empty(read_records(path / "results.csv"), path / "results.csv")
    return Side(str(path), records, None, f"{path} keeps no {missing}", _read_run(path / "run.json"))


def _load(path: Path) -> Results:
    try:
        results = load(path)
        # What comparing takes from run.json.
        dict(results.run["suite"]["tasks"]), int(results.run["suite"]["seed"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path / 'run.json'} is not what `latentbench run` writes: {type(error).__name__}: {error}") from None
    return results


def _not_empty(records: list[Record], path: Path) -> list[Record]:
    if not records:
        raise InputError(f"{path} holds no rows: there is nothing to compare")
    return records


def _read_run(path: Path) -> dict[str, Any]:
    """run.json where it lies beside a table: it only helps to say what differs between two protocols."""
    if not path.exists():
        return {}
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if not isinstance(run, dict):
        raise InputError(f"{path} is not what `latentbench run` writes: it holds no object")
    return run
