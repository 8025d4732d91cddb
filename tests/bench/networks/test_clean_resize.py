"""The batched resize against clean-fid's own, bit for bit."""

import numpy as np
import pytest
import torch

from bench.networks.clean_resize import clean_resize, resizer, taps


def drawn(kind, n, height, width):
    rng = np.random.default_rng(height)
    if kind == "random":
        return rng.integers(0, 256, (n, height, width, 3)).astype(np.uint8)
    if kind == "binary":  # the largest overshoots
        return (255 * rng.integers(0, 2, (n, height, width, 3))).astype(np.uint8)
    coarse = torch.from_numpy(rng.uniform(0, 255, (n, 3, 4, 4)))
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 255)
    return smooth.byte().permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("kind", ["random", "binary", "smooth"])
@pytest.mark.parametrize("size", [*((side, side) for side in (1, 3, 64, 128, 256, 299, 300, 512)), (40, 299)])
def test_numbers_are_those_of_clean_fid(kind, size):
    pictures = drawn(kind, 2, *size)
    wanted = np.stack([resizer()(one).transpose(2, 0, 1) for one in pictures])
    found = clean_resize(pictures)
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), wanted)


def test_given_memory_is_used_and_holds_only_the_answer():
    pictures, memory = drawn("random", 2, 16, 16), torch.full((3, 3, 299, 299), -1.0)
    found = clean_resize(pictures, memory)
    assert found.data_ptr() == memory.data_ptr() and torch.equal(found, clean_resize(pictures))
    assert memory[2].eq(-1).all()


@pytest.mark.parametrize("size", [7, 64, 299, 1024])
def test_taps_keep_a_constant_and_mirror(size):
    matrix = taps(size).toarray()
    np.testing.assert_allclose(matrix.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(matrix[::-1, ::-1], matrix, atol=1e-12)
