"""results.csv and samples.npz: written so that two files diff cleanly, read back exactly, replaced in one step."""

from __future__ import annotations

import csv
import io
import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import InputError
from bench.records import COLUMNS, VOLATILE, Record

_TYPES = {f.name: str(f.type) for f in fields(Record)}
_BOOL = {"true": True, "false": False}

# Rows are ordered by these; what follows breaks ties, volatile columns last.
_ORDER = (
    "suite", "task", "generator", "method", "variant", "fit_seed", "target", "sign", "point", "strength", "metric", "attribute",
)  # fmt: skip


def format_float(value: float | None) -> str:
    """Six significant digits, the shortest way to write them; '' is None, and -0 is 0."""
    if value is None:
        return ""
    return f"{float(value) + 0.0:.6g}" if value else "0"


def _format(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if _TYPES[name].startswith("float"):
        return format_float(value)
    return str(value)


def _parse(name: str, text: str) -> Any:
    kind = _TYPES[name]
    if "None" in kind and text == "":
        return None
    if kind.startswith("bool"):
        return _BOOL[text]
    if kind.startswith("float"):
        return float(text)
    return int(text) if kind == "int" else text


def _sort_key(record: Record) -> tuple:
    def part(name: str) -> tuple:
        value = getattr(record, name)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return (0, 0.0, "")
        if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
            return (1, float(format_float(value)), "")
        text = str(value)
        return (2, float(text), text) if text.isascii() and text.isdecimal() else (3, 0.0, text)

    rest = [name for name in COLUMNS if name not in _ORDER and name not in VOLATILE]
    return tuple(part(name) for name in (*_ORDER, *rest, *sorted(VOLATILE)))


def fits_behind(record: Record) -> int:
    """How many fits a record is of: its fit_seed is '0', or '0+1+2'."""
    return record.fit_seed.count("+") + 1


def sort_records(records: Iterable[Record]) -> list[Record]:
    """The rows in the order of the file: a function of their content alone, whatever order they were made in."""
    return sorted(records, key=_sort_key)


def records_csv(records: Iterable[Record]) -> str:
    """The text of results.csv: a header of COLUMNS, a line per record, LF, floats at six significant digits."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in sort_records(records):
        writer.writerow([_format(name, getattr(record, name)) for name in COLUMNS])
    return out.getvalue()


def write_records(records: Iterable[Record], path: Path) -> None:
    """Write results.csv in one step."""
    write_atomic(path, records_csv(records).encode())


def read_records(path: Path) -> list[Record]:
    """Read a results.csv. Raises InputError where it is missing, has other columns or a cell that cannot be read."""
    try:
        text = Path(path).read_bytes().decode()
    except FileNotFoundError:
        raise InputError(f"no results at {path}: run a suite first") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error}") from None
    rows = csv.reader(io.StringIO(text, newline=""))
    header = tuple(next(rows, ()))
    missing, unknown = set(COLUMNS) - set(header), set(header) - set(COLUMNS)
    if missing or unknown:
        raise InputError(f"{path} has other columns: missing {sorted(missing) or 'none'}, unknown {sorted(unknown) or 'none'}")
    records = []
    for line, row in enumerate(rows, start=2):
        try:
            records.append(Record(**{name: _parse(name, cell) for name, cell in zip(header, row, strict=True)}))
        except (ValueError, KeyError) as error:
            raise InputError(f"{path}: row {line} cannot be read: {error}") from None
    return records


def npz_bytes(arrays: Mapping[str, np.ndarray], level: int = 6) -> bytes:
    """An .npz that is a function of its arrays alone: keys sorted, no time stamps. Raises InputError for object arrays."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for key in sorted(arrays):
            array = np.ascontiguousarray(arrays[key]) if np.ndim(arrays[key]) else np.asarray(arrays[key])
            if array.dtype.hasobject:
                raise InputError(f"array {key} holds Python objects, which samples.npz does not store")
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, member.getvalue())
    return out.getvalue()


def write_npz(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Write an .npz in one step; dtypes stay as given."""
    write_atomic(path, npz_bytes(arrays))


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz; never unpickles. Raises InputError where the file is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise InputError(f"no samples at {path}") from None
    except (ValueError, zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path} is damaged: {error}") from None


def write_atomic(path: Path, data: bytes) -> None:
    """Write beside the file and move into place, so that a reader or a killed run never meets half a file.

    Raises InputError where the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
