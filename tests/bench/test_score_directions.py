"""`latentbench score` on directions from files: true ones beat random ones, and what cannot be scored ends in one line."""

import csv

import numpy as np
import pytest

import bench.registry as registry_module
from bench.cli import main
from bench.errors import InputError
from bench.generators.heads_oracle import HeadsOracle
from bench.registry import Registry
from bench.runner import run_suite
from leaderboards.records import read_records
from leaderboards.scoring import directions as scoring
from leaderboards.write import write_results


def suite_of(path, entry="heads-oracle", options=None, **more):
    return scoring.directions_suite(path, entry, Registry(plugins=False), options=options or {}, **more)


def methods(suite):
    return [(one.name, one.options) for one in suite.methods]


def test_the_true_directions_beat_random_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTBENCH_CACHE", str(tmp_path / "cache"))
    np.save(tmp_path / "smile_w_boundary.npy", HeadsOracle().direction("smile").numpy()[None])
    settings = {"test_codes": 6, "calibrate_codes": 24, "reference_codes": 16, "replicates": 50, "effects": [0.3]}
    suite, notes = suite_of(tmp_path / "smile_w_boundary.npy", settings=settings)
    assert [name for name, _ in methods(suite)] == ["published", "random", "oracle"] and not notes
    assert suite.tasks["editing"]["targets"] == ["smile"]
    result = run_suite(suite.model_copy(update={"budget": 3, "bank": 64, "methods": suite.methods[:2]}))
    assert result.exit_code == 0
    write_results(result, tmp_path / "out")
    rows = read_records(tmp_path / "out" / "results.csv")
    value = {(r.method, r.metric, r.sign): r.value for r in rows if r.headline and r.target}
    for sign in "+-":
        yours, floor = ([value[one, metric, sign] for metric in ("leakage", "identity")] for one in ("published", "random"))
        assert yours[0] < 0.06 < (floor[0] or np.inf) and yours[1] > (floor[1] or -1)  # None: it does not reach the effect
    with (tmp_path / "out" / "editing.csv").open() as file:
        rank = {row["method"]: float(row["mean_rank"]) for row in csv.DictReader(file)}
    assert rank["published"] < rank["random"]
    lines = scoring.terminal(result, tmp_path / "out", "yours: smile")
    ranked = lines[: next(i for i, line in enumerate(lines) if not line)]
    assert "yours: smile" in ranked[1] and "random (lower bound)" in ranked[2]
    assert lines[-1].endswith("realism loss: features[heads-features]") and "sees 0.3 sigma" in lines[-1]


@pytest.fixture
def named(tmp_path):
    true = HeadsOracle()
    np.savez(tmp_path / "named.npz", Smiling=true.direction("smile").numpy(), age=true.direction("age").numpy())
    np.savez(tmp_path / "parts.npz", comp=np.eye(22, dtype=np.float32), std=np.ones(22, np.float32))
    return tmp_path


def test_targets_are_the_attributes_that_directions_are_named_after(named):
    suite, notes = suite_of(named / "named.npz")
    assert suite.tasks["editing"]["targets"] == ["age"] and notes == ["not scored, no attribute of heads: Smiling (--name)"]
    suite, notes = suite_of(named / "named.npz", options={"names": scoring.renamed(["Smiling=smile"])})
    assert suite.tasks["editing"]["targets"] == ["age", "smile"] and not notes
    suite, notes = suite_of(named / "parts.npz", alone=True)
    assert len(suite.tasks["editing"]["targets"]) == 18 and [name for name, _ in methods(suite)] == ["published"]
    suite, _ = suite_of(named / "parts.npz", targets=["yaw"])
    assert suite.tasks["editing"]["targets"] == ["yaw"]
    with pytest.raises(InputError, match="directions are named Smiling, age, and none is yaw: say which is which"):
        suite_of(named / "named.npz", targets=["yaw"])


def test_the_floor_moves_in_the_directions_own_space(named):
    against = scoring.choices(["sefa, random", "{interfacegan: {space: z}}"])
    assert methods(suite_of(named / "named.npz", options={"space": "z"})[0])[1:] == [("random", {"space": "z"}), ("oracle", {})]
    suite, _ = suite_of(named / "named.npz", against=against)
    found = [("sefa", {}), ("random", {}), ("interfacegan", {"space": "z"}), ("oracle", {})]
    assert methods(suite)[1:] == found


def test_rows_of_layers_are_scored_in_w_plus(tmp_path):
    """A generator with layers: a direction for some of its rows, and no oracle, whose truth is not known."""
    from bench.generators.load import load_generator

    shape = load_generator("heads-stylegan2").info.spaces["w+"]
    np.save(tmp_path / "smile.npy", np.ones((1, shape[1]), np.float32))
    suite, _ = suite_of(tmp_path / "smile.npy", "heads-stylegan2", options={"layers": "2:4"})
    assert methods(suite)[1:] == [("random", {})] and suite.methods[0].options["layers"] == "2:4"
    with pytest.raises(InputError, match="moves the layer 10, and heads-stylegan2 has the layers 0 to 9"):
        suite_of(tmp_path / "smile.npy", "heads-stylegan2", options={"layers": "2:40"})
    np.save(tmp_path / "rows.npy", np.ones((1, *shape), np.float32))
    suite, _ = suite_of(tmp_path / "rows.npy", "heads-stylegan2", options={"names": {"rows": "smile"}})
    assert suite.tasks["editing"]["targets"] == ["smile"]


@pytest.fixture
def toy(toys, tmp_path, monkeypatch):
    """The toy generator, whose up and down are the axes 0 and 1 of w, under the real editing task."""
    own, registry = toys.toy_registry().built_in, registry_module.Registry
    lines = {kind: {**registry_module.BUILT_IN[kind], **part} for kind, part in own.items()}
    monkeypatch.setattr(registry_module, "Registry", lambda **_: registry(plugins=False, built_in=lines))
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "axes.npz", up=np.eye(4)[0], down=np.eye(4)[1], sideways=np.eye(4)[2])
    return ["score", "--directions", "axes.npz", "--generator", "toy", "--test-codes", "8"]


def test_the_command_ends_with_a_table_and_a_folder(toy, tmp_path, capsys):
    assert main(toy) == 0
    said = capsys.readouterr()
    assert "note: not scored, no attribute of toy: sideways" in said.err
    header, first, second, *_ = said.out.splitlines()
    assert header.split()[:2] == ["rank", "entry"] and "yours: axes.npz" in first and "random (lower bound)" in second
    assert "leakage: attributes[toy-judge]" in said.out and "report: results/score-axes/README.md" in said.out
    rows = read_records(tmp_path / "results" / "score-axes" / "results.csv")
    mine = {(r.target, r.sign): r for r in rows if r.method == "published" and r.metric == "leakage" and r.headline and r.target}
    assert len(mine) == 4 and all(r.value < 1e-5 and r.n == 8 for r in mine.values())
    assert (tmp_path / "results" / "score-axes" / "samples.npz").exists()


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["--targets", "upp"], "unknown attribute of toy 'upp': did you mean up?"),
        (["--space", "q"], "space: Input should be"),
        (["--space", "w+"], "toy has no space w+"),
        (["--layers", "1:2"], "toy has no space w+"),
        (["--generator", "tyo"], "unknown generator 'tyo': did you mean toy?"),
        (["--generator", "none.pkl"], "what are the pictures of none.pkl? Say it with --domain"),
        (["--generator", "none.pkl", "--domain", "toy"], "none.pkl: there is no such file"),
        (["--generator", "{path: ["], "is no generator: a name, a file, or"),
        (["--domain", "toy"], "toy is a registered generator, whose domain is known"),
        (["--directions", "none.npy"], "there is no file or folder none.npy"),
        (["--directions", "text.npy"], "text.npy cannot be read as directions"),
        (["--directions", "long.npy"], "the direction long (long.npy) has the shape [5], and codes in w of toy have [4]"),
        (["--name", "up"], "--name up: write THEIRS=ATTRIBUTE"),
        (["--name", "upp=down"], "unknown direction 'upp': did you mean up"),
        (["--match", "z*"], "axes.npz holds no direction that matches z*"),
        (["--against", "sefaa"], "unknown method 'sefaa': did you mean sefa?"),
        (["--against", "{sefa: 3}"], "'{sefa: 3}' is no method"),
        (["--test-codes", "1"], "test_codes: Input should be greater than or equal to 2"),
        (["--batch", "0"], "a batch holds at least one picture"),
        (["--before", "x"], "--directions is for directions and --before for picture pairs"),
        (["--out", "axes.npz"], "nothing can be written to axes.npz"),
    ],
)
def test_what_cannot_be_scored_ends_in_one_line(toy, tmp_path, capsys, arguments, message):
    (tmp_path / "text.npy").write_text("hello")
    np.save(tmp_path / "long.npy", np.ones(5))
    assert main([*toy, *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1] and not any("Traceback" in line for line in lines)
