"""Pickles written opcode by opcode, hostile ones among them. Tests put this folder on sys.path and import it by this name.

Nothing here is ever run by Python's own unpickler. Each hostile file would, if it were, leave the file `marker` behind or take
memory without end.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

PROTO, STOP, MARK, TUPLE, EMPTY_TUPLE, REDUCE, NEWOBJ, BUILD = b"\x80\x04", b".", b"(", b"t", b")", b"R", b"\x81", b"b"
DICT, LIST, SETITEM, SETITEMS, APPENDS, APPEND, NONE, TRUE = b"}", b"]", b"s", b"u", b"e", b"a", b"N", b"\x88"
LEGACY_HEAD = b"".join(
    pickle.dumps(one, protocol=2)
    for one in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}})
)


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    return pickle.dumps(value, protocol=2)[2:-1]


def blob(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def put(index: int) -> bytes:
    return b"r" + struct.pack("<I", index)


def get(index: int) -> bytes:
    return b"j" + struct.pack("<I", index)


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def tuple_of(*items: bytes) -> bytes:
    return MARK + b"".join(items) + TUPLE


def call(module: str, name: str, *args: bytes) -> bytes:
    return named(module, name) + tuple_of(*args) + REDUCE


def dict_of(**items: bytes) -> bytes:
    return DICT + MARK + b"".join(text(key) + value for key, value in items.items()) + SETITEMS


def whole(body: bytes) -> bytes:
    return PROTO + body + STOP


def weights(one: bytes) -> bytes:
    """A state dict of the names by which a StyleGAN2 is known, all of them this tensor."""
    names = ("mapping.fc0.weight", "synthesis.b4.const", "synthesis.b4.conv1.affine.weight")
    return dict_of(**dict.fromkeys(names, one))


def module(tensors: bytes = DICT, modules: bytes = DICT, arguments: bytes = DICT, buffers: bytes = DICT) -> bytes:
    """A persistent module with these `_parameters`, `_modules` and `_init_kwargs`."""
    state = dict_of(_parameters=tensors, _buffers=buffers, _modules=modules, _init_args=EMPTY_TUPLE, _init_kwargs=arguments)
    meta = dict_of(type=text("class"), version=number(6), module_src=text("x"), class_name=text("Generator"), state=state)
    return call("torch_utils.persistence", "_reconstruct_persistent_obj", meta)


def snapshot(**parts: bytes) -> bytes:
    return whole(dict_of(G_ema=module(**parts)))


def storage(
    kind: str = "FloatStorage", numel: int = 4, key: str = "0", module: str = "torch", view: bytes | None = NONE
) -> bytes:
    """A persistent id of tensor data, in the older form; view None: in the zip form."""
    parts = [text("storage"), named(module, kind), text(key), text("cpu"), number(numel), *([] if view is None else [view])]
    return tuple_of(*parts) + b"Q"


def tensor(data: bytes, size: tuple[int, ...] = (4,), stride: tuple[int, ...] = (1,), offset: int = 0) -> bytes:
    sizes, strides = (tuple_of(*(number(one) for one in part)) for part in (size, stride))
    hooks = call("collections", "OrderedDict")
    return call("torch._utils", "_rebuild_tensor_v2", data, number(offset), sizes, strides, b"\x89", hooks)


def stored(inner: bytes) -> bytes:
    """A storage as old pickles hold it: bytes that are a file of their own."""
    return call("torch.storage", "_load_from_bytes", blob(inner))


def legacy(body: bytes, keys: tuple[str, ...] = ("0",), data: bytes | None = None) -> bytes:
    """A file of torch's older form with the pickle `body`; data: what follows, by default four floats for every key."""
    data = (struct.pack("<q", 4) + bytes(16)) * len(keys) if data is None else data
    return LEGACY_HEAD + b"\x80\x02" + body + STOP + pickle.dumps(list(keys), protocol=2) + data


def torch_zip(body: bytes, compression: int = zipfile.ZIP_STORED, **records: bytes) -> bytes:
    """A zip file of torch's form with the pickle `body`; records: tensor data by key, without the leading `k`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + body + STOP)
        for key, value in records.items():
            archive.writestr(f"archive/data/{key[1:]}", value)
        archive.writestr("archive/version", b"3\n")
    return file.getvalue()


def doubled(levels: int, first: bytes, join: Callable[[int], bytes]) -> bytes:
    """A value that holds the one before twice, `levels` times over: exponentially large for whoever walks it."""
    body = first + put(1)
    for level in range(1, levels):
        body += b"0" + join(level) + put(level + 1)
    return body


def hostile(marker: Path) -> dict[str, bytes]:
    """Files by what they try."""
    touch = f"touch {marker}"
    system = call("posix", "system", text(touch))
    write = text(f"open({str(marker)!r}, 'w')")
    big = 2**44
    floats = bytes(16)
    getter = call("builtins", "getattr", named("os", "system"), text("__call__"))
    cycle = dict_of(G_ema=module(modules=DICT + put(1)) + put(2)) + get(1) + text("a") + get(2) + SETITEM + b"0"
    twice = lambda level: dict_of(a=get(level), b=get(level))  # noqa: E731
    return {
        "system": whole(system),
        "system_in_snapshot": snapshot(tensors=weights(system)),
        "eval": whole(call("builtins", "eval", write)),
        "exec_python2_name": whole(call("__builtin__", "eval", write)),
        "nested_reduce": whole(call("collections", "OrderedDict", LIST + MARK + system + APPENDS)),
        "getattr_chain": whole(getter + tuple_of(text(touch)) + REDUCE),
        "dotted_name": whole(text("collections") + text("OrderedDict.__init__.__globals__") + b"\x93"),
        "call_of_a_value": whole(text("os.system") + tuple_of(text(touch)) + REDUCE),
        "call_of_a_result": whole(call("collections", "OrderedDict") + tuple_of(text(touch)) + REDUCE),
        "inst": whole(MARK + text(touch) + b"iposix\nsystem\n"),
        "obj": whole(MARK + named("posix", "system") + text(touch) + b"o"),
        "newobj_ex": whole(named("collections", "OrderedDict") + EMPTY_TUPLE + DICT + b"\x92"),
        "extension": whole(b"\x82\x01" + EMPTY_TUPLE + REDUCE),
        "extension_4": whole(b"\x84\xff\xff\xff\x7f"),
        "persistent_id": whole(text(touch) + b"Q"),
        "persistent_id_text": whole(b"P" + touch.encode() + b"\n"),
        "state_of_a_class": whole(named("collections", "OrderedDict") + dict_of(__init__=NONE) + BUILD),
        "state_twice": whole(call("collections", "OrderedDict") + (dict_of(a=NONE) + BUILD) * 2),
        "state_of_a_module": whole(dict_of(G=module() + dict_of(__setstate__=NONE) + BUILD)),
        "items_of_a_tensor": snapshot(tensors=weights(tensor(stored(b""))) + text("a") + NONE + SETITEM + NONE + b"e"),
        "append_to_a_call": whole(call("collections", "OrderedDict") + text("a") + APPEND),
        "inner_system": snapshot(tensors=weights(tensor(stored(whole(system))))),
        "inner_legacy_system": snapshot(tensors=weights(tensor(stored(legacy(system, ()))))),
        "inner_zip_system": snapshot(tensors=weights(tensor(stored(torch_zip(system))))),
        "inner_huge_storage": snapshot(tensors=weights(tensor(stored(legacy(storage(numel=big)))))),
        "inner_no_storage": snapshot(tensors=weights(tensor(stored(legacy(tensor(storage())))))),
        "inner_text": snapshot(tensors=weights(tensor(call("torch.storage", "_load_from_bytes", text("abc"))))),
        "view_beyond_its_data": snapshot(tensors=weights(tensor(stored(legacy(storage())), (64, 64), (64, 1)))),
        "view_before_its_data": snapshot(tensors=weights(tensor(stored(legacy(storage())), offset=-4))),
        "repeated_without_end": snapshot(tensors=weights(tensor(stored(legacy(storage())), (2**30, 2**10), (0, 0)))),
        "many_dimensions": snapshot(tensors=weights(tensor(stored(legacy(storage())), (1,) * 4000, (0,) * 4000))),
        "bytes_beyond_the_file": whole(b"\x8e" + struct.pack("<Q", big)),
        "text_beyond_the_file": whole(b"\x8d" + struct.pack("<Q", big)),
        "integer_beyond_the_file": whole(b"\x8b" + struct.pack("<i", 2**31 - 1)),
        "integer_of_many_digits": whole(b"I" + b"9" * 1_000_000 + b"\n"),
        "memo_beyond_memory": whole(LIST + put(2**32 - 1)),
        "memo_never_put": whole(get(7)),
        "frame_beyond_the_file": b"\x80\x04\x95" + struct.pack("<Q", big) + LIST,
        "million_containers": whole(MARK + DICT * 600_000 + TUPLE),
        "deep_tuples": whole(EMPTY_TUPLE + b"\x85" * 100_000),
        "deep_lists": whole(MARK * 0 + LIST * 100_000 + APPEND * 99_999),
        "deep_arguments": snapshot(arguments=dict_of(a=LIST * 5_000 + APPEND * 4_999)),
        "deep_modules": whole(dict_of(G_ema=_nested_modules(200))),
        "doubled_lists": whole(doubled(60, LIST, lambda level: LIST + MARK + get(level) * 2 + APPENDS)),
        "doubled_arguments": snapshot(arguments=dict_of(a=doubled(30, DICT, twice))),
        "doubled_modules": whole(dict_of(G_ema=doubled(30, module(), lambda level: module(modules=twice(level))))),
        "doubled_key": whole(DICT + doubled(40, EMPTY_TUPLE, lambda level: get(level) * 2 + b"\x86") + NONE + SETITEM),
        "module_in_itself": whole(cycle),
        "control_characters": whole(dict_of(**{"G\x1b[2J\n": module()})),
        "terminal_in_a_global": whole(call("os\x1b[2J", "system", text(touch))),
        "numpy_object": snapshot(arguments=dict_of(a=_numpy_scalar("O8", bytes(8)))),
        "numpy_long_text": snapshot(arguments=dict_of(a=_numpy_scalar("S1000000000", b"a"))),
        "numpy_short": snapshot(arguments=dict_of(a=_numpy_scalar("f8", b"a"))),
        "zip_system": torch_zip(system),
        "zip_bytearray": torch_zip(call("builtins", "bytearray", number(big))),
        "zip_huge_storage": torch_zip(tensor(storage(numel=big, view=None)), k0=floats),
        "zip_missing_storage": torch_zip(weights(tensor(storage(view=None)))),
        "zip_other_storage": torch_zip(weights(tensor(storage("UntypedStorage", view=None))), k0=floats),
        "zip_view_beyond_its_data": torch_zip(weights(tensor(storage(view=None), (2**20,))), k0=floats),
        "zip_repeated_without_end": torch_zip(weights(tensor(storage(view=None), (2**40,), (0,))), k0=floats),
        "zip_state_of_a_tensor": torch_zip(tensor(storage(view=None)) + tuple_of(storage(view=None)) + BUILD, k0=floats),
        "zip_meta_tensor": torch_zip(call("torch._utils", "_rebuild_meta_tensor_no_storage", NONE)),
        "zip_sparse": torch_zip(call("torch._utils", "_rebuild_sparse_tensor", NONE, NONE)),
        "zip_bomb": torch_zip(weights(tensor(storage(numel=2**24, view=None))), zipfile.ZIP_DEFLATED, k0=bytes(2**26)),
        "zip_bomb_in_pickle": torch_zip(text("0" * 2**26), zipfile.ZIP_DEFLATED),
        "zip_behind_something": b"PK\3\4 not a zip" + torch_zip(LIST),
        "zip_before_something": torch_zip(LIST) + b"something",
        "zip_shared_dictionaries": torch_zip(_shared(5)),
        "torchscript": torch_zip(LIST).replace(b"archive/version", b"archive/code/aa"),
        "legacy_system": legacy(system, ()),
        "legacy_container": legacy(tuple_of(text("module"), named("torch", "FloatStorage"), text("/etc"), text("a")) + b"Q", ()),
        "legacy_huge_storage": legacy(weights(tensor(storage(numel=big)))),
        "legacy_two_sizes": legacy(dict_of(a=tensor(storage()), b=tensor(storage(numel=8)))),
        "legacy_view_elsewhere": legacy(weights(tensor(storage(view=tuple_of(text("1"), number(big), number(4)))))),
        "legacy_stranger_key": legacy(weights(tensor(storage())), ("1",)),
        "legacy_negative_size": legacy(weights(tensor(storage())), data=struct.pack("<q", -1)),
        "legacy_cut_off": legacy(weights(tensor(storage())), data=struct.pack("<q", 4)),
        "legacy_system_in_keys": LEGACY_HEAD + b"\x80\x02" + LIST + STOP + whole(system),
    }


def _shared(levels: int, width: int = 100) -> bytes:
    """A dictionary that holds one dictionary under many keys, which does the same, and so on."""
    body = DICT + put(0)
    for level in range(1, levels):
        again = b"".join(text(str(index)) + get(level - 1) for index in range(1, width))
        body = DICT + MARK + text("0") + body + again + SETITEMS + put(level)
    return body


def _nested_modules(depth: int) -> bytes:
    body = module()
    for _ in range(depth):
        body = module(modules=dict_of(a=body))
    return body


def _numpy_scalar(code: str, data: bytes) -> bytes:
    dtype = call("numpy", "dtype", text(code), b"\x89", TRUE)
    return call("numpy.core.multiarray", "scalar", dtype, blob(data))


def saved(value: object, path: Path, *, old: bool = False) -> Path:
    """A file of torch.save, in the zip form or the older one."""
    torch.save(value, path, _use_new_zipfile_serialization=not old)
    return path
