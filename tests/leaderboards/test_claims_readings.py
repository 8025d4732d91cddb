"""What claims read of a folder: headlines, other metrics, changes of one attribute, times and tables of fits."""

from dataclasses import replace

import numpy as np
import pytest

from bench.tasks.base import CellResult, MethodCard
from bench.tasks.representation.protocol import FULL, RepresentationSettings, factor_quantities
from bench.tasks.representation.task import RepresentationTask
from leaderboards import headlines, tasks
from leaderboards.claims import Source, evaluate, papers, readings
from leaderboards.claims.text import line
from leaderboards.folder import Cell, Results

A, B = ("interfacegan", ""), ("interfacegan", "space=z")


@pytest.fixture
def source(toys):
    toy = toys.Toy(targets=("smile", "age"), n=24, replicates=100)
    results = toy.results({A: toy.entry(1, leak=0.1), B: toy.entry(2, leak=0.4)})
    cards = {"approach": "supervised", "hold": []}
    cells = [replace(cell, card=cell.card | cards | {"space": "z" if cell.entry == B else "w"}) for cell in results.cells]
    return Source(replace(results, cells=cells))


def named(decisions):
    return {(one.claim.id, one.metrics[0]): one for one in decisions}


def test_headlines_and_other_metrics_alike(source):
    leakage = source.values("editing", "toy", A, "leakage")
    assert sorted(leakage.readings) == [("age", "+"), ("age", "-"), ("smile", "+"), ("smile", "-")]
    assert leakage.judges == ("attributes[toy-attributes]",) and leakage.n == (24,)
    other = source.values("editing", "toy", A, "attribute_dependency")
    record = next(
        r for r in source.results.records
        if (r.metric, r.method, r.variant, r.target, r.sign, r.point) == ("attribute_dependency", *A, "age", "+", "effect_0.5")
    )  # fmt: skip
    assert other.readings["age", "+"].value == pytest.approx(record.value) and len(other.readings["age", "+"].replicates) == 100
    assert other.judges == leakage.judges
    assert source.values("editing", "toy", A, "no_such_metric") == readings.NOTHING
    assert source.values("editing", "toy", A, "change of beard") == readings.NOTHING
    change = source.values("editing", "toy", A, "change of age")
    assert sorted(change.readings) == [("smile", "+"), ("smile", "-")] and change.metric == "change of age"


def test_the_time_of_an_edit_has_points_and_no_interval(source):
    found = source.values("editing", "toy", A, "seconds_per_edit")
    assert found.seconds and not found.readings and found.points["age", "+"] == (0.001,)


def test_claims_of_a_run_with_known_leakage(source):
    found = named(evaluate(source, papers()))
    for metric in ("leakage", "attribute_dependency"):
        one = found["w-edits-better-than-z", metric]
        assert (one.left, one.right, one.result.verdict, one.result.questions) == (A, B, "holds", 4)
        assert one.result.high < 0
    assert ("truth-leaks-less", "leakage") not in found  # there is no oracle


def cell(name, variant="", task="editing", seconds=1.0, tables=None, space="w", arrays=None, facts=None):
    card = {"name": name, "version": 1, "approach": "unsupervised", "variant": variant, "space": space, "fit_seed": 0, "hold": []}
    return Cell(task, "g", "", "", card, "ok", "", 0.0, seconds, facts or {}, tables or {}, arrays=arrays or {})


def folder(*cells, task="editing", settings=None):
    return Results([], list(cells), {"suite": {"tasks": {task: settings or {}}, "generators": ["g"], "seed": 0}})


def decided(results, wanted):
    """Decisions of one claim, whichever paper makes it."""
    alone = [paper.model_copy(update={"claims": tuple(c for c in paper.claims if c.id == wanted)}) for paper in papers()]
    return evaluate(Source(results), alone)


@pytest.mark.parametrize(("ours", "theirs", "verdict"), [(0.1, 3.0, "holds"), (3.0, 0.1, "fails"), (1.0, 1.2, "undecided")])
def test_fit_times(ours, theirs, verdict):
    results = folder(
        cell("sefa", seconds=ours), cell("ganspace", seconds=theirs), cell("ganspace", "num_samples=100", seconds=0.0)
    )
    found = decided(results, "no-sampling-cheaper-than-ganspace")
    assert [(one.right, one.result.verdict, one.seconds) for one in found] == [(("ganspace", ""), verdict, True)]
    assert found[0].result.share_low is None and found[0].result.difference == pytest.approx(ours - theirs)


def test_tables_of_fits():
    cosines = [{"attribute": "a", "a": 1.0, "b": 0.5}, {"attribute": "b", "a": 0.5, "b": 1.0}]
    accuracy = [{"attribute": "a", "validation": 0.9, "remaining": 0.8}, {"attribute": "b", "validation": 0.7, "remaining": 0.75}]
    w = cell("interfacegan", tables={"boundary_accuracy": accuracy, "boundary_cosine": cosines})
    wide = [{"attribute": "a", "b": -0.9}, {"attribute": "b", "a": -0.9}]
    z = cell("interfacegan", "space=z", space="z", tables={"boundary_accuracy": accuracy[:1], "boundary_cosine": wide})
    results = folder(w, z)
    source = Source(results)
    assert source.values("fit", "g", A, "boundary_cosine.mean_abs_off_diagonal").points == {("", ""): (0.5,)}
    assert source.values("fit", "g", A, "boundary_accuracy.remaining").points == {("a", ""): (0.8,), ("b", ""): (0.75,)}
    assert source.values("fit", "g", A, "eigenvalues.eigenvalue") == readings.NOTHING
    (one,) = decided(results, "w-less-entangled-than-z")
    assert one.result.verdict == "holds" and one.result.difference == pytest.approx(-0.4)
    both = decided(results, "validation-above-remaining")
    assert [(d.left, d.result.share, d.result.verdict) for d in both] == [(A, 0.5, "undecided"), (B, 1.0, "holds")]
    assert all(d.left == d.right for d in both)
    assert [d.result.verdict for d in decided(results, "remaining-above-chance")] == ["holds", "holds"]


def test_rows_of_a_table_are_chosen_by_another_column():
    rows = [{"attribute": a, "layers": l, "delta": d, "ci_low": d - 0.1, "ci_high": d + 0.1} for a, l, d in (
        ("yaw", "bottom", 0.9), ("yaw", "top", 0.1), ("pitch", "bottom", 0.5), ("pitch", "top", 0.2), ("smile", "bottom", 0.0),
        ("smile", "top", 0.8),
    )]  # fmt: skip
    fits = folder(cell("higan", tables={"layerwise_rescoring": rows}))
    read = Source(fits).values("fit", "g", ("higan", ""), "layerwise_rescoring[layers=top].delta")
    assert read.points == {("yaw", ""): (0.1,), ("pitch", ""): (0.2,), ("smile", ""): (0.8,)}
    assert read.ends["yaw", ""] == ((0.0, 0.2),)
    assert Source(fits).values("fit", "g", ("higan", ""), "layerwise_rescoring[layers=lower].delta") == readings.NOTHING
    (one,) = decided(fits, "early-layers-set-layout")  # smile is no pose
    assert (one.result.verdict, one.result.questions, one.result.share_low) == ("holds", 2, None)
    assert (one.result.difference, one.result.low, one.result.high) == pytest.approx((0.55, 0.35, 0.75))
    rows[3] |= {"delta": 0.4, "ci_high": 0.6}  # pitch of the top rows now overlaps that of the bottom ones
    (one,) = decided(folder(cell("higan", tables={"layerwise_rescoring": rows})), "early-layers-set-layout")
    assert (one.result.verdict, one.result.share) == ("undecided", 0.75)


@pytest.mark.parametrize(("value", "half", "verdict"), [(-0.5, 0.1, "holds"), (-0.05, 0.1, "undecided"), (0.5, 0.1, "fails")])
def test_a_fit_that_brings_an_interval_has_to_clear_the_constant_with_it(value, half, verdict):
    rows = [{"basis": "start", "penalty": 2.0, "ci_low": 1.0, "ci_high": 3.0, "n": 8}]
    rows.append({"basis": "learned - start", "penalty": value, "ci_low": value - half, "ci_high": value + half, "n": 8})
    found = decided(folder(cell("hessian_penalty", tables={"penalty": rows})), "search-lowers-penalty")
    assert [(one.result.verdict, one.right) for one in found] == [(verdict, None)]
    assert (found[0].result.low, found[0].result.high) == pytest.approx((value - half, value + half))


def test_a_flow_returns_its_codes_within_the_tolerance():
    rows = lambda error: {"likelihood": [{"model": "flow", "round_trip_error": error, "ci_low": 1.0, "ci_high": 2.0}]}  # noqa: E731
    for error, verdict in ((0.001, "holds"), (0.2, "fails")):
        (one,) = decided(folder(cell("styleflow", tables=rows(error))), "flow-roundtrip")
        assert (one.result.verdict, one.result.low) == (verdict, None)  # the interval is of the likelihood


def representation_cell(space, level):
    """A cell of `native` as the representation task leaves it: every score around one level, paths around another."""
    rng, settings = np.random.default_rng(4), RepresentationSettings(factors=("judged",))
    arrays = {}
    for one in factor_quantities("lasso"):
        shape = (settings.blocks, 2) if one.key in ("explicitness", "boundary") else (settings.blocks,)
        arrays[f"judged/{one.key}"] = np.clip(level + 0.01 * rng.standard_normal(shape), 0, 1)
    arrays["judged/entropy"] = (1 - level) * 0.5 + 0.01 * rng.random((settings.blocks, 2))
    for key in ("ppl_full", "ppl_end"):
        arrays[f"pictures/{key}"] = (1 - level) * (1 + 0.05 * rng.random(64))
    arrays["pictures/hessian"] = rng.random(8)
    facts = {
        "channels": [8, 8], "generator": ["g", "0" * 16], "paths": {},
        "judges": {"attributes": ["toy", "1" * 16], "perceptual": ["toy", "2" * 16]},
        "factors": {"judged": {"reason": "", "names": ["a", "b"], "left_out": {}, "n": 100, "n_failed": 0}},
    }  # fmt: skip
    variant = "" if space == "w" else f"space={space}"
    return cell("native", variant, "representation", space=space, arrays=arrays, facts=facts)


def test_spaces_are_compared_by_the_representation_task(monkeypatch):
    for module in (headlines, readings, tasks):
        monkeypatch.setattr(module, "task_of", lambda name: RepresentationTask() if name == "representation" else None)
    cells = [representation_cell(space, level) for space, level in (("s", 0.8), ("w", 0.5), ("z", 0.2))]
    results = folder(*cells, task="representation", settings={"factors": ["judged"], "replicates": 200})
    task, settings = RepresentationTask(), RepresentationSettings(factors=("judged",), replicates=200)
    for one in cells:
        pairs = [(MethodCard(**{**one.card, "hold": ()}), CellResult(one.arrays, one.facts))]
        known = {"task": "representation", "generator": "g", "method": "native", "variant": one.card["variant"]}
        results.records.extend(replace(r, **known) for r in task.summarise(settings, pairs, 0))
    found = named(evaluate(Source(results), papers()))
    for claim, metric in (
        ("s-more-disentangled-than-w", "dci_disentanglement[lasso]"),
        ("s-more-complete-than-w", "dci_completeness[lasso]"),
        ("w-more-disentangled-than-z", "dci_informativeness[lasso]"),
        ("w-more-separable-than-z", "separability"),
        ("ppl-w-below-z", FULL.name),
        ("ppl-end-equals-full-in-z", "ppl_end"),
    ):
        assert found[claim, metric].result.verdict == "holds", claim
    assert found["s-more-complete-than-w", "dci_completeness[lasso]"].judges == ("attributes[toy]",)
    assert found["ppl-end-equals-full-in-z", "ppl_end"].metrics == ("ppl_end", "ppl_full")


def test_a_claim_about_two_generators_reads_each_side_of_its_own():
    def axes(count, generator):
        row = {"components": "all", "count": count, "ci_low": count - 1, "ci_high": count + 1, "of": 64, "n": 300}
        return replace(cell("axes", tables={"active_components": [row]}), generator=generator)

    def of(ours, theirs):
        cells = [axes(ours, "heads-pggan-hessian"), axes(theirs, "heads-pggan-control"), axes(1.0, "g")]
        run = {"suite": {"tasks": {"editing": {}}, "generators": [one.generator for one in cells], "seed": 0}}
        return decided(Results([], cells, run), "penalty-shrinks-unneeded-components")

    for ours, theirs, verdict in ((10.0, 40.0, "holds"), (40.0, 10.0, "fails"), (10.0, 11.5, "undecided")):
        (one,) = of(ours, theirs)
        assert (one.result.verdict, one.result.difference) == (verdict, pytest.approx(ours - theirs))
        assert one.generators == ("heads-pggan-hessian", "heads-pggan-control")
    assert line(of(10.0, 40.0)[0])[:3] == [
        "heads-pggan-hessian and heads-pggan-control", "axes on heads-pggan-hessian", "axes on heads-pggan-control",
    ]  # fmt: skip


def test_levels_of_layers_are_two_sides_of_one_fit():
    rows = [{"level": level, "depth": depth, "ci_low": depth - 0.05, "ci_high": depth + 0.05} for level, depth in (
        ("pose and shape", 0.2), ("parts", 0.3), ("colour and light", 0.7),
    )]  # fmt: skip
    one = replace(cell("axes", tables={"layer_depth": rows}), generator="heads-eigengan")
    run = {"suite": {"tasks": {"editing": {}}, "generators": ["heads-eigengan"], "seed": 0}}
    (found,) = decided(Results([], [one], run), "layers-order-semantics")
    assert (found.result.verdict, found.result.difference) == ("holds", pytest.approx(0.5))
