"""Files that torch.save wrote, in the zip form and the older one: checked as data first, then read with weights_only=True.

weights_only keeps a file from running anything, but not from asking for any amount of memory. The check walks the same pickle
without allocating, and lets through files whose tensors lie inside the data that are really there.
"""

from __future__ import annotations

import argparse
import io
import mmap
import pickle
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from bench.checkpoints.machine import KEYS, Made, read_pickle
from bench.checkpoints.tensors import PARAMETER, REBUILD, STORAGES, Storage, check_total, storage_of, tensor_of
from bench.errors import InputError

ORDERED, NAMESPACE = "collections.OrderedDict", "argparse.Namespace"
DTYPES = frozenset(f"torch.{name}" for name in ("float16", "bfloat16", "float32", "float64", "int32", "int64", "uint8", "bool"))
ALLOWED = STORAGES | REBUILD | DTYPES | {PARAMETER, ORDERED, NAMESPACE, "torch.Size", "torch.device"}
# What torch.save's zip files keep beside tensors is small.
MOST_RECORDS, MOST_PICKLE_BYTES = 200_000, 2**28
END_RECORD_BYTES = 22
# The older form begins with the pickles of these two numbers.
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
MAGIC_BYTES = MAGIC.to_bytes(10, "little")


def load_torch_zip(path: Path) -> Any:
    """The value in a zip file of torch.save, tensors on the CPU. Raises InputError, without the file's name."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = _records(archive, path, size)
            pickles = [name for name in sizes if name.count("/") == 1 and name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise InputError("a zip archive, but none that torch.save wrote: it has no data.pkl")
            folder = pickles[0].removesuffix("data.pkl")
            if folder + "constants.pkl" in sizes or any(name.startswith(folder + "code/") for name in sizes):
                raise InputError("a TorchScript archive, which is a program: save the generator's state dict instead")
            if sizes[pickles[0]] > MOST_PICKLE_BYTES:
                raise InputError(f"its data.pkl has {sizes[pickles[0]]} bytes, which no checkpoint needs")
            stream = io.BytesIO(archive.read(pickles[0]))
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError, ValueError) as error:
        raise InputError(f"it is damaged or cut off: its zip archive cannot be read ({error})") from error
    storages: dict[str, Storage] = {}

    def persistent(identifier: Any) -> Storage:
        storage = _same(storages, storage_of(identifier))
        held = sizes.get(f"{folder}data/{storage.key}")
        if held is None:
            raise InputError("it is incomplete: data of a tensor are missing from its archive")
        if held != storage.nbytes:
            raise InputError(f"it declares tensor data of {storage.nbytes} bytes, but holds {held}")
        return storage

    _, made = read_pickle(stream, ALLOWED, persistent)
    _check_made(made, size)
    return _load(path)


def _records(archive: zipfile.ZipFile, path: Path, size: int) -> dict[str, int]:
    """Sizes of the archive's records by name. Raises InputError for anything that torch.save does not write."""
    infos = archive.infolist()
    if not 0 < len(infos) <= MOST_RECORDS:
        raise InputError(f"its zip archive has {len(infos)} records, which no checkpoint has")
    if len({info.filename for info in infos}) != len(infos):
        raise InputError("its zip archive has two records of one name")
    # Stored entries cannot unpack to more than the file: a zip bomb needs compression, or entries that overlap.
    if any(info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size for info in infos):
        raise InputError("its zip archive is compressed, which torch.save never does: unpack it, it may hold a checkpoint")
    if sum(info.file_size for info in infos) > size:
        raise InputError("its zip archive declares more data than the file has")
    # Readers may disagree on an archive with something before or after it, and then check another one than they load.
    with path.open("rb") as file:
        file.seek(-END_RECORD_BYTES, 2)
        if archive.comment or min(info.header_offset for info in infos) != 0 or file.read(4) != b"PK\5\6":
            raise InputError("its zip archive has something before or after it, which torch.save never writes")
    return {info.filename: info.file_size for info in infos}


def load_torch_legacy(path: Path) -> Any:
    """The value in a file of torch.save's older form, tensors on the CPU. Raises InputError, without the file's name."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        check_legacy(data, len(data))
    return _load(path)


def load_storage(data: bytes) -> torch.Tensor:
    """The one-dimensional tensor of a bare storage in the older form, as old pickles of modules hold it.

    Raises InputError where the bytes hold anything else.
    """
    value, _ = check_legacy(io.BytesIO(data), len(data))
    if not isinstance(value, Storage):
        raise InputError("the data of a tensor in it are something else; nothing of it was executed")
    loaded = _load(io.BytesIO(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns that typed storages will go; old files are full of them
        return torch.empty(0, dtype=loaded.dtype).set_(loaded.untyped(), 0, (value.numel,), (1,))


def check_legacy(stream: Any, size: int) -> tuple[Any, list[Made]]:
    """Walk a file of the older form, `size` bytes: header pickles, the value's, the storages' keys, then their data.

    Gives back what read_pickle does of the value. Raises InputError where anything but tensors, or more than there is, is
    asked for.
    """
    magic, _ = read_pickle(stream, ())
    version, _ = read_pickle(stream, ())
    system, _ = read_pickle(stream, ())
    if magic != MAGIC or version != PROTOCOL or not isinstance(system, dict):
        raise InputError("a pickle, but none that torch.save wrote")
    if system.get("little_endian") is not True:
        raise InputError("it was written on a big-endian machine: save it again on another")
    storages: dict[str, Storage] = {}
    value, made = read_pickle(stream, ALLOWED, lambda identifier: _same(storages, storage_of(identifier)))
    keys, _ = read_pickle(stream, ())
    if type(keys) is not list or sorted(keys, key=str) != sorted(storages):
        raise InputError("it is damaged: its tensor data are not those that it declares")
    position = stream.tell()
    for key in keys:
        stream.seek(position)
        count = int.from_bytes(stream.read(8), "little", signed=True)
        if count != storages[key].numel or position + 8 + storages[key].nbytes > size:
            raise InputError(f"it is cut off or damaged: it declares tensor data of {storages[key].nbytes} bytes and holds less")
        position += 8 + storages[key].nbytes
    _check_made(made, size)
    return value, made


def _same(storages: dict[str, Storage], storage: Storage) -> Storage:
    """Note a storage. Raises InputError where the same key was declared with another kind or size."""
    if storages.setdefault(storage.key, storage) != storage:
        raise InputError("it declares the same tensor data twice with different sizes")
    return storage


def _check_made(made: Iterable[Made], size: int) -> None:
    """Check everything that torch would make from the pickle of a file of `size` bytes."""
    views = []
    for one in made:
        if one.what in REBUILD:
            view = tensor_of(one)
            if view is None or not isinstance(view.storage, Storage):
                raise InputError("it holds a tensor without data")
            view.check_inside(view.storage.numel)
            views.append(view)
        elif one.what == PARAMETER:
            if not one.args or tensor_of(one) is None:
                raise InputError("it holds a parameter that is no tensor")
        elif one.what not in (ORDERED, NAMESPACE, "torch.Size", "torch.device"):
            raise InputError(f"its pickle calls {one.what}, which makes no tensor; nothing of it was executed")
        elif one.what == ORDERED and not _plain_pairs(one.args):
            raise InputError("its pickle makes a dictionary from something unknown; nothing of it was executed")
        elif one.what == NAMESPACE and one.args != ():
            raise InputError("its pickle makes a namespace from something unknown; nothing of it was executed")
    check_total(views, size)


def _plain_pairs(args: tuple[Any, ...]) -> bool:
    """Whether an OrderedDict is made of nothing, or, as Python 2 wrote it, of a list of pairs with plain keys."""
    if len(args) != 1:
        return args == ()
    pairs = args[0] if type(args[0]) is list else [None]
    return all(type(pair) in (list, tuple) and len(pair) == 2 and isinstance(pair[0], KEYS) for pair in pairs)


def _load(source: Path | io.BytesIO) -> Any:
    try:
        # Training states of rosinality's form keep their command line in a Namespace, which holds values and does nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(source, map_location="cpu", weights_only=True)
    # torch answers a damaged file with whatever its parser met.
    except (pickle.UnpicklingError, RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError) as error:
        # Its own advice, to read the file without weights_only, would run what it holds.
        reason = (str(error).partition("WeightsUnpickler error:")[2] or str(error)).strip() or type(error).__name__
        reason = reason.splitlines()[0][:160]
        raise InputError(f"torch cannot read it with weights_only=True ({reason})") from error
