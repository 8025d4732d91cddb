"""The dissection task's part of the report, made from what a results folder holds, and its sheets of pictures."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from bench.tasks.dissection.protocol import DissectionSettings
from bench.tasks.dissection.task import DissectionTask
from leaderboards.folder import Cell, Results, plain
from leaderboards.pages.dissection import page
from leaderboards.strips import strips
from methods.baselines.random_units import RandomUnits
from methods.supervised.gan_dissection import GanDissection

SETTINGS = DissectionSettings(samples=32, concepts=("square", "bar"), ablate_units=1, replicates=100)
OPTIONS = {"samples": 64, "size": 32, "units": 1, "eval_codes": 16, "layer": "draw", "quantile": 0.03, "survey": ("early",)}


@pytest.fixture(scope="module")
def outcome(painted):
    """(results folder, what strips() takes)."""
    store, cells, records, outcomes = {}, [], [], []
    for method in (GanDissection(**OPTIONS, ranking="ace", candidates=3, single_codes=8), RandomUnits(**OPTIONS)):
        fitted = method.fit(painted.fit_context())
        cell = painted.cell(method, fitted, SETTINGS, store)
        result = DissectionTask().run(cell)
        place = {"task": "dissection", "generator": "painter", "method": method.name, "variant": method.variant}
        records += [replace(r, **place) for r in DissectionTask().summarise(SETTINGS, [(cell.method, result)], cell.seed)]
        card, facts, tables = (
            asdict(cell.method),
            json.loads(json.dumps(plain(result.facts), sort_keys=True)),
            plain(fitted.tables),
        )
        cells.append(Cell("dissection", "painter", "", "paintings", card, "ok", "", 1.0, 1.0, facts, tables, result.arrays))
        outcomes.append(SimpleNamespace(task="dissection", generator="painter", method=cell.method, result=result))
    suite = SimpleNamespace(tasks={"dissection": {}}, generators=["painter"])
    sheets = strips(SimpleNamespace(suite=suite, cells=outcomes))
    said = {"tasks": {"dissection": SETTINGS.model_dump(mode="json")}, "generators": ["painter"], "seed": 3}
    return Results(records, cells, {"suite": said, "pictures": [one.listing for one in sheets]}), sheets


def test_every_concept_has_its_row(outcome):
    text, files = page(outcome[0], "painter", None)
    table = text.split("### Do the units cause the concept?")[1].split("###")[0]
    assert "| gan_dissection" in table and "random_units" in table
    square = next(line for line in table.splitlines() if line.startswith("| square |"))
    assert "(1.000, " in square and "[" in square  # all of it by its unit, and some of it by a random one
    assert "n = 32 test codes" in text and "segmentation[painted-judge]" in text
    places = text.split("### Does it matter where?")[1].split("###")[0]
    head = next(line for line in places.splitlines() if line.startswith("| entry"))
    assert "| where it belongs | sky | ground | square | bar | gap" in head
    row = next(line for line in places.splitlines() if line.startswith("| gan_dissection") and "| square |" in line)
    assert row.split("|")[3].startswith(" 1.000") and row.split("|")[4].startswith(" 0 ")


def test_units_and_layers_are_listed(outcome):
    text, files = page(outcome[0], "painter", None)
    layers = text.split("### Concepts by layer")[1].split("###")[0]
    draw = next(line for line in layers.splitlines() if line.startswith("| draw |"))
    columns = next(line for line in layers.splitlines() if line.startswith("| layer |")).split("|")
    assert int(draw.split("|")[columns.index(" square ")]) >= 2 and int(draw.split("|")[columns.index(" bar ")]) == 1
    units = text.split("### Units")[1].split("###")[0]
    assert "| square | draw | 2 | 0.9" in units and "random_units" not in units
    (path,) = [one for one in files if one.endswith(".csv")]
    assert f"({path})" in text and files[path].startswith(b"layer,unit,concept,iou,matches,ace,rank\ndraw,")
    plots = [one for one in files if one.endswith(".png")]
    assert len(plots) == 2 and all(files[one].startswith(b"\x89PNG") and f"({one})" in text for one in plots)


def test_sheets_show_each_concept_off_and_on(outcome):
    results, sheets = outcome
    assert [one.listing["path"] for one in sheets[:2]] == [f"pictures/dissection-painter-square-{start}.png" for start in (0, 4)]
    assert len(sheets) == 4 and sheets[3].listing["caption"] == "bar, ids 4 to 7" and sheets[0].png.startswith(b"\x89PNG")
    text = page(results, "painter", None)[0]
    assert all(f"({one.listing['path']})" in text for one in sheets) and "switched off everywhere" in text
