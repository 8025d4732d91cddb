"""StyleGAN2 against figures of the official implementation, and against what its own words promise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench.codes import Codes
from bench.errors import InputError, SpaceError
from bench.generators.resample import conv_up, fir_filter, upsample
from bench.generators.stylegan2 import StyleGAN2
from bench.generators.weights import load_card, load_safetensors, save_half
from bench.interventions import Blend, Unit, rows

GOLDEN = Path(__file__).parents[2] / "golden" / "stylegan2_ada.npz"
TOLERANCE = 1e-5  # of the largest magnitude; the official code itself differs by 1.4e-6 between float32 and float64


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module")
def state(golden):
    return {key[3:]: torch.from_numpy(value) for key, value in golden.items() if key.startswith("sd/")}


@pytest.fixture(scope="module")
def generator(state):
    return StyleGAN2.from_state_dict(state, name="golden", domain="none")


@pytest.fixture(scope="module")
def z(golden):
    return Codes("z", torch.from_numpy(golden["z"]), torch.arange(len(golden["z"])))


def assert_near(value, reference):
    reference = torch.as_tensor(reference, dtype=value.dtype)
    assert value.shape == reference.shape
    assert float((value - reference).abs().max()) <= TOLERANCE * float(reference.abs().max())


# The official figures.


def truncations(generator, golden):
    cutoff = json.loads(str(golden["meta"]))["truncation_cutoff"]
    return {"psi1": generator, "psi0.7": generator.truncated(0.7), "psi0.5_cutoff": generator.truncated(0.5, cutoff)}


@pytest.mark.parametrize("name", ["psi1", "psi0.7", "psi0.5_cutoff"])
def test_codes_and_pictures_are_the_official_ones(generator, golden, z, name):
    truncated = truncations(generator, golden)[name]
    assert_near(truncated.convert(z, "w+").values, golden[f"out/ws_{name}"])
    assert_near(truncated.synthesize(z), golden[f"out/img_{name}_const"])
    if f"out/img_{name}_none" in golden:
        assert_near(truncated.synthesize(z, noise="none"), golden[f"out/img_{name}_none"])


def test_a_w_for_every_layer_is_the_official_picture(generator, golden):
    codes = Codes("w+", torch.from_numpy(golden["out/wplus"]), torch.arange(3))
    assert_near(generator.synthesize(codes), golden["out/img_wplus_const"])


def test_styles_and_feature_maps_are_the_official_ones(generator, golden, z):
    styles = generator.convert(z, "s").values
    layers = generator.info.layers
    maps = generator.features(z, [layer.name for layer in layers])
    for layer in layers:
        assert_near(styles[:, slice(*layer.styles)], golden[f"out/affine/{layer.name}.affine"])
        assert_near(maps[layer.name], golden[f"out/feat/{layer.name}"])
        assert maps[layer.name].shape[1:] == (layer.channels, layer.resolution, layer.resolution)


def test_single_precision_is_near_double(state, golden):
    double = StyleGAN2.from_state_dict(state, name="golden", domain="none").double()
    codes = Codes("z", torch.from_numpy(golden["z"]).double(), torch.arange(3))
    image = double.synthesize(codes)
    reference = torch.from_numpy(golden["out/f64/img_psi1_const"])
    assert float((image - reference).abs().max()) <= 1e-12 * float(reference.abs().max())


def test_the_card_follows_the_official_layout(generator):
    layers = generator.info.layers
    assert [layer.name for layer in layers[:5]] == [
        "synthesis.b4.conv1",
        "synthesis.b4.torgb",
        "synthesis.b8.conv0",
        "synthesis.b8.conv1",
        "synthesis.b8.torgb",
    ]
    # A toRGB takes the row of the convolution after it; the last has one of its own.
    assert [layer.rows for layer in layers] == [(0,), (1,), (1,), (2,), (3,), (3,), (4,), (5,), (5,), (6,), (7,)]
    assert generator.info.spaces == {"z": (32,), "w": (32,), "w+": (8, 32), "s": (160,), "p": (32,), "p+": (8, 32), "p_n": (32,)}
    assert [layer.is_rgb for layer in layers] == [layer.name.endswith("torgb") for layer in layers]


# Resampling.


def test_upsampling_is_zeros_then_filter():
    image = torch.randn(2, 3, 5, 5)
    zeros = torch.zeros(2, 3, 10, 10)
    zeros[:, :, ::2, ::2] = image
    kernel = (4 * fir_filter()).expand(3, 1, 4, 4)
    reference = torch.nn.functional.conv2d(torch.nn.functional.pad(zeros, (2, 1, 2, 1)), kernel, groups=3)
    torch.testing.assert_close(upsample(image, fir_filter()), reference)


def test_upsampling_convolution_keeps_a_constant_inside():
    kernel = torch.zeros(1, 1, 3, 3)
    kernel[0, 0, 1, 1] = 1
    up = conv_up(torch.ones(1, 1, 6, 6), kernel, fir_filter())
    torch.testing.assert_close(up[:, :, 2:-2, 2:-2], torch.ones(1, 1, 8, 8))


def test_both_upsamplings_convolve_with_a_filter_that_is_not_symmetric():
    fir = torch.rand(4, 4)
    kernel = torch.zeros(1, 1, 3, 3)
    kernel[0, 0, 1, 1] = 1
    image = torch.randn(2, 1, 5, 5)
    torch.testing.assert_close(conv_up(image, kernel, fir), upsample(image, fir))


# Spaces.


def test_p_and_w_undo_each_other(generator, z):
    for space, other in (("w", "p"), ("w+", "p+")):
        codes = generator.convert(z, space)
        there = generator.convert(codes, other)
        assert not torch.equal(there.values, codes.values)
        torch.testing.assert_close(generator.convert(there, space).values, codes.values, rtol=1e-6, atol=0)


@pytest.mark.parametrize("space", ["w", "w+", "s", "p", "p+"])
def test_every_space_gives_the_same_picture(generator, z, space):
    assert_near(generator.synthesize(generator.convert(z, space)), generator.synthesize(z))


NO_WAY = [("s", "w"), ("s", "w+"), ("w+", "w"), ("w", "z"), ("p+", "p"), ("w+", "p"), ("p", "z")]


@pytest.mark.parametrize(("start", "goal"), NO_WAY)
def test_there_is_no_way_back(generator, z, start, goal):
    with pytest.raises(SpaceError, match="no way"):
        generator.convert(generator.convert(z, start), goal)


def test_codes_of_foreign_spaces_and_shapes_are_refused(generator, z):
    with pytest.raises(SpaceError, match="its spaces are"):
        generator.convert(z, "z+")
    with pytest.raises(SpaceError, match="unknown space 'x'"):
        generator.convert(z, "x")
    with pytest.raises(SpaceError, match=r"\[8, 32\]"):
        generator.synthesize(Codes("w+", torch.zeros(1, 7, 32), torch.arange(1)))
    with pytest.raises(SpaceError, match=r"\[32\]"):
        generator.synthesize(Codes("z", torch.zeros(1, 31), torch.arange(1)))


def test_truncation_acts_between_w_and_its_rows(generator, z):
    half = generator.truncated(0.5, cutoff=3)
    w = generator.convert(z, "w")
    assert torch.equal(half.convert(z, "w").values, w.values)
    ws, mean = half.convert(w, "w+").values, generator.mapping.w_avg
    torch.testing.assert_close(ws[:, :3], (mean + 0.5 * (w.values - mean))[:, None].expand(-1, 3, -1))
    assert torch.equal(ws[:, 3], w.values)
    assert torch.equal(half.truncated(1.0).synthesize(z), generator.synthesize(z))
    assert half.mapping is generator.mapping


# Reproducibility.


def test_the_fingerprint_follows_weights_and_settings(generator, state):
    assert generator.fingerprint == StyleGAN2.from_state_dict(state, name="golden", domain="none").fingerprint
    changed = {**state, "synthesis.b8.conv1.bias": state["synthesis.b8.conv1.bias"] + 1e-3}
    others = [
        generator.truncated(0.7),
        generator.truncated(0.7, 2),
        StyleGAN2.from_state_dict(changed, name="golden", domain="none"),
        StyleGAN2.from_state_dict(state, name="golden", domain="none", conv_clamp=2.0),
    ]
    assert len({one.fingerprint for one in [generator, *others]}) == 5


@pytest.mark.parametrize("noise", ["const", "none", "random:3"])
def test_a_picture_does_not_depend_on_its_batch(generator, noise):
    codes = generator.sample(torch.arange(9), seed=4)
    whole = generator.synthesize(codes, noise=noise)
    assert_near(generator.synthesize(codes[5:7], noise=noise), whole[5:7])


def test_noise_is_named_and_seeded(generator, z):
    pictures = [generator.synthesize(z, noise=mode) for mode in ("const", "none", "random:1", "random:2", "random:1")]
    assert torch.equal(pictures[2], pictures[4])
    assert all(not torch.equal(pictures[i], pictures[j]) for i in range(4) for j in range(i))
    with pytest.raises(InputError, match="random:<seed>"):
        generator.synthesize(z, noise="random")


def test_weights_are_frozen_and_gradients_reach_the_code(generator, z):
    assert not any(p.requires_grad for p in generator.parameters())
    values = z.values.clone().requires_grad_(True)
    generator.synthesize(z.with_values(values)).square().mean().backward()
    assert float(values.grad.abs().min(0).values.max()) > 0


def test_limits_of_feature_maps_hold(state, z):
    clamped = StyleGAN2.from_state_dict(state, name="golden", domain="none", conv_clamp=0.5)
    maps = clamped.features(z, [layer.name for layer in clamped.info.layers])
    assert max(float(one.abs().max()) for one in maps.values()) == pytest.approx(0.5)


# Interventions.

LAYER = "synthesis.b8.conv1"


def layer_map(generator, codes):
    return generator.features(codes, [LAYER])[LAYER]


def test_a_unit_set_to_its_own_value_changes_nothing(generator, z):
    own = layer_map(generator, z)[:, [2]].mean((2, 3))
    image = generator.synthesize(z)
    for unit in (
        Unit(LAYER, torch.tensor([2, 5]), torch.zeros(2), "add"),
        Unit(LAYER, torch.tensor([2, 5]), torch.ones(2), "scale"),
        Unit(LAYER, torch.tensor([2]), own, "set", mask=torch.zeros(1, 1, 8, 8)),
    ):
        assert torch.equal(generator.synthesize(z, intervene=(unit,)), image)


def test_setting_and_scaling_to_zero_agree_and_matter(generator, z):
    channels = torch.tensor([1, 7])
    by_set = generator.synthesize(z, intervene=(Unit(LAYER, channels, torch.zeros(2), "set"),))
    by_scale = generator.synthesize(z, intervene=(Unit(LAYER, channels, torch.zeros(2), "scale"),))
    torch.testing.assert_close(by_set, by_scale)
    assert not torch.allclose(by_set, generator.synthesize(z))


def test_a_masked_change_stays_near_the_mask(generator, z):
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :8, :8] = 1
    change = Unit("synthesis.b32.conv1", torch.tensor([0, 3]), torch.tensor([5.0, -5.0]), "add", mask)
    difference = (generator.synthesize(z, intervene=(change,)) - generator.synthesize(z)).abs().amax(1)
    assert float(difference[:, :8, :8].min()) > 0
    difference[:, :8, :8] = 0
    assert float(difference.max()) == 0


def test_the_mask_is_resized_to_the_layer(generator, z):
    small, large = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 32, 32)
    small[..., 2:4, 2:4], large[..., 8:16, 8:16] = 1, 1
    units = [Unit(LAYER, torch.tensor([0]), torch.tensor([3.0]), "add", mask) for mask in (small, large)]
    images = [generator.synthesize(z, intervene=(unit,)) for unit in units]
    torch.testing.assert_close(*images)


def test_a_value_per_sample_slices_with_the_batch(generator, z):
    unit = Unit(LAYER, torch.tensor([0, 4]), torch.randn(3, 2), "set")
    whole = generator.synthesize(z, intervene=(unit,))
    assert_near(generator.synthesize(z[1:2], intervene=rows((unit,), slice(1, 2))), whole[1:2])


def test_blending_everything_at_the_last_map_gives_the_other_features(generator, z):
    other = generator.sample(torch.arange(3) + 50, seed=1)
    layer = "synthesis.b4.conv1"
    empty = Blend(layer, torch.zeros(1, 1, 4, 4), other)
    assert torch.equal(generator.synthesize(z, intervene=(empty,)), generator.synthesize(z))
    # Taking the other's map at the first layer of a code's own later styles is style mixing.
    full = generator.synthesize(z, intervene=(Blend(layer, torch.ones(1, 1, 4, 4), other),))
    mixed = generator.convert(z, "w+").values.clone()
    mixed[:, 0] = generator.convert(other, "w+").values[:, 0]
    assert_near(full, generator.synthesize(Codes("w+", mixed, z.ids)))


def test_unknown_layers_are_named_with_their_neighbours(generator, z):
    unit = Unit("synthesis.b8.conv2", torch.tensor([0]), torch.zeros(1))
    with pytest.raises(InputError, match="synthesis.b8.conv"):
        generator.synthesize(z, intervene=(unit,))
    with pytest.raises(InputError, match="unknown layer"):
        generator.features(z, ["b8"])


def test_code_weights_are_the_raw_affines(generator, state):
    names = [layer.name for layer in generator.info.layers]
    weights = generator.code_weights("w")
    assert len(weights) == len(names)
    for name, weight in zip(names, weights, strict=True):
        assert torch.equal(weight, state[f"{name}.affine.weight"])
    assert torch.equal(generator.code_weights("w+", [LAYER])[0], state[f"{LAYER}.affine.weight"])
    with pytest.raises(SpaceError, match="w and w\\+"):
        generator.code_weights("z")


# Weights that do not fit.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("synthesis.b16.conv1.noise_const"), "missing synthesis.b16.conv1.noise_const"),
        (lambda s: s.update(extra=torch.zeros(1)), "unexpected extra"),
        (lambda s: s.update({"synthesis.b8.conv0.bias": torch.zeros(3)}), r"shape \[3\], not \[16\]"),
        (lambda s: s.pop("synthesis.b16.conv1.weight"), "missing synthesis.b16.conv1.weight"),
        (lambda s: s.pop("mapping.fc3.weight"), "missing mapping.fc3.weight"),
        (lambda s: s.update({"synthesis.b4.conv1.weight": torch.zeros(())}), r"shape \[\], not 4 axes"),
        (lambda s: s.update({"mapping.embed.weight": torch.zeros(1, 1)}), "missing mapping.embed.bias"),
        (lambda s: s.clear(), "0 resolutions"),
    ],
)
def test_other_state_dicts_are_refused(state, change, message):
    wrong = dict(state)
    change(wrong)
    with pytest.raises(InputError, match=message):
        StyleGAN2.from_state_dict(wrong, name="x", domain="none")


def test_half_precision_files_come_back_as_float32(tmp_path):
    tensors = {"a": torch.tensor([1.0, 0.1]), "n": torch.tensor([3])}
    sha = save_half(tensors, tmp_path / "w.safetensors")
    loaded = load_safetensors(tmp_path / "w.safetensors", sha256=sha)
    assert loaded["a"].dtype == torch.float32 and loaded["n"].dtype == torch.int64
    assert torch.equal(loaded["a"], tensors["a"].half().float())


def test_bad_weight_files_end_in_one_clear_line(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(InputError, match="no weights at"):
        load_safetensors(path)
    path.write_text("<html>quota exceeded</html>")
    with pytest.raises(InputError, match="damaged"):
        load_safetensors(path)
    save_file({"layer": torch.tensor([1.0, float("nan")])}, path)
    with pytest.raises(InputError, match="NaN or infinity in layer"):
        load_safetensors(path)
    with pytest.raises(InputError, match="SHA-256"):
        load_safetensors(path, sha256="0" * 64)
    with pytest.raises(InputError, match="not finite in half"):
        save_half({"big": torch.tensor([1e6])}, path)
    with pytest.raises(InputError, match="no card"):
        load_card(tmp_path / "w.json")
    (tmp_path / "w.json").write_text("[1]")
    with pytest.raises(InputError, match="not a JSON object"):
        load_card(tmp_path / "w.json")
