"""PCA whitening: exact both ways, white over its samples, and the same whatever the chunks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.generators.whitening import FLOOR, fit_whitening


def samples(rows: int = 400, width: int = 6, seed: int = 0) -> torch.Tensor:
    """Rows with unequal, mixed scales and a mean far from zero."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, width, generator=draw, dtype=torch.float64) * torch.logspace(2, -2, width, dtype=torch.float64)
    return x @ torch.linalg.qr(torch.randn(width, width, generator=draw, dtype=torch.float64))[0] + 50


def test_whitened_samples_have_mean_zero_and_unit_covariance():
    x = samples()
    y = fit_whitening([x]).whiten(x)
    torch.testing.assert_close(y.mean(0), torch.zeros(6, dtype=torch.float64), atol=1e-9, rtol=0)
    torch.testing.assert_close(torch.cov(y.T), torch.eye(6, dtype=torch.float64), atol=1e-7, rtol=0)


@given(seed=st.integers(0, 2**31), rows=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_there_and_back_is_the_same_row(seed, rows):
    whitening = fit_whitening([samples(seed=seed % 7)])
    x = torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 30
    torch.testing.assert_close(whitening.color(whitening.whiten(x)), x, rtol=1e-10, atol=1e-9)


def test_chunks_do_not_matter():
    x = samples()
    whole, parts = fit_whitening([x]), fit_whitening(x.split(37))
    torch.testing.assert_close(parts.mean, whole.mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(parts.deviation, whole.deviation, rtol=1e-9, atol=0)
    torch.testing.assert_close((parts.basis.T @ whole.basis).abs(), torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-9)


def test_the_widest_axis_comes_first_and_matches_the_covariance():
    x = samples()
    whitening = fit_whitening([x])
    assert bool((whitening.deviation.diff() < 0).all())
    covariance = whitening.basis * whitening.deviation.square() @ whitening.basis.T
    torch.testing.assert_close(covariance, torch.cov(x.T), rtol=1e-9, atol=1e-9)


def test_a_direction_without_variance_has_a_way_back():
    x = samples()
    x[:, 0] = x[:, 1]
    whitening = fit_whitening([x])
    assert float(whitening.deviation[-1] / whitening.deviation[0]) >= FLOOR**0.5 * 0.999
    torch.testing.assert_close(whitening.color(whitening.whiten(x[:3])), x[:3], rtol=1e-8, atol=0)


@pytest.mark.parametrize("chunks", [[], [torch.zeros(1, 3)]])
def test_one_row_has_no_covariance(chunks):
    with pytest.raises(ValueError, match="two rows"):
        fit_whitening(chunks)
