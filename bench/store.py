"""The content-addressed store: what was computed once, under a hash of everything that determines it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from bench.cache import cache_folder
from bench.errors import InputError

Arrays = Mapping[str, Tensor | np.ndarray]


class StoreError(InputError):
    """The store cannot be written: it ends the run, because what is computed would be lost."""


class StoreWarning(UserWarning):
    """An entry that cannot be trusted was left out and will be computed again."""


@dataclass(frozen=True)
class Entry:
    """What is kept under one key: tensors by name, and JSON values."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


def key_hash(key: Mapping[str, Any]) -> str:
    """sha256 of a key. A value that is no JSON raises TypeError: a key must say exactly what it means."""
    return hashlib.sha256(json.dumps(key, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Store:
    """Entries in files, one each, written whole or not at all and checked when read. Safe for several processes."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root) if root is not None else cache_folder() / "store"

    def path(self, kind: str, key: Mapping[str, Any]) -> Path:
        name = key_hash({"kind": kind, "key": key})
        return self.root / kind / name[:2] / f"{name}.safetensors"

    def get(self, kind: str, key: Mapping[str, Any]) -> Entry | None:
        """The entry, or None where there is none. One that is damaged warns and counts as none."""
        path = self.path(kind, key)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                header = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            if _checksum(tensors, header.get("meta", "")) != header.get("sha256"):
                raise ValueError("its checksum differs")
            return Entry(tensors, json.loads(header["meta"]))
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            warnings.warn(f"the store entry {path} is damaged ({error}): it is computed again", StoreWarning, stacklevel=2)
            return None

    def put(self, kind: str, key: Mapping[str, Any], arrays: Arrays, meta: Mapping[str, Any] | None = None) -> Entry:
        """Keep an entry, and give it back as `get` will. Raises StoreError where the store cannot be written."""
        tensors = {name: _tensor(name, value) for name, value in arrays.items()}
        text = json.dumps(dict(meta or {}), default=_plain)
        data = save(tensors, metadata={"meta": text, "sha256": _checksum(tensors, text)})
        path = self.path(kind, key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
        except OSError as error:
            why = error.strerror or error
            raise StoreError(f"the store {self.root} cannot be written ({why}): free space or set LATENTBENCH_CACHE") from error
        return Entry(tensors, json.loads(text))

    def get_or_compute(self, kind: str, key: Mapping[str, Any], compute: Callable[[], Arrays]) -> dict[str, Tensor]:
        """The tensors under a key, computed and kept where they are not there yet."""
        entry = self.get(kind, key)
        return (entry if entry is not None else self.put(kind, key, compute())).tensors

    def folder(self, kind: str, key: Mapping[str, Any]) -> Path:
        """A folder for unfinished work under a key (checkpoints of a long fit); not created here."""
        return self.root / "unfinished" / kind / key_hash({"kind": kind, "key": key})


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that, whenever the process dies, it is there whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _tensor(name: str, value: Tensor | np.ndarray) -> Tensor:
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            raise TypeError(f"{name} is an array of {value.dtype}: the store keeps numbers only")
        value = torch.from_numpy(np.array(value, order="C", subok=False))
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def _checksum(tensors: Mapping[str, Tensor], meta: str) -> str:
    digest = hashlib.sha256(meta.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """numpy and torch numbers as JSON values."""
    if isinstance(value, (np.generic, np.ndarray, Tensor)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON value")
