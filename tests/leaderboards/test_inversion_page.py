"""The inversion page on made-up cells whose order is known: tables, words, strips and the folder made again from its files."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from bench import registry
from bench.runner import CellOutcome, RunResult
from bench.suite import Suite
from bench.tasks.base import CellResult, MethodCard
from bench.tasks.inversion.protocol import REAL_START, InversionSettings
from bench.tasks.inversion.task import InversionTask
from leaderboards import tasks
from leaderboards.compare.comparison import compare
from leaderboards.compare.sides import read_side
from leaderboards.pages.inversion import beside, best_of
from leaderboards.ranking import Reading
from leaderboards.strips import strips
from leaderboards.write import rebuild_report, write_results

N, NAMES = 24, ("smile", "age", "yaw")
TASK = {"targets": ["smile", "age"], "pictures": N, "replicates": 1000}
# space -> (perceptual distance, loss of identity, leakage of edits); sampled codes leak 0.1 sigma.
ENTRIES = {"mean_code": {"w": (2.0, 0.5, 0.1)}, "optimise": {"w": (0.4, 0.2, 0.1), "w+": (0.1, 0.1, 0.4), "s": (0.1, 0.1, 0.1)}}


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    """The task, whether or not the registry lists it."""
    line = ("bench.tasks.inversion.task:InversionTask", "inversion")
    monkeypatch.setitem(registry.BUILT_IN["tasks"], "inversion", line)
    tasks.task_of.cache_clear()
    yield
    tasks.task_of.cache_clear()


def changes(rng, leak, shared):
    """[n, 3] of an edit of the first column: one sigma, and as much leakage as asked."""
    other = leak * (1 + 0.1 * shared[:, None] + 0.02 * rng.standard_normal((len(shared), 2)))
    return np.concatenate([np.ones((len(shared), 1)), other], 1)


def cell(method, space, size):
    far, loss, leak = size
    rng, common = np.random.default_rng(hash_of(method + space)), np.random.default_rng(5)
    arrays, pictures = {"sampled/ids": np.arange(64)}, {}
    spread = common.standard_normal(64)
    for source, first in (("generated", 0), ("real", REAL_START)):
        own = 1 + 0.2 * common.standard_normal(N)
        noise = lambda: 1 + 0.02 * rng.standard_normal(N)  # noqa: E731
        arrays |= {
            f"{source}/ids": first + np.arange(N), f"{source}/mse": 0.1 * far * own, f"{source}/psnr": 20 - far * own,
            f"{source}/ssim": 1 - 0.2 * far * own, f"{source}/perceptual": far * own * noise(),
            f"{source}/identity": 1 - loss * own * noise(), f"{source}/change": 0.3 * far * np.ones((N, 3)),
            f"{source}/code_distance": 0.5 * own, f"{source}/w_norm": own,
        }  # fmt: skip
        arrays |= {f"{source}/lost/{reading}": np.zeros(N, bool) for reading in ("attributes", "identity", "perceptual")}
        for target in TASK["targets"]:
            column = NAMES.index(target)
            for key, much, shared in ((source, leak, spread[:N]), ("sampled", 0.1, spread)):
                whole = changes(np.random.default_rng(7), much, shared)
                arrays[f"{key}/edit/{target}"] = np.roll(whole, column, axis=1).astype(np.float32)
        pictures[source] = np.full((2, 8, 16, 16, 3), 30, np.uint8)
        pictures[source][1] = {"mean_code": 90, "optimise": 200}[method]
    facts = {
        "attributes": list(NAMES), "judges": {r: [f"toy-{r}", "a" * 16] for r in ("attributes", "identity", "perceptual")},
        "no_judge": {}, "guide": ["toy-guide", "b" * 16], "sources": {"generated": {"reason": ""}, "real": {"reason": ""}},
        "edits": {target: {"reason": "", "guide_effect": 1.0} for target in TASK["targets"]}, "space": space,
        "seconds": {"generated": 0.5, "real": 0.25},
        "strips": {source: {"ids": list(range(8)), "rows": ["original", "rebuilt"]} for source in ("generated", "real")},
    }  # fmt: skip
    return CellResult(arrays, facts, pictures)


def hash_of(text):
    return sum(ord(letter) * 31**i for i, letter in enumerate(text)) % 2**32


@pytest.fixture
def result():
    suite = Suite(name="tiny", generators=("toy",), methods=("mean_code", "optimise"), tasks={"inversion": TASK}, seed=3)
    settings, cells, records = InversionSettings(**TASK), [], []
    for method, spaces in ENTRIES.items():
        for space, size in spaces.items():
            approach = "baseline" if method == "mean_code" else "inversion"
            variant = "" if method == "mean_code" else f"space={space},steps=9"
            card = MethodCard(method, 1, approach, variant, space, 0)
            made = cell(method, space, size)
            known = {"task": "inversion", "generator": "toy", "method": method, "variant": variant, "space": space}
            known |= {"suite": "tiny", "suite_version": 1, "method_version": 1}
            known |= {"approach": approach, "protocol_hash": "c" * 64, "generator_sha": "d" * 64, "seed": 3, "fit_seed": "0"}
            records += [dataclasses.replace(r, **known) for r in InversionTask().summarise(settings, [(card, made)], 3)]
            tables = {} if method == "mean_code" else {"inversion": [{"space": space, "perceptual guide": "perceptual[toy]"}]}
            cells.append(CellOutcome("toy", "d" * 64, "toy", "inversion", card, made, tables=tables))
    return RunResult(suite, records, cells, {}, 1.0, {"device": "cpu"}, {("inversion", "toy"): "c" * 64})


def test_the_report_says_which_space_wins_and_which_it_cannot_tell(result, tmp_path):
    write_results(result, tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "## toy: inversion" in text and "### Generated: pictures of the generator itself" in text and "### Real" in text
    generated = text[text.index("### Generated") : text.index("### Real")]
    # s and w+ are drawn alike, w is clearly worse: by the paired test, and in words.
    assert "Which space reconstructs best by perceptual distance? Cannot tell: the paired test does not separate" in generated
    answer = generated.split("by perceptual distance? ")[1].split("\n")[0]
    assert "optimise s" in answer.split(";")[0] and "optimise w+" in answer.split(";")[0]
    assert answer.endswith("; beaten by at least one other: optimise w.")
    edits = generated.split("Which stays editable? ")[1].split("\n")[0]
    assert "leak more for their effect: optimise w+; cannot tell: mean_code w, optimise w, optimise s." in edits
    assert "To the same step of the edit: cannot tell:" in edits
    assert "n = 24 pictures, the same for every entry. The judges could read every one." in generated
    table = [line for line in generated.splitlines() if line.startswith("| w+ | optimise w+ |")]
    assert len(table) == 2 and table[0].endswith("| 0.500 |")
    # Excess by hand: 0.4 sigma of leakage less the 0.1 of the same codes, times the spread that both share.
    shared = np.random.default_rng(5).standard_normal(64)[:N]
    noise = np.random.default_rng(7).standard_normal((N, 2)).mean(1)
    assert table[1].split("|")[3].split()[0] == f"{0.3 * (1 + 0.1 * shared + 0.02 * noise).mean():.3f}"
    assert "perceptual[toy-perceptual]" in generated and "identity[toy-identity]" in generated
    assert "Options beside the space: optimise (steps=9). Perceptual loss of the optimisation: perceptual[toy]." in text
    for path in ("plots/inversion-toy-generated.png", "plots/inversion-toy-real.png", "pictures/inversion-toy-real.png"):
        assert f"({path})" in text and (tmp_path / path).stat().st_size > 500
    # From the files alone the same report comes again, and the folder compares with itself as the same.
    before = (tmp_path / "README.md").read_bytes()
    rebuild_report(tmp_path)
    assert (tmp_path / "README.md").read_bytes() == before
    side = read_side(tmp_path)
    found = compare(side, side)
    assert {one.verdict for one in found.changes} == {"same"} and len(found.changes) > 100
    assert not (found.missing or found.added or found.refused or found.contradictions)


def test_originals_stand_above_what_codes_give_back(result):
    sheets = {sheet.listing["target"]: sheet for sheet in strips(result)}
    assert list(sheets) == ["generated", "real"]
    assert sheets["real"].listing["caption"] == "real, ids 0 to 7"
    assert sheets["real"].listing["path"] == "pictures/inversion-toy-real.png"
    pixels = np.asarray(Image.open(io.BytesIO(sheets["real"].png)).convert("RGB")).astype(int)
    right = pixels[:, -10]  # through the last picture of every row
    rows = [int(value) for i, value in enumerate(right[:, 0]) if i == 0 or value != right[i - 1, 0]]
    levels = [value for value in rows if value in (30, 90, 200)]
    assert levels == [30, 90, 200, 200, 200]


def test_best_of_needs_a_clear_lead():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(2000)
    reading = lambda mean, spread=0.1, up=False: Reading(mean, mean + spread * noise, up)  # noqa: E731
    name = lambda one: one[1]  # noqa: E731
    clear = {("m", "a"): reading(1.0), ("m", "b"): reading(2.0)}
    assert best_of(clear, name).startswith("**a**: better than every other")
    assert best_of({one: r._replace(higher_is_better=True) for one, r in clear.items()}, name).startswith("**b**")
    apart = {("m", "a"): reading(1.0), ("m", "b"): Reading(1.01, 1.01 + rng.standard_normal(2000), False)}
    assert best_of(apart, name) == "Cannot tell: the paired test does not separate a, b."
    few = {one: r._replace(replicates=r.replicates[:20]) for one, r in clear.items()}
    assert "20 replicates are too few" in best_of(few, name)
    lost = {("m", "a"): Reading(np.inf, np.full(2000, np.inf), False), ("m", "b"): reading(5.0)}
    assert best_of(lost, name).startswith("**b**")
    assert best_of({("m", "a"): reading(1.0)}, name) == ""
    said = [beside(*ends, 1.0, ("more", "less")) for ends in ((1.1, 1.2), (0.8, 0.9), (0.9, 1.1), (1.0, 1.2))]
    assert said == ["more", "less", "cannot tell", "cannot tell"]
