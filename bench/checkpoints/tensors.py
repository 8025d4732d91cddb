"""What pickles say of tensors, checked before any memory is taken: storages, views on them, numbers of numpy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.checkpoints.machine import Made, Name
from bench.errors import InputError

# Bytes of an element, by the class of the storage. Quantised and complex ones are not weights of a generator.
ITEM_BYTES = {
    "FloatStorage": 4, "DoubleStorage": 8, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
STORAGES = frozenset(f"{module}.{name}" for module in ("torch", "torch.cuda") for name in ITEM_BYTES)

REBUILD = frozenset({"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"})
PARAMETER = "torch._utils._rebuild_parameter"
SCALARS = frozenset({"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"})
# Modules keep arrays of numpy among their attributes. They are let by and never made.
ARRAYS = frozenset({"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"})
# Kind and bytes of numpy's plain numbers.
NUMBERS = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})

# Views may share or repeat elements, so a small file can ask for large tensors. One, and all together, may have this many
# elements beyond the file's own bytes: no parameter of a published network, and no network, is as large.
EXTRA_IN_ONE, EXTRA_IN_ALL = 2**26, 2**29
MOST_DIMENSIONS = 16


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage that a torch file declares: its key in the file, its class and how many elements it has."""

    key: str
    kind: str
    numel: int

    @property
    def nbytes(self) -> int:
        return self.numel * ITEM_BYTES[self.kind]


@dataclass(frozen=True, slots=True)
class View:
    """A tensor as a view on a storage; `storage` is what the pickle gave as such."""

    storage: Any
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.size)

    def check_inside(self, numel: int) -> None:
        """Raise InputError where the view reaches beyond a storage of that many elements."""
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.size, self.stride, strict=True))
        if self.elements and last >= numel:
            raise InputError(f"it declares a tensor of shape {list(self.size)[:6]} that is larger than its data")


def storage_of(identifier: Any) -> Storage:
    """The storage that a persistent id of a torch file means. Raises InputError for every other persistent id."""
    if not (type(identifier) is tuple and len(identifier) in (5, 6) and identifier[0] == "storage"):
        raise InputError("its pickle refers to something that is no tensor's data; nothing of it was executed")
    _, kind, key, location, numel, *view = identifier
    if not (isinstance(kind, Name) and kind.path in STORAGES and isinstance(key, str) and isinstance(location, str)):
        raise InputError("its pickle refers to tensor data of an unknown kind; nothing of it was executed")
    if not _count(numel) or view not in ([], [None]):
        raise InputError("its pickle declares tensor data of no sensible size; nothing of it was executed")
    return Storage(key, kind.path.rpartition(".")[2], numel)


def view_of(made: Made) -> View:
    """The view that a call of _rebuild_tensor or _rebuild_tensor_v2 means, with its numbers checked for sense."""
    storage, offset, size, stride, *_ = (*made.args, None, None, None, None)
    plain = _count(offset) and _counts(size) and _counts(stride) and len(size) == len(stride) <= MOST_DIMENSIONS
    if not plain:
        raise InputError("it declares a tensor whose shape or strides make no sense")
    return View(storage, offset, size, stride)


def tensor_of(value: Any) -> View | None:
    """The view behind a tensor or parameter, or None where the value is neither."""
    if isinstance(value, Made) and value.what == PARAMETER and value.args:
        value = value.args[0]
    return view_of(value) if isinstance(value, Made) and value.what in REBUILD else None


def check_total(views: Iterable[View], file_bytes: int) -> None:
    """Raise InputError where a file's tensors have far more elements than the file has bytes."""
    total = 0
    for view in views:
        total += view.elements
        if view.elements > file_bytes + EXTRA_IN_ONE or total > file_bytes + EXTRA_IN_ALL:
            raise InputError(f"it declares tensors of {total:.3g} elements or more in a file of {file_bytes} bytes")


def number_of(made: Made) -> int | float | bool:
    """The number that a call of numpy's scalar means: a plain number of 1 to 8 bytes, read here and not by numpy's own call.

    Raises InputError for any other dtype (objects, text, records) and for data of another length.
    """
    dtype, data, *more = (*made.args, None, None)
    code = dtype.args[0] if isinstance(dtype, Made) and dtype.what == "numpy.dtype" and dtype.args else None
    if not isinstance(code, str) or code.lstrip("<|") not in NUMBERS or more != [None, None]:
        raise InputError("it holds a value of numpy that is no plain number")
    # The state of a dtype is (version, byte order, ...).
    order = dtype.state[1] if type(dtype.state) is tuple and len(dtype.state) > 1 else "<"
    if order not in ("<", "|", ">", "=") or type(data) is not bytes or len(data) != int(code[-1]):
        raise InputError("it holds a number of numpy whose data are of another length")
    return np.frombuffer(data, np.dtype(code).newbyteorder(order))[0].item()


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**48


def _counts(value: Any) -> bool:
    return type(value) is tuple and all(_count(one) for one in value)
