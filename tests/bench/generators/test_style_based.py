"""The spaces that all StyleGANs share: every conversion is exact, and costs are paid once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.codes import Codes
from bench.generators import style_based
from bench.generators.stylegan2 import StyleGAN2

SAMPLES = 3000


def make(**options) -> StyleGAN2:
    """A random double-precision network whose mean w and noise strengths are not zero."""
    torch.manual_seed(0)
    sizes = {"z_dim": 6, "widths": [7, 5], "channels": {4: 6, 8: 4}} | options
    generator = StyleGAN2(name="random", domain="none", **sizes)
    for name, value in generator.state_dict().items():
        if name.endswith(("noise_strength", "w_avg", "bias")):
            value.add_(torch.randn(value.shape) * 0.3)
    return generator.double()


GENERATOR = make()
CONDITIONAL = make(n_labels=3, embed_features=4)


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(style_based, "P_SAMPLES", SAMPLES)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def codes(space: str, seed: int, rows: int = 2) -> Codes:
    """Random codes, with a negative entry in every row."""
    values = normal(rows, *GENERATOR.info.spaces[space], seed=seed) * 2
    values[..., 0] = -values[..., 0].abs() - 0.1
    return Codes(space, values, torch.arange(rows))


SEEDS = st.integers(0, 2**31)
ROUND_TRIPS = [("w", "p"), ("p", "w"), ("w+", "p+"), ("p+", "w+"), ("p", "p_n"), ("p_n", "p"), ("w", "p_n"), ("p_n", "w")]


@pytest.mark.parametrize(("start", "middle"), ROUND_TRIPS)
@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_round_trips_return(start, middle, seed):
    before = codes(start, seed)
    there = GENERATOR.convert(before, middle)
    assert not torch.allclose(there.values, before.values)
    torch.testing.assert_close(GENERATOR.convert(there, start).values, before.values, rtol=1e-9, atol=1e-9)


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_rows_of_w_plus_are_w_without_truncation(seed):
    w = codes("w", seed)
    rows = GENERATOR.convert(w, "w+").values
    assert torch.equal(rows, w.values[:, None].expand(-1, 4, -1))
    equal = Codes("w+", rows, w.ids)
    assert torch.equal(GENERATOR.synthesize(equal), GENERATOR.synthesize(w))


@pytest.mark.parametrize("truncation", [(1.0, None), (0.6, None), (0.6, 2)], ids=["full", "psi", "cut"])
@pytest.mark.parametrize("space", ["w", "p", "p_n"])
def test_styles_give_the_picture_of_their_code(truncation, space):
    generator, one = GENERATOR.truncated(*truncation), codes(space, 1)
    styles = generator.convert(one, "s")
    assert styles.values.shape[1:] == generator.info.spaces["s"]
    torch.testing.assert_close(generator.synthesize(styles), generator.synthesize(one), rtol=1e-12, atol=1e-12)


@given(psi=st.floats(0, 1.5), cutoff=st.integers(0, 5), seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_truncation_draws_the_rows_below_its_cutoff_toward_the_mean(psi, cutoff, seed):
    w = codes("w", seed)
    rows = GENERATOR.truncated(psi, cutoff).convert(w, "w+").values
    mean = GENERATOR.w_avg
    for row in range(4):
        expected = mean + psi * (w.values - mean) if row < cutoff else w.values
        torch.testing.assert_close(rows[:, row], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("generator", [GENERATOR, CONDITIONAL], ids=["unconditional", "conditional"])
def test_p_n_is_white_over_samples(generator):
    sampled = generator.sample(torch.arange(SAMPLES), seed=0)
    values = generator.convert(sampled.with_values(sampled.values.double()), "p_n").values
    torch.testing.assert_close(values.mean(0), torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.cov(values.T), torch.eye(5, dtype=torch.float64), rtol=0, atol=1e-6)
    # Other samples are white up to their number.
    fresh = generator.sample(torch.arange(SAMPLES) + 10**6, seed=5)
    other = generator.convert(fresh.with_values(fresh.values.double()), "p_n").values
    assert 0.02 < float((torch.cov(other.T) - torch.eye(5)).abs().max()) < 0.25


def test_the_whitening_is_fitted_once_and_shared_by_truncations(monkeypatch):
    fits = []
    fit = style_based.fit_whitening
    monkeypatch.setattr(style_based, "fit_whitening", lambda chunks: fits.append(1) or fit(chunks))
    generator = make()
    half = generator.truncated(0.5)
    for one in (half, generator, generator.truncated(0.7)):
        one.convert(codes("p", 3), "p_n")
    assert len(fits) == 1
    assert half.whitening is generator.whitening


def test_gradients_reach_codes_of_every_space():
    for space in ("z", "w", "w+", "p", "p+", "p_n", "s"):
        values = codes(space, 4).values.requires_grad_(True)
        GENERATOR.truncated(0.8).synthesize(Codes(space, values, torch.arange(2))).square().sum().backward()
        assert bool((values.grad.flatten(1).abs().amax(1) > 0).all())
