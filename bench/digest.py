"""Digests of code: a stored value is void once the code that made it, or anything that code imports here, has changed."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

# The packages of this repository. A module of another package (a plug-in) follows imports into these and into its own package.
PACKAGES = frozenset({"bench", "methods", "metrics", "leaderboards"})

# What computes nothing and leads to all there is: `bench` offers `run`, and the registry is a list of names, whose modules count
# by themselves. With them a word in the report, or a new method's line, would void every fit.
HUBS = PACKAGES | {"bench.registry"}


class CodeDigests:
    """Digests of modules, each file read once for the life of this object."""

    def __init__(self) -> None:
        self._files: dict[str, bytes | None] = {}
        self._imports: dict[str, frozenset[str]] = {}

    def of(self, *names: str) -> str:
        """sha256 over the source of these modules and of all they import, directly or not, from their own packages.

        Hubs (HUBS) are left out: through them everything leads to everything.
        Raises ImportError for a module whose file is nowhere to be found.
        """
        for name in names:
            if self._source(name) is None:
                raise ImportError(f"no source file for module {name}")
        found, waiting = set(), list(names)
        while waiting:
            name = waiting.pop()
            if name not in found and name not in HUBS and self._source(name) is not None:
                found.add(name)
                waiting += self._imported(name)
        digest = hashlib.sha256()
        for name in sorted(found):
            digest.update(f"{name}\0{hashlib.sha256(self._source(name) or b'').hexdigest()}\n".encode())
        return digest.hexdigest()

    def _source(self, name: str) -> bytes | None:
        if name not in self._files:
            file = _file(name)
            self._files[name] = file.read_bytes() if file is not None and file.is_file() else None
        return self._files[name]

    def _imported(self, name: str) -> frozenset[str]:
        if name not in self._imports:
            file = _file(name)
            ours = PACKAGES | {name.split(".")[0]}
            is_package = file is not None and file.stem == "__init__"
            source = self._source(name) if file is not None and file.suffix == ".py" else b""
            wanted = _imports(ast.parse(source or b""), name, is_package)
            self._imports[name] = frozenset(one for one in wanted if one.split(".")[0] in ours)
        return self._imports[name]


def _file(name: str) -> Path | None:
    """A module's file, without importing the module (its parent packages are)."""
    loaded = sys.modules.get(name)
    origin = getattr(loaded, "__file__", None)
    if loaded is None:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, AttributeError, ValueError):
            spec = None  # `from package import name`, where name is no module
        origin = spec.origin if spec and spec.has_location else None
    return Path(origin) if origin else None


def _imports(tree: ast.Module, name: str, is_package: bool) -> Iterator[str]:
    """Names that may be modules, in all import statements but those for type checkers only."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in _with_parents(alias.name))
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = name.split(".")[: len(name.split(".")) - node.level + is_package]
                base = ".".join([*above, *([node.module] if node.module else [])])
            yield from _with_parents(base)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[: count + 1]) for count in range(len(parts)))
