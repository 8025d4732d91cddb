"""What the command line and `bench.run` share: a suite put together, an output folder checked, results written."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import InputError
from bench.registry import Registry
from bench.suite import MethodChoice, Suite, checked, load_suite

if TYPE_CHECKING:
    import pandas as pd


def compose(
    suite: str | Path | Suite | Mapping[str, Any],
    registry: Registry,
    *,
    methods: Sequence[Any] | None = None,
    add: Sequence[Any] = (),
    seed: int | None = None,
) -> Suite:
    """The suite with other or more methods and another seed. Method classes are registered for this run.

    A suite whose methods are changed is another suite in its records only by what it holds: it keeps its name.
    """
    loaded = checked(Suite, dict(suite), "suite") if isinstance(suite, Mapping) else load_suite(suite)
    if methods is None and not add and seed is None:
        return loaded
    data = loaded.model_dump()
    data["methods"] = [*(loaded.methods if methods is None else _choices(methods, registry)), *_choices(add, registry)]
    if seed is not None:
        data["seed"] = seed
    return checked(Suite, data, f"suite {loaded.name}")


def _choices(methods: Sequence[Any], registry: Registry) -> list[MethodChoice]:
    choices = []
    for method in methods:
        if isinstance(method, type):
            known = method.name in registry.names("methods")
            if not (known and registry.entry("methods", method.name).target is method):
                registry.add("methods", method.name, method)
            method = method.name
        choices.append(MethodChoice.model_validate(method))
    return choices


def prepare_out(out: str | Path) -> Path:
    """The output folder, made and tried before any work. Raises InputError where nothing can be written there."""
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out) as probe:
            probe.write(b"\0")
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"nothing can be written to {out} ({why}): choose another folder with --out") from error
    return out


def run_library(
    suite: Any,
    methods: Sequence[Any] | None,
    add: Sequence[Any],
    *,
    out: str | Path | None,
    seed: int | None,
    device: str,
    batch: int,
    progress: bool,
) -> pd.DataFrame:
    """What `bench.run` does."""
    registry = Registry()
    chosen = compose(suite, registry, methods=methods, add=add, seed=seed)
    folder = prepare_out(out) if out is not None else None
    from dataclasses import asdict

    import pandas as pd

    from bench.progress import make_progress
    from bench.records import COLUMNS
    from bench.runner import run_suite

    shown = make_progress() if progress else None
    result = run_suite(chosen, registry=registry, device=device, batch=check_batch(batch), progress=shown)
    if folder is not None:
        from leaderboards.write import write_results

        write_results(result, folder)
    return pd.DataFrame([asdict(record) for record in result.records], columns=list(COLUMNS))


def check_batch(batch: int) -> int:
    if batch < 1:
        raise InputError(f"a batch holds at least one picture, not {batch}")
    return batch
