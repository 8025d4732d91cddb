"""GAN training: its mathematics, and that a run can be stopped, resumed and begun from published weights."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.errors import InputError
from bench.generators.stylegan2 import StyleGAN2
from bench.generators.weights import load_safetensors
from bench.training import gan_loop as training
from bench.training.checkpoints import prune, read_state, write_grid
from bench.training.data import FilePictures, HeadPictures
from bench.training.discriminator import Discriminator, group_deviation
from bench.training.flat import Flat
from bench.training.gan import FLOOR, average_weight, mixed_rows, r1_penalty, shared_pass
from bench.training.heads_gan_card import start_of
from bench.training.processes import Group
from bench.training.stylegan2 import Config, train_stylegan2
from bench.training.trainer import Trainer

TINY = {"channels": [8, 4], "z_dim": 6, "w_dim": 5, "mapping_layers": 2, "batch": 8, "total": 32}
CONFIG = Config.of(TINY)


@pytest.fixture
def pictures(tmp_path) -> Path:
    path = tmp_path / "pictures.npy"
    np.save(path, np.random.default_rng(0).integers(0, 255, (40, 3, 8, 8), dtype=np.uint8))
    return path


def sleep_deaf(asleep) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    asleep.set()
    time.sleep(60)


def run(out: Path, pictures: Path, steps: int, **settings) -> dict:
    """Train to this step in one process; gives back the state."""
    settings = {"config": CONFIG, "processes": 1, **settings}
    train_stylegan2(out, minutes=5, pictures=pictures, max_steps=steps, **settings)
    return torch.load(out / "state.pt", weights_only=True)


# The mathematics of a step.


def linear_discriminator() -> torch.nn.Module:
    """A discriminator without minibatch deviation, for which the shared pass is exact."""
    torch.manual_seed(1)
    nn = torch.nn
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0))


def test_the_shared_pass_gives_both_gradients():
    network, real, fake = linear_discriminator(), torch.randn(4, 3, 2, 2), torch.randn(4, 3, 2, 2)
    result = shared_pass(network, real, fake, total=4)
    got = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    loss = F.softplus(-network(real)).mean() + F.softplus(network(fake)).mean()
    loss.backward()
    for p, gradient in zip(network.parameters(), got, strict=True):
        torch.testing.assert_close(gradient, p.grad)
    images = fake.clone().requires_grad_(True)
    F.softplus(-network(images)).mean().backward()
    torch.testing.assert_close(result.image_grad, images.grad)
    torch.testing.assert_close(result.loss, loss.detach())


def test_a_sure_discriminator_still_sends_the_generator_a_gradient():
    sure = lambda x: x.flatten(1).sum(1) - 200.0  # noqa: E731
    result = shared_pass(sure, torch.zeros(2, 3, 2, 2), torch.zeros(2, 3, 2, 2), total=2)
    assert float(torch.sigmoid(result.fake).max()) < FLOOR
    torch.testing.assert_close(result.image_grad, torch.full((2, 3, 2, 2), -0.5))


def test_r1_is_the_squared_slope():
    weight = torch.randn(12, requires_grad=True)
    real = torch.randn(4, 3, 2, 2)
    value = r1_penalty(lambda x: x.flatten(1) @ weight, real, weight=0.25)
    assert value == pytest.approx(float(weight.detach().square().sum()), rel=1e-5)
    torch.testing.assert_close(weight.grad, 0.25 * 4 * 2 * weight.detach())


def test_mixed_rows_change_over_at_the_cut():
    first, second = torch.zeros(2, 3), torch.ones(2, 3)
    ws = mixed_rows(first, second, 4, torch.tensor([1, 3]))
    assert ws[:, :, 0].tolist() == [[0, 1, 1, 1], [0, 0, 0, 1]]


def test_the_average_forgets_half_over_its_half_life():
    assert average_weight(1_000_000, 10_000) == pytest.approx(0.5)
    assert average_weight(100, 500) == pytest.approx(0.5)
    assert average_weight(100_000, 5_000) == pytest.approx(0.5)


def test_the_deviation_of_equal_pictures_is_nothing():
    x = torch.randn(1, 3, 4, 4).expand(4, -1, -1, -1)
    y = torch.randn(4, 3, 4, 4)
    deviation = group_deviation(torch.cat([x, y]))
    assert deviation.shape == (8, 1, 4, 4)
    assert float(deviation[:4].max()) == pytest.approx(1e-4, rel=1e-3)
    expected = y.var(0, unbiased=False).add(1e-8).sqrt().mean()
    torch.testing.assert_close(deviation[4:], expected.expand(4, 1, 4, 4))


def test_the_discriminator_keeps_real_and_generated_groups_apart():
    torch.manual_seed(0)
    network, real = Discriminator({4: 8, 8: 4}), torch.randn(4, 3, 8, 8)
    alone = network(real)
    beside = network(torch.cat([real, torch.randn(4, 3, 8, 8)]))
    torch.testing.assert_close(beside[:4], alone)


def test_flat_parameters_are_the_modules_own():
    module = torch.nn.Linear(3, 2)
    before = module(torch.ones(1, 3)).detach()
    flat = Flat(module)
    torch.testing.assert_close(module(torch.ones(1, 3)).detach(), before)
    module(torch.ones(1, 3)).sum().backward()
    torch.testing.assert_close(flat.named(flat.vector.grad)["bias"], torch.ones(2))
    with torch.no_grad():
        flat.vector.zero_()
    assert float(module(torch.ones(1, 3)).detach().abs().max()) == 0


def test_gradients_that_are_not_numbers_are_left_out(pictures):
    trainer = Trainer(CONFIG, Group(0, 1))
    data = FilePictures(pictures, size=8)
    trainer.step(data)
    trainer.flat_g.vector.grad.fill_(float("nan"))
    trainer._update(trainer.flat_g, trainer.optimiser_g)
    assert trainer.healthy()
    with torch.no_grad():
        trainer.flat_d.vector[0] = float("nan")
    assert not trainer.healthy()


# Runs.


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, pictures):
    whole = run(tmp_path / "whole", pictures, 20)
    run(tmp_path / "parts", pictures, 7)
    parts = run(tmp_path / "parts", pictures, 20)
    assert whole["steps"] == parts["steps"] == 20 and parts["images"] == 160
    for name in ("generator", "discriminator", "average"):
        assert torch.equal(whole[name], parts[name]), name
    assert not torch.equal(whole["generator"], whole["average"])


def test_noise_inputs_join_when_it_is_their_time(tmp_path, pictures):
    for noise_from, joined in ((24, False), (16, True)):
        config = Config.of({**TINY, "noise_from": noise_from})
        run(tmp_path / str(noise_from), pictures, 3, config=config)  # the third step has seen 16 pictures
        state = load_safetensors(tmp_path / str(noise_from) / "ema.safetensors")
        strengths = [float(value) for name, value in state.items() if name.endswith("noise_strength")]
        assert len(strengths) == 3 and all((strength != 0) == joined for strength in strengths)


def test_a_run_leaves_a_generator_that_loads(tmp_path, pictures):
    run(tmp_path / "out", pictures, 3)
    state = load_safetensors(tmp_path / "out" / "ema.safetensors")
    generator = StyleGAN2.from_state_dict(state, name="tiny", domain="none")
    assert generator.info.spaces["z"] == (6,) and generator.info.resolution == 8
    assert generator.synthesize(generator.sample(torch.arange(2), seed=0)).shape == (2, 3, 8, 8)
    # The mean w is that of the averaged mapping network.
    w = generator.mapping(torch.randn(20_000, 6))
    assert float((w.mean(0) - generator.mapping.w_avg).abs().max()) < 0.05
    assert {path.suffix for path in (tmp_path / "out").glob("samples-*")} == {".png"}


def test_two_processes_train_together(tmp_path, pictures):
    state = run(tmp_path / "out", pictures, 2, processes=2)
    assert state["steps"] == 2 and torch.isfinite(state["generator"]).all()
    resumed = run(tmp_path / "out", pictures, 3)
    assert resumed["steps"] == 3


def test_a_state_of_other_settings_is_refused(tmp_path, pictures):
    run(tmp_path / "out", pictures, 1)
    other = Config.of({**TINY, "gamma": 0.5})
    with pytest.raises(InputError, match="gamma 0.1 there, 0.5 here"):
        run(tmp_path / "out", pictures, 2, config=other)
    fresh = run(tmp_path / "out", pictures, 2, config=other, resume=False)
    assert fresh["config"]["gamma"] == 0.5


def test_how_long_a_training_is_may_be_said_until_its_rates_fall(tmp_path, pictures):
    """Rates fall on a straight line to nothing at its end; a training whose length comes late is the one that always had it."""
    falls = Config.of({**TINY, "length": 64, "fall": 32})
    assert [falls.pace(images) for images in (0, 32, 40, 56, 64, 99)] == [1, 1, 0.75, 0.25, 0, 0]
    whole = run(tmp_path / "whole", pictures, 99, config=falls)
    assert whole["images"] == 64 and whole["optimiser_g"]["param_groups"][0]["lr"] == 0.25 * falls.learning_rate
    run(tmp_path / "late", pictures, 4)  # 32 pictures of a training without end
    late = run(tmp_path / "late", pictures, 99, config=falls)
    assert torch.equal(late["generator"], whole["generator"]) and torch.equal(late["average"], whole["average"])
    run(tmp_path / "fallen", pictures, 5, config=falls)
    with pytest.raises(InputError, match="fall 32 there, 8 here, length 64 there, 80 here"):
        run(tmp_path / "fallen", pictures, 6, config=Config.of({**TINY, "length": 80, "fall": 8}))
    constant = run(tmp_path / "constant", pictures, 8)
    assert not torch.equal(constant["generator"], whole["generator"])


def test_a_damaged_state_is_refused(tmp_path, pictures):
    (tmp_path / "state.pt").write_bytes(b"PK not a state")
    with pytest.raises(InputError, match="damaged"):
        run(tmp_path, pictures, 1)
    assert read_state(tmp_path / "none.pt", CONFIG) is None


def test_a_diverged_training_keeps_the_last_good_state(tmp_path, pictures, monkeypatch):
    run(tmp_path / "out", pictures, 1)
    good = (tmp_path / "out" / "state.pt").read_bytes()
    monkeypatch.setattr(Trainer, "healthy", lambda self: False)
    with pytest.raises(InputError, match="diverged"):
        run(tmp_path / "out", pictures, 2)
    assert (tmp_path / "out" / "state.pt").read_bytes() == good


def test_a_stop_signal_ends_the_run_with_a_state(tmp_path, pictures, monkeypatch):
    step = Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self, data: (os.kill(os.getpid(), signal.SIGTERM), step(self, data))[1])
    train_stylegan2(tmp_path, minutes=5, config=CONFIG, processes=1, pictures=pictures)
    assert (tmp_path / "state.pt").exists() and (tmp_path / "ema.safetensors").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_before_the_first_step_ends_the_run_at_once(tmp_path, pictures, monkeypatch, number):
    before = signal.getsignal(number)
    monkeypatch.setattr(FilePictures, "prepare", lambda self, refreshed: os.kill(os.getpid(), number))
    with pytest.raises(KeyboardInterrupt):
        train_stylegan2(tmp_path, minutes=5, config=CONFIG, processes=1, pictures=pictures)
    assert not (tmp_path / "state.pt").exists() and signal.getsignal(number) is before


def test_a_process_that_fails_does_not_leave_the_other_behind(tmp_path, pictures, monkeypatch):
    """Even one that heeds no signal, as it does from its start on, and waits."""
    fork = multiprocessing.get_context("fork")
    asleep = fork.Event()

    def process(target, args, daemon):
        return fork.Process(target=sleep_deaf, args=(asleep,), daemon=daemon)

    monkeypatch.setattr(training.mp, "get_context", lambda method: SimpleNamespace(Process=process))
    monkeypatch.setattr(training.Run, "work", lambda self, rank, rendezvous: asleep.wait(30) and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train_stylegan2(tmp_path, minutes=5, config=CONFIG, processes=2, pictures=pictures)
    left = multiprocessing.active_children()
    for one in left:
        one.join(timeout=10)
    assert not any(one.is_alive() for one in left)


def test_a_warm_start_goes_on_from_published_weights(tmp_path, pictures):
    run(tmp_path / "first", pictures, 5)
    files = (tmp_path / "first" / "ema.safetensors", tmp_path / "first" / "discriminator.safetensors")
    trainer = Trainer(CONFIG, Group(0, 1))
    generator, discriminator = (load_safetensors(path) for path in files)
    trainer.warm_start(generator, discriminator)
    for name, value in trainer.averaged().state_dict().items():
        if name != "mapping.w_avg":
            torch.testing.assert_close(value, generator[name])
    torch.testing.assert_close(trainer.discriminator.state_dict()["out.weight"], discriminator["out.weight"])
    files[0].with_suffix(".json").write_text(json.dumps({"kimg": 12.5, "start": {"kimg": 30.0}}))
    assert run(tmp_path / "second", pictures, 1, warm_start=files)["steps"] == 1
    run(tmp_path / "second", pictures, 2, warm_start=files)
    start = start_of((tmp_path / "second" / "log.txt").read_text())
    assert start["kimg"] == 42.5 and start["sha256"] == hashlib.sha256(files[0].read_bytes()).hexdigest()
    assert start["file"] == "ema.safetensors" and start_of((tmp_path / "first" / "log.txt").read_text()) == {}
    with pytest.raises(InputError, match="other layers or sizes"):
        Trainer(Config.of({**TINY, "channels": [8, 8]}), Group(0, 1)).warm_start(generator, discriminator)


def test_settings_that_cannot_work_are_refused(tmp_path, pictures):
    with pytest.raises(InputError, match="unknown training settings"):
        Config.of({"gama": 1})
    with pytest.raises(InputError, match="multiple of 16 for 4"):
        Config(batch=24).check(4)
    with pytest.raises(InputError, match="one process"):
        run(tmp_path, pictures, 1, device="cuda", processes=2)
    with pytest.raises(InputError, match="must be uint8"):
        run(tmp_path, pictures, 1, config=Config.of({**TINY, "channels": [8, 8, 4]}))
    with pytest.raises(InputError, match="cannot be read"):
        FilePictures(tmp_path / "none.npy", size=8)


# Pictures.


def test_pictures_are_replaced_slot_after_slot(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.training.data.render_heads", drawn)
    shares = [HeadPictures(tmp_path, total=12, rank=rank, processes=2, seed=3, size=8) for rank in (0, 1)]
    assert [share.prepare(0) for share in shares] == [6, 6]
    start = np.concatenate([share.ids(0) for share in shares])
    assert sorted(start) == list(range(12))
    assert [share.prepare(8) for share in shares] == [6, 6]  # six slots, two of them twice
    later = np.concatenate([share.ids(8) for share in shares])
    assert len(set(later)) == 12 and min(later) >= 12
    # Every replacement has an id that no slot of any process had before.
    seen = [set(np.concatenate([share.ids(k) for k in range(20)])) for share in shares]
    assert not seen[0] & seen[1] and len(seen[0]) == 6 + 19
    expected = drawn(shares[0].ids(8), seed=3, size=8)
    assert np.array_equal(shares[0].images, expected)


def test_pictures_survive_a_restart_and_only_gaps_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.training.data.render_heads", drawn)
    HeadPictures(tmp_path, total=12, rank=0, processes=1, seed=3, size=8).prepare(0)
    again = HeadPictures(tmp_path, total=12, rank=0, processes=1, seed=3, size=8)
    assert again.prepare(0) == 0 and again.prepare(5) == 5
    batch = again.batch(torch.tensor([0, 11]))
    assert batch.dtype == torch.float32 and float(batch.abs().max()) <= 1


def drawn(ids: np.ndarray, *, seed: int, size: int) -> np.ndarray:
    """A stand-in for the renderer: every picture filled with its id."""
    return np.broadcast_to((ids + seed).astype(np.uint8)[:, None, None, None], (len(ids), 3, size, size))


def test_grids_and_pruning(tmp_path):
    from PIL import Image

    images = torch.linspace(-1, 1, 4).view(4, 1, 1, 1).expand(4, 3, 5, 5)
    write_grid(images, tmp_path / "grid-1.png", columns=2)
    sheet = np.asarray(Image.open(tmp_path / "grid-1.png"))
    assert sheet.shape == (10, 10, 3) and sheet[0, 0, 0] == 0 and sheet[9, 9, 2] == 255 and sheet[0, 9, 0] == 85
    for number in range(2, 9):
        (tmp_path / f"grid-{number}.png").touch()
    prune(tmp_path, "grid-*.png", keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grid-7.png", "grid-8.png"]
