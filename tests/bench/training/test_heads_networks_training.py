"""Training and measuring the networks of heads: the data are what they claim, the figures are right, a stopped run goes on."""

import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from bench.domains.heads.factors import FACTORS, IDENTITY, INDEX, N_COLUMNS, NAMES, correlation_matrix
from bench.domains.heads.networks import SPECS, spec
from bench.errors import InputError
from bench.training import heads_loop
from bench.training import heads_networks as training
from bench.training.heads_cards import attribute_figures, cross_talk, probe_r2, r_squared, spreads, sweep, verification_auc
from bench.training.heads_loop import Recipe
from bench.training.heads_networks import Learner, blurred, draw, train_heads_networks, train_network
from bench.training.heads_pool import SOFT_EVERY, Pool, load_pool, person_factors, render_bytes, standardised, to_bytes

TINY = Recipe(pairs=32, batch=8, checkpoint_seconds=0.2)


@pytest.fixture(scope="module")
def pool() -> Pool:
    rows = person_factors(32, seed=1, independent=True)
    return Pool(render_bytes(rows), rows)


@pytest.mark.parametrize("independent", [True, False])
def test_pairs_share_the_person_and_nothing_else(independent):
    rows = person_factors(4000, seed=2, independent=independent)
    first, second = rows[0::2], rows[1::2]
    for name in NAMES:
        if name in IDENTITY:
            assert torch.allclose(first[:, INDEX[name]], second[:, INDEX[name]], atol=1e-5)
        elif independent:
            assert abs(np.corrcoef(first[:, INDEX[name]], second[:, INDEX[name]])[0, 1]) < 0.06
    # Both halves follow the law of the table: correlations of uniforms are 6/pi asin(rho/2) of the normals'.
    continuous = [INDEX[f.name] for f in FACTORS if f.kind == "continuous"]
    rho = torch.eye(N_COLUMNS) if independent else correlation_matrix()
    expected = 6 / torch.pi * torch.asin(rho[continuous][:, continuous] / 2)
    for half in (first, second):
        assert (torch.corrcoef(half[:, continuous].T) - expected).abs().max() < 0.07


def test_soft_rows_are_every_eighth():
    hard, soft = (person_factors(64, seed=3, independent=True, soft=s) for s in (False, True))
    binary = [INDEX[f.name] for f in FACTORS if f.kind == "binary"]
    assert set(hard[:, binary].unique().tolist()) == {0.0, 1.0}
    inside = ((soft[:, binary] > 0) & (soft[:, binary] < 1)).all(1)
    assert inside.nonzero().flatten().tolist() == list(range(0, 128, SOFT_EVERY))
    assert torch.equal(soft[~inside], hard[~inside])


def test_pool_is_rendered_once(tmp_path):
    first = load_pool(tmp_path, pairs=2, seed=4, independent=True)
    (path,) = tmp_path.glob("*.npy")
    stamp = path.stat().st_mtime_ns
    again = load_pool(tmp_path, pairs=2, seed=4, independent=True)
    assert path.stat().st_mtime_ns == stamp and np.array_equal(first.images, again.images) and len(first) == 4
    assert first.pictures(slice(0, 4)).abs().max() <= 1


def test_bytes_round():
    assert to_bytes(torch.tensor([-1.2, -1.0, 0.0, 0.999, 1.0])).tolist() == [0, 0, 128, 255, 255]


def test_blur_is_the_binomial_one():
    dot = torch.zeros(1, 1, 64, 64)
    dot[0, 0, 30, 30] = 256
    line = torch.tensor([1.0, 4, 6, 4, 1])
    assert torch.allclose(blurred(dot)[0, 0, 28:33, 28:33], line[:, None] * line)
    assert torch.allclose(blurred(torch.full((1, 3, 64, 64), 0.3)), torch.full((1, 3, 64, 64), 0.3))


def test_draw_keeps_persons_together_and_damage_mild(pool):
    batch = draw(pool, TINY, torch.Generator().manual_seed(0))
    person = [INDEX[name] for name in IDENTITY]
    assert torch.allclose(batch.factors[0::2, person], batch.factors[1::2, person], atol=1e-5)
    assert batch.images.shape == (16, 3, 64, 64) and batch.images.abs().max() <= 1
    assert 0 < (batch.images - batch.clean).abs().mean() < 0.15
    assert torch.equal(draw(pool, TINY, torch.Generator().manual_seed(0)).images, batch.images)
    assert ((batch.damage == 0).float().mean() - 0.5).abs() < 0.35


def test_standardised_columns():
    rows = standardised(person_factors(3000, seed=5, independent=True))
    continuous = [i for i, f in enumerate(FACTORS) if f.kind == "continuous"] + list(range(len(FACTORS), N_COLUMNS))
    assert rows[:, continuous].mean(0).abs().max() < 0.06 and (rows[:, continuous].std(0) - 1).abs().max() < 0.04


@pytest.mark.parametrize("name", ["heads-attributes", "heads-guide-id", "heads-features"])
def test_loss_falls_on_one_batch(pool, name):
    torch.manual_seed(0)
    learner = Learner(spec(name))
    batch = draw(pool, TINY, torch.Generator().manual_seed(1))
    optimizer = torch.optim.AdamW(learner.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        loss = learner(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.75 * losses[0]
    assert all(p.grad is not None for p in learner.parameters())


def test_a_stopped_run_goes_on(pool, tmp_path, monkeypatch):
    saved = []
    keep = heads_loop.save

    def save_then_stop(state, path):
        keep(state, path)
        saved.append(state["step"])
        raise KeyboardInterrupt

    monkeypatch.setattr(heads_loop, "save", save_then_stop)
    with pytest.raises(KeyboardInterrupt):
        train_network("heads-guide-id", pool, tmp_path, seconds=1.0, recipe=TINY)
    monkeypatch.undo()
    _, facts = train_network("heads-guide-id", pool, tmp_path, seconds=1.0, recipe=TINY)
    assert facts["pictures_seen"] > saved[0] * 16 and facts["processor_seconds"] < 2


def test_training_writes_weights_and_card_and_keeps_them(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "make_card", lambda network, pools, **rest: {"sha256": rest["sha256"], **rest["facts"]})
    (path,) = train_heads_networks(tmp_path, minutes=0.05, only="heads-guide-features", recipe=TINY)
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["pictures_seen"] > 0 and not list(tmp_path.glob("*.checkpoint.pt"))
    before = path.read_bytes()
    train_heads_networks(tmp_path, minutes=0.05, only="heads-guide-features", recipe=TINY)
    assert path.read_bytes() == before
    with pytest.raises(InputError, match="did you mean"):
        train_heads_networks(tmp_path, minutes=1, only="heads-feature")


def test_shares_add_up():
    assert sum(s.share for s in SPECS.values()) == pytest.approx(1)


def test_r_squared_closed_forms():
    truth = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert r_squared(truth, truth) == 1 and r_squared(torch.full((4,), 2.5), truth) == 0
    assert r_squared(truth + 1, truth) == pytest.approx(1 - 1 / 1.25)


def test_attribute_figures_see_a_swapped_binary():
    rows = person_factors(200, seed=6, independent=True)
    perfect = attribute_figures(rows[:, : len(FACTORS)], rows)
    assert set(perfect["r2"].values()) == {1.0} and set(perfect["auc"].values()) == {1.0}
    assert attribute_figures(-rows[:, : len(FACTORS)], rows)["auc"]["glasses"] == 0.0


def test_verification_auc_known_truths():
    generator = torch.Generator().manual_seed(0)
    person = torch.nn.functional.normalize(torch.randn(300, 16, generator=generator), dim=1)
    assert verification_auc(person.repeat_interleave(2, 0)) == 1.0
    chance = torch.nn.functional.normalize(torch.randn(600, 16, generator=generator), dim=1)
    assert abs(verification_auc(chance) - 0.5) < 0.05


def test_probe_agrees_with_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    x, rows = torch.randn(400, 8, generator=generator), person_factors(200, seed=7, independent=True)
    x[:, 0] += 0.2 * rows[:, INDEX["yaw"]]
    ours = probe_r2((x[:200], rows[:200]), (x[200:], rows[200:]), ridge=0.01)
    fit = Ridge(alpha=0.01 * 200, fit_intercept=False).fit(np.c_[x[:200], np.ones(200)], rows[:200, INDEX["yaw"]])
    theirs = fit.score(np.c_[x[200:], np.ones(200)], rows[200:, INDEX["yaw"]])
    assert ours["yaw"] == pytest.approx(theirs, abs=1e-3) and ours["yaw"] > 0.8 > 0.3 > ours["smile"]


def test_sweep_changes_one_factor():
    rows = sweep(2).factors.view(len(FACTORS), 2, 3, N_COLUMNS)
    for i, factor in enumerate(FACTORS):
        assert rows[i, :, 0, i].tolist() == [factor.low] * 2 and rows[i, :, 2, i].tolist() == [factor.high] * 2
        others = [j for j in range(N_COLUMNS) if j != i]
        assert torch.equal(rows[i, :, 0][:, others], rows[i, :, 2][:, others])


def test_cross_talk_of_a_known_judge():
    """A judge that adds half of the standardised age to glasses, and else tells the truth."""
    rows = person_factors(2000, seed=8, independent=True)

    def judge(factors):
        scores = factors[:, : len(FACTORS)].clone()
        scores[:, INDEX["glasses"]] += 0.5 * factors[:, INDEX["age"]]
        return scores

    sigma = spreads(judge(rows), rows)
    assert sigma[INDEX["glasses"]] == pytest.approx(1, abs=0.05) and sigma[INDEX["yaw"]] == pytest.approx(70 / 12**0.5, rel=0.03)
    talk = cross_talk(judge(sweep(2).factors), sigma)
    off = talk - torch.diag(talk.diag())
    assert off[INDEX["age"], INDEX["glasses"]] == pytest.approx(0.5, abs=0.03)
    off[INDEX["age"], INDEX["glasses"]] = 0
    assert off.abs().max() == 0 and talk[INDEX["yaw"], INDEX["yaw"]] == pytest.approx(12**0.5, rel=0.03)
