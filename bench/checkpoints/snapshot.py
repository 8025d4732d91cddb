"""Snapshots of stylegan2-ada-pytorch and its successors: pickled modules that carry their own source text, which is never run.

A snapshot is a dictionary of networks. Each module is a call of `_reconstruct_persistent_obj` with the module's attributes, whose
`_parameters`, `_buffers` and `_modules` lead to tensors, and whose `_init_args` and `_init_kwargs` are how it was constructed.
Only these are read.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.checkpoints.machine import MAPPINGS, Made, read_pickle
from bench.checkpoints.tensors import ARRAYS, PARAMETER, REBUILD, SCALARS, View, check_total, number_of, tensor_of
from bench.checkpoints.torch_files import DTYPES, load_storage
from bench.errors import InputError

RECONSTRUCT, FROM_BYTES = "torch_utils.persistence._reconstruct_persistent_obj", "torch.storage._load_from_bytes"
NUMPY = SCALARS | ARRAYS | {"numpy.dtype", "numpy.ndarray"}
ALLOWED = MAPPINGS | REBUILD | NUMPY | DTYPES | {RECONSTRUCT, FROM_BYTES, PARAMETER}
# The official generator's first arguments, in its order, for snapshots that were constructed by position.
POSITIONS = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
# A pickle may hold one module, or one list, many times over: these bound what is walked. Official snapshots stay far below.
MOST_TENSORS, MOST_VALUES, MOST_TEXT, DEEPEST = 100_000, 10_000, 2_000, 32
NAME = re.compile(r"[\w.\-]{1,200}")


@dataclass(frozen=True)
class Network:
    """One network of a snapshot: its class's name, its tensors, not read yet, and its constructor's arguments, nested."""

    class_name: str
    tensors: dict[str, View]
    arguments: dict[str, Any]


def read_snapshot(path: Path) -> dict[str, Network]:
    """The networks of a snapshot by name (G, D, G_ema). Raises InputError, without the file's name."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        value, _ = read_pickle(data, ALLOWED)
        size = len(data)
    items = _items(value)
    if items is None:
        raise InputError("a pickle, but no snapshot: it holds no dictionary of networks")
    budget = [MOST_TENSORS]
    networks = {_name(name): _network(part, budget) for name, part in items.items() if _is_module(part)}
    if not networks:
        raise InputError("a pickle, but no snapshot: none of its entries is a network")
    check_total((view for network in networks.values() for view in network.tensors.values()), size)
    return networks


def load_tensors(views: Mapping[str, View]) -> dict[str, Tensor]:
    """The tensors of one network; those that share their bytes share their storage. Raises InputError for hostile bytes."""
    storages: dict[int, Tensor] = {}
    tensors = {}
    for name, view in views.items():
        source = view.storage
        if not (isinstance(source, Made) and source.what == FROM_BYTES and len(source.args) == 1):
            raise InputError(f"{name} has no data")
        data = source.args[0]
        if type(data) is not bytes:
            raise InputError(f"the data of {name} are no bytes; nothing of it was executed")
        if id(data) not in storages:
            try:
                storages[id(data)] = load_storage(data)
            except InputError as error:
                raise InputError(f"the data of {name} cannot be used: {error}") from error
        storage = storages[id(data)]
        view.check_inside(len(storage))
        tensors[name] = torch.as_strided(storage, view.size, view.stride, view.offset)
    return tensors


def _is_module(value: Any) -> bool:
    return isinstance(value, Made) and value.what == RECONSTRUCT


def _network(module: Made, budget: list[int]) -> Network:
    meta, state = _meta(module)
    return Network(_name(meta.get("class_name")), dict(_tensors(module, budget)), _arguments(state))


def _name(value: Any) -> str:
    """A name of a network, class, tensor or argument. Raises InputError for anything that no program would have given one."""
    if not (isinstance(value, str) and NAME.fullmatch(value)):
        raise InputError("it has a part whose name is no name")
    return value


def _spend(budget: list[int], what: str) -> None:
    budget[0] -= 1
    if budget[0] < 0:
        raise InputError(f"{what} are nested without end, or far more than any network has")


def _meta(module: Made) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """What a module says of itself, and its attributes."""
    meta = _items(module.args[0]) if len(module.args) == 1 else None
    state = _items(meta.get("state")) if meta and meta.get("type") == "class" else None
    if meta is None or state is None:
        raise InputError("it holds a module without a class or attributes; nothing of it was executed")
    return meta, state


def _tensors(module: Made, budget: list[int]) -> Iterator[tuple[str, View]]:
    """The names and views of a module's parameters and persistent buffers, with those of the modules in it."""
    waiting = [("", module, 0)]
    while waiting:
        prefix, one, depth = waiting.pop()
        _, state = _meta(one)
        transient = state.get("_non_persistent_buffers_set")
        transient = transient if isinstance(transient, set) else set()
        for kind, left_out in (("_parameters", set()), ("_buffers", transient)):
            for name, value in (_items(state.get(kind)) or {}).items():
                _spend(budget, "its tensors")
                if value is None or name in left_out:
                    continue
                view = tensor_of(value)
                if view is None:
                    raise InputError(f"{prefix}{_name(name)} is no tensor")
                yield f"{prefix}{_name(name)}", view
        inner = [(_name(name), value) for name, value in (_items(state.get("_modules")) or {}).items() if value is not None]
        for name, value in reversed(inner):
            _spend(budget, "its modules")
            if not _is_module(value):
                raise InputError(f"{prefix}{name} is a module of a kind that is not read; nothing of it was executed")
            if depth >= DEEPEST:
                raise InputError("its modules are nested without end")
            waiting.append((f"{prefix}{name}.", value, depth + 1))


def _arguments(state: Mapping[Any, Any]) -> dict[str, Any]:
    """A module's constructor arguments as plain values, nested as they were given."""
    budget = [MOST_VALUES]
    given = _plain(state.get("_init_args") or (), budget)
    named = _plain(state.get("_init_kwargs") or {}, budget)
    if not isinstance(given, list) or not isinstance(named, dict):
        raise InputError("its constructor's arguments are neither a list nor a dictionary")
    if len(given) > len(POSITIONS):
        raise InputError(f"its constructor was given {len(given)} arguments by position, of which {len(POSITIONS)} are known")
    return {**dict(zip(POSITIONS, given, strict=False)), **named}


def _plain(value: Any, budget: list[int], depth: int = 0) -> Any:
    """A value of plain numbers, texts, lists and dictionaries. budget: how many more values there may be."""
    _spend(budget, "its constructor's arguments")
    if depth > DEEPEST or (isinstance(value, (str, bytes)) and len(value) > MOST_TEXT):
        raise InputError("its constructor's arguments are nested without end, or far longer than any network has")
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(one, budget, depth + 1) for one in value]
    if isinstance(value, Made) and value.what in SCALARS:
        return number_of(value)
    items = _items(value)
    if items is None:
        kind = value.what if isinstance(value, Made) else type(value).__name__
        raise InputError(f"its constructor was given {kind}, which is no plain value")
    return {_name(key): _plain(one, budget, depth + 1) for key, one in items.items()}


def _items(value: Any) -> dict[Any, Any] | None:
    """The items of a dictionary or of one of its subclasses; None for everything else."""
    if isinstance(value, dict):
        return value
    if isinstance(value, Made) and value.what in MAPPINGS and value.args == ():
        return value.items
    return None
