"""The floor and the bound."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.codes import Codes
from bench.errors import InputError, UnsupportedError, unknown
from methods.base import Request
from methods.baselines.oracle import Oracle
from methods.baselines.random_directions import RandomDirections, random_directions


def test_random_directions_are_unit_reproducible_and_differ_by_seed(context):
    fits = [RandomDirections().fit(context(budget=12, seed=s)).editor for s in (0, 0, 1)]
    assert torch.equal(fits[0].directions, fits[1].directions)
    assert (fits[0].directions * fits[2].directions).sum(1).abs().max() < 0.99
    torch.testing.assert_close(fits[0].directions.norm(dim=1), torch.ones(12))
    assert fits[0].targets == tuple(map(str, range(12))) and fits[0].space == "w"
    assert torch.equal(random_directions(3, 12, 5), random_directions(24, 12, 5)[:3])


def test_all_methods_without_names_offer_the_same_number(context):
    from methods.unsupervised.ganspace import GANSpace
    from methods.unsupervised.sefa import SeFa

    for budget, offered in ((5, 5), (100, 12)):
        for method in (RandomDirections(), SeFa(), GANSpace(num_samples=2000)):
            assert method.fit(context(budget=budget)).editor.targets == tuple(map(str, range(offered)))


def test_random_directions_have_no_favourite_axis():
    drawn = random_directions(20_000, 4, 0)
    torch.testing.assert_close(drawn.T @ drawn / 20_000, torch.eye(4, dtype=torch.float64) / 4, rtol=0, atol=0.01)


def test_strength_one_is_a_standard_deviation_of_the_codes(context):
    ctx = context()
    editor = RandomDirections().fit(ctx).editor
    along = ctx.bank.codes("w").values @ editor.directions[2]
    assert editor.step(Request("2")).norm() == pytest.approx(float(along.std()), rel=1e-4)


def test_a_generator_without_w_gets_directions_of_z(context, domain):
    ctx = context()
    ctx.generator.info = replace(ctx.generator.info, spaces={"z": (8,)})
    assert RandomDirections().supports(ctx.generator.info, domain) is None
    assert RandomDirections().fit(ctx).editor.space == "z"
    assert "no space p" in RandomDirections(space="p").supports(ctx.generator.info, domain)
    assert RandomDirections(space="w+").supports(context().generator.info, domain)


def test_random_restored_is_fitted(context, codes):
    ctx, method = context(), RandomDirections()
    fitted = method.fit(ctx)
    again = method.restore(ctx, fitted.state())
    one, two = (f.editor.path(codes(ctx.generator), [Request("3")]).at(0.5).codes.values for f in (fitted, again))
    assert torch.equal(one, two)


def test_random_needs_codes_and_a_budget(context):
    with pytest.raises(InputError, match="too few"):
        RandomDirections().fit(context(n=1))
    with pytest.raises(InputError, match="budget of 0"):
        RandomDirections().fit(context(budget=0))


@pytest.fixture
def known(toy):
    """A generator whose factors are a known linear map of w, with rounding in its inverse, as real ones have."""

    class Known(toy):
        def __init__(self):
            super().__init__()
            self.info = replace(self.info, architecture="oracle", spaces={"z": (8,), "w": (12,)})
            self.register_buffer("mix", torch.randn(12, 12, generator=torch.Generator().manual_seed(1)))

        def factors(self, codes: Codes):
            return codes.values @ self.mix

        def moved(self, codes: Codes, name, delta) -> Codes:
            factors = self.factors(codes).clone()
            names = ("smile", "age", "glasses")
            if name not in names:
                raise unknown("factor", name, names)
            factors[:, names.index(name)] += delta
            return codes.with_values(factors @ torch.linalg.inv(self.mix))

    return Known()


def test_the_oracle_changes_one_factor_and_nothing_else(context, codes, known):
    ctx = context(known)
    editor = Oracle().fit(ctx).editor
    before = codes(known, space="w")
    strengths = torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0])
    change = known.factors(editor.path(codes(known), [Request("age")]).at(strengths).codes) - known.factors(before)
    torch.testing.assert_close(change[:, 1], strengths, rtol=0, atol=1e-3)
    assert change[:, [0, *range(2, 12)]].abs().max() < 1e-3


def test_the_oracle_at_zero_changes_no_bit(context, codes, known):
    editor = Oracle().fit(context(known)).editor
    path = editor.path(codes(known), [Request("age"), Request("smile")])
    assert torch.equal(path.at(0).codes.values, codes(known, space="w").values)
    assert not torch.equal(known.moved(codes(known, space="w"), "age", 0.0).values, codes(known, space="w").values)
    both = known.factors(path.at(1.0).codes) - known.factors(codes(known, space="w"))
    torch.testing.assert_close(both[:, :3], torch.tensor([1.0, 1.0, 0.0]).expand(5, -1), rtol=0, atol=1e-3)


def test_the_oracle_is_differentiable_at_zero(context, codes, known):
    strength = torch.zeros(5, requires_grad=True)
    path = Oracle().fit(context(known)).editor.path(codes(known), [Request("smile")])
    known.factors(path.at(strength).codes)[:, 0].sum().backward()
    torch.testing.assert_close(strength.grad, torch.ones(5), rtol=0, atol=1e-3)


def test_the_oracle_needs_a_known_map(context, codes, known, domain):
    plain = context()
    assert Oracle().supports(plain.generator.info, domain) == "toy has no known map from codes to factors"
    assert Oracle().supports(known.info, domain) is None
    with pytest.raises(UnsupportedError, match="no known map"):
        Oracle().fit(plain)
    editor = Oracle().fit(context(known)).editor
    with pytest.raises(InputError, match="unknown target 'agee': did you mean age"):
        editor.path(codes(known), [Request("agee")])
    with pytest.raises(InputError, match="one strength"):
        editor.path(codes(known), [Request("age")]).at(torch.ones(3))
    with pytest.raises(InputError, match="at least one"):
        editor.path(codes(known), [])


def test_the_oracle_restored_is_fitted(context, codes, known):
    ctx, method = context(known), Oracle()
    fitted = method.fit(ctx)
    again = method.restore(ctx, fitted.state())
    assert again.editor == fitted.editor
