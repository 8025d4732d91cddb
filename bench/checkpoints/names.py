"""Telling a checkpoint's file from a registered name. Imports no torch."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".pt", ".pth", ".pkl", ".tar", ".bin", ".ckpt", ".safetensors")


def is_path(text: str | Path) -> bool:
    """Whether this can only be a file: a path object, something with a folder in it, or a checkpoint's ending."""
    return isinstance(text, Path) or "/" in text or "\\" in text or Path(text).suffix.lower() in SUFFIXES
