"""Generators. `load_generator` loads one by its registered name or from a published checkpoint; torch comes on first use."""

from __future__ import annotations

from typing import Any

__all__ = ["load_generator"]


def __getattr__(name: str) -> Any:
    if name == "load_generator":
        from bench.generators.load import load_generator

        return load_generator
    raise AttributeError(f"module {__name__} has no attribute {name}")
