"""Result files of earlier versions keep loading, keep their numbers, and keep being compared."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from leaderboards.compare.comparison import compare
from leaderboards.compare.replicates import contradicts, place_of, readings
from leaderboards.compare.sides import GRID, Side, read_side
from leaderboards.folder import load
from leaderboards.records import records_csv
from leaderboards.write import rebuild_report

ROOT = Path(__file__).parents[2]
HISTORY = ROOT / "tests" / "historic_results"
FOLDERS = sorted(one for one in HISTORY.iterdir() if one.is_dir())


@pytest.fixture(params=FOLDERS, ids=[one.name for one in FOLDERS])
def folder(request):
    return request.param


def test_there_is_history():
    assert "0.1.0" in [one.name for one in FOLDERS]


def test_it_loads_and_its_table_is_written_again_alike(folder):
    results = load(folder)
    assert records_csv(results.records) == (folder / "results.csv").read_text()
    listed = json.loads((folder / "run.json").read_text())["cells"]
    assert len(results.cells) == len(listed) > 0
    assert all(cell.arrays for cell in results.cells if cell.status == "ok")


def test_it_is_the_same_as_itself(folder):
    side = read_side(folder)
    found = compare(side, side)
    assert found.changes and {one.verdict for one in found.changes} == {"same"} and found.exit_code("changed") == 0
    lower = [replace(r, value=r.value - 0.2) if r.metric == "identity" and r.value is not None else r for r in side.records]
    assert compare(side, Side("changed", lower)).of("worse", "cannot tell")


def test_its_arrays_still_say_what_its_table_says(folder):
    """Unless a metric's version rose, which is how a number may change."""
    results = load(folder)
    compared = 0
    for task in results.tasks:
        for generator in results.generators:
            for entry, cells in results.groups(task, generator).items():
                found = readings(results, task, cells)
                for record in results.records:
                    mine = (record.task, record.generator, record.method, record.variant) == (task, generator, *entry)
                    reading = found.get(place_of(record)) if mine and record.point != GRID else None
                    if reading and reading.metric_version == record.metric_version and record.status in ("ok", "unreached"):
                        assert not contradicts(record, reading), record
                        compared += 1
    assert compared > 0


def test_figures_of_0_1_0():
    side = read_side(HISTORY / "0.1.0")
    numbers = side.numbers(side.records)
    read = lambda method, variant, *place: numbers["editing", "toy", method, variant, "w", "sampled", *place]  # noqa: E731
    assert read("oracle", "", "smile", "+", "", "effect_0.5", "leakage").value == 0.0142944
    lost = read("random", "space=z", "age", "+", "", "effect_0.5", "leakage")
    assert (lost.status, lost.value) == ("unreached", None)
    assert read("random", "space=z", "smile", "-", "", "effect_0.5", "identity").n_failed == 2  # one sample in each of two fits
    assert {(r.method, r.status) for r in side.records if not r.metric} == {("sefa", "error"), ("ganspace", "skipped")}
    assert np.isfinite([r.value for r in numbers.values() if r.status == "ok"]).all()


def test_a_report_is_made_from_it_again(folder, tmp_path):
    rebuild_report(shutil.copytree(folder, tmp_path / "copy"))
    text = (tmp_path / "copy" / "README.md").read_text()
    assert "oracle" in text and (tmp_path / "copy" / "editing.csv").exists()


def test_the_committed_results_are_read():
    """What a pull request is compared with: a table and run.json, without arrays."""
    side = read_side(ROOT / "leaderboards" / "results" / "quick")
    found = compare(side, side)
    assert found.exit_code("changed") == 0 and len(found.changes) > 1000
    assert {one.state for one in found.groups} == {"same protocol"}
