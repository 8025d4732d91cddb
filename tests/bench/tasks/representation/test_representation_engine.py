"""The task in the engine: planned, run, kept and read again."""

from dataclasses import asdict

from bench.records import VOLATILE
from bench.runner import run_suite
from bench.store import Store
from bench.suite import load_suite
from bench.tasks.representation.protocol import RepresentationSettings

SIZES = {"blocks": 4, "train_codes": 64, "test_codes": 32, "pairs": 16, "hessian_codes": 4, "replicates": 60}


def run(toys, store):
    registry = toys.toy_registry()
    registry.add("methods", "native", "methods.baselines.native:Native")
    registry.add("tasks", "representation", "bench.tasks.representation.task:RepresentationTask")
    methods = [{"native": {"space": "z"}}, "native", {"native": {"space": "s"}}, {"native": {"as_many_as": "z"}}]
    return run_suite(toys.toy_suite(methods=methods, tasks={"representation": SIZES}), registry=registry, store=store)


def plain(result):
    return [{k: v for k, v in asdict(record).items() if k not in VOLATILE} for record in result.records]


def test_cells_run_resume_and_say_why_not(toys, tmp_path):
    store = Store(tmp_path / "store")
    result = run(toys, store)
    assert [(c.method.variant, c.status, c.reason) for c in result.cells] == [
        ("space=z", "ok", ""), ("", "ok", ""), ("space=s", "skipped", "toy has no space s"), ("as_many_as=z", "ok", ""),
    ]  # fmt: skip
    records = {(r.variant, r.target, r.metric): r for r in result.records if not r.attribute}
    w = records["", "judged", "explicitness"]
    assert w.value > 0.97 and w.n == 384 and w.protocol_hash and w.space == "w" and w.ci_low <= w.value <= w.ci_high
    assert records["", "judged", "separability"].value <= records["space=z", "judged", "separability"].value + 0.1
    assert records["as_many_as=z", "pictures", "ppl_full"].status == "skipped"
    assert records["", "pictures", "ppl_full"].status == "skipped"  # this domain has no perceptual judge
    assert plain(run(toys, store)) == plain(result)


def test_the_shipped_suite_is_what_the_task_takes():
    suite = load_suite("representation")
    settings = RepresentationSettings(**suite.tasks["representation"])
    assert settings.factors == ("judged", "true")
    assert {choice.name for choice in suite.methods} == {"native"}
