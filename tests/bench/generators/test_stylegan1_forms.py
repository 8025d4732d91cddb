"""What StyleGAN's and PGGAN's forms accept, what they refuse, and in which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.errors import InputError
from bench.generators import pggan, stylegan

GOLDEN = Path(__file__).parents[2] / "golden"
FORMS = {
    "interfacegan_stylegan": stylegan.INTERFACEGAN,
    "sefa_stylegan": stylegan.GENFORCE,
    "interfacegan_pggan": pggan.INTERFACEGAN,
    "sefa_pggan": pggan.GENFORCE,
}
LISTS = {
    "interfacegan_stylegan_1024": (stylegan.INTERFACEGAN, 1024, {"w+": (18, 512), "s": (10176,)}),
    "genforce_stylegan_1024": (stylegan.GENFORCE, 1024, {"w+": (18, 512), "s": (10176,)}),
    "genforce_stylegan_256": (stylegan.GENFORCE, 256, {"w+": (14, 512), "s": (9984,)}),
    "interfacegan_pggan_1024": (pggan.INTERFACEGAN, 1024, {}),
    "genforce_pggan_1024": (pggan.GENFORCE, 1024, {}),
}


def published(name):
    """Names and shapes of a full-size network, with one number behind every parameter."""
    lines = (GOLDEN / "parameter_shapes" / f"{name}.txt").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    shapes = {row[0]: [] if row[2] == "scalar" else list(map(int, row[2].split("x"))) for row in rows}
    return {key: torch.tensor(0.5).expand(shape) for key, shape in shapes.items()}


@pytest.fixture(scope="module")
def states():
    found = {}
    for name in FORMS:
        with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
            found[name] = {key[3:]: torch.from_numpy(file[key]) for key in file.files if key.startswith("sd/")}
    return found


@pytest.mark.parametrize("name", LISTS)
def test_full_size_networks_load(name):
    form, resolution, spaces = LISTS[name]
    state = published(name)
    generator = form.build(state, {}, "x", "y")
    assert generator.info.resolution == resolution
    assert (
        generator.info.spaces
        == {"z": (512,)} | ({"w": (512,), "p": (512,), "p_n": (512,), "p+": spaces["w+"]} if spaces else {}) | spaces
    )
    assert getattr(generator, "fused_from", 128) == 128
    assert [one for one in FORMS.values() if one.fits(state)] == [form]


def test_every_form_fits_its_own_names_alone(states):
    for name, form in FORMS.items():
        assert [one for one in FORMS.values() if one.fits(states[name])] == [form]


@pytest.mark.parametrize("name", FORMS)
def test_other_weights_are_refused(states, name):
    own = states[name]
    big = next(key for key, value in own.items() if value.dim() == 4 and "layer2" in key)
    changes = {
        "missing": {key: value for key, value in own.items() if key != big},
        "unexpected extra": own | {"extra": torch.zeros(1)},
        rf"NaN or infinity in {big}": own | {big: own[big] * float("nan")},
        "3 colours, not of 1": {key: value[:1] if "output" in key else value for key, value in own.items()},
        r"layer2.*has shape \[\d, \d": own | {big: own[big][:5, :5]},
        "more than its 4 resolutions": own | {next(k for k in own if k.endswith("lod")): torch.tensor(3.5)},
    }
    for message, state in changes.items():
        with pytest.raises(InputError, match=message):
            FORMS[name].build(state, {}, "x", "y")
    with pytest.raises(InputError, match="0 resolutions"):
        FORMS[name].build({}, {}, "x", "y")


def test_networks_that_have_another_first_layer_or_mapping_are_refused(states):
    state = dict(states["sefa_stylegan"])
    convolved = state | {"synthesis.layer0.weight": torch.zeros(14, 24, 4, 4)}
    wide = state | {"mapping.dense7.weight": torch.zeros(8 * 24, 28), "truncation.w_avg": torch.zeros(8 * 24)}
    for message, other in {"const_input": convolved, "repeat_w": wide}.items():
        with pytest.raises(InputError, match=message):
            stylegan.GENFORCE.build(other, {}, "x", "y")
    many = {f"synthesis.output{k}.weight": torch.zeros(3, 1, 1, 1) for k in range(40)}
    with pytest.raises(InputError, match="40 resolutions"):
        stylegan.GENFORCE.build(many, {}, "x", "y")


def test_layers_that_are_fused_in_part_are_refused(states):
    for name in ("interfacegan_stylegan", "interfacegan_pggan"):
        state = dict(states[name])
        key = next(key for key in state if key.endswith("layer2.conv.weight"))
        fused = key.replace(".conv", "")
        kernel = state[key].permute(2, 3, 1, 0)
        with pytest.raises(InputError, match="twice"):
            FORMS[name].build(state | {fused: kernel}, {}, "x", "y")
        del state[key]
        with pytest.raises(InputError, match="fused"):
            FORMS[name].build(state | {fused: kernel}, {}, "x", "y")


OFFICIAL = {
    "interfacegan_stylegan": {
        "resolution": 32, "w_space_dim": 24, "fused_scale": "auto", "output_channels": 3, "randomize_noise": False,
    },
    "sefa_stylegan": {
        "gan_type": "stylegan", "resolution": 32, "z_space_dim": 20, "w_space_dim": 24, "label_size": 0, "mapping_layers": 8,
        "mapping_fmaps": 28, "mapping_lr_mul": 0.01, "repeat_w": True, "image_channels": 3, "final_tanh": False,
        "const_input": True, "fused_scale": "auto", "use_wscale": True, "noise_type": "spatial", "fmaps_base": 256,
        "fmaps_max": 14,
    },
    "interfacegan_pggan": {"resolution": 32, "fused_scale": False, "output_channels": 3, "final_tanh": False},
    "sefa_pggan": {
        "gan_type": "pggan", "resolution": 32, "z_space_dim": 20, "image_channels": 3, "final_tanh": False, "label_size": 0,
        "fused_scale": False, "use_wscale": True, "fmaps_base": 256, "fmaps_max": 16,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_the_official_arguments_change_nothing(states, name):
    plain = FORMS[name].build(states[name], {}, "x", "y")
    assert FORMS[name].build(states[name], OFFICIAL[name], "x", "y").fingerprint == plain.fingerprint


BAD = [
    ("sefa_stylegan", "resolution", 64, "its weights say 32"),
    ("sefa_stylegan", "mapping_layers", 4, "its weights say 8"),
    ("sefa_stylegan", "repeat_w", False, "repeat_w"),
    ("sefa_stylegan", "label_size", 10, "its weights say 0"),
    ("sefa_stylegan", "use_wscale", False, "scaled at run time"),
    ("sefa_stylegan", "noise_type", "channel", "only 'spatial'"),
    ("sefa_stylegan", "randomize_noise", True, "random:<seed>"),
    ("sefa_stylegan", "fused_scale", "yes", "true, false or 'auto'"),
    ("sefa_stylegan", "final_tanh", "yes", "true or false"),
    ("sefa_stylegan", "mapping_lr_mul", -1, "positive number"),
    ("sefa_stylegan", "trunc_psi", 1.5, "from 0 to 1"),
    ("sefa_stylegan", "trunc_layers", 2.5, "number of rows"),
    ("sefa_stylegan", "fmaps_max", 512, "have 14 channels at 4 px"),
    ("sefa_stylegan", "fmaps_base", "a", "positive number"),
    ("sefa_stylegan", "psi", 0.7, "no argument 'psi'"),
    ("interfacegan_stylegan", "fused_scale", True, "weights say"),
    ("interfacegan_stylegan", "randomize_noise", True, "random:<seed>"),
    ("interfacegan_stylegan", "w_space_dim", 512, "its weights say 24"),
    ("interfacegan_stylegan", "truncation_psi", "0.7", "from 0 to 1"),
    ("interfacegan_pggan", "fused_scale", True, "its weights say False"),
    ("interfacegan_pggan", "final_tanh", True, "cut off"),
    ("sefa_pggan", "fused_scale", True, "its weights say False"),
    ("sefa_pggan", "label_size", 20, "does not leave a z"),
    ("sefa_pggan", "z_space_dim", 512, "its weights say 20"),
    ("sefa_pggan", "use_wscale", False, "scaled at run time"),
    ("sefa_pggan", "lod", 1, "no argument 'lod'"),
]


@pytest.mark.parametrize(("name", "key", "value", "message"), BAD)
def test_arguments_that_do_not_fit_are_refused(states, name, key, value, message):
    with pytest.raises(InputError, match=message):
        FORMS[name].build(states[name], {key: value}, "x", "y")


@pytest.mark.parametrize("name", ["sefa_stylegan", "sefa_pggan"])
def test_a_final_tanh_acts_on_the_picture(states, name):
    plain = FORMS[name].build(states[name], {}, "x", "y")
    ending = FORMS[name].build(states[name], {"final_tanh": True}, "x", "y")
    z = plain.sample(torch.arange(2), seed=0)
    assert torch.equal(ending.synthesize(z), plain.synthesize(z).tanh())
    assert ending.fingerprint != plain.fingerprint
