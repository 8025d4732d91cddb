"""CONTRIBUTING.md shows the example that the tests run, and the example works as a package of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "tests" / "methods" / "example_plugin"


@pytest.mark.parametrize("name", ["mean_difference.py", "pyproject.toml"])
def test_the_guide_shows_the_example_word_for_word(name):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = re.search(rf"<!-- example: \S+{re.escape(name)} -->\n```\w+\n(.*?)```", text, re.S)
    assert shown and shown[1] == (EXAMPLE / name).read_text(encoding="utf-8")


@pytest.fixture
def installed(tmp_path):
    """The environment of a process in which the example is an installed package (module and metadata on the path)."""
    (tmp_path / "mean_difference.py").write_text((EXAMPLE / "mean_difference.py").read_text(encoding="utf-8"), encoding="utf-8")
    info = tmp_path / "latentbench_mean_difference-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: latentbench-mean-difference\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[latentbench.methods]\nmean_difference = mean_difference:MeanDifference\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "LATENTBENCH_CACHE": str(tmp_path / "cache"), "COLUMNS": "200"}


def run(arguments, env, cwd):
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=300)


def test_an_installed_package_brings_its_method(installed, tmp_path):
    done = run(["list", "methods"], installed, tmp_path)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if "mean_difference" in line)
    assert "latentbench-mean-difference" in line


def test_a_suite_runs_it_beside_the_floor(installed, tmp_path):
    suite = tmp_path / "mine.yaml"
    suite.write_text(
        "name: mine\ngenerators: [heads-oracle]\nmethods: [random, mean_difference]\nbank: 512\nbudget: 4\n"
        "tasks:\n  editing: {targets: [yaw], test_codes: 8, calibrate_codes: 8, reference_codes: 16, replicates: 50}\n",
        encoding="utf-8",
    )
    done = run(["run", str(suite), "--out", str(tmp_path / "out")], installed, tmp_path)
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "out" / "results.csv").read_text(encoding="utf-8")
    assert ",mean_difference," in rows and ",random," in rows
