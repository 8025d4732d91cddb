"""EigenGAN against figures of its PyTorch port, and against what its own words promise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.codes import Codes
from bench.errors import InputError, SpaceError
from bench.generators.eigengan import EIGENGAN, EigenGAN
from bench.interventions import Blend, Unit

GOLDEN = Path(__file__).parents[2] / "golden"
TOLERANCE = 5e-6  # of the largest magnitude; the port itself differs by 7e-7 between float32 and float64


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "eigengan.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module")
def arguments(golden):
    return json.loads(str(golden["meta"]))["generator_kwargs"]


@pytest.fixture(scope="module")
def state(golden):
    return {key[3:]: torch.from_numpy(value) for key, value in golden.items() if key.startswith("sd/")}


@pytest.fixture(scope="module")
def generator(state, arguments):
    return EIGENGAN.build(state, arguments, "golden", "none")


@pytest.fixture(scope="module")
def z(golden):
    values = torch.cat([torch.from_numpy(golden["eps"]), torch.from_numpy(golden["zs"]).flatten(1)], 1)
    return Codes("z", values, torch.arange(len(values)))


def assert_near(value, reference, tolerance=TOLERANCE):
    reference = torch.as_tensor(reference, dtype=value.dtype)
    assert value.shape == reference.shape
    assert float((value - reference).abs().max()) <= tolerance * float(reference.abs().max())


# The official figures.


def test_pictures_and_feature_maps_are_the_official_ones(generator, golden, z):
    assert_near(generator.synthesize(z), golden["out/image"])
    maps = generator.features(z, [layer.name for layer in generator.info.layers])
    assert_near(maps["fc"].flatten(1), golden["out/feat/fc"])
    for index in range(3):
        assert_near(maps[f"blocks.{index}"], golden[f"out/feat/blocks.{index}"])
    for layer in generator.info.layers:
        assert maps[layer.name].shape[1:] == (layer.channels, layer.resolution, layer.resolution)
    assert torch.equal(maps["to_rgb"], generator.synthesize(z))


def test_in_double_precision_they_are_the_official_ones_to_rounding(state, arguments, golden, z):
    double = EIGENGAN.build(state, arguments, "golden", "none").double()
    assert_near(double.synthesize(z.with_values(z.values.double())), golden["f64/image"], 1e-12)


def test_subspaces_say_where_a_code_lies_and_what_it_adds(generator, golden, z):
    """The official edit adds 2 to the first number of the second block; U, L and mu give the official point of the subspace."""
    for index, one in enumerate(generator.subspaces):
        assert (one.layer, one.row) == (f"blocks.{index}", index + 1)
        code = z.values[:, one.columns]
        assert_near(code, golden["zs"][:, index])
        assert_near((one.L * code) @ one.U + one.mu, golden[f"out/feat/blocks.{index}.projection"])
    edited = z.values.clone()
    edited[:, generator.subspaces[1].columns.start] += 2
    assert_near(generator.synthesize(z.with_values(edited)), golden["out/image_edit_block1_dim0_plus2"])


def test_the_state_dict_keeps_the_official_names(generator, state):
    own = generator.state_dict()
    assert own.keys() == state.keys()
    assert all(torch.equal(own[key], value) for key, value in state.items())


# Spaces, truncation, interventions, weights that codes meet.


def test_a_row_of_z_plus_moves_its_own_layer_and_those_after_it(generator, z):
    plus = generator.convert(z, "z+")
    assert generator.info.spaces == {"z": (24 + 3 * 4,), "z+": (4, 36)} and plus.values.shape == (2, 4, 36)
    assert torch.equal(generator.synthesize(plus), generator.synthesize(z))
    moved = plus.values.clone()
    moved[:, 2] += 1
    names = [layer.name for layer in generator.info.layers]
    old, new = (generator.features(plus.with_values(one), names) for one in (plus.values, moved))
    assert [name for name in names if torch.equal(old[name], new[name])] == ["fc", "blocks.0"]
    assert [layer.rows for layer in generator.info.layers] == [(0,), (1,), (2,), (3,), ()]
    with pytest.raises(SpaceError, match="no way"):
        generator.convert(plus, "z")


def test_samples_are_normal_scaled_by_truncation(generator):
    ids = torch.arange(500)
    values, half = generator.sample(ids, seed=2).values, generator.truncated(0.5).sample(ids[[9, 3]], seed=2).values
    assert abs(float(values.std()) - 1) < 0.02 and abs(float(values.mean())) < 0.02
    assert torch.equal(half, 0.5 * values[[9, 3]])
    assert generator.truncated(0.5).fingerprint != generator.fingerprint == generator.truncated(1.0).fingerprint
    for psi, cutoff in [(0.0, None), (1.5, None), (0.5, 2)]:
        with pytest.raises(InputError, match="truncation of golden"):
            generator.truncated(psi, cutoff)


def test_gradients_reach_every_number_of_the_code_and_no_weight(generator, z):
    values = z.values.clone().requires_grad_()
    generator.synthesize(z.with_values(values)).square().sum().backward()
    assert bool((values.grad.abs() > 0).any(0).all())
    assert all(not parameter.requires_grad for parameter in generator.parameters())


def test_noise_changes_nothing_and_has_three_modes(generator, z):
    assert torch.equal(generator.synthesize(z, noise="random:3"), generator.synthesize(z))
    with pytest.raises(InputError, match="noise is const"):
        generator.synthesize(z, noise="loud")


def test_interventions_act_where_they_say(generator, z):
    unit = Unit("blocks.1", torch.tensor([2]), torch.tensor([5.0]))
    assert not torch.equal(generator.synthesize(z, intervene=(unit,)), generator.synthesize(z))
    blend = Blend("blocks.2", torch.ones(1, 1, 32, 32), z[[1, 0]])
    assert_near(generator.synthesize(z, intervene=(blend,)), generator.synthesize(z[[1, 0]]))


def test_code_weights_are_what_a_step_adds(generator, golden, z):
    weights = generator.code_weights("z")
    assert [list(w.shape) for w in weights] == [[256, 36], [256, 36], [1024, 36], [4096, 36]]
    step = torch.linspace(-1, 1, 36)
    before, after = (generator.features(z.with_values(z.values + k * step), ["fc"])["fc"] for k in (0, 1))
    torch.testing.assert_close((after - before).flatten(1), (weights[0] @ step).expand(2, -1), atol=1e-5, rtol=1e-4)
    one = generator.subspaces[2]
    assert_near(z.values @ weights[3].t() + one.mu, golden["out/feat/blocks.2.projection"])
    assert torch.equal(generator.code_weights("z+", ["blocks.1"])[0], weights[2])
    for space, layers, message in [("w", None, "not of w"), ("z", ["to_rgb"], "no code enters")]:
        with pytest.raises(SpaceError, match=message):
            generator.code_weights(space, layers)


# The form.


def test_the_published_network_of_256_pixels_loads_by_its_shapes():
    rows = (GOLDEN / "parameter_shapes" / "eigengan_256.txt").read_text().splitlines()
    rows = [row.split("\t") for row in rows if not row.startswith("#")]
    state = {name: torch.empty([int(n) for n in shape.split("x")], device="meta") for name, _, shape in rows}
    assert EIGENGAN.fits(state)
    with torch.device("meta"):
        told = {"size": 256, "n_basis": 6, "noise_dim": 512, "base_channels": 16, "max_channels": 512}
        generator = EIGENGAN.build(state, told, "eigengan-256", "ffhq")
    assert (generator.info.resolution, generator.info.spaces) == (256, {"z": (548,), "z+": (7, 548)})
    assert [layer.channels for layer in generator.info.layers] == [512, 512, 256, 128, 64, 32, 16, 3]


def test_other_sizes_build_and_run():
    torch.manual_seed(0)
    made = EigenGAN(name="other", domain="none", noise_dim=5, dims=2, channels=[8, 6])
    state = {key: torch.randn_like(value) for key, value in made.state_dict().items()}
    generator = EIGENGAN.build(state, {}, "other", "none")
    codes = generator.sample(torch.arange(3), seed=0)
    assert codes.values.shape == (3, 7) and generator.synthesize(codes).shape == (3, 3, 8, 8)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n_basis": 6}, "n_basis is 6"),
        ({"size": 64}, "size is 64"),
        ({"max_channels": 512}, "max_channels is 512"),
        ({"surprise": 1}, "no argument 'surprise'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(state, arguments, change, message):
    with pytest.raises(InputError, match=message):
        EIGENGAN.build(state, arguments | change, "golden", "none")


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("blocks.1.projection.L", None, "missing blocks.1.projection.L"),
        ("blocks.1.projection.L", torch.full((4,), torch.nan), "NaN or infinity in blocks.1.projection.L"),
        ("blocks.1.projection.U", torch.zeros(4, 7), "shape"),
        ("fc.weight", None, "fc.weight"),
        ("blocks.5.projection.U", torch.zeros(4, 7), "blocks.3"),
        ("extra", torch.zeros(3), "unexpected extra"),
    ],
)
def test_states_that_do_not_fit_are_refused(state, name, value, message):
    changed = {key: tensor for key, tensor in state.items() if key != name}
    if value is not None:
        changed[name] = value
    with pytest.raises(InputError, match=message):
        EIGENGAN.build(changed, {}, "golden", "none")
