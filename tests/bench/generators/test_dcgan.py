"""DCGAN against the same sequence made of torch's own modules, in the layouts in which checkpoints come."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.codes import Codes
from bench.errors import InputError, SpaceError
from bench.generators.dcgan import DCGAN_FORM
from bench.interventions import Blend, Unit


def moved(net: nn.Module) -> nn.Module:
    """The network in eval mode with every parameter and statistic away from where it starts."""
    generator = torch.Generator().manual_seed(0)
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            scale = 0.2 if value.dim() == 4 else 0.5
            value.copy_(torch.randn(value.shape, generator=generator) * scale)
            if name.endswith("running_var"):
                value.square_().add_(0.5)
    return net.eval()


def example(nz=7, widths=(12, 8, 4), nc=3, bias=False, flat=True) -> nn.Sequential:
    """The generator of the PyTorch example, flat or with a sequence for each block, at 2 ** (len(widths) + 2) pixels."""
    blocks, inputs = [], nz
    for index, width in enumerate(widths):
        convolution = nn.ConvTranspose2d(inputs, width, 4, 2 if index else 1, 1 if index else 0, bias=bias)
        blocks.append(nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU()))
        inputs = width
    end = [nn.ConvTranspose2d(inputs, nc, 4, 2, 1, bias=bias), nn.Tanh()]
    return moved(nn.Sequential(*(module for block in blocks for module in block), *end) if flat else nn.Sequential(*blocks, *end))


def state_of(net: nn.Module, prefix: str = "main.") -> dict[str, torch.Tensor]:
    return {f"{prefix}{key}": value.clone() for key, value in net.state_dict().items()}


LAYOUTS = {
    "example": (example(), "main."),
    "biases": (example(bias=True), "main."),
    "no prefix": (example(), ""),
    "blocks": (example(bias=True, flat=False), "net."),
    "64 px": (example(nz=10, widths=(8, 8, 6, 4)), "generator."),
}


@pytest.fixture(params=LAYOUTS, scope="module")
def layout(request):
    return LAYOUTS[request.param]


@pytest.fixture(scope="module")
def generator(layout):
    return DCGAN_FORM.build(state_of(*layout), {}, "toy", "none")


@pytest.fixture(scope="module")
def z(generator):
    return generator.sample(torch.arange(3), seed=0)


def test_pictures_are_those_of_torchs_own_modules(layout, generator, z):
    with torch.no_grad():
        expected = layout[0](z.values[:, :, None, None])
    assert DCGAN_FORM.fits(state_of(*layout))
    assert 0.01 < float(expected.std()) and torch.equal(generator.synthesize(z), expected)
    assert generator.info.resolution == expected.shape[2] and generator.info.spaces == {"z": z.values.shape[1:]}


def test_the_state_dict_keeps_the_official_names(layout, generator):
    own, given = generator.state_dict(), state_of(*layout)
    assert own.keys() == given.keys() and all(torch.equal(own[key], given[key]) for key in own)


def test_layers_are_the_blocks_after_their_activation(layout, generator, z):
    names = [layer.name for layer in generator.info.layers]
    assert [name + ".weight" for name in names] == [k for k, v in state_of(*layout).items() if v.dim() == 4]
    maps = generator.features(z, names)
    for layer in generator.info.layers:
        assert maps[layer.name].shape[1:] == (layer.channels, layer.resolution, layer.resolution)
    assert all(float(maps[name].min()) == 0 for name in names[:-1]) and torch.equal(maps[names[-1]], generator.synthesize(z))
    assert [layer.is_rgb for layer in generator.info.layers] == [False] * (len(names) - 1) + [True]


def test_code_weights_predict_how_the_first_convolution_moves(generator, z):
    (weight,), first = generator.code_weights("z"), generator.info.layers[0].name
    step = torch.linspace(-1, 1, len(z.values[0]))
    convolution = generator.get_submodule(first)
    before, after = (convolution((z.values + k * step)[:, :, None, None]) for k in (0, 1))
    torch.testing.assert_close((after - before).flatten(1), (weight @ step).expand(3, -1), atol=1e-5, rtol=1e-4)
    assert torch.equal(generator.code_weights("z", [first])[0], weight)
    for space, layers, message in [("w", None, "codes of z only"), ("z", [generator.info.layers[1].name], "no code enters")]:
        with pytest.raises(SpaceError, match=message):
            generator.code_weights(space, layers)


def test_noise_changes_nothing_and_has_three_modes(generator, z):
    assert torch.equal(generator.synthesize(z, noise="random:3"), generator.synthesize(z))
    with pytest.raises(InputError, match="noise is const"):
        generator.synthesize(z, noise="loud")


def test_gradients_interventions_and_double_precision(layout, generator, z):
    values = z.values.clone().requires_grad_()
    generator.synthesize(z.with_values(values)).square().sum().backward()
    assert bool((values.grad.abs() > 0).any(0).all())
    second = generator.info.layers[1]
    unit = Unit(second.name, torch.tensor([2]), torch.tensor([5.0]))
    assert not torch.equal(generator.synthesize(z, intervene=(unit,)), generator.synthesize(z))
    blend = Blend(second.name, torch.ones(1, 1, second.resolution, second.resolution), z[[1, 2, 0]])
    torch.testing.assert_close(generator.synthesize(z, intervene=(blend,)), generator.synthesize(z[[1, 2, 0]]))
    double = DCGAN_FORM.build(state_of(*layout), {}, "toy", "none").double()
    torch.testing.assert_close(double.synthesize(z.with_values(z.values.double())).float(), generator.synthesize(z))


def test_grey_networks_give_three_equal_colours():
    net = example(nc=1)
    generator = DCGAN_FORM.build(state_of(net), {"nc": 1}, "grey", "none")
    codes = generator.sample(torch.arange(2), seed=0)
    with torch.no_grad():
        expected = net(codes.values[:, :, None, None])
    assert torch.equal(generator.synthesize(codes), expected.expand(-1, 3, -1, -1))
    assert generator.info.layers[-1].channels == 1


def test_kernels_of_three_keep_the_resolution_and_others_are_refused():
    for kernel, resolution in ((3, 8), (1, 8)):
        padding = (kernel - 1) // 2
        head = [nn.ConvTranspose2d(5, 6, 4), nn.BatchNorm2d(6), nn.ReLU(), nn.ConvTranspose2d(6, 4, 4, 2, 1), nn.ReLU()]
        net = moved(nn.Sequential(*head, nn.ConvTranspose2d(4, 3, kernel, 1, padding), nn.Tanh()))
        generator = DCGAN_FORM.build(state_of(net), {}, "toy", "none")
        z = torch.randn(2, 5, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            assert torch.equal(generator.synthesize(Codes("z", z, torch.arange(2))), net(z[:, :, None, None]))
        assert generator.info.resolution == resolution
    state = state_of(example()) | {"main.9.weight": torch.zeros(4, 3, 5, 5)}
    with pytest.raises(InputError, match="kernels of size 5"):
        DCGAN_FORM.build(state, {}, "toy", "none")


def test_early_checkpoints_without_counters_load():
    state = {key: value for key, value in state_of(example()).items() if not key.endswith("num_batches_tracked")}
    generator = DCGAN_FORM.build(state, {"ngpu": 1, "nz": 7, "nc": 3, "ngf": 4, "image_size": 32}, "toy", "none")
    assert generator.fingerprint == DCGAN_FORM.build(state_of(example()), {}, "toy", "none").fingerprint


@pytest.mark.parametrize(
    "arguments, message",
    [({"nz": 100}, "nz is 100"), ({"ngf": 64}, "ngf is 64"), ({"surprise": 1}, "no argument 'surprise'")],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        DCGAN_FORM.build(state_of(example()), arguments, "toy", "none")


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("main.4.bias", None, "missing main.4.bias"),
        ("main.4.running_mean", torch.full((8,), torch.nan), "NaN or infinity in main.4.running_mean"),
        ("main.4.running_var", torch.zeros(9), "shape"),
        ("main.3.weight", torch.zeros(11, 8, 4, 4), "takes 11 channels, but gets 12"),
        ("main.9.weight", torch.zeros(4, 5, 4, 4), "1 or 3 channels"),
        ("encoder.weight", torch.zeros(3), "no member of its sequence"),
        ("main.30.weight", torch.zeros(3), "unexpected main.30.weight"),
    ],
)
def test_states_that_do_not_fit_are_refused(name, value, message):
    changed = {key: tensor for key, tensor in state_of(example()).items() if key != name}
    if value is not None:
        changed[name] = value
    with pytest.raises(InputError, match=message):
        DCGAN_FORM.build(changed, {}, "toy", "none")
