"""Constructor arguments of a generator, flat: from its checkpoint and from a JSON file of the same stem beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import InputError

# What official constructors nest their arguments in.
NESTED = ("mapping_kwargs", "synthesis_kwargs")
# What construct_class_by_name takes and the constructor never sees.
NOT_ARGUMENTS = ("class_name", "func_name")


def flatten(arguments: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Arguments with the nested ones beside the others. Raises InputError where two of one name differ."""
    flat: dict[str, Any] = {}
    for key, value in arguments.items():
        if key in NESTED and value is not None:
            if not isinstance(value, Mapping):
                raise InputError(f"{source}: {key} is a mapping of arguments, not {value!r:.60}")
            flat = agree(flat, flatten(value, source), source, source)
        elif key not in (*NESTED, *NOT_ARGUMENTS):
            flat = agree(flat, {key: value}, source, source)
    return flat


def agree(first: Mapping[str, Any], second: Mapping[str, Any], first_source: str, second_source: str) -> dict[str, Any]:
    """Both sets of arguments. Raises InputError, with both values, where they contradict each other."""
    for key in first.keys() & second.keys():
        if not _same(first[key], second[key]):
            raise InputError(f"{key} is {first[key]!r:.60} in {first_source}, but {second[key]!r:.60} in {second_source}")
    return {**first, **second}


def _same(one: Any, other: Any) -> bool:
    """Whether two values mean the same: 1 and 1.0 do, a list and a tuple do, 1 and true do not."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def beside(path: Path) -> dict[str, Any]:
    """The arguments in the JSON file of a checkpoint's stem, flat; none where there is no such file.

    The file holds the official constructor's keyword arguments. The card that latentbench writes beside its own weights is read
    too: its `settings` are the arguments. Raises InputError where the file is no JSON object.
    """
    file = path.with_suffix(".json")
    if file == path or not file.exists():
        return {}
    try:
        value = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_unique)
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"the arguments {file} cannot be read ({reason}): correct or remove the file") from error
    if not isinstance(value, dict):
        raise InputError(f"the arguments {file} are no JSON object of constructor arguments: correct or remove the file")
    if isinstance(value.get("settings"), dict) and "sha256" in value:
        value = value["settings"]
    return flatten(value, str(file))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError for a key given twice, of which JSON would silently take the last."""
    keys = [key for key, _ in pairs]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise ValueError(f"the key '{twice}' is given twice")
    return dict(pairs)
