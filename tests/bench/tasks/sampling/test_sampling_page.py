"""The sampling task's part of the report, made from what a results folder holds."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
import torch

from bench.codes import Codes
from bench.streams import normal_rows
from bench.tasks.sampling.protocol import SamplingSettings
from bench.tasks.sampling.task import SamplingTask
from leaderboards.folder import Cell, Results, plain
from leaderboards.pages.sampling import page
from methods.base import Fitted

SETTINGS = SamplingSettings(targets=("warmth",), samples=32, replicates=50)
LIKELIHOOD = [{"model": "flow", "log_likelihood_nats": 7.5, "ci_low": 6.0, "ci_high": 9.0, "n": 384, "round_trip_error": 2e-5}]


class Sampler:
    """Gives what is asked of the first coordinate, or ignores it."""

    targets = ("warmth",)

    def __init__(self, width, listens):
        self.width, self.listens = width, listens

    def sample(self, asked, ids, *, seed):
        values = normal_rows(ids, self.width, seed=seed)
        if asked and self.listens:
            values[:, 0] = asked["warmth"]
        return Codes("z", values, ids)


@pytest.fixture(scope="module")
def results(world, blocks):
    world, cells, records = world.but(), [], []  # a store of its own: other tests draw other numbers of samples
    for name, listens in (("listens", True), ("ignores", False)):
        context = replace(world.cell(None, name=name), fitted=Fitted(sampler=Sampler(blocks.D, listens)), settings=SETTINGS)
        with torch.no_grad():
            result = SamplingTask().run(context)
        card = asdict(context.method)
        found = SamplingTask().summarise(SETTINGS, [(context.method, result)], world.seed)
        records += [replace(r, task="sampling", generator="linear", method=name) for r in found]
        tables = {"likelihood": LIKELIHOOD} if listens else {}
        facts = plain(result.facts)
        cells.append(Cell("sampling", "linear", "", "blocks", card, "ok", "", 1.0, 1.0, facts, tables, result.arrays))
    pictures = [{"task": "sampling", "generator": "linear", "path": "pictures/warmth.png", "caption": "warmth, ids 0 to 3"}]
    suite = {"tasks": {"sampling": SETTINGS.model_dump(mode="json")}, "generators": ["linear"], "seed": world.seed}
    return Results(records, cells, {"suite": suite, "pictures": pictures})


def test_every_entry_stands_beside_chance(results):
    text, files = page(results, "linear", None)
    table = text.split("### Has it what was asked?")[1].split("###")[0]
    assert "| by chance | ignores | listens |" in table and "attributes[exact]" in table
    plus = next(line for line in table.splitlines() if line.startswith("| warmth + |"))
    chance, ignores, listens = plus.split("|")[2:5]
    assert "(n = 256)" in chance and listens.strip().startswith("1.000 [0.8")
    assert 0.1 < float(ignores.split()[0]) < 0.6
    for part in ("Diversity", "Realism loss", "What else moved", "How far the target moved"):
        assert f"### {part}" in text
    assert text.split("### Diversity")[1].split("###")[0].count("(n = 32)") == 2  # of accepted samples
    path = "plots/sampling-linear-success.png"
    assert path in text and files[path].startswith(b"\x89PNG") and page(results, "linear", None)[1] == files
    assert "pictures/warmth.png" in text and "n = 32 samples a question" in text


def test_likelihoods_of_fits_are_shown(results):
    text = page(results, "linear", None)[0].split("### Likelihood of held-out codes")[1]
    assert "| listens | flow | 7.500 [6.000, 9.000] | 384 | 2.0e-05 |" in text


def test_a_page_without_any_success_has_no_plot(results):
    lost = replace(results, records=[replace(r, status="skipped", value=None, reason="no judge") for r in results.records])
    text, files = page(lost, "linear", None)
    assert not files and "### Has it" not in text
