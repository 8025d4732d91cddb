"""Digests of code: editing a module, or what it imports, changes it; editing anything else does not."""

import sys

import pytest

from bench.digest import CodeDigests

FILES = {
    "__init__.py": "",
    "top.py": "from typing import TYPE_CHECKING\nfrom . import middle\nif TYPE_CHECKING:\n    from .types import T\n",
    "middle.py": "def late():\n    from digestpack.deep.bottom import x\n    return x\n",
    "deep/__init__.py": "",
    "deep/bottom.py": "from ..middle import late\nx = 1\n",
    "types.py": "T = int\n",
    "other.py": "y = 2\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    for name, text in FILES.items():
        file = tmp_path / "digestpack" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "digestpack"]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path / "digestpack"


@pytest.mark.parametrize(
    "name, counts",
    [
        ("top.py", True),
        ("middle.py", True),
        ("deep/bottom.py", True),
        ("deep/__init__.py", True),
        ("other.py", False),
        ("types.py", False),
    ],
)
def test_what_is_imported_counts(package, name, counts):
    before = CodeDigests().of("digestpack.top")
    assert CodeDigests().of("digestpack.top") == before
    (package / name).write_text(FILES[name] + "# changed\n")
    assert (CodeDigests().of("digestpack.top") != before) == counts


def test_a_plugin_depends_on_the_modules_of_this_repository(package):
    digests = CodeDigests()
    (package / "plug.py").write_text("from bench.streams import stream_seed\nimport json\n")
    digests.of("digestpack.plug")
    assert digests._files["bench.streams"] and "json" not in digests._files


def test_a_module_without_source_is_an_error():
    with pytest.raises(ImportError, match="no source file for module nosuchmodule_z"):
        CodeDigests().of("nosuchmodule_z")


def test_a_word_in_the_report_or_a_new_methods_line_voids_no_fit():
    digests = CodeDigests()
    digests.of("bench.passes", "bench.tasks.editing.task", "bench.generators.heads_oracle", "methods.unsupervised.sefa")
    read = {name for name, source in digests._files.items() if source is not None}
    assert {"metrics.reading", "bench.generators.base", "methods.base", "bench.interventions"} <= read
    assert not {name for name in read if name.startswith(("leaderboards", "bench.cli", "bench.training", "bench.runner"))}
    assert digests.of("bench.generators.load") and "bench.registry" not in read
