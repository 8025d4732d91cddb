"""Versions of installed distributions. Imports no torch, so that it can also say that torch is missing."""

from __future__ import annotations

from importlib import metadata


def version(distribution: str) -> str:
    """An installed distribution's version, or '' where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
