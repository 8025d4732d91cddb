"""`latentbench export`: a suite's fit as files that `published` reads back, and what it says where there is nothing to write."""

import json

import numpy as np
import pytest
import torch
import yaml

import bench.registry as registry_module
from bench.cell import Fit, Workbench
from bench.cli import main
from bench.cli.exporting import export_directions
from bench.store import Store
from methods.baselines.random_directions import RandomDirections
from methods.directions_io import read_directions


@pytest.fixture
def suite(toys, tmp_path, monkeypatch):
    """The toy benchmark beside the built-in methods, and a suite file of it."""
    own, registry = toys.toy_registry().built_in, registry_module.Registry
    lines = {kind: {**(registry_module.BUILT_IN[kind] if kind == "methods" else {}), **part} for kind, part in own.items()}
    monkeypatch.setattr(registry_module, "Registry", lambda: registry(plugins=False, built_in=lines))
    monkeypatch.chdir(tmp_path)
    data = {
        "name": "toys", "generators": ["toy"], "methods": ["axis"], "tasks": {"shift": {"targets": ["up", "down"]}}, "bank": 400,
        "budget": 3, "seed": 5,
    }  # fmt: skip
    (tmp_path / "toys.yaml").write_text(yaml.safe_dump(data))
    return ["--generator", "toy", "--suite", "toys.yaml"]


@pytest.mark.parametrize("kind", ["npy", "pt", "safetensors"])
def test_a_fit_is_written_with_its_card(suite, toys, tmp_path, capsys, kind):
    assert main(["export", "random", *suite, "--out", "out", "--format", kind]) == 0
    files = capsys.readouterr().out.split()
    assert files[-1] == "out/directions.json" and len(files) == (2 if kind == "safetensors" else 4)
    card = json.loads((tmp_path / "out" / "directions.json").read_text())
    assert (card["method"], card["generator"], card["domain"], card["space"]) == ("random", "toy", "toy", "w")
    assert card["generator_sha"] == toys.ToyGenerator().fingerprint and card["targets"] == ["0", "1", "2"]
    assert (card["suite"], card["seed"], card["bank"], card["method_version"]) == ("toys", 5, 400, RandomDirections.version)
    found = read_directions(tmp_path / "out")
    chosen = toys.toy_suite(methods=["random"], bank=400, budget=3, seed=5)
    bench = Workbench(chosen, registry_module.Registry(), Store())
    state = bench.store.get("fit", bench.fit_key(Fit("toy", 0, 0))).tensors  # the fit that a run of the suite uses
    for i, one in enumerate(found):
        assert one.name == str(i) and torch.equal(one.values, state["directions"][i]) and one.scale == float(state["scale"][i])


def test_a_supervised_method_writes_what_is_held_already_projected_off(suite, tmp_path, capsys):
    method = "{interfacegan: {chosen_num_or_ratio: 0.2, hold: [down]}}"
    assert main(["export", method, *suite, "--target", "up", "--out", "held"]) == 0
    assert main(["export", "{interfacegan: {chosen_num_or_ratio: 0.2}}", *suite, "--out", "plain"]) == 0
    load = lambda folder, name: np.load(tmp_path / folder / f"toy_{name}_w_boundary.npy")[0]  # noqa: E731
    held, up, down = load("held", "up"), load("plain", "up"), load("plain", "down")
    assert abs(held @ down) < 1e-5 < abs(up @ down) and np.linalg.norm(held) == pytest.approx(1, abs=1e-6)
    assert json.loads((tmp_path / "held" / "directions.json").read_text())["hold"] == ["down"]
    # And the method `published` runs on what was written.
    capsys.readouterr()
    again = "{published: {path: held}}"
    assert main(["export", again, *suite, "--out", "again", "--format", "pt"]) == 0
    assert torch.equal(torch.load(tmp_path / "again" / "toy_up_w_boundary.pt", weights_only=True)[0], torch.from_numpy(held))


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["axis"], "axis does not edit by fixed directions: there is nothing to write"),
        (["failing"], "failing: RuntimeError: it does not converge"),
        (["picky"], "picky: this generator is too small"),
        (["{interfacegan: {space: p}}"], "toy has no space p"),
        (["{interfacegan: {sapce: w}}"], "unknown key 'sapce': did you mean space"),
        (["randon"], "unknown method 'randon': did you mean random"),
        (["[a, b]"], "'[a, b]' is no method"),
        (["random", "--format", "mat"], "unknown format 'mat': npy, pt or safetensors"),
        (["random", "--target", "upp"], "unknown attribute of toy 'upp': did you mean up"),
        (["random", "--fit-seed", "-1"], "fits are counted from 0, not -1"),
        (["random", "--suite", "toy.yaml"], "no suite file toy.yaml"),
        (["random", "--generator", "{path: [}"], "is no generator: a name, a file, or"),
        (["random", "--generator", "tox"], "unknown generator 'tox': did you mean toy"),
        (["{published: {path: nowhere}}"], "path: there is no file or folder nowhere"),
    ],
)
def test_what_cannot_be_exported_is_one_line(suite, capsys, arguments, message):
    assert main(["export", *suite, *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and message in lines[0]


def test_another_fit_seed_is_another_fit(suite, toys, tmp_path):
    bench = Workbench(toys.toy_suite(methods=["random"], bank=100, budget=2), registry_module.Registry(), Store())
    first, second = (export_directions(bench, seed, tmp_path / str(seed), "npy")[0] for seed in (0, 1))
    assert np.load(first).shape == (1, 4) and not np.array_equal(np.load(first), np.load(second))
