"""InterFaceGAN against the official code's figures, a known truth, and its failures."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.svm import SVC

from bench.codes import Codes
from bench.errors import InputError
from methods.base import Request
from methods.baselines.random_directions import RandomDirections
from methods.editors import DirectionEditor, project_off
from methods.supervised.interfacegan import InterFaceGAN, chosen_number, train_boundary

CASES = ["default", "ratio10", "count100_invalid", "count_over_half"]


class Stored:
    """Shuffles to the stored orders, positive side first."""

    def __init__(self, *orders):
        self.orders = list(orders)

    def shuffle(self, order):
        order[:] = self.orders.pop(0)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("order", ["stored", "own"])
def test_boundary_and_accuracies_are_the_official_ones(golden, case, order):
    data = golden("interfacegan_manipulator")
    settings = json.loads(str(data["meta"]))["cases"][case]
    codes = data["codes"]
    scores = data["scores" if settings["invalid_value"] is None else "scores_with_invalid"][:, 0]
    valid = scores != settings["invalid_value"] if settings["invalid_value"] is not None else np.ones(len(scores), bool)
    orders = data[f"train/{case}/positive_order"], data[f"train/{case}/negative_order"]
    own = np.random.default_rng(0)
    found = train_boundary(
        codes[valid],
        scores[valid],
        chosen_num_or_ratio=settings["chosen_num_or_ratio"],
        split_ratio=settings["split_ratio"],
        rng=Stored(*orders) if order == "stored" else own,
    )
    official = data[f"train/{case}/boundary"][0]
    validation, *remaining = data[f"train/{case}/accuracy_validation_remaining"]
    if order == "stored":
        assert np.abs(found.normal - official).max() < 1e-6
        assert found.validation == pytest.approx(validation, abs=1e-6)
        assert [found.remaining] == (pytest.approx(remaining, abs=1e-6) if remaining else [None])
    else:  # other codes train: the boundary is close, and not the same
        cosine = found.normal @ official
        assert 0.8 < cosine < 1 - 1e-9
    assert found.train >= found.validation - 0.05


def test_legacy_shuffle_gives_the_stored_orders(golden):
    data = golden("interfacegan_manipulator")
    rng = np.random.RandomState(json.loads(str(data["meta"]))["numpy_seed"])
    kwargs = {"chosen_num_or_ratio": 0.02, "split_ratio": 0.7}
    found = train_boundary(data["codes"], data["scores"][:, 0], rng=rng, **kwargs)
    assert np.abs(found.normal - data["train/default/boundary"][0]).max() < 1e-6


@pytest.mark.parametrize("conditions", [1, 2, 3, 4])
def test_projection_is_the_official_one(golden, conditions):
    data = golden("interfacegan_manipulator")
    boundaries = torch.from_numpy(data["boundaries"])
    found = project_off(boundaries[0], boundaries[1 : 1 + conditions])
    official = torch.from_numpy(data[f"project/primal0_on_next{conditions}"][0])
    torch.testing.assert_close(found, official, rtol=0, atol=2e-6)


def test_edits_of_w_plus_are_the_official_interpolation(golden, toy):
    """The official interpolation of w+ codes is relative to the code: what DirectionEditor does in every space."""
    data = golden("interfacegan_manipulator")
    editor = DirectionEditor(toy(w_dim=24, rows=6), torch.from_numpy(data["boundaries"][:1]), ("a",), "w+")
    code = Codes("w+", torch.from_numpy(data["interp/code_wplus"]), torch.zeros(1, dtype=torch.int64))
    path = editor.path(code, [Request("a")])
    strip = torch.cat([path.at(float(s)).codes.values for s in np.linspace(-3, 3, 10)])
    torch.testing.assert_close(strip, torch.from_numpy(data["interp/out_wplus"]), rtol=0, atol=2e-6)


def test_chosen_number():
    assert [chosen_number(8192, x) for x in (0.02, 100, 1, 5000)] == [163, 100, 4096, 4096]


def test_it_recovers_the_true_directions_and_beats_random(context, toy):
    ctx = context(toy(z_dim=12, linear=True), n=4000)
    truth = ctx.generator.truth
    editor = InterFaceGAN().fit(ctx).editor
    cosines = (editor.directions * truth).sum(1)
    assert (cosines > 0.95).all(), cosines
    rivals = RandomDirections().fit(context(budget=24)).editor.directions @ truth.T
    assert (cosines > rivals.abs().max(0).values).all()
    assert editor.targets == ("smile", "age", "glasses")


def test_holding_an_attribute_changes_its_score_less(context, codes):
    ctx = context(n=4000, targets=("smile",))
    plain = InterFaceGAN().fit(ctx).editor
    held = InterFaceGAN(hold=["age", "smile"]).fit(ctx).editor
    assert plain.targets == held.targets == ("smile",)
    age, before = ctx.generator.truth[1], codes(ctx.generator, space="w").values
    edited = [editor.path(codes(ctx.generator), [Request("smile")]).at(1.0).codes.values for editor in (plain, held)]
    change = [float(((after - before) @ age).abs().mean()) for after in edited]
    assert change[1] < 0.5 * change[0]
    raw = held.directions[held.names.index("age")]
    assert abs(held.step(Request("smile")) @ raw) < 1e-5


def test_tables_hold_accuracies_and_cosines(context):
    fitted = InterFaceGAN().fit(context())
    rows = {row["attribute"]: row for row in fitted.tables["boundary_accuracy"]}
    assert rows.keys() == {"smile", "age", "glasses"}
    for row in rows.values():
        assert 0.7 < row["remaining"] <= row["validation"] <= 1
    cosine = fitted.tables["boundary_cosine"]
    assert cosine[0]["smile"] == pytest.approx(1) and cosine[0]["age"] == pytest.approx(cosine[1]["smile"])
    assert cosine[0]["age"] == pytest.approx(float(fitted.editor.directions[0] @ fitted.editor.directions[1]), abs=1e-6)


def test_edits_in_z_add_to_the_codes_as_they_are(context, codes):
    ctx = context()
    editor = InterFaceGAN(space="z").fit(ctx).editor
    before = codes(ctx.generator)
    after = editor.path(before, [Request("smile")]).at(3.0).codes
    assert after.space == "z"
    torch.testing.assert_close(after.values, before.values + 3 * editor.directions[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"space": "z"}, {"hold": ("age",)}])
def test_restored_is_fitted_and_the_seed_matters(context, codes, options):
    method, ctx = InterFaceGAN(**options), context()
    fitted = method.fit(ctx)
    again = method.restore(ctx, fitted.state())
    one, two = (f.editor.path(codes(ctx.generator), [Request("smile")]).at(2.0).codes.values for f in (fitted, again))
    assert torch.equal(one, two) and again.tables == fitted.tables and again.editor.hold == fitted.editor.hold
    assert torch.equal(method.fit(context()).editor.directions, fitted.editor.directions)
    assert not torch.equal(method.fit(context(seed=1)).editor.directions, fitted.editor.directions)


def test_a_primal_solver_agrees(context):
    """The boundary is that of the plain recipe on the same rows, whatever their order."""
    ctx = context()
    x = ctx.bank.codes("w").values.double().numpy()
    y = ctx.bank.scores[:, 0].double().numpy()
    found = train_boundary(x, y, chosen_num_or_ratio=0.1, split_ratio=0.7, rng=Stored(np.arange(200), np.arange(200)))
    order = np.argsort(-y)
    rows = np.concatenate([order[:140][::-1], order[-200:-60]])
    plain = SVC(kernel="linear").fit(x[rows], np.repeat([1, 0], 140)).coef_[0]
    assert found.normal @ plain / np.linalg.norm(plain) > 0.9999


@pytest.mark.parametrize(
    "spoil,match",
    [
        (lambda s: s.fill_(0.3), "all 2000 scores are the same"),
        (lambda s: s[5].fill_(float("nan")), "1 of 2000 scores"),
        (lambda s: s[20:].fill_(0.0), "overlap"),
    ],
)
def test_scores_that_rank_nothing_are_refused(context, spoil, match):
    ctx = context()
    spoil(ctx.bank.scores)
    with pytest.raises(InputError, match=f"no boundary for smile: .*{match}") as error:
        InterFaceGAN().fit(ctx)
    assert "\n" not in str(error.value)


def test_bad_requests_end_in_one_line(context, domain):
    with pytest.raises(InputError, match="40 codes are too few: 0 a side"):
        InterFaceGAN().fit(context(n=40))
    with pytest.raises(InputError, match="too few: 1 a side"):
        InterFaceGAN().fit(context(n=60))
    with pytest.raises(InputError, match="unknown attribute of the guide 'glases': did you mean glasses"):
        InterFaceGAN(hold=("glases",)).fit(context())
    with pytest.raises(InputError, match="unknown attribute of the guide 'nose'"):
        InterFaceGAN().fit(context(targets=("nose",)))
    with pytest.raises(InputError, match="one vector a code"):
        InterFaceGAN(space="w+").fit(context())
    info = context().generator.info
    assert InterFaceGAN(space="s").supports(info, domain) == "toy has no space s"
    assert InterFaceGAN().supports(info, domain) is None
    assert "no guide for attributes" in InterFaceGAN().supports(info, type(domain)("bare", ()))


@pytest.mark.parametrize("options", [{"C": 0}, {"split_ratio": 1}, {"chosen_num_or_ratio": -1}, {"space": "q"}, {"sapce": "w"}])
def test_options_that_cannot_be(options):
    with pytest.raises(ValidationError):
        InterFaceGAN(**options)
