"""Windows of pictures against PIL's resize with a box."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.errors import InputError
from bench.networks.windows import WHOLE, placed, take


@settings(max_examples=30, deadline=None)
@given(side=st.integers(5, 40), size=st.integers(3, 40), edges=st.tuples(*[st.floats(0, 0.4)] * 2, *[st.floats(0.6, 1)] * 2))
def test_a_window_is_what_pil_cuts_and_resizes(side, size, edges):
    picture = np.random.default_rng(side).uniform(-1, 1, (side, side)).astype(np.float32)
    box = tuple(edge * side for edge in edges)
    wanted = np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BILINEAR, box=box))
    ours = take(torch.from_numpy(picture)[None, None], edges, size)[0, 0]
    np.testing.assert_allclose(ours, wanted, atol=2e-5)  # PIL keeps the box in single precision


def test_the_whole_at_its_own_size_is_the_picture_and_gradients_flow():
    picture = torch.rand(2, 3, 8, 8, requires_grad=True)
    same = take(picture, WHOLE, 8)
    torch.testing.assert_close(same, picture)
    same.sum().backward()
    torch.testing.assert_close(picture.grad, torch.ones_like(picture))


def test_frames_move_windows_and_the_picture_cuts_them():
    assert placed((0.25, 0.5, 0.75, 1.0), WHOLE) == (0.25, 0.5, 0.75, 1.0)
    assert placed((0.25, 0.5, 0.75, 1.0), (0.0, 0.0, 0.5, 0.5)) == (0.125, 0.25, 0.375, 0.5)
    assert placed((0.0, 0.25, 1.0, 1.0), (-0.5, -0.5, 1.5, 1.5)) == (0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize("window", [(0.5, 0, 0.5, 1), (-0.1, 0, 1, 1), (0, 0, 1, 1.1)])
def test_a_window_lies_in_the_picture(window):
    with pytest.raises(InputError, match="fractions"):
        take(torch.zeros(1, 3, 8, 8), window, 4)
    with pytest.raises(InputError, match="reads pictures"):
        take(torch.zeros(1, 3, 8, 9), WHOLE, 4)
