"""Pairs of pictures in two folders: matched by the stems of their names, checked before any work, read a few at a time."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from bench.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm", ".tif", ".tiff")
# What Pillow turns into eight bits a channel without loss of range.
MODES = ("RGB", "L", "P", "1", "RGBA", "LA", "PA", "RGBX", "CMYK", "YCbCr")
# What decoders raise for files that are not what their name says.
UNREADABLE = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError, KeyError, OverflowError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip
# Names that a message lists before it only counts.
LISTED = 5


@dataclass(frozen=True)
class Pair:
    """One picture before and after an edit. name: the stem that both files share, with signs that no terminal obeys."""

    name: str
    before: Path
    after: Path


def shown(text: object) -> str:
    """Text for people: names of files may hold anything, control characters and halves of letters included."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(text))


def counted(n: int, what: str) -> str:
    """'1 pair', '2 pairs'."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def match(before: Path, after: Path) -> list[Pair]:
    """The pairs of two folders, by name. Raises InputError where a picture has no partner, or there is none at all."""
    sides = [pictures_in(before, "--before"), pictures_in(after, "--after")]
    if before.resolve() == after.resolve():
        raise InputError(f"--before and --after are one folder, {shown(before)}: give the unedited and the edited pictures")
    lone = [sorted(one.keys() - other.keys()) for one, other in (sides, sides[::-1])]
    if any(lone):
        files = [[side[name].name for name in names] for side, names in zip(sides, lone, strict=True)]
        said = [f"{_listed(names)} in {role}" for names, role in zip(files, ("--before", "--after"), strict=True) if names]
        counts = f"--before has {counted(len(sides[0]), 'picture')} and --after {len(sides[1])}"
        raise InputError(f"{counts}; without a partner of the same name (endings aside): {'; '.join(said)}")
    return [Pair(shown(name), path, sides[1][name]) for name, path in sorted(sides[0].items())]


def pictures_in(folder: Path, role: str) -> dict[str, Path]:
    """The pictures of a folder by stem; other files, hidden ones and folders in it are passed over.

    role: the option that names the folder. Raises InputError where there is no such folder, nothing in it, two pictures of one
    stem, or a name that leads to no file (a broken or circular link).
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{role} {shown(folder)} is no folder of pictures")
    try:
        entries = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    except OSError as error:
        raise InputError(f"the folder {shown(folder)} ({role}) cannot be read: {error.strerror or error}") from error
    found: dict[str, Path] = {}
    for path in (one for one in entries if one.suffix.lower() in SUFFIXES):
        if not path.is_file():
            kind = "a broken or circular link" if path.is_symlink() else "no file"
            raise InputError(f"{shown(path)} is {kind}: take it out of the folder or put the picture there")
        if path.stem in found:
            raise InputError(f"{shown(folder)} ({role}) holds {shown(found[path.stem].name)} and {shown(path.name)}: which one?")
        found[path.stem] = path
    if not found:
        inside = [one.name for one in entries]
        beside = f"; it holds {counted(len(inside), 'other thing')}, such as {shown(inside[0])}" if inside else "; it is empty"
        raise InputError(f"the folder {shown(folder)} ({role}) holds no pictures ({', '.join(SUFFIXES)}){beside}")
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(shown(name) for name in names[:LISTED]) + more


def common_side(paths: Sequence[Path]) -> int:
    """The side R in px that all pictures have, from their headers. Raises InputError where one is another size or unreadable.

    Nothing is resized here: how it is done moves every number, so that it is the user's to choose, once for both folders.
    """
    first: tuple[Path, tuple[int, int]] | None = None
    for path in paths:
        size = _header(path)
        if size[0] != size[1]:
            raise InputError(f"{shown(path)} is {size[0]} x {size[1]} px: crop pictures to squares first, in both folders alike")
        first = first or (path, size)
        if size != first[1]:
            one, other = (f"{shown(where)} has {px[0]} x {px[1]} px" for where, px in (first, (path, size)))
            raise InputError(f"{one} and {other}: bring all pictures to one size first, in both folders alike")
    if first is None:
        raise InputError("there are no pictures")
    return first[1][0]


def _header(path: Path) -> tuple[int, int]:
    """Width and height. Raises InputError where this is no picture of eight bits a channel, or several."""
    try:
        with Image.open(path) as image:
            mode, frames, size = image.mode, getattr(image, "n_frames", 1), image.size
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    if mode not in MODES:
        raise InputError(f"{shown(path)} has the pixel format {mode}: save it with eight bits a channel")
    if frames > 1:
        raise InputError(f"{shown(path)} holds {frames} pictures: save one of them")
    return size


def _unreadable(path: Path, error: Exception) -> InputError:
    try:
        empty = path.stat().st_size == 0
    except OSError:
        empty = False
    why = "it is empty" if empty else "no format is known" if "cannot identify" in str(error) else shown(error) or "it is damaged"
    return InputError(f"{shown(path)} cannot be read as a picture ({why}): take the pair out, or save the picture again")


def read(paths: Sequence[Path], side: int) -> Tensor:
    """Pictures [N, 3, side, side] in [-1, 1], turned as their EXIF tag says; grey ones get three equal channels.

    Raises InputError for damaged files and for transparent pixels, whose colour nobody knows.
    """
    out = torch.empty(len(paths), 3, side, side)
    for row, path in zip(out, paths, strict=True):
        try:
            with Image.open(path) as image:
                image = ImageOps.exif_transpose(image)
                clear = "A" in image.mode or "transparency" in image.info
                pixels = np.asarray(image.convert("RGBA" if clear else "RGB"))
        except UNREADABLE as error:
            raise _unreadable(path, error) from error
        if clear and pixels[..., 3].min() < 255:
            raise InputError(f"{shown(path)} has transparent pixels: put it on a background first, in both folders alike")
        row.copy_(torch.from_numpy(pixels[..., :3].copy()).permute(2, 0, 1).float() / 127.5 - 1)
    return out


def content(paths: Sequence[Path]) -> str:
    """sha256 over names and files, in hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode("utf-8", "surrogateescape") + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
