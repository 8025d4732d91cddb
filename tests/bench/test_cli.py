"""The command line: exit codes, one line for what is wrong, results where they belong. And `bench.run`, its library form."""

import inspect
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml

import bench
from bench.cli import main
from bench.cli.training import TRAINERS
from bench.errors import InputError
from bench.training import heads_gan_card as cards

HERE = Path(__file__).parent


@pytest.fixture
def plugged(toys, tmp_path, monkeypatch):
    """The toy benchmark as an installed plug-in, and a suite file of it."""
    info = tmp_path / "site" / "toybench-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toybench\nVersion: 1.0\nSummary: toys\n")
    points = {
        "generators": {"toy": "ToyGenerator"}, "domains": {"toy": "ToyDomain"}, "tasks": {"shift": "ToyTask"},
        "methods": {"axis": "Axis", "failing": "Failing"},
    }  # fmt: skip
    groups = [f"[latentbench.{kind}]\n" + "".join(f"{k} = toybench:{v}\n" for k, v in p.items()) for kind, p in points.items()]
    (info / "entry_points.txt").write_text("\n".join(groups))
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.chdir(tmp_path)
    suite = {"name": "toys", "generators": ["toy"], "methods": ["axis"], "tasks": {"shift": {"targets": ["up"]}}, "bank": 40}
    write = lambda **changes: (tmp_path / "toys.yaml").write_text(yaml.safe_dump(suite | changes))  # noqa: E731
    write()
    return write


def fails(capsys, *arguments, code=2):
    """The one line that a command line ends in."""
    assert main(arguments) == code
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if not line.startswith("[")]) == 1, lines
    return lines[-1]


def test_a_run_ends_with_results_and_a_time_breakdown(plugged, capsys, tmp_path):
    assert main(["run", "toys.yaml"]) == 0
    said = capsys.readouterr()
    assert "cells: 1 ok\n" in said.out and re.search(r"time: [\d.]+ s: .*\d s \(\d+%\)", said.out)
    assert "in networks and fits: " in said.out and "[2/2] toy: shift axis: ok" in said.err
    header, *rows = (tmp_path / "results" / "toys" / "results.csv").read_text().splitlines()
    assert header.startswith("suite,suite_version,protocol_hash") and len(rows) == 1
    assert (tmp_path / "results" / "toys" / "README.md").exists()
    (tmp_path / "results" / "toys" / "README.md").unlink()
    assert main(["report", "results/toys"]) == 0 and (tmp_path / "results" / "toys" / "README.md").exists()


def test_a_failed_cell_is_exit_code_1_and_added_methods_run_too(plugged, capsys):
    assert main(["run", "toys.yaml", "--add", "failing", "--seed", "5", "--out", "here"]) == 1
    said = capsys.readouterr().out
    assert "failed: toy, shift, failing: RuntimeError: it does not converge" in said and "cells: 1 ok, 1 error" in said
    rows = Path("here/results.csv").read_text().splitlines()[1:]
    assert len(rows) == 2


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"methods": ["axs"]}, "unknown method 'axs': did you mean axis"),
        ({"generators": ["toi"]}, "unknown generator 'toi': did you mean toy"),
        (
            {"tasks": {"shift": {"targets": ["up"], "test_codes": -1}}},
            "test_codes: Input should be greater than or equal to 1 (got -1)",
        ),
        ({"tasks": {"shift": {"targets": ["upp"]}}}, "unknown attribute of toy 'upp': did you mean up"),
        ({"metrics": ["leekage"]}, "unknown metric 'leekage': did you mean leakage"),
    ],
)
def test_bad_suites_are_one_line_and_exit_code_2(plugged, capsys, changes, message):
    plugged(**changes)
    assert message in fails(capsys, "run", "toys.yaml")


def test_bad_arguments_are_one_line_and_exit_code_2(plugged, capsys, tmp_path):
    assert "unknown suite 'quik': did you mean quick?" in fails(capsys, "run", "quik")
    Path("bad.yaml").write_text("name: [1\n")
    assert re.search(r"bad\.yaml, line 2, column 1: not well-formed YAML", fails(capsys, "run", "bad.yaml"))
    Path("file").write_text("")
    assert "nothing can be written to file" in fails(capsys, "run", "toys.yaml", "--out", "file")
    assert "a batch holds at least one picture" in fails(capsys, "run", "toys.yaml", "--batch", "0")
    assert "the device 'warp' cannot be used" in fails(capsys, "run", "toys.yaml", "--device", "warp")
    assert "No such option: --sed" in fails(capsys, "run", "--sed")
    assert "unknown kind 'suite': did you mean suites" in fails(capsys, "list", "suite")
    assert "there is no folder nowhere" in fails(capsys, "report", "nowhere")
    assert "unknown training 'heads-stylegam': did you mean heads-stylegan" in fails(capsys, "train", "heads-stylegam")
    assert "more than 0 minutes, not -1" in fails(capsys, "train", "heads-networks", "--minutes", "-1", "--out", "t")
    assert "heads-networks takes no steps" in fails(capsys, "train", "heads-networks", "--steps", "3", "--out", "t")
    assert "heads-text takes no device" in fails(capsys, "train", "heads-text", "--device", "cuda", "--out", "t")


def test_a_training_of_a_generator_stops_at_a_step(plugged, capsys, monkeypatch):
    asked = {}
    for name, place in TRAINERS.items():
        module, _, attribute = place.partition(":")
        if {"device", "max_steps"} <= inspect.signature(getattr(import_module(module), attribute)).parameters.keys():
            asked[name] = place
    assert asked.keys() == cards.RECIPES.keys()
    seen = []

    def trainer(out, *, minutes, max_steps=None):
        seen.append((out.name, minutes, max_steps))

    monkeypatch.setattr("bench.training.dcgan.train_heads_dcgan", trainer)
    assert main(["train", "heads-dcgan", "--steps", "63", "--out", "t"]) == 0
    assert seen == [("t", 30.0, 63)]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_written_is_found_before_any_work(plugged, capsys, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    assert "Permission denied" in fails(capsys, "run", "toys.yaml", "--out", "closed")


def test_nothing_ends_in_a_traceback_but_debug_shows_it(plugged, capsys, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("something\nodd")

    monkeypatch.setattr("bench.library.compose", broken)
    line = fails(capsys, "run", "toys.yaml", code=1)
    assert line == "latentbench: unexpected RuntimeError: something odd (--debug shows where)"
    assert main(["run", "toys.yaml", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setattr("bench.library.compose", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
    assert "interrupted" in fails(capsys, "run", "toys.yaml", code=130)


def test_both_entry_points_say_the_version(tmp_path):
    done = subprocess.run([sys.executable, "-m", "bench", "--version"], capture_output=True, text=True, cwd=HERE.parents[1])
    assert done.returncode == 0 and done.stdout.startswith("latentbench")


def test_the_library_gives_records_and_takes_classes(plugged, toys, tmp_path):
    class Mine(toys.Axis):
        name = "mine"

    frame = bench.run("toys.yaml", add=[Mine, {"axis": {"index": 2}}], out=tmp_path / "out")
    assert list(frame.method) == ["axis", "mine", "axis"] and list(frame.variant) == ["", "", "index=2"]
    assert frame.value[0] == frame.value[1] != frame.value[2] and (tmp_path / "out" / "results.csv").exists()
    assert list(bench.run("toys.yaml", methods=[Mine], seed=4).method) == ["mine"]
    with pytest.raises(InputError, match="unknown method 'axs'"):
        bench.run("toys.yaml", methods=["axs"])
    with pytest.raises(InputError, match="name axis is already|axis is already taken"):
        bench.run("toys.yaml", add=[type("Other", (Mine,), {"name": "axis"})])


def test_importing_bench_imports_no_torch():
    program = "import sys, bench; assert callable(bench.run); assert not {'torch', 'pandas', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=HERE.parents[1])
