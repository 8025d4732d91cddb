"""The naming task's part of the report, made from what a results folder holds, and its sheets of pictures."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from bench.records import Record
from bench.tasks.base import CellResult, MethodCard
from bench.tasks.naming.protocol import NamingSettings
from leaderboards.folder import Cell, Results
from leaderboards.pages.naming import mean_effects, page, verdict
from leaderboards.pages.naming_plot import Panel, heat_map
from leaderboards.strips import COMPONENTS_A_SHEET, strips
from leaderboards.vocabulary import with_interval

NAMES = ["yaw", "hair_length", "smile"]
ENTRIES = (("sefa", "layers=0-3"), ("sefa", "layers=4-7"), ("random", ""))


def name(component, subject, words, effect, *, named=True, way=0):
    beside = {"confidence": 0.75, "runner_up": "smile", "runner_up_confidence": 0.25, "stability": 1.0, "p": 0.001}
    return {"component": component, "named": named, "subject": subject, "words": words, "way": way, "effect": effect, **beside}


def cell_of(method, variant, text=True):
    judged = np.zeros((3, 4, 3), np.float32)
    judged[0, :, 1], judged[1, :, 0], judged[2] = -0.5, 0.25, np.nan
    by_attribute = [
        name("0", "hair_length", "hair_length", -0.6, way=-1), name("2", "smile", "smile", 0.4, way=1),
        name("3", "yaw", "yaw", 0.1, named=False),
    ]  # fmt: skip
    by_words = [
        name("0", "hair_length", "a person with short hair", 0.6, way=-1),
        name("2", "hats", "a person with a hat", -0.4), name("3", "yaw", "a person facing left", 0.1, named=False),
    ]  # fmt: skip
    facts = {
        "attributes": NAMES, "guided": NAMES, "components": ["0", "1", "2", "3"], "moved": ["0", "2", "3"],
        "judges": {"attributes": ["exact", "a" * 16]}, "guide": ["wobbly", "b" * 16],
        "names": {"attributes": by_attribute, **({"text": by_words} if text else {})},
        "assignment": {"yaw": {"component": "3", "sign": -1, "confidence": 0.5, "runner_up": "0", "runner_up_confidence": 0.125}},
    }  # fmt: skip
    if not text:
        facts["no_text"] = "domain blocks has no guide for text_image"
    arrays = {"judged": judged, "attributes/changes": np.nan_to_num(judged), "ids": np.arange(4)}
    card = dict(name=method, variant=variant, version=1, approach="unsupervised", space="w", fit_seed=0, hold=[])
    return Cell("naming", "linear", "", "blocks", card, "ok", "", 1.0, 1.0, facts, {}, arrays)


def records_of(method, variant):
    base = Record(task="naming", generator="linear", method=method, variant=variant, point="summary", n=4)
    for kind in ("text", "attributes"):
        yield replace(base, target=kind, metric="named_share", value=0.5, ci_low=0.25, ci_high=0.75)
        lost = dict(status="unreached") if method == "random" else dict(value=0.75, ci_low=0.5, ci_high=1.0)
        yield replace(base, target=kind, metric="naming_hit_rate", n=2, **lost)


@pytest.fixture
def results():
    suite = {"tasks": {"naming": NamingSettings().model_dump(mode="json")}, "generators": ["linear"], "seed": 0}
    pictures = [
        {"task": "naming", "generator": "linear", "entry": ["random", ""], "path": "pictures/r.png", "caption": "random: 3"},
        {"task": "editing", "generator": "linear", "path": "pictures/e.png", "caption": "smile"},
    ]
    found = [record for one in ENTRIES for record in records_of(*one)]
    return Results(found, [cell_of(*one) for one in ENTRIES], {"suite": suite, "pictures": pictures})


def test_the_page_says_what_is_named_and_whether_rightly(results):
    text, files = page(results, "linear", None)
    summary = text.split("### How many are named")[1].split("###")[0]
    share, hit = with_interval(0.5, 0.25, 0.75), with_interval(0.75, 0.5, 1.0)
    assert f"| by words | sefa (layers=0-3) | {share} (n = 4) | {hit} (n = 2) |" in summary
    assert "| by attributes | random |" in summary and "none named" in summary and "naming_chance" not in summary
    part = text.split("### Components of sefa (layers=4-7)")[1].split("###")[0]
    rows = [line for line in part.splitlines() if line.startswith("| ")]
    assert [cell.strip() for cell in rows[2].split("|")[1:-1]] == [
        "0", "**− hair length**", "0.75 (smile 0.25)", "✓", "**+ a person with short hair**", "0.75 (smile 0.25)", "✓",
        "hair length -0.500", "",
    ]  # fmt: skip
    assert [cell.strip() for cell in rows[3].split("|")[1:-1]][1:] == [
        "**+ smile**", "0.75 (smile 0.25)", "✗", "**− a person with a hat**", "0.75 (smile 0.25)", "–", "yaw 0.250", "",
    ]  # fmt: skip
    assert "| 3 | unknown (*+ yaw?*) |" in rows[4] and "unreadable | − yaw 0.50 (next: 0, 0.12) |" in rows[4]
    assert "Without a plausible step: 1." in part and "pictures/" not in part
    assert "pictures/r.png" in text.split("### Components of random")[1] and "pictures/e.png" not in text
    assert set(files) == {f"plots/naming-linear-effects-{i}.png" for i in range(3)}
    assert all(data.startswith(b"\x89PNG") for data in files.values())


def test_the_page_of_a_domain_without_words(results):
    cells = [cell_of(*one, text=False) for one in ENTRIES]
    kept = [replace(r, status="skipped", value=None) if r.target == "text" else r for r in results.records]
    text, _ = page(Results(kept, cells, results.run), "linear", None)
    assert "No names by words: domain blocks has no guide for text_image." in text
    assert "by words |" not in text and "| by attributes |" in text


def test_verdicts_and_means():
    cell = cell_of("sefa", "")
    effects = mean_effects(cell, "judged")
    assert effects[0].tolist() == [0.0, -0.5, 0.0] and np.isnan(effects[2]).all()
    assert verdict(name("0", "hair_length", "x", 1.0, way=1), effects[0], NAMES) == "✗"  # the other way
    assert verdict(name("0", "hair_length", "x", 1.0, named=False), effects[0], NAMES) == ""


def test_the_matrix_is_the_same_bytes_again_and_reads_gaps():
    panel = Panel("judge", np.array([[0.5, np.nan], [-3.0, 0.1]]), ["a", "b_c"], {(0, 1)})
    first, second = (heat_map([panel], ["0", "1"]) for _ in range(2))
    assert first == second and first.startswith(b"\x89PNG")
    assert heat_map([panel._replace(marked=())], ["0", "1"]) != first


def test_components_have_sheets_of_their_entry():
    count = COMPONENTS_A_SHEET + 1
    names = [str(i) for i in range(count)]
    facts = {"strips": {"unknown": {"ids": [0, 1], "shares": [-1.0, 0.0, 1.0], "components": names}}}
    pictures = np.zeros((count, 2, 3, 8, 8, 3), np.uint8)
    card = MethodCard("sefa", 1, "unsupervised", "layers=0-3,space=w", "w", 0)
    cell = SimpleNamespace(
        task="naming", generator="g", method=card, result=CellResult(facts=facts, pictures={"unknown": pictures})
    )
    suite = SimpleNamespace(tasks={"naming": {}}, generators=["g"])
    sheets = strips(SimpleNamespace(suite=suite, cells=[cell]))
    paths = [one.listing["path"] for one in sheets]
    assert paths == [f"pictures/naming-g-unknown-sefa-layers=0-3-space=w-{start}.png" for start in (0, COMPONENTS_A_SHEET)]
    assert sheets[0].listing["entry"] == ["sefa", "layers=0-3,space=w"]
    assert sheets[1].listing["caption"] == f"sefa (layers=0-3,space=w): components {count - 1}"
    sizes = [Image.open(io.BytesIO(one.png)).height for one in sheets]
    assert sizes[0] > 3 * sizes[1] / 2
