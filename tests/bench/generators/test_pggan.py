"""PGGAN against figures of the two official implementations, and against what its own words promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.codes import Codes
from bench.errors import InputError, SpaceError
from bench.generators.forms import load_exactly
from bench.generators.interfacegan import pggan_state
from bench.generators.pggan import GENFORCE, INTERFACEGAN, PGGAN
from bench.generators.stylegan_layers import enlarge
from bench.interventions import Blend, Unit
from methods.unsupervised.sefa import factorize

GOLDEN = Path(__file__).parents[2] / "golden"
TOLERANCE = 3e-5  # of the largest magnitude; pixel norm in every block amplifies rounding to 1.5e-5 in the official codes


def golden(name):
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def weights(data):
    return {key[3:]: torch.from_numpy(value) for key, value in data.items() if key.startswith("sd/")}


def codes(values, labels=None):
    values = torch.as_tensor(values)
    return Codes("z", values, torch.arange(len(values)), labels)


def assert_near(value, reference, tolerance=TOLERANCE):
    reference = torch.as_tensor(reference, dtype=value.dtype)
    assert value.shape == reference.shape
    assert float((value - reference).abs().max()) <= tolerance * float(reference.abs().max())


@pytest.fixture(scope="module", params=[("interfacegan_pggan", INTERFACEGAN), ("sefa_pggan", GENFORCE)], ids=lambda p: p[0])
def case(request):
    data = golden(request.param[0])
    return data, request.param[1].build(weights(data), {}, "golden", "none"), request.param[1]


def random_network(channels=(10, 8, 8), seed=0, **settings):
    """A network of other sizes with random weights, in genforce's names."""
    network = PGGAN(name="random", domain="none", z_dim=6, channels=channels, **settings)
    draw = torch.Generator().manual_seed(seed)
    values = {key: torch.randn(value.shape, generator=draw) for key, value in network.state_dict().items() if key != "lod"}
    load_exactly(network, values | {"lod": network.lod}, "a random network")
    return network


def as_interfacegan(state, fused):
    """A state dict in InterFaceGAN's names. fused: the names of the fused layers."""
    renamed = {}
    for key, value in state.items():
        layer, _, kind = key.partition(".")
        if kind == "weight" and layer in fused:
            renamed[key] = value.permute(2, 3, 0, 1)
        else:
            renamed[{"weight": f"{layer}.conv.weight", "bias": f"{layer}.wscale.bias"}.get(kind, key)] = value
    return renamed


# The official figures.


def test_pictures_are_the_official_ones(case):
    data, generator, form = case
    assert_near(generator.synthesize(codes(data["z"])), data["out/image"])
    double = form.build(weights(data), {}, "golden", "none").double()
    assert_near(double.synthesize(codes(data["z"].astype(np.float64))), data["f64/image"], 1e-12)


def test_feature_maps_are_the_official_ones():
    data = golden("interfacegan_pggan")
    generator = INTERFACEGAN.build(weights(data), {}, "golden", "none")
    maps = generator.features(codes(data["z"]), [layer.name for layer in generator.info.layers])
    assert list(maps) == [f"layer{index}" for index in range(8)] + ["output3"]
    for layer in generator.info.layers:
        assert maps[layer.name].shape[1:] == (layer.channels, layer.resolution, layer.resolution)
        assert_near(maps[layer.name], data[f"out/feat/{layer.name}"])
        assert layer.is_rgb == (layer.name == "output3") and layer.rows == () and layer.styles is None


def test_the_projection_to_the_sphere_changes_nothing():
    data = golden("interfacegan_pggan")
    generator = INTERFACEGAN.build(weights(data), {}, "golden", "none")
    sphere = data["z"] / np.linalg.norm(data["z"], axis=1, keepdims=True) * np.sqrt(20)
    np.testing.assert_allclose(sphere, data["out/z_preprocessed"], rtol=1e-6)
    assert_near(generator.synthesize(codes(data["out/z_preprocessed"])), data["out/image_of_preprocessed"])
    assert_near(generator.synthesize(codes(data["z"])), data["out/image_of_preprocessed"])


def test_the_weight_that_meets_z_gives_the_official_directions():
    data = golden("sefa_pggan")
    generator = GENFORCE.build(weights(data), {}, "golden", "none")
    directions, eigenvalues = factorize(generator.code_weights("z"))
    official = torch.from_numpy(data["sefa/all/eigenvalues_sorted"]).double()
    torch.testing.assert_close(eigenvalues, official, rtol=0, atol=2e-7 * float(official[0]))
    cosine = (directions * torch.from_numpy(data["sefa/all/boundaries_sorted"])).sum(1)
    assert (cosine > 0.9999999).all(), cosine
    assert_near(generator.synthesize(codes(data["edit/all/code_after"])), data["edit/all/image_after"])


# Layers.


def test_the_first_layer_is_its_weight_times_z(case):
    data, generator, _ = case
    z = codes(data["z"])
    values = z.values / z.values.square().mean(1, keepdim=True).sqrt()
    (weight,) = generator.code_weights("z")
    gain = np.sqrt(2 / (20 * 16))
    first = (values @ weight.T * gain).unflatten(1, (-1, 4, 4)) + generator.layer0.bias[:, None, None]
    torch.testing.assert_close(generator.features(z, ["layer0"])["layer0"], F.leaky_relu(first, 0.2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fused", [False, True])
def test_both_forms_of_one_network_give_one_picture(fused):
    network = random_network(fused=fused)
    state = as_interfacegan(network.state_dict(), {"layer2", "layer4"} if fused else ())
    converted = pggan_state(state)
    assert converted.keys() == network.state_dict().keys()
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in converted.items())
    z = network.sample(torch.arange(3), seed=0)
    one = INTERFACEGAN.build(state, {"fused_scale": fused}, "x", "y")
    other = GENFORCE.build(converted, {}, "x", "y")
    assert one.fused == other.fused == fused
    assert_near(one.synthesize(z), other.synthesize(z))
    assert one.fingerprint != other.fingerprint  # z is normalised once, or twice


def test_fused_layers_are_doubling_and_the_flipped_kernel():
    network = random_network(fused=True)
    flipped = {
        key: value.transpose(0, 1).flip(2, 3) if key in ("layer2.weight", "layer4.weight") else value
        for key, value in network.state_dict().items()
    }
    plain = GENFORCE.build(flipped, {}, "x", "y")
    assert not plain.fused
    z = plain.sample(torch.arange(2), seed=0)
    assert_near(plain.synthesize(z), network.synthesize(z))


def test_where_shapes_do_not_tell_an_argument_does():
    state = random_network((8, 8)).state_dict()
    assert not GENFORCE.build(state, {}, "x", "y").fused
    assert GENFORCE.build(state, {"fused_scale": True}, "x", "y").fused


def test_labels_are_appended_to_the_normalised_z():
    network = random_network(n_labels=3)
    built = GENFORCE.build(network.state_dict(), {"label_size": 3}, "x", "y")
    assert built.info.spaces == {"z": (6,)} and built.info.n_labels == 3
    assert built.code_weights("z")[0].shape == (160, 6)
    z = built.sample(torch.arange(4), seed=0)
    x = z.values / z.values.square().mean(1, keepdim=True).sqrt()
    joined = torch.cat([x, z.labels], 1)
    whole = GENFORCE.build(network.state_dict(), {}, "x", "y")
    assert whole.info.spaces == {"z": (9,)}
    assert_near(built.synthesize(z), whole.synthesize(codes(joined)))
    with pytest.raises(InputError, match="labels"):
        built.synthesize(codes(z.values))


def test_at_a_whole_level_the_picture_is_the_smaller_network_doubled():
    network, small = random_network(), random_network((10, 8))
    load_exactly(small, {key: network.state_dict()[key] for key in small.state_dict()}, "a part")
    z = network.sample(torch.arange(2), seed=0)
    built = GENFORCE.build(network.state_dict() | {"lod": torch.tensor(1.0)}, {}, "x", "y")
    assert built.info.resolution == 16 and built.info.layers[-1].name == "output1"
    torch.testing.assert_close(built.synthesize(z), enlarge(small.synthesize(z)))
    fading = GENFORCE.build(network.state_dict() | {"lod": torch.tensor(0.25)}, {}, "x", "y")
    torch.testing.assert_close(fading.synthesize(z), 0.75 * network.synthesize(z) + 0.25 * enlarge(small.synthesize(z)))
    state = as_interfacegan(network.state_dict() | {"lod": torch.tensor(1.75)}, ())
    assert_near(INTERFACEGAN.build(state, {}, "x", "y").synthesize(z), built.synthesize(z))
    assert set(built.features(z, ["layer5"])) == {"layer5"}


# Codes and interventions.


def test_only_the_direction_of_z_matters(case):
    _, generator, _ = case
    z = generator.sample(torch.arange(3), seed=0)
    assert_near(generator.synthesize(z.with_values(z.values * 40)), generator.synthesize(z))


def test_gradients_reach_the_code_and_weights_are_frozen(case):
    _, generator, _ = case
    values = generator.sample(torch.arange(3), seed=0).values.requires_grad_(True)
    generator.synthesize(codes(values)).square().mean().backward()
    assert float(values.grad.abs().min(0).values.max()) > 0
    assert not any(parameter.requires_grad for parameter in generator.parameters())


def test_a_picture_does_not_depend_on_its_batch_or_on_noise(case):
    _, generator, _ = case
    z = generator.sample(torch.arange(5), seed=0)
    whole = generator.synthesize(z)
    assert_near(generator.synthesize(z[3:4]), whole[3:4])
    assert torch.equal(generator.synthesize(z, noise="random:1"), whole)
    with pytest.raises(InputError, match="random:<seed>"):
        generator.synthesize(z, noise="loud")


def test_interventions_reach_the_picture(case):
    _, generator, _ = case
    z, other = (generator.sample(torch.arange(2) + start, seed=0) for start in (0, 7))
    image = generator.synthesize(z)
    scale = Unit("layer3", torch.tensor([0, 4]), torch.ones(2), "scale")
    assert torch.equal(generator.synthesize(z, intervene=(scale,)), image)
    off = Unit("layer3", torch.tensor([0, 4]), torch.zeros(2), "set")
    assert not torch.allclose(generator.synthesize(z, intervene=(off,)), image)
    blend = Blend("layer2", torch.ones(1, 1, 8, 8), other)
    assert_near(generator.synthesize(z, intervene=(blend,)), generator.synthesize(other))
    with pytest.raises(InputError, match="unknown layer"):
        generator.features(z, ["output0"])


def test_there_is_no_other_space_and_no_other_weight(case):
    _, generator, _ = case
    z = generator.sample(torch.arange(1), seed=0)
    with pytest.raises(SpaceError, match="its spaces are z"):
        generator.convert(z, "w")
    with pytest.raises(SpaceError, match="no truncation"):
        generator.truncated(0.7)
    with pytest.raises(SpaceError, match="codes of z alone"):
        generator.code_weights("w")
    with pytest.raises(SpaceError, match="layer0 alone"):
        generator.code_weights("z", ["layer1"])
    assert torch.equal(generator.code_weights("z", ["layer0"])[0], generator.code_weights("z")[0])
