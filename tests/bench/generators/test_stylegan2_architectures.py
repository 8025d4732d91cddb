"""StyleGAN2's other architectures and the class-conditional one: official figures, sizes, and the arguments of checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.codes import Codes
from bench.errors import InputError
from bench.generators.stylegan2 import ADA, StyleGAN2
from bench.interventions import Unit

GOLDEN = Path(__file__).parents[2] / "golden" / "stylegan2_ada_cond.npz"
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module")
def state(golden):
    return {key[3:]: torch.from_numpy(value) for key, value in golden.items() if key.startswith("sd/")}


@pytest.fixture(scope="module")
def arguments(golden):
    return json.loads(str(golden["meta"]))["generator_kwargs"]


@pytest.fixture(scope="module")
def generator(state, arguments):
    return ADA.build(state, arguments, "golden", "none")


@pytest.fixture(scope="module")
def z(golden):
    return Codes("z", torch.from_numpy(golden["z"]), torch.arange(2), torch.from_numpy(golden["c"]))


def assert_near(value, reference, tolerance=TOLERANCE):
    reference = torch.as_tensor(reference, dtype=value.dtype)
    assert value.shape == reference.shape
    assert float((value - reference).abs().max()) <= tolerance * float(reference.abs().max())


def make(**options) -> StyleGAN2:
    """A random network without a parameter at zero."""
    torch.manual_seed(1)
    sizes = {"z_dim": 6, "widths": [7, 5], "channels": {4: 6, 8: 4, 16: 3}} | options
    generator = StyleGAN2(name="random", domain="none", **sizes)
    for name, value in generator.state_dict().items():
        if name.endswith(("noise_strength", "w_avg", "bias")):
            value.add_(torch.randn(value.shape) * 0.3)
    return generator


# The official figures: class-conditional, residual, with a limit that acts, and hidden mapping layers of another width.


@pytest.mark.parametrize("name", ["psi1", "psi0.7", "psi0.5_cutoff"])
def test_codes_and_pictures_are_the_official_ones(generator, golden, z, name):
    cutoff = json.loads(str(golden["meta"]))["truncation_cutoff"]
    one = {"psi1": generator, "psi0.7": generator.truncated(0.7), "psi0.5_cutoff": generator.truncated(0.5, cutoff)}[name]
    assert_near(one.convert(z, "w+").values, golden[f"out/ws_{name}"])
    assert_near(one.synthesize(z), golden[f"out/img_{name}_const"])
    if f"out/img_{name}_none" in golden:
        assert_near(one.synthesize(z, noise="none"), golden[f"out/img_{name}_none"])
    codes = Codes("w+", torch.from_numpy(golden["out/wplus"]), torch.arange(2))
    assert_near(generator.synthesize(codes), golden["out/img_wplus_const"])


def test_styles_and_feature_maps_are_the_official_ones(generator, golden, z):
    styles = generator.convert(z, "s").values
    maps = generator.features(z, [layer.name for layer in generator.info.layers])
    assert [name for name in maps if name.endswith("torgb")] == ["synthesis.b16.torgb"]
    for layer in generator.info.layers:
        assert_near(styles[:, slice(*layer.styles)], golden[f"out/affine/{layer.name}.affine"])
        assert_near(maps[layer.name], golden[f"out/feat/{layer.name}"])
    assert generator.info.n_labels == 3
    assert generator.info.spaces["w+"] == (6, 20)


def test_double_precision_is_the_official_one(state, arguments, golden, z):
    double = ADA.build(state, arguments, "golden", "none").double()
    codes = z.with_values(z.values.double())
    assert_near(double.convert(codes, "w+").values, torch.from_numpy(golden["out/f64/ws_psi1"]), 1e-12)
    assert_near(double.synthesize(codes), torch.from_numpy(golden["out/f64/img_psi1_const"]), 1e-12)


# Classes.


def test_samples_have_a_class_and_their_picture_depends_on_it(generator):
    codes = generator.sample(torch.arange(40), seed=3)
    assert torch.equal(codes.labels.sum(1), torch.ones(40)) and bool((codes.labels.sum(0) > 5).all())
    assert_near(generator.synthesize(codes[4:6]), generator.synthesize(codes)[4:6])
    other = Codes("z", codes.values[:2], codes.ids[:2], codes.labels[:2].roll(1, 1))
    assert not torch.allclose(generator.synthesize(other), generator.synthesize(codes[:2]), atol=1e-3)
    mixed = Codes("z", codes.values[:2], codes.ids[:2], torch.full((2, 3), 1 / 3))
    assert bool(torch.isfinite(generator.synthesize(mixed)).all())


@pytest.mark.parametrize("labels", [None, torch.ones(2, 4), torch.ones(1, 3)])
def test_codes_without_fitting_labels_are_refused(generator, z, labels):
    with pytest.raises(InputError, match="3 classes"):
        generator.synthesize(Codes("z", z.values, z.ids, labels))


# Architectures.


def test_orig_is_skip_with_black_colours_below():
    skip = make()
    state = {key: value.clone() for key, value in skip.state_dict().items()}
    for key in state:
        if key.startswith(("synthesis.b4.torgb.", "synthesis.b8.torgb.")) and not key.startswith("affine"):
            state[key].zero_()
    black = StyleGAN2.from_state_dict(state, name="black", domain="none")
    kept = {key: value for key, value in state.items() if not key.startswith(("synthesis.b4.torgb.", "synthesis.b8.torgb."))}
    orig = ADA.build(kept, {"architecture": "orig"}, "orig", "none")
    codes = orig.sample(torch.arange(3), seed=0)
    assert_near(orig.synthesize(codes), black.synthesize(codes))
    assert len(orig.info.layers) == len(skip.info.layers) - 2
    assert orig.info.spaces["w+"] == skip.info.spaces["w+"]


def test_resnet_without_convolutions_is_its_shortcuts():
    """Zero styles of the convolutions leave bias, noise and limit alone, so without these only the shortcuts' path is left."""
    generator = make(architecture="resnet")
    state = generator.state_dict()
    for key, value in state.items():
        if ".conv" in key and key.endswith((".affine.weight", ".affine.bias", ".noise_strength")) and "b4" not in key:
            value.zero_()
        if ".conv" in key and key.endswith(("conv0.bias", "conv1.bias")) and "b4" not in key:
            value.zero_()
    codes = generator.sample(torch.arange(2), seed=0)
    x = generator.features(codes, ["synthesis.b4.conv1"])["synthesis.b4.conv1"]
    for side in (8, 16):
        y = F.conv2d(x, state[f"synthesis.b{side}.skip.weight"]) * (0.5 / x.shape[1]) ** 0.5
        n, c, h, w = y.shape
        zeros = torch.zeros(n, c, 2 * h, 2 * w)
        zeros[:, :, ::2, ::2] = y
        taps = torch.tensor([1.0, 3, 3, 1]) / 4
        x = F.conv2d(F.pad(zeros, (2, 1, 2, 1)), torch.outer(taps, taps).expand(c, 1, 4, 4), groups=c)
    style = generator.layer_styles(codes)[-1] / 3**0.5
    weight = state["synthesis.b16.torgb.weight"][None, :, :, 0, 0] * style[:, None]
    image = torch.einsum("nchw,noc->nohw", x, weight) + state["synthesis.b16.torgb.bias"][None, :, None, None]
    assert_near(generator.synthesize(codes), image)


SIZES = [
    {"channels": {4: 5}},
    {"channels": {4: 5}, "architecture": "orig"},
    {"channels": {4: 8, 8: 7, 16: 6, 32: 5, 64: 4}, "widths": [9, 8, 12]},
    {"widths": [5], "architecture": "resnet"},
    {"architecture": "orig", "conv_clamp": 0.4},
    {"architecture": "resnet", "n_labels": 4, "embed_features": 3, "use_noise": False},
    {"n_labels": 1, "z_dim": 3, "mean_w": False},
]


@pytest.mark.parametrize("options", SIZES, ids=str)
def test_other_sizes_are_read_off_their_weights_and_run(options):
    first = make(**options)
    clamp = {"conv_clamp": options["conv_clamp"]} if "conv_clamp" in options else {}
    again = ADA.build(first.state_dict(), clamp, "random", "none")
    assert again.info == first.info and again.fingerprint == first.fingerprint
    codes = first.sample(torch.arange(2), seed=0)
    assert torch.equal(again.synthesize(codes), first.synthesize(codes))
    names = [layer.name for layer in again.info.layers]
    maps = again.features(codes, names)
    assert list(maps) == names
    for layer in again.info.layers:
        assert maps[layer.name].shape[1:] == (layer.channels, layer.resolution, layer.resolution)
        changed = again.synthesize(codes, intervene=(Unit(layer.name, torch.tensor([0]), torch.tensor([5.0]), "add"),))
        assert not torch.equal(changed, again.synthesize(codes))
    values = codes.values.clone().requires_grad_(True)
    again.synthesize(codes.with_values(values)).square().sum().backward()
    assert float(values.grad.abs().min(0).values.max()) > 0
    assert [w.shape[0] for w in again.code_weights("w")] == [b - a for a, b in (x.styles for x in again.info.layers)]


def test_a_mean_w_that_the_weights_lack_is_that_of_many_codes():
    generator = make(mean_w=False)
    before = generator.fingerprint
    rows = generator.truncated(0.0).convert(generator.sample(torch.arange(1), seed=0), "w+").values[0]
    drawn = generator.convert(generator.sample(torch.arange(3000), seed=9), "w").values
    error = (rows[0] - drawn.mean(0)).abs() / drawn.std(0)
    assert float(error.max()) < 4 * (1 / 3000 + 1 / 4096) ** 0.5
    assert torch.equal(make(mean_w=False).w_avg, rows[0])
    assert "mapping.w_avg" not in generator.state_dict() and StyleGAN2.fingerprint.func(generator) == before


@pytest.mark.parametrize("architecture", ["skip", "resnet"])
def test_half_precision_follows_single_where_sums_are_large(architecture):
    generator = make(architecture=architecture, channels={4: 32, 8: 32})
    for name, value in generator.state_dict().items():
        if name.endswith(("conv0.weight", "conv1.weight")):
            value.mul_(300)
        if name.endswith("affine.bias"):
            value.mul_(50)
    codes = generator.sample(torch.arange(2), seed=0)
    single = generator.synthesize(codes)
    generator.synthesis.compute_dtype = torch.float16
    half = generator.synthesize(codes)
    assert half.dtype == torch.float32
    assert 0 < float((half - single).abs().max()) < 0.02 * float(single.abs().max())


# Arguments.


def test_arguments_may_be_flat_and_act(state, arguments, golden, z):
    flat = {k: v for k, v in arguments.items() if not k.endswith("_kwargs")}
    flat |= arguments["mapping_kwargs"] | arguments["synthesis_kwargs"]
    flat |= {"num_fp16_res": 4, "w_avg_beta": 0.995, "activation": "lrelu", "resample_filter": [1, 3, 3, 1], "use_noise": True}
    flat |= {"truncation_psi": 0.5, "truncation_cutoff": 2, "lr_multiplier": 0.01}
    assert_near(ADA.build(state, flat, "x", "none").synthesize(z), golden["out/img_psi0.5_cutoff_const"])
    plain = ADA.build(state, {}, "x", "none")
    assert plain.conv_clamp is None
    assert not torch.allclose(plain.synthesize(z), torch.from_numpy(golden["out/img_psi1_const"]), atol=1e-2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"activation": "relu"}, "activation 'relu' is not supported"),
        ({"img_channels": 1}, "img_channels is 1"),
        ({"img_resolution": 32}, "img_resolution is 32.*weights say 16"),
        ({"c_dim": 0}, "c_dim is 0"),
        ({"architecture": "skip"}, "architecture is skip.*weights say resnet"),
        ({"mapping_kwargs": {"num_layers": 8}}, "num_layers is 8.*weights say 4"),
        ({"layer_features": 25}, "layer_features is 25"),
        ({"channel_base": 512, "channel_max": 512}, "channel_base 512"),
        ({"resample_filter": [1, 2, 1]}, "resample_filter"),
        ({"resample_filter": "x"}, "filter taps"),
        ({"use_noise": False}, "use_noise"),
        ({"conv_clamp": -1}, "conv_clamp is a positive number"),
        ({"lr_multiplier": "a"}, "lr_multiplier is a positive number"),
        ({"truncation_psi": 2}, "truncation_psi"),
        ({"truncation_psi": 0.5, "truncation_cutoff": 1.5}, "truncation_cutoff"),
        ({"synthesis_kwargs": {"sharpness": 1}}, "no argument 'sharpness'"),
        ({"mapping_kwargs": 3}, "mapping_kwargs"),
    ],
)
def test_arguments_that_do_not_fit_are_named(state, given, message):
    with pytest.raises(InputError, match=message):
        ADA.build(state, given, "x", "none")


def test_parameters_that_do_not_fit_are_named(state):
    grey = {**state, "synthesis.b16.torgb.weight": state["synthesis.b16.torgb.weight"][:1]}
    with pytest.raises(InputError, match="3 colours, not of 1"):
        ADA.build(grey, {}, "x", "none")
    hole = {**state, "synthesis.b8.skip.weight": torch.full((12, 12, 1, 1), torch.nan)}
    with pytest.raises(InputError, match="NaN or infinity in synthesis.b8.skip.weight"):
        ADA.build(hole, {}, "x", "none")
    with pytest.raises(InputError, match="missing synthesis.b8.skip.weight"):
        ADA.build({k: v for k, v in state.items() if k != "synthesis.b8.skip.weight"}, {}, "x", "none")
