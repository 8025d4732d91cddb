"""The zoo of GANs of heads: every architecture trains, resumes exactly, and leaves weights that load by their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.codes import Codes, Space
from bench.domains.heads.factors import INDEX, sample_factors
from bench.errors import InputError
from bench.generators.load import load_generator
from bench.generators.weights import save_half
from bench.training import gan_loop
from bench.training.biggan import BigGANRecipe, ProjectionDiscriminator, iterate_spectral
from bench.training.data import CLASSES, HeadPictures, head_classes
from bench.training.dcgan import DCGANRecipe
from bench.training.eigengan import EigenGANRecipe
from bench.training.gan import HINGE, NON_SATURATING, WASSERSTEIN, gradient_penalty, shared_pass
from bench.training.pggan import PGGANRecipe
from bench.training.pggan_hessian import ControlRecipe, HessianRecipe, train_from_shipped
from bench.training.processes import Group
from bench.training.progressive import BlurDown, BoxDown, GrowingDiscriminator, set_level
from bench.training.recipe import Draw, Recipe
from bench.training.standing import batch_statistics, standing_codes
from bench.training.stylegan import StyleGANRecipe
from bench.training.trainer import Trainer

SMALL = {"total": 32, "batch": 8, "z_dim": 10}
THREE = {**SMALL, "channels": [8, 6, 4]}
GROWS = {**THREE, "channels": [10, 6, 4], "first": 1, "hold": 24, "fade": 32}
RECIPES = {
    "dcgan": DCGANRecipe.of({**SMALL, "channels": [8, 6]}),
    "pggan": PGGANRecipe.of(GROWS),
    "stylegan": StyleGANRecipe.of({**GROWS, "w_dim": 5, "mapping_layers": 2, "noise_from": 80}),
    "biggan": BigGANRecipe.of({**THREE, "z_dim": 9, "shared_dim": 3}),
    "eigengan": EigenGANRecipe.of({**THREE, "dims": 2}),
}
DRAW = Draw(0, torch.device("cpu"))
each = pytest.mark.parametrize("name", RECIPES)


def flat_heads(ids: np.ndarray, *, seed: int, size: int) -> np.ndarray:
    """A stand-in for the renderer: reddish pictures, brighter where glasses are worn."""
    worn = head_classes(ids, seed=seed)[:, 2:].sum(1).numpy()
    colour = np.stack([150 + 80 * worn, 50 + 80 * worn, 50 + 80 * worn], 1)
    return np.broadcast_to(colour.astype(np.uint8)[:, :, None, None], (len(ids), 3, size, size))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("bench.training.data.render_heads", flat_heads)
    monkeypatch.setattr("bench.training.standing.BATCHES", 4)
    monkeypatch.setattr("bench.training.standing.BATCH", 32)
    monkeypatch.setattr("bench.training.standing.MEAN_W_SAMPLES", 256)


def run(out: Path, name: str, steps: int) -> dict:
    """Train to this step; gives back the state."""
    gan_loop.train(out, recipe=RECIPES[name], minutes=5, processes=1, max_steps=steps)
    return torch.load(out / "state.pt", weights_only=True)


def trainer(name: str) -> Trainer:
    return Trainer(RECIPES[name], Group(0, 1))


# Runs.


@each
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, name):
    whole = run(tmp_path / "whole", name, 14)
    for steps in (3, 9, 14):  # those that grow are killed before, while and after they do
        parts = run(tmp_path / "parts", name, steps)
    assert whole["steps"] == parts["steps"] == 14
    for key in ("generator", "discriminator", "average"):
        assert torch.equal(whole[key], parts[key]), key
    moments = [state["optimiser_g"]["state"][0]["exp_avg_sq"] for state in (whole, parts)]
    assert torch.equal(*moments) and float(moments[0].abs().sum()) > 0
    assert not torch.equal(whole["generator"], whole["average"])


@each
def test_a_run_leaves_weights_that_load_by_their_names_alone(tmp_path, name):
    state = run(tmp_path, name, 20)
    loaded = load_generator(tmp_path / "ema.safetensors", domain="heads")
    one = trainer(name)
    one.load_state(state)
    trained = one.averaged()
    assert loaded.info.architecture == name and loaded.info.resolution == RECIPES[name].resolution == 16
    assert loaded.info.spaces == trained.info.spaces and loaded.info.layers == trained.info.layers
    codes = loaded.sample(torch.arange(4), seed=0)
    expected = trained.synthesize(codes)
    assert float(expected.std(0).max()) > 1e-3
    # Half precision on disk; where all channels of a pixel are nearly 0, pixel norm makes its rounding visible.
    assert float((loaded.synthesize(codes) - expected).abs().mean()) < 0.01 * float(expected.std())
    assert {path.name for path in tmp_path.glob("samples-*")}


def learn(name: str, folder: Path, *, still: str, steps: int = 24) -> tuple[Trainer, np.ndarray]:
    """Train while one network stands still; gives back the trainer and the losses [steps, 2] of generator and discriminator."""
    one = trainer(name)
    getattr(one, f"optimiser_{still}").param_groups[0]["lr"] = 0.0
    pictures = HeadPictures(folder, total=32, rank=0, processes=1, seed=1, size=16)
    pictures.prepare(0)
    reports = [one.step(pictures) for _ in range(steps)]
    return one, np.array([[report.loss_g, report.loss_d] for report in reports])


@each
def test_each_network_learns_against_one_that_stands_still(tmp_path, name, monkeypatch):
    monkeypatch.setitem(RECIPES, name, full_size(name))
    for still, column, moving in (("g", 1, "flat_d"), ("d", 0, "flat_g")):
        fresh = trainer(name)
        one, losses = learn(name, tmp_path / still, still=still)
        assert losses[-5:, column].mean() < losses[:5, column].mean() - 0.002
        assert not torch.equal(getattr(one, moving).vector, getattr(fresh, moving).vector)
        assert torch.equal(getattr(one, f"flat_{still}").vector, getattr(fresh, f"flat_{still}").vector)


def full_size(name: str) -> Recipe:
    """The recipe without growing, and a little faster."""
    settings = {key: value for key, value in RECIPES[name].as_dict().items() if key != "name"}
    settings |= {"learning_rate": 2e-3, "learning_rate_d": 2e-3}
    return type(RECIPES[name]).of(settings | ({"first": 3} if "first" in settings else {}))


def test_classes_reach_both_networks_of_the_conditional_one():
    torch.manual_seed(0)
    network, images = ProjectionDiscriminator([6, 4], 4), torch.randn(2, 3, 8, 8)
    logits = torch.stack([network(images, labels=row.expand(2, -1)) for row in torch.eye(4)])
    # A projection: what one class adds is the inner product of its embedding with the features, so mixed classes mix logits.
    mixed = network(images, labels=torch.tensor([[0.5, 0.0, 0.5, 0.0]]).expand(2, -1))
    torch.testing.assert_close(mixed, (logits[0] + logits[2]) / 2)
    assert float((logits[0] - logits[2]).abs().min()) > 1e-4
    recipe = RECIPES["biggan"]
    generator = recipe.generator(3, 0.0)
    shown = [
        recipe.pictures(generator, 4, Draw(0, torch.device("cpu")), images=0, labels=row.expand(4, -1), dtype=torch.float32)
        for row in torch.eye(4)[:2]
    ]
    # Batch norm takes out what all pictures share, so the classes show where batches mix them.
    mixed = recipe.pictures(generator, 4, Draw(0, torch.device("cpu")), images=0, labels=torch.eye(4), dtype=torch.float32)
    assert float((mixed - shown[0]).abs().max()) > 1e-3


def test_class_conditional_training_needs_classes(tmp_path):
    path = tmp_path / "pictures.npy"
    np.save(path, np.zeros((8, 3, 16, 16), np.uint8))
    with pytest.raises(InputError, match="says nothing of classes"):
        gan_loop.train(tmp_path / "out", recipe=RECIPES["biggan"], minutes=5, processes=1, pictures=path, max_steps=1)


def test_a_state_of_another_architecture_is_refused(tmp_path):
    run(tmp_path, "dcgan", 1)
    with pytest.raises(InputError, match="name heads-dcgan there, heads-pggan here"):
        run(tmp_path, "pggan", 2)


def test_classes_are_those_of_the_factors(tmp_path):
    ids = np.arange(64)
    rows, factors = head_classes(ids, seed=3), sample_factors(torch.from_numpy(ids), seed=3)
    worn = 2 * factors[:, INDEX["glasses"]] + factors[:, INDEX["beard"]]
    assert torch.equal(rows.argmax(1), worn.long()) and len(set(worn.tolist())) == len(CLASSES)
    pictures = HeadPictures(tmp_path, total=8, rank=0, processes=1, seed=3, size=4)
    pictures.prepare(5)  # five slots were replaced by later heads
    assert torch.equal(pictures.labels(torch.arange(8)), head_classes(pictures.ids(5), seed=3))


# The mathematics.


@pytest.mark.parametrize("loss", [NON_SATURATING, HINGE, WASSERSTEIN])
def test_slopes_are_those_of_the_loss(loss):
    torch.manual_seed(0)
    weight = torch.randn(12, requires_grad=True)
    judge = lambda x: x.flatten(1) @ weight  # noqa: E731
    real, fake = torch.randn(6, 3, 2, 2) / 3, torch.randn(6, 3, 2, 2) / 3
    result = shared_pass(judge, real, fake, total=6, loss=loss)
    (expected,) = torch.autograd.grad(loss.discriminator(judge(real), judge(fake)), weight)
    # The floor leaves pictures outside a hinge's margin a thousandth of their weight.
    torch.testing.assert_close(weight.grad, expected, atol=2e-3, rtol=1e-4)
    images = fake.clone().requires_grad_(True)
    (expected,) = torch.autograd.grad(loss.generator(judge(images)), images)
    torch.testing.assert_close(result.image_grad, expected)


def test_the_gradient_penalty_asks_for_slope_one():
    weight = torch.randn(12, requires_grad=True)
    real, fake = torch.randn(2, 4, 3, 2, 2).unbind()
    value = gradient_penalty(lambda x: x.flatten(1) @ weight, real, fake, torch.rand(4), weight=0.5)
    length = weight.detach().norm()
    assert value == pytest.approx(float((length - 1) ** 2), rel=1e-5)
    torch.testing.assert_close(weight.grad, 0.5 * 4 * 2 * (length - 1) * weight.detach() / length)


def test_the_penalty_of_a_basis_is_nothing_where_it_is_orthonormal():
    recipe = RECIPES["eigengan"]
    generator = recipe.generator(3, 0.0).requires_grad_(True)
    basis = generator.subspaces[0].U
    recipe.constrain(generator, images=0, draw=DRAW)
    assert float(basis.grad.abs().max()) < 1e-3
    with torch.no_grad():
        basis.add_(0.1 * torch.randn_like(basis))
    optimiser = torch.optim.SGD(generator.parameters(), 1e-3)
    error = lambda: float((basis @ basis.t() - torch.eye(2)).detach().norm())  # noqa: E731
    before = error()
    for _ in range(50):
        optimiser.zero_grad()
        recipe.constrain(generator, images=0, draw=DRAW)
        optimiser.step()
    assert error() < 0.1 * before


def test_fresh_blocks_of_an_eigengan_keep_the_deviation_of_their_input():
    torch.manual_seed(0)
    for block in EigenGANRecipe().generator(4, 0.0).blocks:
        block.projection.L.zero_()
        inputs = torch.randn(8, *block.feature_conv1[1].weight.shape[:1], 8, 8)
        block.projection.forward = lambda z, inputs=inputs: torch.zeros_like(inputs)
        assert float(block(inputs, torch.zeros(8, 6)).std()) == pytest.approx(1, abs=0.15)


def test_orthogonal_regularisation_parts_the_filters_and_leaves_their_length():
    recipe = RECIPES["biggan"]
    generator = recipe.generator(3, 0.0).requires_grad_(True)
    weight = generator.linear.weight
    with torch.no_grad():
        weight.zero_()
        weight[0, 0], weight[1, 0], weight[2, 1] = 2.0, 3.0, 5.0
    recipe.constrain(generator, images=0, draw=DRAW)
    # d/dw of beta * 2 (w0 . w1)^2 is 4 beta (w0 . w1) times the other; the third is orthogonal to both.
    expected = torch.zeros_like(weight)
    expected[0, 0], expected[1, 0] = 4e-4 * 6 * 3, 4e-4 * 6 * 2
    torch.testing.assert_close(weight.grad, expected)


def test_the_hessian_penalty_of_a_generator_is_that_of_its_layers_and_falls_when_it_is_followed():
    recipe = HessianRecipe.of({**THREE, "warmup": 100, "weight": 0.2})
    torch.manual_seed(0)
    generator = recipe.generator(3, 0.0).requires_grad_(True)
    draws = lambda: Draw(5, torch.device("cpu"))  # noqa: E731
    value, draw = float(recipe.penalty(generator, draws()).detach()), draws()
    z, signs = draw.normal(4, 10), 2.0 * draw.integers(0, 2, 2 * 40).view(2, 4, 10) - 1
    with torch.no_grad():
        expected = 0.0
        for layer in range(6):
            found = []
            for v in signs:
                at = [Codes(Space.Z, z + 0.1 * step * v, torch.arange(4)) for step in (1, 0, -1)]
                maps = [F.normalize(generator.features(one, [f"layer{layer}"])[f"layer{layer}"], dim=1) for one in at]
                found.append((maps[0] - 2 * maps[1] + maps[2]) / 0.01 * maps[0].shape[1] ** 0.5)
            expected += float(torch.stack(found).var(0).max())
    assert value == pytest.approx(expected, rel=0.02)
    gradients = {}
    for images in (0, 50, 100, 900):  # a straight line up to the weight
        generator.zero_grad()
        recipe.constrain(generator, images=images, draw=draws())
        gradients[images] = generator.layer0.weight.grad
    assert gradients[0] is None
    torch.testing.assert_close(2 * gradients[50], gradients[100])
    torch.testing.assert_close(gradients[100], gradients[900])
    optimiser = torch.optim.Adam(generator.parameters(), 1e-3)
    for _ in range(30):
        optimiser.zero_grad()
        recipe.constrain(generator, images=900, draw=draws())
        optimiser.step()
    assert float(recipe.penalty(generator, draws()).detach()) < 0.5 * value


def test_fine_tuning_begins_at_the_shipped_weights_and_ends_at_its_length(tmp_path, monkeypatch):
    """The penalty's training and its control see the same pictures from the same start, and part by the penalty alone."""
    start = ControlRecipe.of({**THREE, "first": 3})
    begun = Trainer(start, Group(0, 1))
    save_half(begun.averaged().state_dict(), tmp_path / "heads_pggan.safetensors")
    save_half(begun.discriminator.state_dict(), tmp_path / "heads_pggan_discriminator.safetensors")
    monkeypatch.setattr("bench.generators.zoo.WEIGHTS", tmp_path)
    ends = []
    for kind in (ControlRecipe, HessianRecipe):
        for weight in (0.0, 0.1) if kind is HessianRecipe else (None,):
            more = {} if weight is None else {"weight": weight, "warmup": 8}
            recipe = kind.of({**THREE, "first": 3, "length": 60, "fall": 0, **more})
            out = tmp_path / f"{kind.name}-{weight}"
            train_from_shipped(out, recipe=recipe, minutes=5)
            state = torch.load(out / "state.pt", weights_only=True)
            assert state["images"] == 64 and state["blocks"] == 3
            ends.append(state["generator"])
    torch.testing.assert_close(ends[0], ends[1], atol=0, rtol=0)
    assert not torch.equal(ends[0], ends[2])
    far = [float((one - begun.flat_g.vector.detach()).abs().max()) for one in ends]
    assert 0 < max(far) < 0.2


def test_power_iterations_find_the_largest_singular_value():
    torch.manual_seed(0)
    network = ProjectionDiscriminator([6, 4], 4)
    layer = network.blocks[0].conv2
    with torch.no_grad():
        layer.weight.normal_()
    iterate_spectral(network, 200)
    largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
    torch.testing.assert_close(layer.sv0[0], largest)
    torch.testing.assert_close(torch.linalg.matrix_norm(layer.effective().flatten(1), 2), torch.tensor(1.0))


# Growing.


def test_the_schedule_fades_then_holds():
    recipe = PGGANRecipe.of({"channels": [8, 8, 8], "hold": 100, "fade": 50})
    seen = [(recipe.blocks(i), recipe.level(i)) for i in (0, 99, 100, 125, 150, 249, 250, 275, 300, 9000)]
    assert seen == [(1, 0), (1, 0), (2, 1), (2, 0.5), (2, 0), (2, 0), (3, 1), (3, 0.5), (3, 0), (3, 0)]


@pytest.mark.parametrize("name", ["pggan", "stylegan"])
def test_a_grown_network_begins_where_the_smaller_one_was(name):
    one = trainer(name)
    small, judge = one.averaged(), one.discriminator
    images = torch.randn(4, 3, 8, 8)
    logits = judge(F.avg_pool2d(images, 2)).detach()
    one.images = RECIPES[name].hold
    one._grow()
    assert one.blocks == 2 and one.recipe.level(one.images) == 1
    one.recipe.before_step(one.generator, one.discriminator, 1.0)
    grown, codes = one.averaged(), small.sample(torch.arange(3), seed=0)
    torch.testing.assert_close(
        grown.synthesize(codes, noise="none"), F.interpolate(small.synthesize(codes, noise="none"), scale_factor=2)
    )
    torch.testing.assert_close(one.discriminator(images).detach(), logits)
    assert one.optimiser_g.state_dict()["state"] == {}


def test_real_pictures_fade_as_generated_ones_do():
    recipe, real = RECIPES["pggan"], torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(recipe.shown(real, 3, 0.0), real)
    assert recipe.shown(real, 1, 0.0).shape == (2, 3, 4, 4)
    at_one = F.interpolate(F.avg_pool2d(real, 4), scale_factor=2)
    torch.testing.assert_close(recipe.shown(real, 2, 1.0), at_one)
    torch.testing.assert_close(recipe.shown(real, 2, 0.25), 0.75 * F.avg_pool2d(real, 2) + 0.25 * at_one)


def test_a_box_down_is_a_convolution_and_a_mean():
    torch.manual_seed(0)
    layer, x = BoxDown(3, 5), torch.randn(2, 3, 8, 8)
    torch.nn.init.normal_(layer.bias)
    full = F.conv2d(x, layer.weight * layer.weight_gain, layer.bias * layer.bias_gain, padding=1)
    torch.testing.assert_close(layer(x), F.avg_pool2d(full, 2))
    assert BlurDown(3, 5)(x).shape == (2, 5, 4, 4)


def test_the_fade_of_a_discriminator_is_linear_below_the_newest_resolution():
    torch.manual_seed(0)
    network, images = GrowingDiscriminator([6, 4], BoxDown), torch.randn(4, 3, 8, 8)
    features = {}
    network.conv0.register_forward_pre_hook(lambda module, inputs: features.update({network.level: inputs[0][:, :6]}))
    for network.level in (0.0, 0.25, 1.0):
        network(images)
    torch.testing.assert_close(features[0.25], torch.lerp(features[0.0], features[1.0], 0.25))


def test_the_frozen_stylegan_makes_the_trained_ones_pictures():
    recipe = RECIPES["stylegan"]
    trained, frozen = recipe.generator(3, 0.0), recipe.generator(3, 0.0)
    frozen.load_state_dict(trained.state_dict())
    with torch.no_grad():
        recipe.finish(frozen)
    codes = trained.sample(torch.arange(2), seed=0)
    torch.testing.assert_close(frozen.synthesize(codes), trained.synthesize(codes), atol=1e-5, rtol=1e-5)
    assert frozen.settings()["fused_from"] is None and float(frozen.w_avg.abs().max()) > 0
    set_level(frozen.synthesis, 0.5)
    assert frozen.synthesis.finest == 2 and float(frozen.synthesis.lod) == 0.5


# Standing statistics.


def test_standing_statistics_are_those_of_many_codes():
    recipe = RECIPES["dcgan"]
    generator = recipe.generator(2, 0.0)
    recipe.finish(generator)
    codes = torch.cat([batch.values for batch in standing_codes(generator, recipe.seed)])
    maps = generator.get_submodule("main.0")(codes[:, :, None, None])
    norm = generator.get_submodule("main.1")
    torch.testing.assert_close(norm.running_mean, maps.mean((0, 2, 3)), atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(norm.running_var, maps.var((0, 2, 3)), atol=1e-6, rtol=0.1)
    assert norm.momentum == 0.1 and not generator.training


def test_stored_statistics_make_pictures_as_the_batches_own_do():
    torch.manual_seed(0)
    recipe = RECIPES["biggan"]
    generator = recipe.generator(3, 0.0)
    with torch.no_grad():
        recipe.finish(generator)
    codes = next(standing_codes(generator, recipe.seed))
    stored = generator.synthesize(codes)
    mean = generator.blocks[0][0].bn1.stored_mean
    expected = torch.cat([generator.features(c, ["linear"])["linear"] for c in standing_codes(generator, 0)]).mean((0, 2, 3))
    torch.testing.assert_close(mean, expected, atol=1e-5, rtol=1e-3)
    with batch_statistics(generator):
        own = generator.synthesize(codes)
    assert float((stored - own).abs().mean()) < 0.2 * float(own.std())
    assert float((stored - own).abs().max()) > 0
