"""The committed reference of the suite `check`: what this code measures now is no worse than what it measured then."""

import subprocess
import sys
from pathlib import Path

from leaderboards.records import read_records

REFERENCE = Path(__file__).parents[1] / "leaderboards" / "results" / "check"
REMAKE = "latentbench run check --out leaderboards/results/check"


def latentbench(*arguments):
    done = subprocess.run([sys.executable, "-m", "bench", *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_a_small_run_is_no_worse_than_its_reference(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTBENCH_CACHE", str(tmp_path / "store"))
    monkeypatch.setenv("LATENTBENCH_OFFLINE", "1")
    code, said = latentbench("run", "check", "--out", tmp_path / "now")
    assert code == 0, said
    code, said = latentbench("compare", REFERENCE, tmp_path / "now", "--fail-on", "worse")
    # Where a question, a version or a weight was changed on purpose, its reference is made anew and committed with the change.
    assert code == 0, f"{said}\nif this was meant: {REMAKE}"
    now, then = ({(r.task, r.method, r.variant) for r in read_records(f / "results.csv")} for f in (tmp_path / "now", REFERENCE))
    assert now == then and len(now) == 7
