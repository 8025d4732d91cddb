"""BigGAN and BigGAN-deep of BigGAN-PyTorch against a plain function of the state dict, written here from the paper.

There are no figures of the official code for these: the function below shares nothing with the generator but the names.
"""

from __future__ import annotations

from math import isqrt

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.codes import Codes
from bench.errors import InputError, SpaceError
from bench.generators.biggan_pytorch import BIGGAN_PYTORCH, BigGAN, unify
from bench.generators.biggan_pytorch_layers import Sizes
from bench.interventions import Blend, Unit

# A network as the published code would make it: ladder of channels (in, out) by block, the blocks that attention follows.
LADDER = [(16, 16), (16, 8), (8, 8)]
DEEP_LADDER = [(16, 16), (16, 16), (16, 16), (16, 8)]


def random_state(
    ladder, *, deep=False, shared=5, chunk=4, first=None, classes=3, attention=(1,), vectors=1, plain=False
) -> dict[str, Tensor]:
    """A state dict under the published names. first: width of the first layer's input."""
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, generator=generator) * 0.5  # noqa: E731
    state = {"shared.weight": draw(classes, shared)} if shared else {}

    def weight(name, *shape, bias=True):
        state[f"{name}.weight"] = draw(*shape)
        if bias:
            state[f"{name}.bias"] = draw(shape[0])
        for k in range(0 if plain else vectors):
            state[f"{name}.u{k}"], state[f"{name}.sv{k}"] = draw(1, shape[0]), torch.ones(1)

    def statistics(name, c):
        state.update({f"{name}.stored_mean": draw(c), f"{name}.stored_var": draw(c).square() + 0.5})

    weight("linear", ladder[0][0] * 16, chunk + shared if deep else first or chunk)
    for i, (inputs, outputs) in enumerate(ladder):
        inner = inputs // 4
        if deep:
            convs = [(inner, inputs, 1), (inner, inner, 3), (inner, inner, 3), (outputs, inner, 1)]
        else:
            convs = [(outputs, inputs, 3), (outputs, outputs, 3)]
            weight(f"blocks.{i}.0.conv_sc", outputs, inputs, 1, 1)
        for k, (c_out, c_in, size) in enumerate(convs, 1):
            weight(f"blocks.{i}.0.conv{k}", c_out, c_in, size, size)
            statistics(f"blocks.{i}.0.bn{k}", c_in)
            for part in ("gain", "bias"):
                if shared:
                    weight(f"blocks.{i}.0.bn{k}.{part}", c_in, shared + chunk, bias=False)
                else:
                    state[f"blocks.{i}.0.bn{k}.{part}.weight"] = draw(classes, c_in)
        if i in attention:
            for part, share in {"theta": 8, "phi": 8, "g": 2}.items():
                weight(f"blocks.{i}.1.{part}", outputs // share, outputs, 1, 1, bias=False)
            weight(f"blocks.{i}.1.o", outputs, outputs // 2, 1, 1, bias=False)
            state[f"blocks.{i}.1.gamma"] = torch.tensor(0.7)
    last = ladder[-1][1]
    state.update({"output_layer.0.gain": draw(last), "output_layer.0.bias": draw(last)})
    statistics("output_layer.0", last)
    weight("output_layer.2", 3, last, 3, 3)
    return state


def plain_picture(state: dict[str, Tensor], z: Tensor, labels: Tensor, depth: int = 2) -> Tensor:
    """The picture as a function of the state dict, in float64."""
    state = {key: value.double() for key, value in state.items()}
    z, labels = z.double(), labels.double()
    deep = "blocks.0.0.conv4.weight" in state

    def kernel(name):
        w = state[f"{name}.weight"]
        if f"{name}.u0" not in state:
            return w
        matrix = w.reshape(len(w), -1)
        v = state[f"{name}.u0"] @ matrix
        v = v / v.norm()
        u = v @ matrix.T
        u = u / u.norm()
        return w / (v @ matrix.T @ u.T).item()

    def conv(name, x):
        w = kernel(name)
        return F.conv2d(x, w, state.get(f"{name}.bias"), padding=(w.shape[-1] - 1) // 2)

    def normed(name, x, gain, bias):
        x = F.batch_norm(x, state[f"{name}.stored_mean"], state[f"{name}.stored_var"], eps=1e-5)
        return F.relu(x * gain[..., None, None] + bias[..., None, None])

    def conditional(name, x, condition):
        if "shared.weight" in state:
            gain, bias = (condition @ kernel(f"{name}.{part}").T for part in ("gain", "bias"))
        else:
            gain, bias = (labels @ state[f"{name}.{part}.weight"] for part in ("gain", "bias"))
        return normed(name, x, 1 + gain, bias)

    grow = lambda x: x.repeat_interleave(2, 2).repeat_interleave(2, 3)  # noqa: E731
    blocks = sum(key.endswith(".0.conv1.weight") for key in state)
    embedded = labels @ state["shared.weight"] if "shared.weight" in state else labels
    width = state["linear.weight"].shape[1]
    if deep:
        first = torch.cat([embedded, z], 1)
        conditions = [first] * blocks
    elif z.shape[1] > width:
        first, *chunks = z.split(width, 1)
        conditions = [torch.cat([embedded, chunk], 1) for chunk in chunks]
    else:
        first, conditions = z, [embedded] * blocks
    x = first @ kernel("linear").T + state["linear.bias"]
    side = isqrt(x.shape[1] // state["blocks.0.0.conv1.weight"].shape[1])
    x = x.reshape(len(x), -1, side, side)
    for i, condition in enumerate(conditions):
        name = f"blocks.{i}.0"
        if deep:
            up = grow if i % depth == depth - 1 else (lambda x: x)
            h = conv(f"{name}.conv1", conditional(f"{name}.bn1", x, condition))
            h = conv(f"{name}.conv2", up(conditional(f"{name}.bn2", h, condition)))
            h = conv(f"{name}.conv3", conditional(f"{name}.bn3", h, condition))
            h = conv(f"{name}.conv4", conditional(f"{name}.bn4", h, condition))
            x = h + up(x[:, : h.shape[1]])
        else:
            h = conv(f"{name}.conv1", grow(conditional(f"{name}.bn1", x, condition)))
            h = conv(f"{name}.conv2", conditional(f"{name}.bn2", h, condition))
            x = h + conv(f"{name}.conv_sc", grow(x))
        if f"blocks.{i}.1.gamma" in state:
            name, (n, c, h_, w_) = f"blocks.{i}.1", x.shape
            query = conv(f"{name}.theta", x).reshape(n, -1, h_ * w_)
            key = F.max_pool2d(conv(f"{name}.phi", x), 2).reshape(n, query.shape[1], -1)
            value = F.max_pool2d(conv(f"{name}.g", x), 2).reshape(n, c // 2, -1)
            beta = torch.einsum("nci,ncj->nij", query, key).softmax(2)
            out = torch.einsum("ncj,nij->nci", value, beta).reshape(n, -1, h_, w_)
            x = x + state[f"{name}.gamma"] * conv(f"{name}.o", out)
    x = normed("output_layer.0", x, state["output_layer.0.gain"], state["output_layer.0.bias"])
    return torch.tanh(conv("output_layer.2", x))


KINDS = {
    "chunks": random_state(LADDER),
    "z-first-only": random_state(LADDER, chunk=0, first=6),
    "no-shared-embedding": random_state(LADDER, shared=0, chunk=0, first=6),
    "no-attention-two-vectors": random_state(LADDER, attention=(), vectors=2),
    "no-spectral-norm": random_state(LADDER, plain=True),
    "attention-twice": random_state(LADDER, attention=(0, 1)),
    "deep": random_state(DEEP_LADDER, deep=True),
}


@pytest.fixture(params=KINDS, scope="module")
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def generator(kind):
    return BIGGAN_PYTORCH.build(KINDS[kind], {}, kind, "none")


@pytest.fixture(scope="module")
def z(generator):
    return generator.sample(torch.arange(2), seed=0)


def far(value: Tensor, reference: Tensor) -> float:
    return float((value.double() - reference).abs().max() / reference.abs().max())


def test_pictures_are_those_of_a_plain_function(kind, generator, z):
    pictures = generator.synthesize(z)
    assert 0.05 < float(pictures.std()) < 0.99
    assert far(pictures, plain_picture(KINDS[kind], z.values, z.labels)) < 1e-4


def test_in_double_precision_they_differ_by_rounding_only(kind, z):
    double = BIGGAN_PYTORCH.build(KINDS[kind], {}, kind, "none").double()
    codes = Codes("z", z.values.double(), z.ids, z.labels.double())
    assert far(double.synthesize(codes), plain_picture(KINDS[kind], codes.values, codes.labels)) < 1e-11


def test_the_card_and_the_state_dict_say_what_the_checkpoint_holds(kind, generator, z):
    state = generator.state_dict()
    assert state.keys() == KINDS[kind].keys() and all(torch.equal(state[key], KINDS[kind][key]) for key in state)
    maps = generator.features(z, [layer.name for layer in generator.info.layers])
    for layer in generator.info.layers:
        assert maps[layer.name].shape[1:] == (layer.channels, layer.resolution, layer.resolution)
    spaces = {
        "z-first-only": {"z": (6,)},
        "no-shared-embedding": {"z": (6,)},
        "deep": {"z": (4,), "z+": (5, 4)},
    }
    assert generator.info.spaces == spaces.get(kind, {"z": (16,), "z+": (4, 4)})
    assert generator.info.resolution == (16 if kind == "deep" else 32)
    assert [form.fits(state) for form in (BIGGAN_PYTORCH,)] == [True]


def test_gradients_reach_every_part_of_the_code(generator, z):
    values, last = z.values.clone().requires_grad_(), generator.info.layers[-2].name
    generator.features(Codes("z", values, z.ids, z.labels), [last])[last].square().sum().backward()
    assert bool((values.grad.abs() > 0).any(0).all())


def test_rows_reach_their_own_blocks(generator, z):
    if "z+" not in generator.info.spaces:
        with pytest.raises(SpaceError, match="its spaces are z"):
            generator.convert(z, "z+")
        return
    plus = generator.convert(z, "z+")
    assert torch.equal(generator.synthesize(plus), generator.synthesize(z))
    moved = plus.values.clone()
    moved[:, 2] += 1
    names = [layer.name for layer in generator.info.layers]
    old, new = (generator.features(plus.with_values(one), names) for one in (plus.values, moved))
    same = [name for name in names if torch.equal(old[name], new[name])]
    assert same == [name for name in names if name == "linear" or name.startswith("blocks.0.")]


def test_code_weights_predict_how_the_first_map_moves(generator, z):
    weights, (width,) = generator.code_weights("z"), generator.info.spaces["z"]
    assert {w.shape[1] for w in weights} == {width}
    step = torch.linspace(-1, 1, width)
    before, after = (generator.features(z.with_values(z.values + k * step), ["linear"])["linear"] for k in (0, 1))
    torch.testing.assert_close((after - before).flatten(1), (weights[0] @ step).expand(2, -1), atol=1e-5, rtol=1e-4)
    fed = [layer.name for layer in generator.info.layers if layer.rows]
    if "z+" in generator.info.spaces:
        rows, d = generator.info.spaces["z+"]
        plus = generator.code_weights("z+", fed)
        assert [w.shape[1] for w in plus] == [d] * rows
        for row, (whole, own) in enumerate(zip(weights, plus, strict=True)):
            start = row * d if generator.chunked else 0
            assert torch.equal(whole[:, start : start + d], own)
            assert int(whole.count_nonzero()) == int(own.count_nonzero())
    with pytest.raises(SpaceError, match="no code enters output_layer"):
        generator.code_weights("z", ["output_layer"])


def test_noise_changes_nothing_and_has_three_modes(generator, z):
    assert torch.equal(generator.synthesize(z, noise="random:3"), generator.synthesize(z))
    with pytest.raises(InputError, match="noise is const"):
        generator.synthesize(z, noise="loud")


def test_interventions_and_truncation_act(generator, z):
    unit = Unit("blocks.1.0", torch.tensor([2]), torch.tensor([5.0]))
    assert not torch.equal(generator.synthesize(z, intervene=(unit,)), generator.synthesize(z))
    last = generator.info.layers[-2]
    blend = Blend(last.name, torch.ones(1, 1, last.resolution, last.resolution), z[[1, 0]])
    assert far(generator.synthesize(z, intervene=(blend,)), generator.synthesize(z[[1, 0]]).double()) < 1e-5
    half = generator.truncated(0.5)
    assert half.fingerprint != generator.fingerprint
    torch.testing.assert_close(half.sample(z.ids, seed=0).values, 0.5 * z.values)
    assert torch.equal(half.synthesize(z), generator.synthesize(z))


def test_names_of_the_other_batch_norms_are_unified():
    """mybn keeps stored_* and a counter in a module bn, cross_replica running_* and another."""
    state = KINDS["chunks"]
    for kind, counter in (("stored", "accumulation_counter"), ("running", "num_batches_tracked")):
        moved = {}
        for key, value in state.items():
            head, _, tail = key.rpartition(".stored_")
            moved[f"{head}.bn.{kind}_{tail}" if head else key] = value
            if tail == "mean":
                moved[f"{head}.bn.{counter}"] = torch.ones(())
        assert len(moved) > len(state)
        assert unify(moved).keys() == state.keys() and BIGGAN_PYTORCH.fits(moved)
        built = BIGGAN_PYTORCH.build(moved, {}, "chunks", "none")
        assert built.fingerprint == BIGGAN_PYTORCH.build(state, {}, "chunks", "none").fingerprint


def test_the_published_network_of_128_pixels_has_the_papers_number_of_weights():
    """compare_gan's own test counts 70433988 weights in this generator."""
    ladder = [(96 * a, 96 * b, True) for a, b in [(16, 16), (16, 8), (8, 4), (4, 2), (2, 1)]]
    sizes = Sizes(
        deep=False, first=20, chunk=20, classes=1000, shared_dim=128, bottom=4, blocks=tuple(ladder), attention=(3,), vectors=1
    )
    with torch.device("meta"):
        net = BigGAN(name="biggan-128", domain="imagenet", sizes=sizes)
        assert sum(parameter.numel() for parameter in net.parameters()) == 70_433_988
        arguments = {
            **{"G_ch": 96, "dim_z": 120, "resolution": 128, "G_attn": "64", "n_classes": 1000, "shared_dim": 128, "hier": True},
            **{"G_shared": True, "BN_eps": 1e-5, "SN_eps": 1e-6, "G_nl": "inplace_relu", "num_G_SVs": 1, "bottom_width": 4},
        }
        again = BIGGAN_PYTORCH.build(net.state_dict(), arguments, "biggan-128", "imagenet")
    assert again.info == net.info and again.info.spaces == {"z": (120,), "z+": (6, 20)}


def test_deep_doublings_follow_the_depth_argument():
    state = random_state([(16, 16)] * 6, deep=True, attention=())
    assert [BIGGAN_PYTORCH.build(state, {"G_depth": d}, "d", "none").info.resolution for d in (1, 2, 3)] == [256, 32, 16]
    z, labels = torch.randn(1, 4, generator=torch.Generator().manual_seed(0)), torch.eye(3)[:1]
    three = BIGGAN_PYTORCH.build(state, {"G_depth": 3}, "d", "none").synthesize(Codes("z", z, torch.arange(1), labels))
    assert far(three, plain_picture(state, z, labels, depth=3)) < 1e-4
    with pytest.raises(InputError, match="G_depth"):
        BIGGAN_PYTORCH.build(state, {"G_depth": 4}, "d", "none")
    with pytest.raises(InputError, match="block 1 goes from 16 to 8"):
        BIGGAN_PYTORCH.build(random_state([(16, 16), (16, 8), (8, 8)], deep=True, attention=()), {"G_depth": 3}, "d", "none")


@pytest.mark.parametrize(
    "arguments",
    [
        {"G_attn": "16"},
        {"G_attn": "16_64", "dim_z": 18},
        {"dim_z": 16, "hier": True, "norm_style": "bn", "G_ch": 2},
        {"shared_dim": 5, "resolution": 32, "G_lr": 1e-4, "G_param": "SN"},
    ],
)
def test_arguments_that_agree_are_taken(arguments):
    assert BIGGAN_PYTORCH.build(KINDS["chunks"], arguments, "chunks", "none").info.resolution == 32


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"G_attn": "8"}, "G_attn is 8"),
        ({"dim_z": 120}, "dim_z is 120"),
        ({"hier": False}, "hier is False"),
        ({"norm_style": "gn"}, "norm_style is gn"),
        ({"G_nl": "leaky_relu"}, "G_nl is leaky_relu"),
        ({"G_shared": False}, "G_shared is False"),
        ({"surprise": 1}, "no argument 'surprise'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        BIGGAN_PYTORCH.build(KINDS["chunks"], arguments, "chunks", "none")


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("blocks.1.0.conv2.bias", None, "missing blocks.1.0.conv2.bias"),
        ("blocks.1.0.conv2.bias", torch.full((8,), torch.inf), "NaN or infinity in blocks.1.0.conv2.bias"),
        ("blocks.2.0.conv1.weight", torch.zeros(8, 9, 3, 3), "shape"),
        ("blocks.1.0.conv1.weight", None, "is numbered"),
        ("linear.weight", torch.zeros(4), "not the weights"),
        ("extra", torch.zeros(4), "unexpected extra"),
    ],
)
def test_states_that_do_not_fit_are_refused(name, value, message):
    changed = {key: tensor for key, tensor in KINDS["chunks"].items() if key != name}
    if value is not None:
        changed[name] = value
    with pytest.raises(InputError, match=message):
        BIGGAN_PYTORCH.build(changed, {}, "chunks", "none")
