"""The registry: lazy, first come first served, and a broken plug-in is reported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import InputError
from bench.registry import BUILT_IN, KINDS, PluginError, Registry


def install(folder: Path, name: str, points: dict[str, dict[str, str]], summary: str = "") -> None:
    """What pip leaves of a distribution with entry points."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: {summary}\n")
    groups = [f"[latentbench.{kind}]\n" + "".join(f"{k} = {v}\n" for k, v in lines.items()) for kind, lines in points.items()]
    (info / "entry_points.txt").write_text("\n".join(groups))


def test_every_built_in_line_is_lazy_and_described():
    registry = Registry(plugins=False)
    for kind in KINDS:
        assert registry.names(kind) == sorted(BUILT_IN[kind])
        for entry in registry.entries(kind):
            assert entry.origin == "built-in" and entry.description and entry.target.count(":") == 1


def test_unknown_names_say_what_is_near():
    registry = Registry(plugins=False)
    with pytest.raises(InputError, match="unknown method 'interfacegen': did you mean interfacegan"):
        registry.load("methods", "interfacegen")
    with pytest.raises(InputError, match="unknown kind 'metod': did you mean methods"):
        registry.entries("metod")
    with pytest.raises(InputError, match="unknown metric 'qqq': known: attribute_change"):
        registry.check("metrics", ["leakage", "qqq"])


def test_plugins_are_found_and_broken_ones_reported(tmp_path, monkeypatch):
    (tmp_path / "fineplug.py").write_text("class Fine: pass\n")
    (tmp_path / "crashplug.py").write_text("raise RuntimeError('no such card')\n")
    points = {
        "fine": "fineplug:Fine", "crash": "crashplug:Crash", "lost": "fineplug:Lost", "gone": "nosuchmodule_x:Y",
        "sefa": "fineplug:Fine", "odd": "fineplug",
    }  # fmt: skip
    install(tmp_path, "fine-plug", {"methods": points}, "A fine method.")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry()
    fine = registry.entry("methods", "fine")
    assert (fine.origin, fine.description, fine.problem) == ("fine-plug", "A fine method.", "")
    assert registry.load("methods", "fine").__name__ == "Fine"
    assert "crashplug" not in sys.modules
    for name, reason in {"crash": "RuntimeError: no such card", "lost": "AttributeError", "gone": "ModuleNotFoundError"}.items():
        with pytest.raises(PluginError, match=reason):
            registry.load("methods", name)
    assert registry.entry("methods", "sefa").origin == "built-in"
    assert sorted(registry.problems) == [
        "method gone of fine-plug: there is no module nosuchmodule_x",
        "method odd of fine-plug: 'fineplug' is not module:attribute",
        "method sefa of fine-plug is hidden by built-in",
    ]


def test_objects_join_for_one_run_but_take_no_name():
    registry = Registry(plugins=False)
    registry.add("methods", "mine", dict)
    assert registry.load("methods", "mine") is dict and registry.entry("methods", "mine").origin == "session"
    with pytest.raises(InputError, match="sefa is already taken"):
        registry.add("methods", "sefa", dict)
    assert "mine" not in Registry(plugins=False).names("methods")


def test_list_imports_no_torch_and_shows_origins(tmp_path):
    install(tmp_path, "list-plug", {"methods": {"listed": "json:loads", "bad": "nosuchmodule_y:Z"}}, "Listed.")
    program = (
        "import sys; from bench.cli import main\n"
        "assert main(['list', 'methods']) == 0\n"
        "bad = {'torch', 'pandas', 'sklearn', 'matplotlib'} & set(sys.modules); assert not bad, bad"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["sefa"].startswith("built-in") and lines["listed"] == "list-plug  Listed."
    assert "BROKEN: there is no module nosuchmodule_y" in lines["bad"]
    assert "warning: method bad of list-plug" in done.stderr
