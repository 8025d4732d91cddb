"""Whether a file is what it should be: not a web page, of its format, and of its hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bench.errors import InputError
from bench.fetch.catalogue import MAGIC, Entry

PAGE = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<script")


def is_page(start: bytes) -> bool:
    """Whether a file that begins like this is a web page: what hosts send in place of a file that they do not give out."""
    return start.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower().startswith(PAGE)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_file(path: Path, entry: Entry, came_from: str) -> str:
    """The SHA-256 of an entry's file. Raises InputError where it is a web page, of another format or size, or of another hash.

    came_from: how errors name the file.
    """
    with path.open("rb") as file:
        start = file.read(512)
    size = path.stat().st_size
    if not start:
        raise InputError(f"{came_from} is empty: no weights of {entry.name}")
    if is_page(start):
        raise InputError(f"{came_from} is a web page, not the weights of {entry.name}: its host wants to be asked with a browser")
    if not _begins_right(start, entry.format):
        raise InputError(f"{came_from} is no file of the format {entry.format}, which {entry.name} has")
    if entry.bytes is not None and size != entry.bytes:
        raise InputError(f"{came_from} has {size} bytes, and {entry.name} has {entry.bytes}: it is cut off or another file")
    found = sha256_of(path)
    expected = entry.sha256 or entry.sha256_start
    if expected is not None and not found.startswith(expected):
        raise InputError(f"{came_from} has the SHA-256 {found}, and {entry.name} has {expected}: it is damaged or another file")
    return found


def _begins_right(start: bytes, kind: str) -> bool:
    return start[8:9] == b"{" if kind == "safetensors" else start.startswith(MAGIC[kind])
