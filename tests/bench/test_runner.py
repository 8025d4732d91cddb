"""Runs: records do not depend on how they were made, failures stay where they are, and nothing finished is done twice."""

import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import pytest

from bench.records import VOLATILE
from bench.runner import breakdown, run_suite
from bench.store import Store, StoreError, StoreWarning

ROOT = Path(__file__).parents[2]


def plain(result):
    return [{k: v for k, v in asdict(record).items() if k not in VOLATILE} for record in result.records]


def counts(tmp_path) -> list[str]:
    file = tmp_path / "count"
    return file.read_text().splitlines() if file.exists() else []


def run(toys, store=None, **more):
    changes = more.pop("changes", {})
    return run_suite(toys.toy_suite(**changes), registry=toys.toy_registry(), store=store, **more)


def test_records_are_complete_and_true(toys):
    result = run(toys)
    assert [(r.method, r.variant, r.target) for r in result.records] == [
        ("axis", "", "up"), ("axis", "", "down"), ("axis", "index=1", "up"), ("axis", "index=1", "down"),
    ]  # fmt: skip
    first, second, third, fourth = result.records
    # The judge reads twice the brightness: moving w_0 by the spread of the guide's scores moves "up" by half of that, "down" not.
    bank_spread = float(first.value) * 2
    assert (
        0.15 < bank_spread < 0.35
        and second.value == 0
        and third.value == 0
        and fourth.value == pytest.approx(first.value, rel=0.05)
    )
    assert (first.suite, first.task, first.generator, first.domain, first.approach) == (
        "toys",
        "shift",
        "toy",
        "toy",
        "supervised",
    )
    assert (first.space, first.fit_seed, first.n, first.status, first.device) == ("w", "0", 20, "ok", "cpu")
    assert (
        len(first.protocol_hash) == len(first.generator_sha) == 64
        and first.seconds > 0
        and first.peak_mb > 10
        and first.code_version
    )
    assert result.exit_code == 0 and result.protocol_hashes == {("shift", "toy"): first.protocol_hash}
    cell = result.cells[0]
    assert cell.tables == {"rows": [{"length": 1.0}]} and cell.result.pictures["first"].shape == (2, 8, 8, 3)
    assert cell.result.facts["names"] == ["up", "down"]
    assert sum(share for *_, share in breakdown(result)) == pytest.approx(1.0, abs=0.01)
    assert {"synthesis", "judges", "guides", "fit", "load"} <= set(result.seconds)
    assert {"torch", "threads", "cores", "command", "code_version"} <= set(result.environment)


def test_two_empty_stores_and_two_batches_give_the_same(toys, tmp_path):
    runs = [
        run(toys, Store(tmp_path / name), batch=batch, changes={"fit_seeds": 2})
        for name, batch in (("a", 8), ("b", 64), ("a", 64))
    ]
    assert plain(runs[0]) == plain(runs[1]) == plain(runs[2])
    assert runs[0].records[0].fit_seed == "0+1" and runs[0].records[0].n == 40
    assert [cell.cached for cell in runs[2].cells] == [True] * 4 and not any(cell.cached for cell in runs[1].cells)
    assert counts(tmp_path).count("fit ") == 4 == counts(tmp_path).count("cell ")


@pytest.fixture(scope="module")
def servant():
    """Makes processes that have torch imported: one does it, the others are its forks."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["bench.runner", "toybench"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(Path(__file__).parent), *filter(None, [before])])
    yield context
    os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


def test_other_processes_give_the_same(toys, tmp_path, servant):
    here = run(toys, Store(tmp_path / "here"))
    threads = here.environment["threads"]
    with ProcessPoolExecutor(2, mp_context=servant, initializer=toys.set_threads, initargs=(threads,)) as pool:
        there = run(toys, Store(tmp_path / "there"), executor=pool)
    assert plain(here) == plain(there) and there.seconds["synthesis"] > 0


def test_failures_are_records_and_the_others_go_on(toys, tmp_path):
    methods = ["failing", "picky", {"axis": {"index": 3}}, "axis", {"axis": {"space": "p"}}]
    result = run(toys, changes={"methods": methods})
    said = {(r.method, r.variant): (r.status, r.reason) for r in result.records}
    assert said == {
        ("failing", ""): ("error", "RuntimeError: it does not converge"),
        ("picky", ""): ("skipped", "this generator is too small"),
        ("axis", "index=3"): ("error", "ValueError: axis 3 is nothing"),
        ("axis", ""): ("ok", ""),
        ("axis", "space=p"): ("skipped", "toy has no space p"),
    }
    assert result.exit_code == 1 and len(result.records) == 6
    again = run(toys, changes={"methods": methods})
    assert plain(again) == plain(result)
    # What failed is tried again, what went well is not.
    assert counts(tmp_path).count("cell index=3") == 2 and counts(tmp_path).count("cell ") == 1


def test_a_summary_that_fails_is_a_record(toys, monkeypatch):
    monkeypatch.setattr(toys.ToyTask, "measured", lambda *_: 1 / 0)
    result = run(toys, changes={"methods": ["axis"]})
    assert [(r.status, r.reason) for r in result.records] == [("error", "no summary: ZeroDivisionError: division by zero")]
    assert result.exit_code == 1


@pytest.mark.parametrize("kind", ["fit", "cell", "bank", "share"])
def test_a_damaged_entry_is_made_again(toys, tmp_path, kind):
    store = Store(tmp_path / "store")
    before = run(toys, store)
    for entry in (store.root / kind).rglob("*.safetensors"):
        entry.write_bytes(entry.read_bytes()[:-7])
    if kind in ("bank", "share"):  # what stands on them is gone too, or they would not be asked for
        for other in ("fit", "cell"):
            for entry in (store.root / other).rglob("*.safetensors"):
                entry.unlink()
    with pytest.warns(StoreWarning, match="computed again"):
        after = run(toys, store)
    assert plain(before) == plain(after)


def test_a_store_that_cannot_be_written_ends_the_run(toys, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        run(toys, Store(tmp_path / "file"))


METHODS = [{"axis": {"index": i, "space": s}} for s in ("w", "z") for i in range(3)]


def test_a_killed_run_goes_on_where_it_was(toys, tmp_path, servant):
    def start(cache: str, csv: str, sleep: str):
        named = {"LATENTBENCH_CACHE": tmp_path / cache, "TOY_COUNT": tmp_path / f"{cache}.count", "TOY_SLEEP": sleep}
        settings = {name: str(value) for name, value in named.items()}
        process = servant.Process(target=toys.run_to_file, args=(tmp_path / csv, METHODS, settings))
        process.start()
        return process

    def cells(cache: str) -> list[str]:
        file = tmp_path / f"{cache}.count"
        return [line for line in file.read_text().splitlines() if line.startswith("cell")] if file.exists() else []

    killed = start("killed", "never.csv", "0.4")
    while len(cells("killed")) < 3 and killed.is_alive():
        time.sleep(0.02)
    killed.kill()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL and not (tmp_path / "never.csv").exists()
    finished = cells("killed")[:-1]
    assert len(finished) >= 2
    for cache, csv in (("killed", "resumed.csv"), ("fresh", "fresh.csv")):
        process = start(cache, csv, "0")
        process.join()
        assert process.exitcode == 0
    assert (tmp_path / "resumed.csv").read_bytes() == (tmp_path / "fresh.csv").read_bytes()
    assert len(cells("fresh")) == 6 and set(cells("killed")) == set(cells("fresh"))
    assert all(cells("killed").count(cell) == 1 for cell in finished) and len(cells("killed")) == 7


def tiny_checkpoint(path):
    """A StyleGAN2 of 8 px whose w has 4 numbers, as the toy methods and networks need it, in the form of a training state."""
    import torch

    from bench.generators.stylegan2 import StyleGAN2

    torch.manual_seed(0)
    made = StyleGAN2(name="x", domain="y", z_dim=4, widths=(4, 4), channels={4: 4, 8: 4})
    state = {key: torch.randn_like(value) if value.dim() > 1 else value for key, value in made.state_dict().items()}
    torch.save({"G_ema": state, "G": state}, path)
    return path


def test_a_generator_that_is_a_file(toys, tmp_path):
    path = str(tiny_checkpoint(tmp_path / "tiny.pt"))
    entries = ["toy", {"path": path, "domain": "toy"}, {"path": path, "domain": "toy", "name": "raw", "part": "G"}]
    result = run(toys, changes={"generators": entries})
    records = [record for record in result.records if record.method == "axis" and not record.variant and record.target == "up"]
    assert [(record.generator, record.domain, record.status) for record in records] == [
        ("toy", "toy", "ok"), ("tiny", "toy", "ok"), ("raw", "toy", "ok"),
    ]  # fmt: skip
    _, tiny, raw = records
    assert tiny.value == raw.value != 0
    again = run(toys, changes={"generators": entries})
    assert all(cell.cached for cell in again.cells) and plain(again) == plain(result)
