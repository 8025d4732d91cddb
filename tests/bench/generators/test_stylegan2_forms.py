"""The published forms of StyleGAN2: official figures, one network in three forms, and lists of full-size networks."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.codes import Codes
from bench.errors import InputError
from bench.generators.stylegan2 import ADA, StyleGAN2
from bench.generators.stylegan2_genforce import GENFORCE, genforce_to_ada
from bench.generators.stylegan2_rosinality import ROSINALITY, rosinality_to_ada

FOLDER = Path(__file__).parents[2] / "golden"
TOLERANCE = 1e-5
FORMS = (ADA, ROSINALITY, GENFORCE)


def read(name: str):
    """Figures, state dict and constructor arguments of a file."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        golden = {key: file[key] for key in file.files}
    state = {key[3:]: torch.from_numpy(value) for key, value in golden.items() if key.startswith("sd/")}
    return golden, state, json.loads(str(golden["meta"]))["generator_kwargs"]


def assert_near(value, reference, tolerance=TOLERANCE):
    reference = torch.as_tensor(reference, dtype=value.dtype)
    assert value.shape == reference.shape
    assert float((value - reference).abs().max()) <= tolerance * float(reference.abs().max())


def z_of(golden, key="z"):
    return Codes("z", torch.from_numpy(golden[key]), torch.arange(len(golden[key])))


# rosinality.


@pytest.fixture(scope="module")
def rosinality():
    golden, state, arguments = read("stylegan2_rosinality")
    return golden, {**state, "latent_avg": torch.from_numpy(golden["truncation_latent"])}, arguments


def test_rosinality_pictures_are_the_official_ones(rosinality):
    golden, state, arguments = rosinality
    generator, z = ROSINALITY.build(state, arguments, "r", "none"), z_of(golden)
    assert_near(generator.convert(z, "w").values, golden["out/w"])
    assert_near(generator.synthesize(z), golden["out/img"])
    assert_near(generator.synthesize(z, noise="none"), golden["out/img_zero_noise"])
    assert_near(ROSINALITY.build(state, {"truncation": 0.7}, "r", "none").synthesize(z), golden["out/img_truncated"])
    mixed = Codes("w+", torch.from_numpy(golden["out/latent_mixed"]), z.ids)
    assert_near(generator.synthesize(mixed), golden["out/img_mixed"])
    double = ROSINALITY.build(state, arguments, "r", "none").double()
    assert_near(double.synthesize(z.with_values(z.values.double())), torch.from_numpy(golden["f64/img"]), 1e-12)


def test_rosinality_styles_and_feature_maps_are_the_official_ones(rosinality):
    golden, state, arguments = rosinality
    generator, z = ROSINALITY.build(state, arguments, "r", "none"), z_of(golden)
    published = ["conv1", "to_rgb1"]
    for block in range(3):
        published += [f"convs.{2 * block}", f"convs.{2 * block + 1}", f"to_rgbs.{block}"]
    layers = generator.info.layers
    styles, maps = generator.convert(z, "s").values, generator.features(z, [layer.name for layer in layers])
    for old, layer in zip(published, layers, strict=True):
        assert_near(styles[:, slice(*layer.styles)], golden[f"out/style/{old}.conv.modulation"])
        if not layer.is_rgb:
            assert_near(maps[layer.name], golden[f"out/feat/{old}"])


@pytest.mark.parametrize("shape", ["row", "rows", "vector", "list"])
def test_the_mean_w_comes_with_the_state_or_the_arguments(rosinality, shape):
    golden, state, arguments = rosinality
    mean = torch.from_numpy(golden["truncation_latent"])
    given = {"row": mean, "rows": mean.expand(8, -1), "vector": mean[0], "list": mean[0].tolist()}[shape]
    bare = {key: value for key, value in state.items() if key != "latent_avg"}
    generator = ROSINALITY.build(bare, {**arguments, "latent_avg": given, "truncation": 0.7}, "r", "none")
    assert torch.equal(generator.w_avg, mean[0])
    assert_near(generator.synthesize(z_of(golden)), golden["out/img_truncated"])


def test_without_a_mean_w_truncation_uses_that_of_many_codes(rosinality):
    golden, state, arguments = rosinality
    bare = {key: value for key, value in state.items() if key != "latent_avg"}
    generator = ROSINALITY.build(bare, {**arguments, "truncation": 0.7}, "r", "none")
    assert torch.equal(generator.w_avg, ROSINALITY.build(bare, {}, "r", "none").w_avg)
    drawn = generator.convert(generator.sample(torch.arange(2000), seed=1), "w").values
    assert float(((generator.w_avg - drawn.mean(0)) / drawn.std(0)).abs().max()) < 4 * (1 / 2000 + 1 / 4096) ** 0.5


# genforce.


@pytest.mark.parametrize("truncated", [True, False])
def test_genforce_pictures_are_the_official_ones(truncated):
    golden, state, arguments = read("sefa_stylegan2")
    generator = GENFORCE.build(state, arguments | ({"trunc_psi": 0.7, "trunc_layers": 3} if truncated else {}), "g", "none")
    z = z_of(golden)
    assert (generator.psi, generator.cutoff) == ((0.7, 3) if truncated else (1.0, None))
    assert_near(generator.convert(z, "w").values, golden["out/w"])
    assert_near(generator.synthesize(z), golden["out/image" if truncated else "out/image_untruncated"])
    if truncated:
        assert_near(generator.convert(z, "w+").values, golden["out/wp"])
        styles = generator.convert(z, "s").values
        for layer in generator.info.layers:
            place, part = layer.name.split(".")[1:]
            block = int(math.log2(int(place[1:]))) - 2
            key = f"out/output_style{block}" if layer.is_rgb else f"out/style{2 * block - (part == 'conv0'):02d}"
            assert_near(styles[:, slice(*layer.styles)], golden[key])
        # The official code holds the strength in single precision.
        double = generator.truncated(float(np.float32(0.7)), 3).double()
        assert_near(double.synthesize(z.with_values(z.values.double())), torch.from_numpy(golden["f64/image"]), 1e-12)


def test_genforce_edits_are_the_official_ones():
    golden, state, arguments = read("sefa_stylegan2")
    generator = GENFORCE.build(state, arguments, "g", "none")
    codes = Codes("w+", torch.from_numpy(golden["edit/all/code_after"]), torch.arange(3))
    assert_near(generator.synthesize(codes), golden["edit/all/image_after"])


@pytest.mark.parametrize("given", [{"trunc_psi": 0.5}, {"trunc_layers": 4}, {"trunc_psi": 0.5, "trunc_layers": 0}])
def test_genforce_truncates_only_by_both_arguments(given):
    _, state, _ = read("sefa_stylegan2")
    assert GENFORCE.build(state, given, "g", "none").psi == 1.0


# One network in three forms.


def random_ada(channels, **options) -> StyleGAN2:
    torch.manual_seed(2)
    generator = StyleGAN2(name="ada", domain="none", z_dim=6, widths=[6, 6], channels=channels, **options)
    for name, value in generator.state_dict().items():
        if name.endswith(("noise_strength", "w_avg", "bias")):
            value.add_(torch.randn(value.shape) * 0.3)
    return generator


def as_rosinality(state, sides):
    """The inverse of the conversion, written from the list of names."""
    new = {"latent_avg": state["mapping.w_avg"], "input.input": state["synthesis.b4.const"][None]}
    for index in range(2):
        for part in ("weight", "bias"):
            new[f"style.{index + 1}.{part}"] = state[f"mapping.fc{index}.{part}"]
    noises = 0
    for block, side in enumerate(sides):
        layers = {
            "conv1": f"convs.{2 * block - 1}" if block else "conv1",
            "torgb": f"to_rgbs.{block - 1}" if block else "to_rgb1",
        }
        if block:
            layers = {"conv0": f"convs.{2 * block - 2}", **layers}
            new[f"convs.{2 * block - 2}.conv.blur.kernel"] = state[f"synthesis.b{side}.conv0.resample_filter"] * 4
            new[f"to_rgbs.{block - 1}.upsample.kernel"] = state[f"synthesis.b{side}.resample_filter"] * 4
        for part, old in layers.items():
            key = f"synthesis.b{side}.{part}"
            new[f"{old}.conv.weight"] = state[f"{key}.weight"][None]
            new[f"{old}.conv.modulation.weight"] = state[f"{key}.affine.weight"]
            new[f"{old}.conv.modulation.bias"] = state[f"{key}.affine.bias"]
            if part == "torgb":
                new[f"{old}.bias"] = state[f"{key}.bias"].view(1, 3, 1, 1)
                continue
            new[f"{old}.activate.bias"] = state[f"{key}.bias"]
            new[f"{old}.noise.weight"] = state[f"{key}.noise_strength"].view(1)
            new[f"noises.noise_{noises}"] = state[f"{key}.noise_const"][None, None]
            noises += 1
    return new


def as_genforce(state, sides):
    """The inverse of the conversion, written from the list of names."""
    new = {"truncation.w_avg": state["mapping.w_avg"], "synthesis.early_layer.const": state["synthesis.b4.const"][None]}
    for index in range(2):
        for part in ("weight", "bias"):
            new[f"mapping.dense{index}.{part}"] = state[f"mapping.fc{index}.{part}"]
    for block, side in enumerate(sides):
        layers = {"conv0": f"layer{2 * block - 1}", "conv1": f"layer{2 * block}", "torgb": f"output{block}"}
        for part, old in layers.items():
            if part == "conv0" and not block:
                continue
            key, old = f"synthesis.b{side}.{part}", f"synthesis.{old}"
            weight = state[f"{key}.weight"]
            new[f"{old}.weight"] = weight.flip(2, 3) if part == "conv0" else weight
            new[f"{old}.bias"] = state[f"{key}.bias"]
            new[f"{old}.style.weight"] = state[f"{key}.affine.weight"]
            new[f"{old}.style.bias"] = state[f"{key}.affine.bias"] - 1
            if part == "conv0":
                new[f"{old}.filter.kernel"] = state[f"{key}.resample_filter"].flip(0, 1)[None, None] * 4
            if part != "torgb":
                new[f"{old}.noise_strength"] = state[f"{key}.noise_strength"]
                new[f"{old}.noise"] = state[f"{key}.noise_const"][None, None]
    new["synthesis.upsample.kernel"] = state[f"synthesis.b{sides[-1]}.resample_filter"].flip(0, 1)[None, None] * 4
    return new


@pytest.mark.parametrize("channels", [{4: 5, 8: 4}, {4: 8, 8: 7, 16: 5, 32: 3}], ids=["8 px", "32 px"])
def test_one_network_in_three_forms_gives_one_picture(channels):
    ada, sides = random_ada(channels), sorted(channels)
    state = ada.state_dict()
    others = [
        ROSINALITY.build(as_rosinality(state, sides), {"size": sides[-1], "truncation": 0.6}, "r", "none"),
        GENFORCE.build(as_genforce(state, sides), {"trunc_psi": 0.6, "trunc_layers": 99}, "g", "none"),
    ]
    codes = ada.sample(torch.arange(3), seed=0)
    for other in others:
        for noise in ("const", "none", "random:4"):
            assert_near(other.synthesize(codes, noise=noise), ada.truncated(0.6).synthesize(codes, noise=noise))
        assert_near(other.convert(codes, "s").values, ada.truncated(0.6).convert(codes, "s").values)
        assert other.info.spaces == ada.info.spaces and other.info.layers == ada.info.layers
        for mine, its in zip(ada.code_weights("w"), other.code_weights("w"), strict=True):
            assert torch.equal(mine, its)


def test_conversion_loses_no_bit():
    channels = {4: 5, 8: 4}
    state = random_ada(channels).state_dict()
    back = rosinality_to_ada(as_rosinality(state, sorted(channels)))
    assert back.keys() == state.keys() and all(torch.equal(back[key], state[key]) for key in state)
    there = as_genforce(state, sorted(channels))
    again = as_genforce({**state, **genforce_to_ada(there)}, sorted(channels))
    assert all(torch.equal(again[key], there[key]) for key in there if not key.endswith("style.bias"))


@pytest.mark.parametrize("scaled", [True, False])
def test_small_weights_meet_the_epsilon_of_their_form(scaled):
    """One convolution with weights so small that the epsilon decides, against weights modulated for every sample."""
    generator = random_ada({4: 5}, scaled_epsilon=scaled)
    layer = generator.synthesis.b4.conv1
    layer.weight.mul_(1e-4)
    layer.noise_strength.zero_()
    codes = generator.sample(torch.arange(2), seed=0)
    style = generator.layer_styles(codes)[0]
    gain = 1 / math.sqrt(5 * 9) if scaled else 1.0
    x = generator.synthesis.b4.const
    rows = []
    for one in style:
        weight = layer.weight * gain * one[None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        rows.append(F.leaky_relu(F.conv2d(x[None], weight, layer.bias, padding=1), 0.2) * math.sqrt(2))
    assert_near(generator.features(codes, ["synthesis.b4.conv1"])["synthesis.b4.conv1"], torch.cat(rows))
    other = random_ada({4: 5}, scaled_epsilon=not scaled)
    assert other.fingerprint != random_ada({4: 5}, scaled_epsilon=scaled).fingerprint


# Full-size networks, by their lists of names and shapes.

LISTS = {
    "stylegan2_ada_ffhq_1024_stylegan2": (ADA, 1024, 18, 0),
    "stylegan2_ada_afhq_512_paper512": (ADA, 512, 16, 0),
    "stylegan2_ada_ffhq_256_paper256": (ADA, 256, 14, 0),
    "stylegan2_ada_cifar10_cond_32": (ADA, 32, 8, 10),
    "rosinality_stylegan2_1024": (ROSINALITY, 1024, 18, 0),
    "rosinality_stylegan2_256": (ROSINALITY, 256, 14, 0),
    "genforce_stylegan2_1024": (GENFORCE, 1024, 18, 0),
    "genforce_stylegan2_256": (GENFORCE, 256, 14, 0),
}


def listed(name: str) -> dict[str, torch.Tensor]:
    """Tensors of the listed shapes that hold one number each."""
    state = {}
    for line in (FOLDER / "parameter_shapes" / f"{name}.txt").read_text().splitlines():
        if not line.startswith("#"):
            key, _, shape = line.split("\t")
            state[key] = torch.ones(()).expand([] if shape == "scalar" else [int(side) for side in shape.split("x")])
    return state


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_full_size_networks_load(name):
    form, resolution, rows, classes = LISTS[name]
    state = listed(name)
    assert [one for one in FORMS if one.fits(state)] == [form]
    info = form.build(state, {}, "full", "faces").info
    assert (info.resolution, info.n_labels, info.architecture) == (resolution, classes, "stylegan2")
    assert info.spaces["z"] == info.spaces["w"] == info.spaces["p_n"] == (512,)
    assert info.spaces["w+"] == info.spaces["p+"] == (rows, 512)
    assert info.spaces["s"] == (sum(b - a for a, b in (layer.styles for layer in info.layers)),)
    if resolution == 1024:
        assert info.spaces["s"] == (9088,)  # Wu et al. 2021, section 2
        assert sum(layer.is_rgb for layer in info.layers) == 9


# What does not fit.


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        (lambda s: s.pop("noises.noise_3"), {}, "missing noises.noise_3"),
        (lambda s: s.update(extra=torch.zeros(1)), {}, "unexpected extra"),
        (lambda s: s.update({"convs.0.activate.bias": torch.zeros(3)}), {}, r"convs.0.activate.bias has shape \[3\], not \[16\]"),
        (
            lambda s: s.update({"convs.1.noise.weight": torch.full((1,), torch.inf)}),
            {},
            "NaN or infinity in convs.1.noise.weight",
        ),
        (lambda s: s.update({"to_rgb1.bias": torch.zeros(1, 1, 1, 1)}), {}, "to_rgb1.bias has shape"),
        (lambda s: s.update(latent_avg=torch.randn(8, 32)), {}, "latent_avg"),
        (lambda s: s.update(latent_avg=torch.randn(31)), {}, "latent_avg"),
        (lambda s: s.pop("latent_avg"), {"latent_avg": "x"}, "latent_avg"),
        (lambda s: None, {"size": 64}, "size is 64"),
        (lambda s: None, {"n_mlp": 4}, "n_mlp is 4"),
        (lambda s: None, {"blur_kernel": [1, 2, 2, 1]}, "blur_kernel"),
        (lambda s: None, {"lr_mlp": 0}, "lr_mlp is a positive number"),
        (lambda s: None, {"style": 1}, "no argument 'style'"),
    ],
)
def test_what_does_not_fit_rosinality_is_named(rosinality, change, given, message):
    wrong = dict(rosinality[1])
    change(wrong)
    with pytest.raises(InputError, match=message):
        ROSINALITY.build(wrong, given, "r", "none")


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        (lambda s: s.pop("synthesis.output1.style.bias"), {}, "missing synthesis.output1.style.bias"),
        (lambda s: s.update({"mapping.label_weight": torch.zeros(2, 20)}), {}, "class-conditional"),
        (lambda s: s.update({"synthesis.layer3.noise": torch.zeros(1, 1, 8, 8)}), {}, r"layer3.noise has shape"),
        (lambda s: s.update({"synthesis.layer3.bias": torch.full((14,), torch.nan)}), {}, "synthesis.layer3.bias"),
        (lambda s: None, {"architecture": "resnet"}, "architecture 'resnet' is not supported"),
        (lambda s: None, {"final_tanh": True}, "final_tanh True"),
        (lambda s: None, {"mapping_fmaps": 29}, "mapping_fmaps is 29"),
        (lambda s: None, {"fmaps_base": 512, "fmaps_max": 14}, "fmaps_base 512"),
        (lambda s: None, {"trunc_psi": 0.7, "trunc_layers": -1}, "trunc_layers"),
        (lambda s: None, {"label_size": 3}, "label_size 3"),
    ],
)
def test_what_does_not_fit_genforce_is_named(change, given, message):
    _, wrong, arguments = read("sefa_stylegan2")
    change(wrong)
    with pytest.raises(InputError, match=message):
        GENFORCE.build(wrong, arguments | given, "g", "none")
