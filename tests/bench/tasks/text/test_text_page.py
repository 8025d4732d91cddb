"""The text task's part of the report, made from what a results folder holds."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from bench.records import Record
from bench.tasks.text.protocol import TextSettings
from leaderboards.folder import Cell, Results
from leaderboards.pages.text import page
from leaderboards.vocabulary import with_interval

SETTINGS = TextSettings(targets=("warmth",), prompts={"warmth": {"+": ("toasty blocks",)}}, replicates=50)
ENTRIES = (("words", "beta=0.1", "prompt"), ("words", "beta=0.2", "prompt"), ("named", "", "name"))


def records_of(method, variant, shift):
    base = Record(
        task="text", generator="linear", method=method, variant=variant, target="warmth", judge="text_image[words]", n=16
    )
    for sign in "+-":
        at = replace(base, sign=sign, point="effect_0.5", n=32 if sign == "+" else 16)
        yield replace(at, metric="directional_similarity", value=0.5 + shift, ci_low=0.4 + shift, ci_high=0.6 + shift)
        lost = dict(status="unreached", reason="ends early") if sign == "-" else dict(value=0.1 + shift)
        yield replace(at, metric="leakage", judge="attributes[exact]", unit="sigma", higher_is_better=False, **lost)
        yield replace(at, metric="reach", point="summary", value=1.0, judge="attributes[exact]", unit="sigma")
        yield replace(at, metric="seconds_per_edit", point="summary", seconds=0.25 + shift)
    for i in (0, 1):
        one = replace(base, sign="+", point=f"effect_0.5 prompt {i}")
        yield replace(one, metric="directional_similarity", value=0.7 - i / 10)
        yield replace(one, metric="leakage", value=0.1 + i / 10)
        yield replace(one, metric="reach", point=f"summary prompt {i}", value=0.9)


@pytest.fixture
def results():
    prompts = {"warmth/+": [{"text": "warm blocks"}, {"text": "toasty blocks"}], "warmth/-": [{"text": "cold blocks"}]}
    found, cells = [], []
    for i, (method, variant, way) in enumerate(ENTRIES):
        found += records_of(method, variant, i / 100)
        card = dict(name=method, variant=variant, version=1, approach="zero_shot", space="s", fit_seed=0, hold=[])
        facts = {"asked_by": way, "prompts": prompts, "unknown_words": {"toasty blocks": ["toasty"]}}
        cells.append(Cell("text", "linear", "", "blocks", card, "ok", "", 1.0, 1.0, facts, {}, {"x": np.zeros(1)}))
    pictures = [{"task": "text", "generator": "linear", "path": "pictures/warmth.png", "caption": "warmth, ids 0 to 3"}]
    suite = {"tasks": {"text": SETTINGS.model_dump(mode="json")}, "generators": ["linear"], "seed": 0}
    assert asdict(found[0])["sign"] == "+"
    return Results(found, cells, {"suite": suite, "pictures": pictures})


def test_the_page_says_what_was_asked_and_what_came_of_it(results):
    text, files = page(results, "linear", None)
    assert files == {}
    assert "n = 16 to 32 edits a side" in text and "judged effect on the attribute that the prompt names is 0.5 sigma" in text
    assert "named by the attribute's name" in text and "words (beta=0.1), words (beta=0.2) by the prompt" in text
    assert "The judge of texts does not know: toasty." in text
    follows = text.split("### Does the picture follow the prompt?")[1].split("###")[0]
    plus = next(line for line in follows.splitlines() if line.startswith("| warmth + |"))
    assert [cell.strip() for cell in plus.split("|")[2:5]] == [
        with_interval(0.52, 0.42, 0.62), with_interval(0.5, 0.4, 0.6), with_interval(0.51, 0.41, 0.61),
    ]  # fmt: skip
    leaks = text.split("### What else changes?")[1].split("###")[0]
    assert "↓ attributes[exact], sigma" in leaks and "| warmth − | unreached | unreached | unreached |" in leaks
    assert "### Identity" not in text  # no judge of it was there


def test_every_wording_has_its_row_and_every_entry_its_time(results):
    text, _ = page(results, "linear", None)
    wordings = text.split("### Wording by wording")[1].split("###")[0]
    assert "| warmth + | warm blocks (own) | 0.700 / 0.100 / 0.900 |" in wordings
    assert "| warmth + | toasty blocks | 0.600 / 0.200 / 0.900 |" in wordings and "cold blocks" not in wordings
    times = text.split("### Seconds per edit")[1].split("###")[0]
    assert "| named | 0.270 | 48 |" in times
    assert "![edits by text of warmth, ids 0 to 3 on linear](pictures/warmth.png)" in text
