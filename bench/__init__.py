"""latentbench measures methods that claim to make a generative image model interpretable. Importing this imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from bench.suite import Suite

MethodLike = str | Mapping[str, Any] | type


def run(
    suite: str | Path | Suite | Mapping[str, Any] = "quick",
    *,
    methods: Sequence[MethodLike] | None = None,
    add: Sequence[MethodLike] = (),
    out: str | Path | None = None,
    seed: int | None = None,
    device: str = "cpu",
    batch: int = 64,
    progress: bool = False,
) -> pd.DataFrame:
    """Run a suite and give back its records, one number a row (bench.records), in the order of results.csv.

    suite: a shipped suite's name, a YAML file, a Suite, or what such a file holds. methods: instead of the suite's; add: beside
    them. Each is a name, {name: options}, or a Method class, which needs no registration. out: also write tables, plots and the
    report there. batch: pictures in memory at a time; it changes no number. progress: show it on stderr.
    Raises InputError, in one line, for anything that cannot be run.
    """
    from bench.library import run_library

    return run_library(suite, methods, add, out=out, seed=seed, device=device, batch=batch, progress=progress)
