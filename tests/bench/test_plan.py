"""The plan: everything is checked before any work, and what cannot run is known with its reason."""

import pytest

from bench.cell import Cell, Fit, Workbench
from bench.errors import InputError, UnsupportedError
from bench.plan import make_plan
from bench.store import Store


def workbench(toys, registry=None, **changes):
    return Workbench(toys.toy_suite(**changes), registry or toys.toy_registry(), Store())


def test_cells_and_fits_in_order(toys):
    bench = workbench(toys, fit_seeds=2)
    plan = make_plan(bench)
    assert plan.fits == [Fit("toy", method, seed) for method in (0, 1) for seed in (0, 1)]
    assert plan.cells == [Cell(fit, "shift") for fit in plan.fits] and not plan.problems
    assert [plan.cards[fit].variant for fit in plan.fits] == ["", "", "index=1", "index=1"]
    assert plan.places["toy"] == (bench.place("toy").generator.fingerprint, "toy")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"generators": ["tou"]}, "unknown generator 'tou': did you mean toy?"),
        ({"methods": ["axes"]}, "unknown method 'axes': did you mean axis?"),
        ({"tasks": {"shft": {}}}, "unknown task 'shft': did you mean shift?"),
        ({"metrics": ["leakage"]}, "unknown metric 'leakage': known: none"),
        ({"tasks": {"shift": {"targets": ["upp"]}}}, "unknown attribute of toy 'upp': did you mean up?"),
        (
            {"tasks": {"shift": {"targets": ["up"], "test_codes": -1}}},
            "suite toys, task shift: test_codes: Input should be greater",
        ),
        (
            {"tasks": {"shift": {"targets": ["up"], "tests": 3}}},
            "suite toys, task shift: unknown key 'tests': did you mean test_codes",
        ),
        ({"methods": [{"axis": {"indx": 1}}]}, "suite toys, method axis: unknown key 'indx': did you mean index?"),
        (
            {"methods": [{"axis": {"index": 9}}]},
            "suite toys, method axis: index: Input should be less than or equal to 3 (got 9)",
        ),
        ({"methods": ["axis", {"axis": {"index": 0}}]}, "suite toys: the method axis is listed twice with the same options"),
        ({"methods": [{"axis": {"hold": ["uup"]}}]}, "unknown attribute of toy 'uup': did you mean up?"),
    ],
)
def test_bad_input_is_one_line(toys, changes, message):
    with pytest.raises(InputError) as caught:
        make_plan(workbench(toys, **changes))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_hold_is_part_of_the_variant_and_shares_the_fit(toys):
    bench = workbench(toys, methods=["axis", {"axis": {"hold": ["down"]}}])
    plan = make_plan(bench)
    plain, held = (plan.cards[fit] for fit in plan.fits)
    assert (held.variant, held.hold, plain.hold) == ("hold=down", ("down",), ())
    assert bench.fit_key(plan.fits[0]) == bench.fit_key(plan.fits[1])
    assert bench.cell_key(plan.cells[0]) != bench.cell_key(plan.cells[1])


def test_what_does_not_fit_is_skipped_with_its_reason(toys):
    bench = workbench(toys, methods=[{"axis": {"space": "s"}}, "axis"])
    plan = make_plan(bench)
    assert list(plan.problems.values()) == [("skipped", "toy has no space s")] and len(plan.fits) == 1


def test_broken_plugins_lose_their_own_cells_only(toys):
    registry = toys.toy_registry()
    registry.add("methods", "absent", "toybench:Absent")
    registry.add("methods", "nothing", dict)
    plan = make_plan(workbench(toys, registry, methods=["absent", "nothing", "axis"]))
    problems = [plan.problems.get(cell) for cell in plan.cells]
    assert problems[0][0] == problems[1][0] == "error" and problems[2] is None
    assert "plug-in absent of session cannot be loaded (toybench:Absent): AttributeError" in problems[0][1]
    assert plan.cards[plan.cells[0].fit].name == "absent"


def test_missing_weights_are_bad_input_and_unfetched_ones_are_not(toys):
    def missing():
        raise InputError("no weights at x: install again")

    def unfetched():
        raise UnsupportedError("not fetched: latentbench fetch toy2")

    registry = toys.toy_registry()
    registry.add("generators", "gone", missing)
    registry.add("generators", "later", unfetched)
    with pytest.raises(InputError, match="no weights at x"):
        make_plan(workbench(toys, registry, generators=["gone"]))
    plan = make_plan(workbench(toys, registry, generators=["later", "toy"]))
    assert {cell.fit.generator: reason for cell, reason in plan.problems.items()} == {
        "later": ("skipped", "not fetched: latentbench fetch toy2")
    }


def test_every_part_of_a_key_counts(toys, monkeypatch):
    plan_of = lambda bench: (make_plan(bench), bench)[0].cells[0]  # noqa: E731
    base = workbench(toys)
    cell = plan_of(base)
    keys = {"base": (base.fit_key(cell.fit), base.cell_key(cell))}
    for name, changes in {"seed": {"seed": 1}, "bank": {"bank": 41}, "budget": {"budget": 3}}.items():
        other = workbench(toys, **changes)
        keys[name] = (other.fit_key(cell.fit), other.cell_key(plan_of(other)))
    sizes = workbench(toys, tasks={"shift": {"targets": ["up", "down"], "test_codes": 21}})
    assert sizes.fit_key(cell.fit) == keys["base"][0] and sizes.cell_key(plan_of(sizes)) != keys["base"][1]
    monkeypatch.setattr("torch.get_num_threads", lambda: 77)
    keys["threads"] = (base.fit_key(cell.fit), base.cell_key(cell))
    for which in (0, 1):
        assert len({str(pair[which]) for pair in keys.values()}) == len(keys)


@pytest.mark.parametrize(
    "entry, message",
    [
        ("absent.pt", "what are the pictures of absent? Write {path: absent.pt, domain: NAME} with one of: toy"),
        ({"path": "absent.pt", "domain": "toy"}, "absent.pt: there is no such file"),
        ({"path": "absent.pt", "domain": "tot"}, "unknown domain 'tot': did you mean toy?"),
        ({"path": "a/b.pt", "domain": "toy", "name": "toy"}, "a/b.pt would be toy, which is a registered generator"),
    ],
)
def test_files_that_cannot_be_used_are_bad_input(toys, entry, message):
    with pytest.raises(InputError) as caught:
        make_plan(workbench(toys, generators=[entry]))
    assert message in str(caught.value)


def test_a_method_is_no_cell_of_a_task_it_has_no_part_in(toys):
    registry = toys.toy_registry()
    registry.add("tasks", "invert", type("Invert", (toys.ToyTask,), {"name": "invert", "produces": "inverter"}))
    registry.add("methods", "both", type("Both", (toys.Axis,), {"name": "both", "produces": frozenset({"editor", "inverter"})}))
    tasks = {"shift": {"targets": ["up"]}, "invert": {"targets": ["up"]}}
    plan = make_plan(workbench(toys, registry, tasks=tasks, methods=["axis", "both"]))
    assert {(cell.task, cell.fit.method) for cell in plan.cells} == {("shift", 0), ("shift", 1), ("invert", 1)}
    alone = make_plan(workbench(toys, registry, tasks={"invert": tasks["invert"]}, methods=["axis", "both"]))
    assert list(alone.problems.values()) == [("skipped", "axis gives no inverter")] and len(alone.cells) == 2


def test_a_method_may_have_fewer_fits_than_the_suite(toys):
    named = lambda index, fits: {"name": "axis", "options": {"index": index}, "fit_seeds": fits}  # noqa: E731
    methods = ["axis", named(1, 1), named(2, 9)]
    plan = make_plan(workbench(toys, fit_seeds=2, methods=methods))
    assert [(fit.method, fit.fit_seed) for fit in plan.fits] == [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]
