"""The edits of the inversion task: known directions are found, strengths are placed, and linear spaces share one edit."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.codes import Codes, Space
from bench.generators.stylegan2 import StyleGAN2
from bench.tasks.inversion.edits import find_strength, fitted_steps, moved, slopes


def test_a_linear_score_gets_its_own_step():
    rng = np.random.default_rng(0)
    codes = torch.from_numpy(rng.normal(size=(4000, 6)) @ np.diag([1, 1, 1, 1, 1, 1.0]))
    normals = torch.tensor([[2.0, 0, 0, 0, 0, 0], [0, 3.0, 4.0, 0, 0, 0]], dtype=torch.float64)
    scores = codes @ normals.T
    steps = slopes(codes, scores)
    # A ridge of 1 % of the variance, and the step that raises the score by one: b / |b|^2.
    np.testing.assert_allclose(steps.numpy(), 1.01 * np.array([[0.5, 0, 0, 0, 0, 0], [0, 3 / 25, 4 / 25, 0, 0, 0]]), atol=2e-3)
    lost = scores.clone()
    lost[:5] = float("nan")
    np.testing.assert_allclose(slopes(codes, lost).numpy(), steps.numpy(), atol=2e-3)
    flat = torch.cat([scores[:, :1], torch.zeros(4000, 1)], 1)
    np.testing.assert_array_equal(slopes(codes, flat)[1].numpy(), 0)
    with pytest.raises(ValueError, match="give no direction"):
        slopes(codes, scores * float("nan"))


@given(st.floats(0.1, 20), st.floats(-0.3, 0.3))
@settings(max_examples=30, deadline=None)
def test_the_strength_lies_where_the_effect_is(gain, bend):
    effect = lambda s: gain * s / 10 * (1 + bend * math.tanh(s))  # noqa: E731
    strength, reached = find_strength(effect, 1.0)
    if effect(16.0) < 1:
        assert math.isnan(strength) and reached < 1
    else:
        assert reached == effect(strength) == pytest.approx(1, abs=0.01)


def test_an_effect_that_saturates_is_not_reached():
    strength, reached = find_strength(lambda s: 0.6 * math.tanh(s), 1.0)
    assert math.isnan(strength) and reached == pytest.approx(0.6, abs=1e-3)
    assert find_strength(lambda s: 1.0, 1.0) == (0.5, 1.0)
    asked = []
    find_strength(lambda s: asked.append(s) or s**3 / 8, 1.0)
    assert len(asked) < 12 and abs(asked[-1] - 2) < 0.01


def test_w_and_w_plus_and_the_styles_share_one_edit():
    torch.manual_seed(0)
    generator = StyleGAN2(name="random", domain="none", z_dim=6, widths=[6, 6], channels={4: 4, 8: 4})

    class Bank:
        names = ("a", "b")
        scores = torch.zeros(300, 2)

        @staticmethod
        def codes(space):
            return generator.convert(generator.sample(torch.arange(300), seed=1), space)

    with torch.no_grad():
        Bank.scores = Bank.codes("w").values[:, :2] * 3
        start = generator.sample(torch.arange(3), seed=2)
        pictures = {}
        for space in (Space.W, Space.W_PLUS, Space.S):
            steps = fitted_steps(generator, Bank, space)
            assert steps.shape[1:] == generator.info.spaces[space]
            pictures[space] = generator.synthesize(moved(generator.convert(start, space), 5 * steps[1]))
        torch.testing.assert_close(pictures[Space.W_PLUS], pictures[Space.W], rtol=0, atol=1e-5)
        torch.testing.assert_close(pictures[Space.S], pictures[Space.W], rtol=0, atol=1e-4)
        moved_scores = moved(generator.convert(start, "w"), fitted_steps(generator, Bank, Space.W)[0])
        change = (moved_scores.values - generator.convert(start, "w").values)[:, 0] * 3
        assert change.numpy() == pytest.approx(1, rel=0.3)  # less the ridge
    assert isinstance(moved_scores, Codes)
