"""Reads a generator's checkpoint of any published file format. The format is told by the file's content, never by its ending."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.checkpoints.arguments import agree, beside, flatten
from bench.checkpoints.parts import Part, choose, find_parts
from bench.checkpoints.snapshot import load_tensors, read_snapshot
from bench.checkpoints.torch_files import MAGIC_BYTES, load_torch_legacy, load_torch_zip
from bench.errors import InputError
from bench.generators.weights import load_safetensors

HEAD_BYTES = 512
# How files begin that are no checkpoints, and what to do about each.
NO_CHECKPOINTS = {
    b"version https://git-lfs": "a pointer of Git LFS and not the file itself: run `git lfs pull`, or download the file",
    b"\x1f\x8b": "compressed with gzip: unpack it",
    b"BZh": "compressed with bzip2: unpack it",
    b"\xfd7zXZ": "compressed with xz: unpack it",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"\x89HDF": "an HDF5 file, as Keras writes it: convert it to a state dict of torch",
    b"\x93NUMPY": "an array of numpy, no network",
}


@dataclass(frozen=True)
class Checkpoint:
    """A generator's weights as data.

    state: tensors on the CPU under their published names, floating-point ones in float32. arguments: constructor arguments, flat.
    format: 'stylegan snapshot', 'torch zip', 'torch legacy' or 'safetensors'. part: which part of the file this is. extras:
    tensors that the file keeps beside the weights (latent_avg).
    """

    state: dict[str, Tensor]
    arguments: dict[str, Any]
    format: str
    part: str = ""
    extras: dict[str, Tensor] = field(default_factory=dict)


def read_checkpoint(path: str | Path, *, part: str | None = None) -> Checkpoint:
    """Read a checkpoint. part: the name of a part (G_ema, state_dict/decoder); None: the generator, averaged where there is both.

    Raises InputError, in one line with the file's name, for whatever keeps the file from being used.
    """
    path = Path(path)
    try:
        return _read(path, part)
    except InputError as error:
        said = one_line(str(error))
        raise InputError(said if str(path) in said else f"{path}: {said}") from error


def _read(path: Path, wanted: str | None) -> Checkpoint:
    kind = file_format(path)
    if kind == "stylegan snapshot":
        networks = read_snapshot(path)
        parts = [
            Part(name, tuple(one.tensors), lambda one=one: load_tensors(one.tensors), arguments=one.arguments)
            for name, one in networks.items()
        ]
    elif kind == "safetensors":
        parts = find_parts(load_safetensors(path))
    else:
        parts = find_parts(load_torch_zip(path) if kind == "torch zip" else load_torch_legacy(path))
    part = choose(parts, wanted)
    arguments = agree(flatten(part.arguments, "the checkpoint"), beside(path), "the checkpoint", str(path.with_suffix(".json")))
    extras = {name: single(name, value) for name, value in part.beside.items() if name not in part.names}
    state = {name: single(name, value) for name, value in part.load().items()}
    return Checkpoint(state, arguments, kind, part.name, extras)


def single(name: str, value: Tensor) -> Tensor:
    """A tensor, in float32 where it is floating-point. Raises InputError where it holds a NaN or infinity, or is no plain one."""
    if value.layout != torch.strided or value.is_quantized or value.is_complex():
        raise InputError(f"{name} is sparse, quantized or complex, which no known generator's weights are")
    if not value.is_floating_point():
        return value.detach()
    # Repeated elements are looked at once: a tensor may be expanded from few.
    seen = value.detach()[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in value.stride())]
    if not torch.isfinite(seen).all():
        raise InputError(f"{name} holds a NaN or infinity: it comes from a failed training or a damaged file")
    return seen.float().expand(value.shape)


def file_format(path: Path) -> str:
    """A file's format, by its content. Raises InputError where it is no checkpoint, with what it is instead."""
    if path.is_dir():
        raise InputError("a directory: name the checkpoint file in it")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            size = file.seek(0, 2)
    except FileNotFoundError as error:
        raise InputError(f"there is no such file{_near(path)}") from error
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror or error}") from error
    if not head:
        raise InputError("an empty file: download it again")
    if head.startswith(b"PK\3\4"):
        return "torch zip"
    # Before pickles: a header may be as long as makes its first byte a pickle's (128 bytes, or 256 more, and so on).
    if head[8:9] == b"{" and 8 + int.from_bytes(head[:8], "little") <= size:
        return "safetensors"
    if head.startswith(b"\x80"):
        return "torch legacy" if MAGIC_BYTES in head[:32] else "stylegan snapshot"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        raise InputError("a web page and not the file itself: open the address in a browser, and download the file again")
    for start, what in NO_CHECKPOINTS.items():
        if head.startswith(start):
            raise InputError(what)
    if head[257:262] == b"ustar":
        raise InputError("a tar archive: unpack it, or save the state dict again with a current torch")
    raise InputError("no checkpoint of a known format, which are those of torch.save, safetensors and StyleGAN's snapshots")


def _near(path: Path) -> str:
    """The nearest names in the folder of a file that is not there."""
    try:
        names = [one.name for one in path.parent.iterdir()]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    return f": did you mean {' or '.join(near)}?" if near else ""


def one_line(text: str, most: int = 700) -> str:
    """Text that may hold names from a hostile file, as one line without control characters, of limited length."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return plain if len(plain) <= most else plain[:most] + " ..."
