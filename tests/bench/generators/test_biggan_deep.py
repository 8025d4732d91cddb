"""BigGAN-deep (Hugging Face names) against figures of the official package, and against what its own words promise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from bench.codes import Codes
from bench.errors import InputError, SpaceError
from bench.generators.biggan_deep import HUGGINGFACE, statistics
from bench.generators.biggan_layers import truncated_normal
from bench.interventions import Blend, Unit

GOLDEN = Path(__file__).parents[2] / "golden"
TOLERANCE = 5e-6  # of the largest magnitude; the official code itself differs by 1.7e-6 between float32 and float64


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "biggan_deep.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module")
def config(golden):
    return json.loads(str(golden["meta"]))["config"]


@pytest.fixture(scope="module")
def state(golden):
    return {key[3:]: torch.from_numpy(value) for key, value in golden.items() if key.startswith("sd/")}


@pytest.fixture(scope="module")
def generator(state, config):
    return HUGGINGFACE.build(state, config, "golden", "none")


@pytest.fixture(scope="module")
def z(golden):
    values, labels = torch.from_numpy(golden["z"]), torch.from_numpy(golden["class_vector"])
    return Codes("z", values, torch.arange(len(values)), labels)


def assert_near(value, reference):
    reference = torch.as_tensor(reference, dtype=value.dtype)
    assert value.shape == reference.shape
    assert float((value - reference).abs().max()) <= TOLERANCE * float(reference.abs().max())


# The official figures.


@pytest.mark.parametrize("psi", [0.4, 0.45, 1.0, 0.7])
def test_pictures_are_the_official_ones_at_every_truncation(generator, golden, z, psi):
    """0.4 hits a row, 0.45 lies between two, and 0.7 misses its row by rounding: the weights are swapped there."""
    assert_near(generator.truncated(psi).synthesize(z), golden[f"out/image_trunc{psi}"])


def test_feature_maps_are_the_official_ones(generator, golden, z):
    """They were stored in the first pass, at truncation 0.4; gen_z is stored flat, with channels last."""
    maps = generator.truncated(0.4).features(z, [layer.name for layer in generator.info.layers])
    official = {key[9:]: value for key, value in golden.items() if key.startswith("out/feat/generator.layers")}
    assert len(official) == 7
    for name, value in official.items():
        assert_near(maps[name], value)
    assert_near(maps["generator.gen_z"].permute(0, 2, 3, 1).flatten(1), golden["out/feat/generator.gen_z"])
    for layer in generator.info.layers:
        assert maps[layer.name].shape[1:] == (layer.channels, layer.resolution, layer.resolution)
    assert torch.equal(maps["generator.conv_to_rgb"], generator.truncated(0.4).synthesize(z))


def test_in_double_precision_the_picture_differs_by_rounding_only(state, config, golden, z):
    double = HUGGINGFACE.build(state, config, "golden", "none").double().truncated(0.7)
    codes = Codes("z", z.values.double(), z.ids, z.labels)
    assert_near(double.synthesize(codes).float(), golden["out/image_trunc0.7"])


def test_the_state_dict_keeps_the_official_names(generator, state):
    own = generator.state_dict()
    assert own.keys() == state.keys()
    assert all(torch.equal(own[key], value) for key, value in state.items())


@pytest.mark.parametrize("psi", [0.4, 1.0])
def test_the_truncated_normal_is_the_official_samplers(golden, psi):
    """scipy's truncnorm draws uniform numbers from the same seed and inverts the distribution function."""
    uniform = torch.from_numpy(np.random.RandomState(0).uniform(size=(4, 12)))
    value = psi * truncated_normal(uniform)
    np.testing.assert_allclose(value.numpy(), golden[f"truncated_noise/seed0_trunc{psi}"], rtol=0, atol=2e-7)


# Truncation.


def test_fifty_one_rows_read_a_neighbour_at_five_truncations():
    rows = torch.arange(51, dtype=torch.float64)[:, None]
    read = {psi / 100: float(statistics(rows, psi / 100)) for psi in range(2, 101, 2)}
    wrong = {psi for psi, value in read.items() if abs(value - 50 * psi) > 0.5}
    assert wrong == {0.14, 0.28, 0.56, 0.58, 0.94}
    assert float(statistics(rows, 0.405)) == pytest.approx(20 * 0.25 + 21 * 0.75)  # nearer to row 20, and yet
    assert float(statistics(torch.arange(50.0)[:, None], 1.0)) == pytest.approx(49)


def test_samples_are_a_truncated_normal_times_psi_and_a_function_of_seed_and_id(generator):
    ids = torch.arange(400)
    for psi in (1.0, 0.5):
        values = generator.truncated(psi).sample(ids, seed=3).values
        assert float(values.abs().max()) <= 2 * psi
        assert stats.kstest(values.flatten().double().numpy() / psi, stats.truncnorm(-2, 2).cdf).pvalue > 0.01
    few = generator.truncated(0.5).sample(torch.tensor([399, 7]), seed=3)
    assert torch.equal(few.values, values[[399, 7]])
    assert few.labels.shape == (2, 7) and torch.equal(few.labels.sum(1), torch.ones(2))
    assert len(generator.sample(ids, seed=3).labels.argmax(1).unique()) == 7
    assert torch.equal(generator.sample(ids[:2], seed=3, labels=few.labels).labels, few.labels)


def test_truncation_is_another_generator_and_bad_ones_are_refused(generator, z):
    half = generator.truncated(0.5)
    assert half.fingerprint != generator.fingerprint == half.truncated(1.0).fingerprint
    assert not torch.allclose(half.synthesize(z), generator.synthesize(z))
    for psi in (0.0, 1.1, -0.5):
        with pytest.raises(InputError, match="above 0 and at most 1"):
            generator.truncated(psi)
    with pytest.raises(InputError, match="cut off"):
        generator.truncated(0.5, 3)


# Spaces, interventions, weights that codes meet.


def test_a_z_for_every_layer_is_the_same_z_until_one_row_moves(generator, z):
    plus = generator.convert(z, "z+")
    assert plus.values.shape == (2, 7, 12)
    assert torch.equal(generator.synthesize(plus), generator.synthesize(z))
    moved = plus.values.clone()
    moved[:, 4] += 1  # the fourth block: the layer after the attention
    names = [layer.name for layer in generator.info.layers]
    old, new = (generator.features(plus.with_values(one), names) for one in (plus.values, moved))
    same = [name for name in names if torch.equal(old[name], new[name])]
    assert same == ["generator.gen_z", *(f"generator.layers.{index}" for index in range(4))]
    with pytest.raises(SpaceError, match="no way"):
        generator.convert(plus, "z")


def test_classes_mix_and_are_needed(generator, z):
    mixed = Codes("z", z.values, z.ids, (z.labels + z.labels.flip(0)) / 2)
    assert torch.isfinite(generator.synthesize(mixed)).all()
    for labels in (None, torch.ones(2, 3)):
        with pytest.raises(InputError, match=r"needs labels \[2, 7\]"):
            generator.synthesize(Codes("z", z.values, z.ids, labels))


def test_gradients_reach_the_codes_and_no_weight(generator, z):
    values = z.values.clone().requires_grad_()
    generator.synthesize(Codes("z", values, z.ids, z.labels)).square().sum().backward()
    assert bool((values.grad.abs() > 0).any(0).all())
    assert all(not parameter.requires_grad for parameter in generator.parameters())


def test_noise_changes_nothing_and_has_three_modes(generator, z):
    assert torch.equal(generator.synthesize(z, noise="random:3"), generator.synthesize(z))
    with pytest.raises(InputError, match="noise is const"):
        generator.synthesize(z, noise="loud")


def test_interventions_act_where_they_say(generator, z):
    unit = Unit("generator.layers.3", torch.tensor([2]), torch.tensor([5.0]))
    assert not torch.equal(generator.synthesize(z, intervene=(unit,)), generator.synthesize(z))
    blend = Blend("generator.layers.6", torch.ones(1, 1, 32, 32), z[[1, 0]])
    assert_near(generator.synthesize(z, intervene=(blend,)), generator.synthesize(z[[1, 0]]))


def test_code_weights_predict_how_the_first_layers_move(generator, state, z):
    weights = generator.code_weights("z")
    assert [list(w.shape) for w in weights] == [[1024, 12], *([2 * (c + 3 * c // 4), 12] for c in (64, 64, 32, 16, 16, 8))]
    step = torch.zeros(12)
    step[5] = 1.0
    name = "generator.gen_z"
    before, after = (generator.features(z.with_values(z.values + k * step), [name])[name] for k in (0, 1))
    change = (after - before).permute(0, 2, 3, 1).flatten(1)
    torch.testing.assert_close(change, (weights[0] @ step).expand(2, -1), atol=1e-5, rtol=1e-4)
    assert torch.equal(generator.code_weights("z+", ["generator.layers.4"])[0], weights[4])
    with pytest.raises(SpaceError, match="no code enters generator.layers.3"):
        generator.code_weights("z", ["generator.layers.3"])
    with pytest.raises(SpaceError, match="not of w"):
        generator.code_weights("w")


# The form.


def shapes(name):
    lines = (GOLDEN / "parameter_shapes" / name).read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {row[0]: tuple(int(n) for n in row[2].split("x")) if row[2] else () for row in rows}


def test_the_published_network_of_128_pixels_loads_by_its_shapes():
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes("biggan_deep_128.txt").items()}
    assert HUGGINGFACE.fits(state)
    with torch.device("meta"):
        generator = HUGGINGFACE.build(state, {}, "biggan-deep-128", "imagenet")
    info = generator.info
    assert (info.resolution, info.spaces, info.n_labels) == (128, {"z": (128,), "z+": (11, 128)}, 1000)
    assert [layer.resolution for layer in info.layers] == [4, 4, 8, 8, 16, 16, 32, 32, 64, 64, 64, 128, 128]
    assert [layer.name for layer in info.layers if not layer.rows] == ["generator.layers.8", "generator.conv_to_rgb"]


def random_state(channels, *, width, z_dim, classes, n_stats, attention):
    """A state dict of these sizes under the published names, written down from their list."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator) * 0.5  # noqa: E731
    state = {"embeddings.weight": draw(z_dim, classes)}

    def spectral(name, *shape, bias=True):
        weight = draw(*shape)
        u, _, v = torch.linalg.svd(weight.flatten(1), full_matrices=False)
        state.update({f"{name}.weight_orig": weight, f"{name}.weight_u": u[:, 0], f"{name}.weight_v": v[0]})
        if bias:
            state[f"{name}.bias"] = draw(shape[0])

    def norm(name, c, conditional=True):
        state.update({f"{name}.running_means": draw(n_stats, c), f"{name}.running_vars": draw(n_stats, c).square() + 0.5})
        if conditional:
            spectral(f"{name}.scale", c, 2 * z_dim, bias=False)
            spectral(f"{name}.offset", c, 2 * z_dim, bias=False)
        else:
            state.update({f"{name}.weight": draw(c), f"{name}.bias": draw(c)})

    spectral("generator.gen_z", 256 * width, 2 * z_dim)
    index = 0
    for block, (inputs, outputs) in enumerate(channels):
        inputs, outputs, inner = inputs * width, outputs * width, inputs * width // 4
        if block == attention:
            for part, shape in {"theta": (inputs // 8, inputs), "phi": (inputs // 8, inputs), "g": (inputs // 2, inputs)}.items():
                spectral(f"generator.layers.{index}.snconv1x1_{part}", *shape, 1, 1, bias=False)
            spectral(f"generator.layers.{index}.snconv1x1_o_conv", inputs, inputs // 2, 1, 1, bias=False)
            state[f"generator.layers.{index}.gamma"] = draw(1)
            index += 1
        sizes = [(inner, inputs, 1), (inner, inner, 3), (inner, inner, 3), (outputs, inner, 1)]
        for k, (c_out, c_in, kernel) in enumerate(sizes):
            norm(f"generator.layers.{index}.bn_{k}", c_in)
            spectral(f"generator.layers.{index}.conv_{k}", c_out, c_in, kernel, kernel)
        index += 1
    norm("generator.bn", width, conditional=False)
    spectral("generator.conv_to_rgb", width, width, 3, 3)
    return state


PUBLISHED_LIKE = {"channels": [(16, 16), (16, 8), (8, 8), (8, 4), (4, 4), (4, 2), (2, 2), (2, 1)], "width": 4}


@pytest.mark.parametrize("attention", [None, 4])
def test_other_sizes_build_without_a_configuration_and_run(attention):
    state = random_state(**PUBLISHED_LIKE, z_dim=6, classes=3, n_stats=5, attention=attention)
    generator = HUGGINGFACE.build(state, {}, "other", "none")
    assert generator.info.resolution == 64 and generator.info.spaces == {"z": (6,), "z+": (9, 6)}
    pictures = generator.synthesize(generator.sample(torch.arange(2), seed=0))
    assert pictures.shape == (2, 3, 64, 64) and 0.05 < float(pictures.std()) < 1
    position = {"attention_layer_position": 4 if attention else 8}
    assert HUGGINGFACE.build(state, position, "other", "none").fingerprint == generator.fingerprint
    with pytest.raises(InputError, match="attention_layer_position is 2"):
        HUGGINGFACE.build(state, {"attention_layer_position": 2}, "other", "none")


def test_eps_enters_the_picture_and_the_fingerprint(state, config, generator, z):
    other = HUGGINGFACE.build(state, config | {"eps": 0.1}, "golden", "none")
    assert other.fingerprint != generator.fingerprint
    assert not torch.allclose(other.synthesize(z), generator.synthesize(z))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"z_dim": 13}, "z_dim is 13"),
        ({"num_classes": 1000}, "num_classes is 1000"),
        ({"output_dim": 64}, "output_dim is 64"),
        ({"surprise": 1}, "no argument 'surprise'"),
        ({"layers": None}, "give the argument layers"),
        ({"layers": [[True, 16, 16]]}, "has 1 blocks"),
        ({"layers": "all"}, "is a list of"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(state, config, change, message):
    with pytest.raises(InputError, match=message):
        HUGGINGFACE.build(state, config | change, "golden", "none")


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("generator.layers.1.conv_2.bias", None, "missing generator.layers.1.conv_2.bias"),
        ("generator.layers.1.conv_2.bias", torch.zeros(3), "shape"),
        ("generator.layers.2.bn_1.scale.weight_u", torch.full((8,), torch.nan), "NaN or infinity in generator.layers.2.bn_1"),
        ("generator.extra", torch.zeros(3), "unexpected generator.extra"),
        ("embeddings.weight", None, "embeddings.weight"),
        ("embeddings.weight", torch.zeros(12), "not the weights"),
        ("generator.bn.running_means", torch.zeros(1, 4), "2 statistics"),
    ],
)
def test_states_that_do_not_fit_are_refused(state, config, name, value, message):
    changed = {key: tensor for key, tensor in state.items() if key != name}
    if value is not None:
        changed[name] = value
    with pytest.raises(InputError, match=message):
        HUGGINGFACE.build(changed, config, "golden", "none")
