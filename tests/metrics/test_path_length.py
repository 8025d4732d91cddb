"""Perceptual path length: the official sampler's figures, closed forms, invariants."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.codes import Codes
from bench.generators.stylegan2 import StyleGAN2
from metrics import path_length as p

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = [f"{s}_{t}_{c}_eps{e}" for s in "zw" for t in ("full", "end") for c in ("crop", "nocrop") for e in ("0.01", "0.0001")]


def squared(a, b):
    """The golden file's stand-in for VGG: mean squared difference of pictures in [0, 255]."""
    return ((a - b) * 127.5).square().mean((1, 2, 3))


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "stylegan2_ada_ppl.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def generator(golden):
    with np.load(GOLDEN / "stylegan2_ada.npz", allow_pickle=False) as file:
        state = {key[3:]: torch.from_numpy(file[key]) for key in file.files if key.startswith("sd/")}
    state |= {key[len("noise/") :]: torch.from_numpy(value) for key, value in golden.items() if key.startswith("noise/")}
    return StyleGAN2.from_state_dict(state, name="golden", domain="none").double()


@pytest.mark.parametrize("case", CASES)
def test_golden_path_lengths(golden, generator, case):
    space, sampling, crop, epsilon = case.split("_")
    z0, z1, t = (torch.from_numpy(golden[name]).double() for name in ("z0", "z1", "t"))

    def codes(values, space):
        return Codes(space, values, torch.arange(len(values)))

    def to_w(z):
        return generator.convert(codes(z, "z"), "w").values

    def from_w(w):
        return generator.synthesize(codes(w, "w"))

    found = p.perceptual_path_length(
        from_w if space == "w" else lambda z: from_w(to_w(z)),
        squared,
        *((to_w(z0), to_w(z1)) if space == "w" else (z0, z1)),
        t=t if sampling == "full" else None,
        epsilon=float(epsilon[3:]),
        interpolation="lerp" if space == "w" else "slerp",
        crop=crop == "crop",
        batch=50,
    )
    np.testing.assert_allclose(found.distances, golden[f"f64/dist/{case}"], rtol=1e-6)
    assert found.value == pytest.approx(float(golden[f"f64/ppl/{case}"]), rel=1e-6)
    single, mean = json.loads(str(golden["meta"]))["tolerance"]["values"][case]
    np.testing.assert_allclose(found.distances, golden[f"dist/{case}"], rtol=1.5 * single)
    assert p.filtered_mean(golden[f"dist/{case}"]) == pytest.approx(float(golden[f"ppl/{case}"]), rel=1e-5)
    assert found.value == pytest.approx(float(golden[f"ppl/{case}"]), rel=1.5 * mean + 1e-6)


def test_golden_slerp(golden):
    z0, z1, t = (torch.from_numpy(golden[name]) for name in ("z0", "z1", "t"))
    for name, at in (("slerp_t", t), ("slerp_t_eps0.01", t + 0.01), ("slerp_t_eps0.0001", t + 1e-4)):
        np.testing.assert_allclose(p.slerp(z0, z1, at[:, None]), golden[f"interp/{name}"], atol=2e-6)


def test_a_straight_generator_has_its_squared_speed():
    rng = torch.Generator().manual_seed(0)
    start, end = torch.randn(2, 40, 8, generator=rng).double()

    def picture(w):
        return w.reshape(-1, 2, 2, 2)

    speed = (end - start).square().mean(1)
    for t in (None, torch.rand(40, generator=rng)):
        found = p.perceptual_path_length(picture, lambda a, b: (a - b).square().mean((1, 2, 3)), start, end, t=t)
        np.testing.assert_allclose(found.distances, speed, rtol=1e-6)
        assert found.value == pytest.approx(p.filtered_mean(speed))
    reverse = p.perceptual_path_length(picture, lambda a, b: (a - b).square().mean((1, 2, 3)), end, start)
    np.testing.assert_allclose(reverse.distances, speed, rtol=1e-6)
    batched = p.perceptual_path_length(picture, lambda a, b: (a - b).square().mean((1, 2, 3)), start, end, batch=7)
    np.testing.assert_allclose(batched.distances, speed, rtol=1e-6)


@given(st.integers(0, 10**6), st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_slerp_moves_evenly_along_the_circle(seed, t):
    a, b = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(seed)).double()
    found = p.slerp(a, 3 * b, t)
    unit = [x / x.norm(dim=-1, keepdim=True) for x in (a, b)]
    whole = torch.acos((unit[0] * unit[1]).sum(-1))
    np.testing.assert_allclose(found.norm(dim=-1), 1, atol=1e-12)
    np.testing.assert_allclose(torch.acos((found * unit[0]).sum(-1).clamp(-1, 1)), t * whole, atol=1e-6)
    np.testing.assert_allclose(p.slerp(b, a, 1 - t), found, atol=1e-9)
    np.testing.assert_allclose(p.lerp(a, b, 1.0), b)


def test_slerp_of_one_direction_stays():
    a = torch.tensor([[3.0, 4.0]])
    np.testing.assert_allclose(p.slerp(a, 2 * a, 0.5), a / 5, atol=1e-6)


def test_crop_and_box():
    pictures = torch.arange(2 * 16 * 16).reshape(2, 1, 16, 16).float()
    np.testing.assert_array_equal(p.central_crop(pictures), pictures[:, :, 6:14, 4:12])
    np.testing.assert_array_equal(p.shrunk(pictures, 16), pictures)
    np.testing.assert_allclose(p.shrunk(pictures, 8)[0, 0, 0, :2], [8.5, 10.5])
    with pytest.raises(ValueError, match="too small to crop"):
        p.central_crop(pictures[:, :, :4, :4])


def test_filter_keeps_its_ends():
    assert p.filtered_mean(np.arange(100.0)) == pytest.approx(np.arange(100).mean())  # lower and higher neighbours of 0.99, 98.01
    values = np.r_[np.full(300, 2.0), -1e6, -1e6, 1e6, 1e6]
    assert p.filtered_mean(values) == 2
    assert p.filtered_mean([5.0]) == 5
    assert p.filtered_mean([1.0, 2, 3, 10], 0, 50) == 2  # the higher neighbour of 2.5
    for bad, message in (([], "distances"), ([np.nan, 1], "distances")):
        with pytest.raises(ValueError, match=message):
            p.filtered_mean(bad)
    with pytest.raises(ValueError, match="percentiles"):
        p.filtered_mean([1.0], 99, 1)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"end": torch.zeros(3, 2)}, "start and end must be"),
        ({"start": torch.zeros(0, 4), "end": torch.zeros(0, 4)}, "start and end must be"),
        ({"start": torch.full((3, 4), torch.nan)}, "start and end hold"),
        ({"t": torch.zeros(2)}, "t must hold 3"),
        ({"t": torch.full((3,), torch.nan)}, "t must hold 3"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"interpolation": "cubic"}, "interpolation"),
    ],
)
def test_refusals(change, message):
    arguments = {"start": torch.zeros(3, 4), "end": torch.ones(3, 4), **change}
    with pytest.raises(ValueError, match=message):
        p.perceptual_path_length(lambda w: w.reshape(-1, 1, 2, 2), squared, **arguments)
