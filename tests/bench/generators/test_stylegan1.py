"""StyleGAN (2019) against figures of the two official implementations, and against what its own words promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.codes import Codes
from bench.errors import InputError, SpaceError
from bench.generators.forms import load_exactly
from bench.generators.interfacegan import stored_truncation, stylegan_state
from bench.generators.stylegan import GENFORCE, INTERFACEGAN, StyleGAN
from bench.generators.stylegan_layers import adaptive_norm, enlarge, fused_up
from bench.interventions import Blend, Unit
from methods.unsupervised.sefa import factorize, parse_rows, row_layers

GOLDEN = Path(__file__).parents[2] / "golden"
TOLERANCE = 1e-5  # of the largest magnitude; the official codes differ by up to 3.8e-6 between float32 and float64
CASES = {
    "interfacegan": (INTERFACEGAN, "interfacegan_stylegan", {"truncation_psi": 0.7, "truncation_layers": 3}),
    "genforce": (GENFORCE, "sefa_stylegan", {"trunc_psi": 0.7, "trunc_layers": 3}),
}


def golden(name):
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def weights(data):
    return {key[3:]: torch.from_numpy(value) for key, value in data.items() if key.startswith("sd/")}


def codes(values, space="z"):
    values = torch.as_tensor(values)
    return Codes(space, values, torch.arange(len(values)))


def assert_near(value, reference, tolerance=TOLERANCE):
    reference = torch.as_tensor(reference, dtype=value.dtype)
    assert value.shape == reference.shape
    assert float((value - reference).abs().max()) <= tolerance * float(reference.abs().max())


@pytest.fixture(scope="module", params=CASES)
def case(request):
    form, name, arguments = CASES[request.param]
    data = golden(name)
    return data, form.build(weights(data), arguments, "golden", "none")


@pytest.fixture(scope="module")
def state():
    return weights(golden("sefa_stylegan"))


@pytest.fixture(scope="module")
def generator(state):
    return GENFORCE.build(state, {}, "golden", "none")


def random_network(blocks=4, n_labels=0, seed=0, **settings):
    """A network of other sizes with random weights, in genforce's names."""
    channels = (12, 10, 8, 6, 4, 4)[:blocks]
    network = StyleGAN(
        name="random",
        domain="none",
        z_dim=9,
        widths=[11, 13],
        channels=channels,
        n_labels=n_labels,
        lr_multiplier=0.5,
        **settings,
    )
    draw = torch.Generator().manual_seed(seed)
    values = {key: torch.randn(value.shape, generator=draw) for key, value in network.state_dict().items()}
    values |= {key: value for key, value in network.state_dict().items() if key.endswith(("blur.kernel", "lod"))}
    load_exactly(network, values, "a random network")
    return network


def as_interfacegan(state, fused):
    """A state dict in InterFaceGAN's names. fused: the numbers of the fused layers."""
    renamed = {}
    for key, value in state.items():
        parts = key.split(".")
        if parts[0] == "mapping":
            parts[2:] = ["linear", "weight"] if parts[2] == "weight" else ["wscale", "bias"]
        elif parts[1].startswith("output") and parts[2] == "weight":
            parts[2:] = ["conv", "weight"]
        elif parts[1].startswith("layer") and parts[2] == "weight":
            if int(parts[1][5:]) in fused:
                value = value.permute(2, 3, 1, 0)
            else:
                parts[2:] = ["conv", "weight"]
        elif parts[-1] == "const":
            parts[2] = "first_layer"
        elif parts[2:3] == ["style"]:
            parts[2:] = [
                "epilogue",
                "style_mod",
                "dense",
                *(["linear", "weight"] if parts[3] == "weight" else ["wscale", "bias"]),
            ]
        elif parts[2:3] in (["bias"], ["apply_noise"]) and parts[1].startswith("layer"):
            parts[2:2] = ["epilogue"]
        renamed[".".join(parts)] = value
    return renamed


# The official figures.


def test_codes_and_pictures_are_the_official_ones(case):
    data, generator = case
    z = codes(data["z"])
    assert_near(generator.convert(z, "w").values, data["out/w"])
    assert_near(generator.convert(z, "w+").values, data["out/wp"])
    assert_near(generator.synthesize(z), data["out/image"])
    assert_near(generator.truncated(1.0).synthesize(z), data["out/image_untruncated"])


def test_styles_and_feature_maps_are_the_official_ones(case):
    data, generator = case
    styled = [layer for layer in generator.info.layers if not layer.is_rgb]
    values = generator.convert(codes(data["z"]), "s").values
    maps = generator.features(codes(data["z"]), [layer.name for layer in generator.info.layers])
    for row, layer in enumerate(styled):
        interfacegan = f"out/style/{layer.name}.epilogue.style_mod.dense"
        key = interfacegan if interfacegan in data else f"out/style{row:02}"
        assert_near(values[:, slice(*layer.styles)], data[key])
        assert maps[layer.name].shape[1:] == (layer.channels, layer.resolution, layer.resolution)
    compared = [name for name in maps if f"out/feat/{name}" in data]
    assert len(compared) in (0, 9)
    for name in compared:
        assert_near(maps[name], data[f"out/feat/{name}"])


def test_double_precision_is_the_official_one(case):
    data, generator = case
    form, name, arguments = CASES["interfacegan" if "out/feat/synthesis.layer0" in data else "genforce"]
    double = form.build(weights(data), arguments, "golden", "none").double()
    assert_near(double.synthesize(codes(data["z"].astype(np.float64))), data["f64/image"], 1e-12)


@pytest.mark.parametrize("choice", ["all", "0-1", "2-5", "1,3, 6-7", "4"])
def test_the_weights_that_meet_w_give_the_official_directions(generator, choice):
    data = golden("sefa_stylegan")
    rows = parse_rows(choice.replace(" ", "").replace(",", "+"), 8)
    directions, eigenvalues = factorize(generator.code_weights("w", row_layers(generator.info, rows)))
    official = torch.from_numpy(data[f"sefa/{choice}/eigenvalues_sorted"]).double()
    torch.testing.assert_close(eigenvalues, official, rtol=0, atol=2e-7 * float(official[0]))
    cosine = (directions * torch.from_numpy(data[f"sefa/{choice}/boundaries_sorted"])).sum(1)
    assert (cosine[official > 1e-4] > 0.9999999).all()
    if f"edit/{choice}/image_after" in data:
        # The official edit truncates all eight rows and then moves them.
        edited = generator.convert(codes(data["edit/z"]), "w")
        before = generator.truncated(0.7, 8).convert(edited, "w+").values
        assert_near(before, data[f"edit/{choice}/code_before"])
        assert_near(generator.synthesize(codes(data[f"edit/{choice}/code_after"], "w+")), data[f"edit/{choice}/image_after"])


# Layers.


def test_a_fused_layer_is_doubling_and_the_flipped_kernel():
    x, kernel = torch.randn(2, 3, 5, 4).double(), torch.randn(6, 3, 3, 3).double()
    plain = F.conv2d(enlarge(x), kernel, padding=1)
    torch.testing.assert_close(fused_up(x, kernel.flip(2, 3).transpose(0, 1)), plain)


def test_adaptive_norm_gives_the_mean_and_deviation_of_the_style():
    x, style = torch.randn(3, 4, 8, 8).double() * 7 + 2, torch.randn(3, 8).double()
    y = adaptive_norm(x, style)
    torch.testing.assert_close(y.mean((2, 3)), style[:, 4:])
    torch.testing.assert_close(y.std((2, 3), correction=0), (style[:, :4] + 1).abs(), rtol=1e-6, atol=0)


def test_both_forms_of_one_network_give_one_picture_with_fused_layers():
    network = random_network(6, fused_from=128)
    state = as_interfacegan(network.state_dict(), fused={10})
    assert state["synthesis.layer10.weight"].shape == (3, 3, 4, 4)
    converted = stylegan_state(state)
    assert converted.keys() == network.state_dict().keys()
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in converted.items())
    z = network.sample(torch.arange(2), seed=0)
    same = INTERFACEGAN.build(state, {"truncation_psi": None}, "x", "y")
    other = GENFORCE.build(converted, {"fused_scale": "auto"}, "x", "y")
    assert same.settings() == other.settings() and same.fused_from == 128
    assert torch.equal(same.synthesize(z), other.synthesize(z))
    apart = GENFORCE.build(other.state_dict(), {"fused_scale": False}, "x", "y")
    assert not torch.allclose(apart.synthesize(z), other.synthesize(z))
    everywhere = GENFORCE.build(other.state_dict(), {"fused_scale": True}, "x", "y")
    assert everywhere.fused_from == 8 and not torch.allclose(everywhere.synthesize(z), other.synthesize(z))


@pytest.mark.parametrize("blocks", [1, 3])
def test_other_sizes_build_and_run_and_gradients_reach_the_code(blocks):
    network = random_network(blocks)
    built = GENFORCE.build(network.state_dict(), {"mapping_lr_mul": 0.5}, "x", "y")
    assert built.info.resolution == 4 << blocks - 1
    assert built.info.spaces["w+"] == (2 * blocks, 13) and built.info.spaces["z"] == (9,)
    z = built.sample(torch.arange(3), seed=1)
    assert torch.equal(built.synthesize(z), network.synthesize(z))
    for space in ("z", "w", "w+", "s", "p"):
        values = built.convert(z, space).values.clone().requires_grad_(True)
        built.synthesize(codes(values, space)).square().mean().backward()
        assert float(values.grad.abs().sum()) > 0
    assert not any(parameter.requires_grad for parameter in built.parameters())


def test_a_label_is_embedded_beside_z_and_normalised_with_it():
    network = random_network(2, n_labels=5)
    built = GENFORCE.build(network.state_dict(), {"mapping_lr_mul": 0.5, "label_size": 5, "z_space_dim": 9}, "x", "y")
    assert built.info.n_labels == 5
    z = built.sample(torch.arange(3), seed=0)
    x = torch.cat([z.values, z.labels @ built.mapping.label_weight], 1)
    x = x / x.square().mean(1, keepdim=True).sqrt()
    first = F.leaky_relu(x @ built.mapping.dense0.weight.T * (2**0.5 * 0.5 / 18**0.5) + 0.5 * built.mapping.dense0.bias, 0.2)
    second = F.leaky_relu(first @ built.mapping.dense1.weight.T * (2**0.5 * 0.5 / 11**0.5) + 0.5 * built.mapping.dense1.bias, 0.2)
    torch.testing.assert_close(built.convert(z, "w").values, second)
    with pytest.raises(InputError, match="labels"):
        built.synthesize(codes(z.values))


# Level of detail.


def test_at_a_whole_level_the_picture_is_the_smaller_network_doubled():
    network, small = random_network(4), random_network(3)
    load_exactly(small, {key: network.state_dict()[key] for key in small.state_dict()}, "a part")
    built = GENFORCE.build(network.state_dict() | {"synthesis.lod": torch.tensor(1.0)}, {"mapping_lr_mul": 0.5}, "x", "y")
    z = built.sample(torch.arange(2), seed=0)
    assert built.info.layers[-1].name == "synthesis.output2" and built.info.layers[-1].resolution == 16
    torch.testing.assert_close(built.synthesize(z), enlarge(small.synthesize(z)))
    # Between levels genforce fades, and InterFaceGAN does not.
    between = {"synthesis.lod": torch.tensor(0.25)}
    fading = GENFORCE.build(network.state_dict() | between, {"mapping_lr_mul": 0.5}, "x", "y")
    torch.testing.assert_close(fading.synthesize(z), 0.75 * network.synthesize(z) + 0.25 * enlarge(small.synthesize(z)))
    state = as_interfacegan(network.state_dict() | between, fused=())
    whole = INTERFACEGAN.build(state, {"truncation_psi": 1.0}, "x", "y")
    finished = INTERFACEGAN.build(state | {"synthesis.lod": torch.tensor(-3.0)}, {"truncation_psi": 1.0}, "x", "y")
    assert torch.equal(whole.synthesize(z), finished.synthesize(z))


# Spaces and truncation.


@pytest.mark.parametrize("space", ["w", "w+", "s", "p", "p+"])
def test_every_space_gives_the_same_picture(case, space):
    data, generator = case
    z = codes(data["z"])
    assert_near(generator.synthesize(generator.convert(z, space)), generator.synthesize(z))
    if space in ("p", "p+"):
        w = generator.convert(z, space.replace("p", "w")).values
        torch.testing.assert_close(generator.convert(generator.convert(z, space), space.replace("p", "w")).values, w)


def test_edits_of_w_come_before_truncation_and_of_w_plus_after(case):
    data, generator = case
    w, step = generator.convert(codes(data["z"]), "w"), torch.randn(w_dim := generator.info.spaces["w"][0])
    moved = generator.convert(w.with_values(w.values + step), "w+").values - generator.convert(w, "w+").values
    torch.testing.assert_close(moved[:, :3], 0.7 * step.expand(len(w), 3, w_dim), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(moved[:, 3:], step.expand(len(w), 5, w_dim), rtol=1e-4, atol=1e-5)
    untruncated = generator.truncated(1.0).convert(w, "w+").values
    assert torch.equal(untruncated, w.values[:, None].expand(-1, 8, -1))


def test_interfacegan_truncates_by_its_arguments_then_by_what_is_stored_then_by_default():
    state = weights(golden("interfacegan_stylegan"))

    def truncation(state, **arguments):
        built = INTERFACEGAN.build(state, arguments, "x", "y")
        return built.psi, built.cutoff

    assert truncation(state) == (0.7, 3)
    assert truncation(state, truncation_psi=0.5) == (0.5, 8)
    assert truncation(state, truncation_psi=0.5, truncation_layers=2) == (0.5, 2)
    assert truncation(state, truncation_psi=None) == truncation(state, truncation_layers=None) == (1.0, None)
    without = {key: value for key, value in state.items() if key != "truncation.truncation"}
    assert truncation(without) == (0.7, 8)
    assert stored_truncation(torch.tensor([0.7, 1.0, 0.7])) == {} == stored_truncation(torch.tensor([1.5, 1.0]))
    assert GENFORCE.build(stylegan_state(state), {}, "x", "y").psi == 1.0


# Noise and interventions.


def test_noise_is_named_and_seeded(generator):
    z = generator.sample(torch.arange(4), seed=0)
    pictures = [generator.synthesize(z, noise=mode) for mode in ("const", "none", "random:1", "random:2", "random:1")]
    assert torch.equal(pictures[2], pictures[4])
    assert all(not torch.equal(pictures[i], pictures[j]) for i in range(4) for j in range(i))
    assert_near(generator.synthesize(z[2:3], noise="random:1"), pictures[2][2:3])
    with pytest.raises(InputError, match="random:<seed>"):
        generator.synthesize(z, noise="random")


def test_noise_has_a_strength_per_channel(state):
    silent = dict(state)
    for key in state:
        if key.endswith("apply_noise.weight"):
            silent[key] = torch.zeros_like(state[key])
    quiet = GENFORCE.build(silent, {}, "x", "y")
    z = quiet.sample(torch.arange(2), seed=0)
    assert torch.equal(quiet.synthesize(z), quiet.synthesize(z, noise="none"))


def test_interventions_reach_the_picture(generator):
    z, layer = generator.sample(torch.arange(3), seed=0), "synthesis.layer3"
    image = generator.synthesize(z)
    scale = Unit(layer, torch.tensor([0, 4]), torch.ones(2), "scale")
    assert torch.equal(generator.synthesize(z, intervene=(scale,)), image)
    setting = Unit("synthesis.output3", torch.tensor([0, 1, 2]), torch.tensor([0.1, 0.2, 0.3]), "set")
    assert torch.equal(generator.synthesize(z, intervene=(setting,))[0, :, 5, 7], torch.tensor([0.1, 0.2, 0.3]))
    other = generator.sample(torch.arange(3) + 9, seed=0)
    mixed = generator.convert(z, "w+").values.clone()
    mixed[:, :4] = generator.convert(other, "w+").values[:, :4]
    blended = generator.synthesize(z, intervene=(Blend(layer, torch.ones(1, 1, 8, 8), other),))
    assert_near(blended, generator.synthesize(codes(mixed, "w+")))


def test_only_w_meets_the_styles(generator, state):
    assert [len(weight) for weight in generator.code_weights("w+")] == [28] * 6 + [16] * 2
    assert torch.equal(generator.code_weights("w", ["synthesis.layer5"])[0], state["synthesis.layer5.style.weight"])
    with pytest.raises(SpaceError, match="w and w\\+"):
        generator.code_weights("z")
    with pytest.raises(SpaceError, match="takes no style"):
        generator.code_weights("w", ["synthesis.output3"])
