"""Every name that a published claim uses exists: methods, options, spaces, tasks, metrics, targets, and tables of fits.

A renamed option, metric or column breaks a test here, before a claim goes silent in a report.
"""

from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pydantic
import pytest
import torch

from bench.bank import FitBank
from bench.domains.heads.domain import heads_info
from bench.passes import Passes
from bench.registry import Registry
from bench.tasks.inversion.protocol import InversionSettings
from bench.tasks.representation import protocol as representation
from leaderboards.claims import papers
from leaderboards.claims.fits import INTERVALS, of_fits
from leaderboards.claims.model import CHANGE_OF, FIT, FIT_SECONDS, HELD, OFF_DIAGONAL, Column, Side
from leaderboards.claims.selectors import default_of
from leaderboards.folder import Cell, plain
from methods.base import FitContext
from methods.supervised.higan_layers import layer_groups
from methods.supervised.higan_verify import layer_table, level_table, verified
from methods.supervised.stylespace_regions import Localised
from methods.unsupervised.axes import effective_count
from methods.unsupervised.hessian_penalty import activeness_rows, penalty_rows
from methods.unsupervised.layer_indices import depth_rows

REGISTRY = Registry(plugins=False)
METHODS = REGISTRY.names("methods")
CLAIMS = [(paper, claim) for paper in papers() for claim in paper.claims if claim.select]
MEASURES = [(paper, table) for paper in papers() for table in paper.tables if table.measured]
EVERY = [pytest.param(claim.select, id=f"{paper.id}-{claim.id}") for paper, claim in CLAIMS]
EVERY += [pytest.param(table.measured, id=f"{paper.id}-{table.id}") for paper, table in MEASURES]


def sides_of(chosen):
    """The sides of a selector, or of what stands beside a table."""
    return [one for one in (getattr(chosen, "left", None), getattr(chosen, "right", None), getattr(chosen, "of", None))
            if isinstance(one, Side)]  # fmt: skip


def metrics_of(chosen):
    return {*chosen.metrics, *(side.metric for side in sides_of(chosen) if side.metric)}


def meant(side):
    """The registered methods that a side can be of."""
    named = [name for name in METHODS if side.method is None or any(fnmatchcase(name, one) for one in side.method)]
    left_out = side.except_method or ()
    return [name for name in named if not any(fnmatchcase(name, one) for one in left_out)]


@cache
def method(name):
    return REGISTRY.load("methods", name)


@cache
def metrics(task):
    """The metrics that a task can write, without the protocol that stands in brackets."""
    if task == "representation":
        paths = representation.FULL, representation.END, representation.HESSIAN
        names = [one.name for one in (*representation.factor_quantities("lasso"), representation.SEPARABILITY, *paths)]
    else:
        names = import_module(f"bench.tasks.{task}.quantities").metric_names()
    return {name.partition("[")[0] for name in names}


@pytest.mark.parametrize("paper", [paper for paper in papers() if paper.methods], ids=lambda paper: paper.id)
def test_the_methods_of_a_paper_are_registered(paper):
    for pattern in paper.methods:
        assert [name for name in METHODS if fnmatchcase(name, pattern)], pattern


@pytest.mark.parametrize("chosen", EVERY)
def test_methods_options_and_spaces_exist(chosen):
    for side in sides_of(chosen):
        for pattern in (*(side.method or ()), *(side.except_method or ())):
            assert [name for name in METHODS if fnmatchcase(name, pattern)], pattern
        names = [name for name in meant(side) if side.approach is None or method(name).approach in side.approach]
        assert names, f"no registered method is {side.approach}"
        for name in names if side.method else ():
            assert_options(method(name).Options, side)
        if side.hold == "present":
            assert any("hold" in method(name).Options.model_fields for name in names)
        for space in side.space or ():
            assert any(can_be_in(method(name), space) for name in names), space


def assert_options(options, side):
    for option, wanted in side.options.items():
        assert option in options.model_fields, f"{options.__qualname__} has no {option}"
        for value in wanted if isinstance(wanted, tuple) else (wanted,):
            if value not in ("present", "absent"):
                chosen = getattr(options(**{option: value}), option)  # raises for what it cannot be
                assert chosen != options.model_fields[option].default, f"{option}={value} is the default: no variant shows it"


def can_be_in(one, space):
    if "space" not in one.Options.model_fields:
        return one().space == space
    try:
        return one(space=space).space == space
    except pydantic.ValidationError:
        return False


@pytest.mark.parametrize("chosen", [one for one in EVERY if getattr(one.values[0], "larger", None)])
def test_an_option_that_is_compared_is_a_number(chosen):
    for name in {*meant(chosen.left), *meant(chosen.right)}:
        assert isinstance(default_of(name, chosen.larger), (int, float)), name


@pytest.mark.parametrize("chosen", [one for one in EVERY if one.values[0].task != FIT])
def test_tasks_can_write_the_metrics(chosen):
    assert chosen.task in REGISTRY.names("tasks")
    for name in metrics_of(chosen):
        assert name.startswith(CHANGE_OF) or name in metrics(chosen.task), name
        if name.startswith(CHANGE_OF):
            assert chosen.task == "editing" and name.removeprefix(CHANGE_OF) in (HELD, *heads_info().names)


def test_named_targets_can_be_asked():
    """Of fits they are rows of tables, which the test below reads."""
    info, sources = heads_info(), InversionSettings.model_fields["sources"].annotation
    for _, claim in CLAIMS:
        chosen = claim.select
        asked = {*(chosen.targets or ()), *(side.target for side in sides_of(chosen) if side.target)}
        known = {"editing": info.names, "sampling": info.names, "text": info.names, "dissection": info.regions}
        for target in asked if chosen.task != FIT else ():
            assert target in (str(sources) if chosen.task == "inversion" else known[chosen.task]), claim.id


SMALL = {
    "interfacegan": {"chosen_num_or_ratio": 0.3},
    "styleflow": {
        "training": "small", "epochs": 1, "widths": (4,), "space": "w", "edit_steps": 1, "solver": "midpoint", "steps": 1
    },
    "styleclip_global": {"images": 1, "resolution": 4, "beta": 0.05},
}  # fmt: skip
ASKED = ("smile", "yaw", "beard", "light")


@pytest.fixture(scope="module")
def tables():
    """The tables that fits leave, by method: fitted to little, or made from drawn scores, since names alone count here."""
    generator, domain = REGISTRY.load("generators", "heads-stylegan2")(), REGISTRY.load("domains", "heads")()
    guides = {reading: domain.guide(reading) for reading in ("attributes", "text_image")}
    share = lambda name, compute: compute()  # noqa: E731
    bank = FitBank(generator, guides["attributes"], Passes(generator), size=64, seed=0, fit_seed=0, share=share)
    context = FitContext(generator, domain.info, guides, bank, ASKED, 2, 0)
    found = {name: method(name)(**options).fit(context).tables for name, options in SMALL.items()}
    counts = Localised(np.arange(1), np.zeros((1, 1)), np.zeros(1, int), ("hair",), (0.5, 0.25), 1, "guide")
    return found | {
        "stylespace": counts.tables(lambda channel: ("layer", channel)),
        "higan": layers_found(generator.info),
        "hessian_penalty": components_found(),
        "axes": {
            "active_components": [effective_count(torch.rand(3, 20), 0)],
            "layer_depth": depth_rows(context, torch.rand(4, 20, len(bank.names))),
        },
    }


def layers_found(info):
    rng, rows = np.random.default_rng(0), range(info.spaces["w+"][0])
    edits = [("all", tuple(rows)), *layer_groups(len(rows))]
    scores = lambda: rng.standard_normal((len(edits), 20))  # noqa: E731
    found = [verified(name, scores()[0], scores() + 1, scores(), 1.0, edits) for name in ASKED]
    chosen = {name: tuple(rows) for name in ASKED}
    return {
        "layerwise_rescoring": layer_table(found, chosen, info, "heads", "guide"),
        "layer_levels": level_table(found, "heads"),
    }


def components_found():
    search = SimpleNamespace(start=lambda: torch.eye(2), value=lambda basis, name, step: basis.sum() + step)
    return {
        "activeness": activeness_rows([0, 1], torch.rand(2, 5)),
        "penalty": penalty_rows(search, torch.ones(2, 2)),
    }


def left(tables, name):
    """One fit of a method, as a cell."""
    card = {"name": name, "version": 1, "approach": "", "variant": "", "space": "w", "fit_seed": 0, "hold": []}
    return Cell("editing", "g", "", "", card, "ok", "", 0.0, 1.0, {}, plain(tables.get(name, {})))


@pytest.mark.parametrize("chosen", [one for one in EVERY if one.values[0].task == FIT])
def test_fits_leave_the_columns_that_are_read(chosen, tables):
    for side in sides_of(chosen):
        for metric in [side.metric] if side.metric else chosen.metrics:
            for name in meant(side):
                if "." not in metric and metric != FIT_SECONDS:  # a whole table beside a paper's
                    assert metric in tables[name], f"{name} leaves no table {metric}"
                    continue
                points = of_fits([left(tables, name)], metric).points
                assert points, f"{name} leaves no {metric}"
                asked = {side.target} if side.target else set(getattr(chosen, "targets", None) or ())
                assert not asked or asked & {target for target, _ in points}


def test_the_intervals_of_tables_are_found_and_hold_their_values(tables):
    for table, column in INTERVALS.items():
        rows = [row for each in tables.values() for row in each.get(table, ())]
        assert rows, table
        assert all(row["ci_low"] <= row[column] <= row["ci_high"] for row in rows), table
    found = of_fits([left(tables, "higan")], "layerwise_rescoring[layers=bottom].delta")
    assert found.ends.keys() == found.points.keys() == {(one, "") for one in ASKED}
    assert not of_fits([left(tables, "styleflow")], "likelihood.round_trip_error").ends


def test_a_column_is_read_from_its_name():
    assert Column.of("penalty.penalty") == ("penalty", "penalty", None)
    assert Column.of("layers[rows=0+1].delta") == ("layers", "delta", ("rows", "0+1"))
    assert Column.of(f"cosine.{OFF_DIAGONAL}").column == OFF_DIAGONAL
    for wrong in ("delta", "layers[rows].delta", "layers[rows=1]", ".delta"):
        with pytest.raises(ValueError, match="TABLE.COLUMN"):
            Column.of(wrong)
