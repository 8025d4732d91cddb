"""The toy benchmark of these tests, importable as a plug-in package would be, and a store of their own for each test."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.append(str(HERE))


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """The toy module; the cache and the count file lie in tmp_path."""
    import toybench

    monkeypatch.setenv("LATENTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TOY_COUNT", str(tmp_path / "count"))
    return toybench
