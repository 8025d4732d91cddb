"""StyleFlow's edits and samples on a generator whose attributes are linear in w, on a trained one, and its failures."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from bench.codes import Codes
from bench.domains.base import Network
from bench.errors import InputError, LatentbenchError, UnsupportedError
from methods.base import FitContext, Request
from methods.supervised.styleflow import StyleFlow
from methods.supervised.styleflow_conditions import Conditions, edit_rows

SMALL = dict(
    space="w", widths=(48,), batch=100, epochs=8, learning_rate=0.01, anneal=True, solver="midpoint", steps=3, adjoint=False
)


class Reader(Network):
    """Reads the toy's attributes off its pictures, exactly; `lost` pictures cannot be read."""

    name, readings = "toy-guide", frozenset({"attributes"})

    def __init__(self, generator, names, lost=float("inf")):
        super().__init__()
        self.names, self.lost = names, lost
        self.generator = generator
        self.back = torch.linalg.pinv(generator.C) @ generator.truth.T

    def measure(self, images):
        scores = torch.atanh(images.flatten(1).clamp(-0.9999, 0.9999)) @ self.back
        return {"attributes": torch.where(scores[:, :1] > self.lost, torch.nan, scores)}


@pytest.fixture(scope="module")
def made():
    """Fits by their options, made once."""
    return {}


def rows_of(toy):
    """The toy, with pictures of w+ too: those of the mean over rows."""

    class Rows(toy):
        def convert(self, codes, space):
            if (codes.space, space) == ("w+", "w"):
                return codes.with_values(codes.values.mean(1), "w")
            return super().convert(codes, space)

    return Rows


@pytest.fixture
def world(toy, context):
    """(fit context, truth of codes [N, K] in standard deviations of the bank)."""

    def make(n=1200, lost=float("inf"), **fields):
        generator = rows_of(toy)(z_dim=8, w_dim=8, rows=6, linear=True)
        generator.C.mul_(0.03)  # pictures far from saturation
        here = context(generator, n=n)
        here = replace(here, guides={"attributes": Reader(generator, here.bank.names, lost)}, **fields)
        spread = here.bank.scores.std(0)
        return here, lambda codes: codes.values @ generator.truth.T / spread

    return make


@pytest.fixture
def fitted(world, made):
    """(fitted, context, truth) of the small options with some changed."""

    def make(**options):
        here, truth = world()
        method = StyleFlow(**{**SMALL, **options})
        if not made:
            made["state"] = StyleFlow(**SMALL).fit(here).state()
        return method.restore(here, made["state"]), here, truth

    return make


@pytest.fixture
def some(codes):
    return lambda here, n=40, space="w": codes(here.generator, n, space)


def test_an_edit_moves_its_attribute_both_ways_and_holds_the_others(fitted, some):
    found, here, truth = fitted()
    codes = some(here)
    for target, column in (("smile", 0), ("glasses", 2)):
        path = found.editor.path(codes, [Request(target, hold=("age",))])
        for strength in (-1.0, 0.5, 1.0):
            change = truth(path.at(strength).codes) - truth(codes)
            assert float(change[:, column].mean()) == pytest.approx(strength, abs=0.3)
            others = [i for i in range(3) if i != column]
            assert float(change[:, others].abs().mean()) < 0.25
            assert float((strength * change[:, column] > 0).float().mean()) > 0.95


def test_strength_zero_changes_no_bit(fitted, some):
    for space in ("w", "w+"):
        found, here, _ = fitted(space=space)
        codes = some(here, 7, "z")
        path = found.editor.path(codes, [Request("age"), Request("smile")])
        start = here.generator.convert(codes, space).values
        for strength in (0.0, torch.zeros(7)):
            assert torch.equal(path.at(strength).codes.values, start)
        assert not torch.equal(path.at(0.1).codes.values, start)


def test_requests_follow_one_another(fitted, some):
    found, here, truth = fitted()
    codes, editor = some(here), found.editor
    both = editor.path(codes, [Request("smile"), Request("age")]).at(0.8).codes
    change = (truth(both) - truth(codes)).mean(0)
    assert change[:2].tolist() == pytest.approx([0.8, 0.8], abs=0.3) and abs(float(change[2])) < 0.25
    # Another order, and a second edit that scores the edited picture anew, come to about the same.
    turned = editor.path(codes, [Request("age"), Request("smile")]).at(0.8).codes
    anew = editor.path(editor.path(codes, [Request("smile")]).at(0.8).codes, [Request("age")]).at(0.8).codes
    size = float((both.values - codes.values).norm(dim=1).mean())
    for other in (turned, anew):
        assert float((other.values - both.values).norm(dim=1).mean()) < 0.35 * size
    # The same again and back: the first request's edit is undone by its negative.
    back = editor.path(editor.path(codes, [Request("smile")]).at(0.8).codes, [Request("smile")]).at(-0.8).codes
    assert float((back.values - codes.values).norm(dim=1).mean()) < 0.2 * size


def test_a_code_has_a_strength_of_its_own_and_a_gradient(fitted, some):
    found, here, _ = fitted()
    path = found.editor.path(some(here, 3), [Request("smile")])
    strengths = torch.tensor([0.0, -0.5, 1.0], requires_grad=True)
    edit = path.at(strengths)
    for i, one in enumerate((0.0, -0.5, 1.0)):
        assert torch.allclose(edit.codes.values[i], path.at(one).codes.values[i], atol=1e-6)
    edit.codes.values.square().sum().backward()
    assert float(strengths.grad.abs().min()) > 1e-3
    with pytest.raises(InputError, match="3 codes need one strength"):
        path.at(torch.ones(2))


def test_a_code_does_not_depend_on_its_neighbours(fitted, some):
    found, here, _ = fitted()
    many = some(here, 70)
    edit = lambda codes: found.editor.path(codes, [Request("age")]).at(1.0).codes.values  # noqa: E731
    assert torch.allclose(edit(many)[[3, 68]], edit(many[[3, 68]]), atol=1e-6)


def test_edits_in_w_plus_change_the_paper_s_rows_alone(fitted, some):
    found, here, _ = fitted(space="w+")
    codes = some(here, 4, "w")
    rows = {"smile": (1,), "age": (1, 2), "glasses": (0, 1)}  # of 6: the paper's 4-5, 4-7 and 2-3 of 18
    for target, chosen in rows.items():
        edit = found.editor.path(codes, [Request(target)]).at(1.0).codes
        moved = (edit.values - codes.values[:, None]).abs().amax((0, 2))
        assert edit.space == "w+" and set(moved.nonzero().flatten().tolist()) == set(chosen)
    everywhere, here, _ = fitted(space="w+", rows="all")
    whole = everywhere.editor.path(codes, [Request("smile")]).at(1.0).codes
    assert bool(((whole.values - codes.values[:, None]).abs().amax((0, 2)) > 0).all())
    in_w = fitted()[0].editor.path(codes, [Request("smile")]).at(1.0).codes
    assert torch.allclose(whole.values, in_w.values[:, None].expand_as(whole.values), atol=1e-6)


def test_rows_that_differ_are_edited_each_for_itself(fitted, some):
    found, here, _ = fitted(space="w+")
    plus = here.generator.convert(some(here, 3), "w+")
    bent = plus.with_values(plus.values + torch.linspace(0, 0.3, 6)[:, None])
    step = found.editor.path(bent, [Request("age")]).at(1.0).codes.values - bent.values
    assert not torch.allclose(step[:, 1], step[:, 2]) and torch.equal(step[:, 0], torch.zeros_like(step[:, 0]))


def test_the_paper_s_rows():
    assert (
        edit_rows("glasses", 18) == (2, 3) and edit_rows("smile", 18) == (4, 5) and edit_rows("light", 18) == tuple(range(7, 12))
    )
    assert edit_rows("yaw", 10) == (0, 1, 2) and edit_rows("beard", 10) == (2, 3, 4, 5)
    assert edit_rows("hair_length", 10) == tuple(range(10))  # the paper names none


def test_a_fit_repeats_and_comes_back_from_its_state(world, some):
    here, _ = world(150)
    method = StyleFlow(**{**SMALL, "epochs": 1, "batch": 64, "space": "w+"})
    again = method.fit(here)
    found = method.restore(here, method.fit(here).state())
    codes = some(here, 5)
    first, second = (one.editor.path(codes, [Request("age")]).at(1.0).codes.values for one in (found, again))
    assert torch.equal(first, second)
    assert found.tables == json.loads(json.dumps(again.tables))
    ids = torch.arange(9)
    assert torch.equal(*(one.sampler.sample({"age": 1.0}, ids, seed=2).values for one in (found, again)))
    other = method.fit(replace(here, seed=1)).editor.path(codes, [Request("age")]).at(1.0).codes.values
    assert not torch.allclose(first, other, atol=1e-3)


def test_the_likelihood_of_held_out_codes_is_in_the_tables(fitted):
    found, _, _ = fitted()
    flow, astray, normal = found.tables["likelihood"]
    assert flow["n"] == 75 and flow["ci_low"] < flow["log_likelihood_nats"] < flow["ci_high"] and flow["unreadable"] == 0
    assert astray["ci_high"] < flow["ci_low"]  # under another code's attributes the codes are unlikely
    assert flow["round_trip_error"] < 1e-2 and normal["model"].startswith("normal")


def test_samples_have_what_is_asked(fitted):
    found, here, truth = fitted()
    ids, centre = torch.arange(300), (here.bank.scores / here.bank.scores.std(0)).mean(0)
    plain = truth(found.sampler.sample({}, ids, seed=0)) - centre
    assert plain.mean(0).abs().max() < 0.25 and plain.std(0).tolist() == pytest.approx([1] * 3, abs=0.25)
    for asked in (-1.5, 1.5):
        drawn = truth(found.sampler.sample({"age": asked}, ids, seed=0)) - centre
        assert float(drawn[:, 1].mean()) == pytest.approx(asked, abs=0.3) and float(drawn[:, 1].std()) < 0.5
        assert float((drawn - plain)[:, [0, 2]].mean(0).abs().max()) < 0.3
    both = truth(found.sampler.sample({"age": 1.0, "smile": -1.0}, ids, seed=0)) - centre
    assert both[:, :2].mean(0).tolist() == pytest.approx([-1, 1], abs=0.3)


def test_a_sample_depends_on_its_seed_and_id_alone(fitted):
    sampler = fitted()[0].sampler
    many = sampler.sample({"smile": 1.0}, torch.arange(70), seed=3)
    few = sampler.sample({"smile": 1.0}, torch.tensor([68, 2]), seed=3)
    assert torch.allclose(few.values, many.values[[68, 2]], atol=1e-6) and few.ids.tolist() == [68, 2]
    assert not torch.allclose(sampler.sample({"smile": 1.0}, torch.arange(70), seed=4).values, many.values, atol=0.1)
    with pytest.raises(InputError, match="did you mean smile"):
        sampler.sample({"smille": 1.0}, torch.arange(2), seed=0)


def test_binary_attributes_are_asked_for_by_class():
    scores = torch.tensor([[-4.0, 1.0], [-2.0, 2.0], [3.0, 3.0], [1.0, 6.0]])
    found = Conditions.of(scores, ("hat", "age"), ("hat", "age"), {"hat": True})
    mean, spread = scores[:, 0].mean(), scores[:, 0].std()
    assert found.value("hat", 1.5) == pytest.approx(float((2 - mean) / spread))
    assert found.value("hat", -0.1) == pytest.approx(float((-3 - mean) / spread)) and found.value("age", -1.5) == -1.5
    flat = Conditions.of(torch.cat([scores, torch.ones(4, 1)], 1), ("hat", "age", "flat"), ("flat", "age"), {})
    assert flat.names == ("age",)
    with pytest.raises(InputError, match="no attribute of the guide varies"):
        Conditions.of(torch.ones(4, 1), ("flat",), ("flat",), {})
    lost = found.standard(torch.tensor([[torch.nan, 3.0]]), ("hat", "age"))
    assert float(lost[0, 0]) == 0  # what the guide cannot read counts as average


@pytest.mark.parametrize("options", [{"batch": 1}, {"solver": "leapfrog"}, {"rows": "some"}, {"width": 3}, {"epochs": 0}])
def test_options_are_checked(options):
    with pytest.raises(ValidationError):
        StyleFlow(**options)


def test_the_paper_s_defaults():
    paper = StyleFlow().options.trained
    assert (paper.widths, paper.batch, paper.epochs, paper.learning_rate, paper.blocks) == ((512,) * 5, 5, 3, 1e-3, 1)
    assert (paper.solver, paper.tolerance, paper.adjoint, paper.anneal) == ("dopri5", 1e-5, True, False)
    assert StyleFlow().options.space == "w+" and StyleFlow().variant == ""
    small = StyleFlow(training="small", space="w", epochs=2)
    assert small.variant == "space=w,training=small,epochs=2"
    assert (small.options.trained.epochs, small.options.trained.batch, small.options.trained.anneal) == (2, 128, True)


def test_where_it_cannot_run(world, toy):
    here, _ = world(16)
    info = here.generator.info
    assert StyleFlow().supports(info, here.domain) is None
    assert "no guide for attributes" in StyleFlow().supports(info, replace(here.domain, guides={}))
    assert "no space w+" in StyleFlow().supports(toy(layered=False).info, here.domain)
    assert "cannot edit in w+" in StyleFlow().supports(replace(info, spaces={"w+": (6, 8)}), here.domain)
    assert "draws classes" in StyleFlow().supports(replace(info, n_labels=3), here.domain)
    with pytest.raises(UnsupportedError, match="no guide for attributes"):
        StyleFlow(**SMALL).fit(replace(here, guides={}))


def test_wrong_requests(fitted, some):
    found, here, _ = fitted()
    codes = some(here, 2)
    with pytest.raises(InputError, match="at least one request"):
        found.editor.path(codes, [])
    with pytest.raises(InputError, match="did you mean smile"):
        found.editor.path(codes, [Request("smiles")])
    with pytest.raises(InputError, match="conditioned on 'beard'"):
        found.editor.path(codes, [Request("smile", hold=("beard",))])


def test_wrong_banks(world):
    here, _ = world(60)
    quick = StyleFlow(**{**SMALL, "epochs": 1, "batch": 16})
    with pytest.raises(InputError, match="attribute of the guide 'beard'"):
        quick.fit(replace(here, targets=("beard",)))
    with pytest.raises(InputError, match="attribute of the guide 'beard'"):
        StyleFlow(attributes=("beard",), **SMALL).fit(here)
    here.bank.scores[:20] = torch.nan
    assert quick.fit(here).tables["likelihood"][0]["unreadable"] == 20
    here.bank.scores[:40] = torch.nan
    with pytest.raises(InputError, match="could read 20 of the bank's 60"):
        quick.fit(here)
    here, _ = world(60)
    lost = here.bank.codes("w")
    here.bank.codes = lambda space: Codes("w", lost.values * torch.inf, lost.ids)
    with pytest.raises(InputError, match="codes of the bank are not finite"):
        quick.fit(here)
    here, _ = world(60)
    with pytest.raises(LatentbenchError, match="lower the learning rate"):
        StyleFlow(**{**SMALL, "batch": 8, "learning_rate": 1e6}).fit(here)


def test_pictures_that_the_guide_cannot_read_are_edited_as_average_ones(world, made, some, fitted):
    fitted()
    here, _ = world(lost=-1e9)
    path = StyleFlow(**SMALL).restore(here, made["state"]).editor.path(some(here, 3), [Request("smile")])
    assert torch.equal(path.context, torch.zeros(3, 3)) and bool(path.at(1.0).codes.values.isfinite().all())


def test_edits_of_a_trained_generator_raise_what_a_judge_sees():
    """A few hundred codes of the shipped heads: the judge, which no fit saw, sees the edit of yaw in nearly every picture."""
    from bench.bank import FitBank
    from bench.domains.heads.domain import heads
    from bench.generators.zoo import heads_stylegan2
    from bench.passes import Passes

    generator, domain = heads_stylegan2(), heads()
    passes, guide, judge = Passes(generator), domain.guide("attributes"), domain.judge("attributes")
    bank = FitBank(generator, guide, passes, size=384, seed=0, fit_seed=0, share=lambda name, compute: compute())
    here = FitContext(generator, domain.info, {"attributes": guide}, bank, ("yaw",), 4, 0)
    options = {**SMALL, "attributes": ("yaw", "smile", "age"), "epochs": 30, "batch": 64}
    editor = StyleFlow(**options).fit(here).editor
    codes = generator.sample(torch.arange(16), seed=1)
    path = editor.path(codes, [Request("yaw")])
    column = list(judge.names).index("yaw")
    scores = [passes.read({"attributes": judge}, path.at(s).codes)["attributes"][:, column] for s in (-1.0, 0.0, 1.0)]
    sigma = float(bank.scores[:, list(bank.names).index("yaw")].std())
    rise = (scores[2] - scores[0]) / sigma
    assert float(rise.mean()) > 1.0 and float((rise > 0).float().mean()) > 0.9
