"""The lock file: what each fetched file was, so that another one under the same name is noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from filelock import FileLock

from bench.errors import InputError
from bench.fetch.places import lock_file


def read_lock(path: Path | None = None) -> dict[str, dict[str, Any]]:
    """Records by name: sha256, bytes, source, path and modified (ns). Raises InputError for a file that is no lock file."""
    path = path or lock_file()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"the lock file {path} cannot be read ({error}): mend it, or delete it to record hashes anew") from error
    if not isinstance(data, dict) or not all(isinstance(one, dict) and "sha256" in one for one in data.values()):
        raise InputError(f"{path} is no lock file of latentbench: mend it, or delete it to record hashes anew")
    return data


def record(name: str, sha256: str, source: str, path: Path) -> None:
    """Write down what lies at `path`. Raises InputError where the lock file cannot be written."""
    file, stat = lock_file(), path.stat()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.wait"):
            known = read_lock(file)
            known[name] = {
                "sha256": sha256, "bytes": stat.st_size, "source": source, "path": str(path), "modified": stat.st_mtime_ns,
            }  # fmt: skip
            partial = file.with_name(f".{file.name}.partial")
            partial.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            partial.replace(file)
    except OSError as error:
        raise InputError(f"the lock file {file} cannot be written ({error.strerror or error}): set LATENTBENCH_CACHE") from error


def check_lock(name: str, sha256: str, came_from: str) -> None:
    """Raise InputError where the file that was fetched under this name before had another hash."""
    before = read_lock().get(name)
    if before is not None and before["sha256"] != sha256:
        raise InputError(
            f"{came_from} is not the file that was fetched as {name} before (SHA-256 {sha256}, then {before['sha256']}): "
            f"if the new one is right, delete {name} from {lock_file()}"
        )


def unchanged(name: str, path: Path) -> bool:
    """Whether a file is, by its size and time, the one that was recorded: then it need not be read again."""
    before, stat = read_lock().get(name), path.stat()
    facts = {"path": str(path), "bytes": stat.st_size, "modified": stat.st_mtime_ns}
    return before is not None and all(before.get(key) == value for key, value in facts.items())
