"""A synthetic run: its folder, wide tables, plots and report, and the same again from the files alone."""

import io
import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.errors import InputError
from bench.records import Record
from bench.runner import CellOutcome, RunResult
from bench.suite import Suite
from bench.tasks.base import CellResult, MethodCard
from bench.tasks.editing import summary
from bench.tasks.editing.task import EditingTask
from leaderboards import headlines, plots
from leaderboards.folder import cell_key, load
from leaderboards.pictures import LIMIT, sheet, small_png
from leaderboards.sections import markdown
from leaderboards.strips import chosen_columns, column_captions
from leaderboards.write import rebuild_report, write_results

TARGETS = ("glasses", "age")
ATTRIBUTES = (*TARGETS, "yaw", "beard")
ENTRIES = {  # method, variant -> approach, space, hold, leakage at the headline effect
    ("oracle", ""): ("baseline", "w", (), 0.02),
    ("interfacegan", ""): ("supervised", "w", (), 0.10),
    ("interfacegan", "hold=glasses"): ("supervised", "w", ("glasses",), 0.08),
    ("interfacegan", "space=z"): ("supervised", "z", (), 0.30),
    ("random", ""): ("baseline", "w", (), 0.60),
}
SUITE = Suite(
    name="tiny", generators=("g1", "g2"), methods=("oracle", "interfacegan", "random", "sefa"), seed=3,
    tasks={"editing": {"targets": TARGETS, "test_codes": 16, "effects": [0.5, 1.0], "replicates": 400}},
)  # fmt: skip


def fake_headlines(self, settings, cells, seed):
    """Readings from the arrays that the fake cells left; their noise is shared between entries, as it is in paired resamples."""
    table = {}
    for name, array in cells[0][1].arrays.items():
        if name.startswith("reading/"):
            target, sign, headline = name.removeprefix("reading/").split("/")
            table[target, sign, headline] = (float(array[0]), array[1:].astype(np.float64), headline in ("identity", "reach"))
    return table


def fake_changes(settings, cells, seed, attribute):
    base = {"hold=glasses": 0.02}.get(cells[0][0].variant, 0.2)
    noise = 0.001 * np.sin(np.arange(400.0))
    return {(t, s, f"change of {attribute}"): (base, base + noise, False) for t in TARGETS if t != attribute for s in "+-"}


def records_of(generator, entry, lost):
    approach, space, _, leak = ENTRIES[entry]
    base = Record(
        suite="tiny", suite_version=1, protocol_hash="0123456789abcdef", task="editing", generator=generator,
        generator_sha="f" * 64, domain="toy", method=entry[0], method_version=1, approach=approach, variant=entry[1],
        fit_seed="0", space=space, judge="attributes[toy-attributes]", judge_sha="abc123", n=16, ci_over="codes", unit="sigma",
        higher_is_better=False, seed=3, seconds=1.25,
    )  # fmt: skip
    for target in TARGETS:
        for sign in "+-":
            place = replace(base, target=target, sign=sign)
            for step, effect in enumerate((0.3, 0.6, 1.2)):
                for metric, value in (("target_effect", effect), ("leakage", leak * effect), ("identity", 1 - leak * effect)):
                    ends = {"ci_low": value - 0.02, "ci_high": value + 0.02}
                    yield replace(place, point="grid", strength=step + 1.0, metric=metric, value=value, **ends)
            at = replace(place, point="effect_0.5", headline=True)
            unreached = {"status": "unreached", "reason": "the mean judged effect within the plausible range ends at 0.31 sigma"}
            for metric, value in (("leakage", leak), ("identity", 1 - leak), ("realism_loss", leak / 10)):
                fields = {"value": value, "ci_low": value - 0.01, "ci_high": value + 0.01}
                if (target, sign) in lost:
                    fields = unreached
                yield replace(at, metric=metric, higher_is_better=metric == "identity", **fields)
            yield replace(place, point="summary", headline=True, metric="reach", value=0.9, higher_is_better=True)
            for attribute in ATTRIBUTES:
                fields = unreached if (target, sign) in lost else {"value": 0.5 if attribute == target else leak / 2}
                change = replace(place, point="effect_0.5", metric="attribute_change", attribute=attribute)
                yield replace(change, higher_is_better=None, **fields)


@pytest.fixture(autouse=True)
def sources(monkeypatch):
    monkeypatch.setattr(EditingTask, "headlines", fake_headlines)
    monkeypatch.setattr(EditingTask, "measured", lambda self, settings, cells, seed: iter(()))
    monkeypatch.setattr(summary, "change_replicates", fake_changes)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of the run, written once and left as it is."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EditingTask, "headlines", fake_headlines)
        patch.setattr(EditingTask, "measured", lambda self, settings, cells, seed: iter(()))
        patch.setattr(summary, "change_replicates", fake_changes)
        write_results(make_run(), folder)
    return folder


@pytest.fixture
def copied(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "copy"))


@pytest.fixture
def run():
    return make_run()


def make_run():
    records, cells = [], []
    for g, generator in enumerate(SUITE.generators):
        rng = np.random.default_rng(g)
        noise = {(t, s): rng.standard_normal(400) for t in TARGETS for s in "+-"}
        # The second generator is small: it is there for what is kept apart by generator.
        for entry, (approach, space, hold, leak) in list(ENTRIES.items())[:: 4 if g else 1]:
            lost = {("age", "+")} if entry[0] == "random" else set()
            records += records_of(generator, entry, lost)
            arrays = {"reference": np.ones((5, 3), np.float32)}
            for (target, sign), one in noise.items():
                for headline, value, worst in (("leakage", leak, np.inf), ("identity", 1 - leak, -np.inf), ("reach", 0.9, 0.9)):
                    values = np.concatenate([[value], value + 0.01 * one]).astype(np.float32)
                    if (target, sign) in lost:
                        values = np.full(401, worst, np.float32)
                    arrays[f"reading/{target}/{sign}/{headline}"] = values
            pictures = {t: rng.integers(0, 255, (8, 7, 16, 16, 3)).astype(np.uint8) for t in TARGETS}
            facts = {
                "strips": {t: {"ids": list(range(100, 108)), "strengths": [-3, -2, -1, 0, 1, 2, 3]} for t in TARGETS},
                "assignment": {},
                "attributes": list(ATTRIBUTES),
            }
            if entry[0] == "random":
                one = {"component": "7", "sign": -1, "confidence": 0.41, "effect": 0.2}
                one |= {"runner_up": "3", "runner_up_confidence": 0.4}
                facts["assignment"] = {"components": 24, "targets": {t: one for t in TARGETS}}
            card = MethodCard(entry[0], 1, approach, entry[1], space, 0, hold)
            result = CellResult(arrays, facts, pictures)
            cells.append(CellOutcome(generator, "f" * 64, "toy", "editing", card, result, seconds=2.0, fit_seconds=0.5))
        card = MethodCard("sefa", 1, "unsupervised", "", "w", 0)
        why = "RuntimeError: eigenvalues | did\nnot converge"
        outcome = ("error", why) if g == 0 else ("skipped", f"{generator} has no weights that meet codes of w")
        cells.append(CellOutcome(generator, "f" * 64, "toy", "editing", card, None, *outcome))
        place = {"suite": "tiny", "task": "editing", "generator": generator, "method": "sefa"}
        records.append(Record(**place, status=outcome[0], reason=outcome[1]))
    hashes = {("editing", g): "0123456789abcdef" for g in SUITE.generators}
    environment = {"command": "latentbench run tiny", "python": "3.11", "torch": "2.13", "cores": 2}
    return RunResult(SUITE, records, cells, {"synthesis": 20.0, "judges": 10.0, "summary": 5.0}, 40.0, environment, hashes)


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_run_leaves_everything_behind(written):
    made = set(files(written))
    assert {"results.csv", "samples.npz", "run.json", "editing.csv", "README.md", "plots/time.png"} <= made
    for g in SUITE.generators:
        assert {f"plots/editing-{g}-{kind}.png" for kind in ("ranking", "tradeoff", "rescoring")} <= made
        assert {f"pictures/editing-{g}-{t}-{i}.png" for t in TARGETS for i in (0, 4)} <= made
    assert not [name for name in made if "/." in name or name.startswith(".")]
    for name, data in files(written).items():
        if name.endswith(".png"):
            assert len(data) <= LIMIT, name
            assert len(Image.open(io.BytesIO(data)).getcolors()) > 3, name


def test_everything_can_be_rebuilt_from_the_files(written, copied):
    for name in ("README.md", "editing.csv", "plots/time.png", "plots/editing-g1-tradeoff.png"):
        (copied / name).unlink()
    rebuild_report(copied)
    assert files(copied) == files(written)


def test_two_runs_differ_in_their_volatile_parts_alone(run, written, tmp_path):
    run.records = [replace(r, seconds=9.0, peak_mb=5.0) for r in reversed(run.records)]
    run.cells.reverse()
    run.seconds, run.total_seconds = {"synthesis": 3.0}, 4.0
    write_results(run, tmp_path)
    a, b = files(written), files(tmp_path)
    changed = {name for name in a if a[name] != b[name]}
    assert changed == {"results.csv", "run.json", "README.md", "plots/time.png"}
    strip = lambda text: re.sub(r",(1\.25|9)?,5?,cpu,", ",,,cpu,", text.decode())  # noqa: E731
    assert strip(a["results.csv"]) == strip(b["results.csv"])


def test_the_report_has_every_section_and_no_loose_end(written):
    text = (written / "README.md").read_text()
    for section in (
        "# tiny", "## What was compared", "## g1: editing", "## g2: editing", "### Trade-off curves", "### Re-scoring",
        "### Edits", "### By target", "### Components", "## Claims, checked", "## Skipped, unreached and failed", "## Time",
        "## Command and environment",
    ):  # fmt: skip
        assert section in text, section
    assert "{{" not in text and "{%" not in text and "Undefined" not in text and "nan" not in re.findall(r"\bnan\b", text)
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
        assert (written / path).is_file(), path
    assert "attributes[toy-attributes]" in text and "`abc123`" in text and "latentbench run tiny" in text and "n = 16" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    widths = {}
    for line in text.split("\n\n"):
        table = [row for row in line.splitlines() if row.startswith("|")]
        if table:
            widths[table[0]] = {len(re.findall(r"(?<!\\)\|", row)) for row in table}
    assert rows and all(len(found) == 1 for found in widths.values())


def test_the_report_says_what_is_missing_and_why(written):
    text = (written / "README.md").read_text()
    assert "| editing | g1 | sefa | all | error | RuntimeError: eigenvalues \\| did not converge |" in text
    assert "g2 has no weights that meet codes of w" in text
    part = text[text.index("Effects that were not reached") :]
    assert re.search(r"\| g1 \| random \| 0.5 sigma \| age \+ \|", part)


def test_the_leaderboard_and_claims_follow_the_numbers(written):
    lines = [line.split(",") for line in (written / "editing.csv").read_text().splitlines()]
    rows = {(r["generator"], r["method"], r["variant"]): r for r in (dict(zip(lines[0], one, strict=True)) for one in lines[1:])}
    assert rows["g1", "oracle", ""]["bound"] == "upper bound" and rows["g1", "random", ""]["unreached"] == "1"
    ranks = [int(rows["g1", *entry]["rank"]) for entry in ENTRIES]
    assert ranks == [1, 3, 2, 4, 5]
    text = (written / "README.md").read_text()
    assert "against every other method: **interfacegan (hold=glasses)**" in text
    claims = claims_of(text)
    w_over_z = claims["w-edits-better-than-z", "g1", "interfacegan", "interfacegan (space=z)"]
    assert "leakage, attributes[toy-attributes] | 16 |" in w_over_z and "**holds**" in w_over_z
    held = claims["conditional-preserves-condition", "g1", "interfacegan (hold=glasses)", "interfacegan"]
    assert "change of glasses" in held and "**holds**" in held and "over 2" in held  # glasses itself is no question
    reached = claims["supervised-reaches-further-than-chance", "g1", "interfacegan", "random"]
    assert "**undecided**" in reached  # equal reach is no proof
    assert "`w-edits-better-than-z`: Moving along a W boundary" in text and "genforce/interfacegan issue 27; verified)*" in text
    assert "CVPR Sec. 4.3, Fig. 7; **unverified**)*" in text and "*(not from a paper)*" in text


def claims_of(text):
    """The lines of decided claims by (claim, generator, left, right)."""
    found, claim = {}, ""
    for line in text[text.index("## Claims, checked") : text.index("### What became of every claim")].splitlines():
        claim = named[1] if (named := re.match(r"`([\w-]+)`: ", line)) else claim
        cells = tuple(cell.strip() for cell in line.split("|")[1:4])
        if re.search(r"\*\*(holds|fails|undecided)\*\*", line):
            found[claim, *cells] = line
    return found


def test_arrays_and_facts_come_back(run, written):
    cell = next(c for c in load(written).cells if c.entry == ("interfacegan", "hold=glasses"))
    outcome = next(c for c in run.cells if c.method.variant == "hold=glasses")
    card, result = cell.parts()
    assert card == outcome.method
    assert result.arrays.keys() == outcome.result.arrays.keys()
    assert all(np.array_equal(result.arrays[k], v) for k, v in outcome.result.arrays.items())
    assert result.facts == outcome.result.facts
    with np.load(written / "samples.npz") as stored:  # alike in every cell, stored once
        assert sum(name.endswith("/reference") for name in stored.files) == 1


def test_files_of_an_earlier_run_go_and_others_stay(run, copied):
    (copied / "notes.txt").write_text("mine")
    (copied / "plots" / "mine.png").write_bytes(b"x")
    run.suite = run.suite.model_copy(update={"generators": ("g2",)})
    run.cells = [c for c in run.cells if c.generator == "g2"]
    run.records = [r for r in run.records if r.generator == "g2"]
    write_results(run, copied)
    left = set(files(copied))
    assert not [name for name in left if "g1" in name]
    assert {"notes.txt", "plots/mine.png"} <= left


def test_a_run_in_which_nothing_worked_still_has_a_report(run, tmp_path):
    run.cells = [replace(c, result=None, status="error", reason="broken") for c in run.cells]
    run.records = [Record(task="editing", generator="g1", method="m", status="error", reason="broken")]
    write_results(run, tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert text.count("Nothing was measured here") == 2 and "broken" in text
    assert not (tmp_path / "editing.csv").exists()


def test_damaged_folders_are_refused(copied, tmp_path):
    with pytest.raises(InputError, match="not a results folder"):
        rebuild_report(tmp_path)
    tmp_path = copied
    said = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**said, "format": 99}))
    with pytest.raises(InputError, match="another format"):
        rebuild_report(tmp_path)
    said["cells"][0]["arrays"]["lost"] = "nowhere"
    (tmp_path / "run.json").write_text(json.dumps(said))
    with pytest.raises(InputError, match="lacks nowhere"):
        rebuild_report(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        rebuild_report(tmp_path)


def test_a_reading_that_is_nan_counts_as_the_worst():
    one = headlines._reading(math.nan, np.array([0.1, np.nan]), False)
    assert one.value == np.inf and one.replicates.tolist() == [0.1, np.inf]
    assert headlines._reading(0.5, np.array([np.nan]), True).replicates.tolist() == [-np.inf]


def test_keys_keep_variants_apart():
    card = {"name": "m", "variant": "layers=a/b", "fit_seed": 0}
    assert cell_key("editing", "g", card) == "editing/g/m/layers=a%2Fb/0"


def test_colours_belong_to_methods():
    assert plots.colour("sefa") == plots.colour("sefa") != plots.colour("ganspace")
    assert plots.colour("my-own-method") == plots.colour("my-own-method")
    looks = plots.styles([("m", ""), ("m", "a"), ("n", "")])
    assert looks["m", ""] != looks["m", "a"] and looks["m", ""] == looks["n", ""]


def test_sheets_put_every_picture_in_its_place():
    pictures = np.zeros((2, 3, 8, 8, 3), np.uint8)
    pictures[1, 2] = (200, 10, 30)
    pixels = sheet([("a", pictures), ("b", None)], ["id 0", "id 1"], ["-", "0", "+"])
    found = np.argwhere((pixels == (200, 10, 30)).all(-1))
    assert len(found) == 64 and np.ptp(found, 0).tolist() == [7, 7] and found[:, 1].max() == pixels.shape[1] - 1
    with pytest.raises(ValueError, match="row 'a'"):
        sheet([("a", pictures[:1])], ["id 0", "id 1"], ["-", "0", "+"])
    noise = np.random.default_rng(0).integers(0, 255, (600, 600, 3)).astype(np.uint8)
    assert len(small_png(noise)) <= LIMIT


def test_columns():
    assert chosen_columns(3, 3) == [0, 1, 3, 5, 6] and chosen_columns(0, 3) == [0, 2, 3] and chosen_columns(1, 1) == [0, 1, 2]
    assert column_captions(2, 3, (0.35, 0.7, 1.4)) == ["−0.7", "−0.35", "0", "+0.35", "+0.7", "+1.4"]


def test_markdown_cells_cannot_break_a_table():
    assert markdown(["a|b"], [["x\ny | z"]]) == "| a\\|b |\n| --- |\n| x y \\| z |"
