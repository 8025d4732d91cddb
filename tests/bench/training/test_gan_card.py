"""Cards of the GANs of heads: what they say of a training and its samples, and that the shipped weights still bear them out."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from bench.bank import stream_ids
from bench.domains.heads.domain import heads
from bench.domains.heads.factors import FACTORS
from bench.errors import InputError
from bench.generators.weights import load_card
from bench.generators.zoo import shipped, weights_of
from bench.passes import Passes
from bench.training import heads_gan_card as cards
from bench.training.heads_gan_figures import attribute_coverage, bars_of, lost

NAMES = tuple(factor.name for factor in FACTORS)
SHIPPED = [name for name in cards.RECIPES if weights_of(name).exists()]
LOG = """start at step 0, 1 process(es): Config(name='heads-dcgan', batch=32)
kimg 4.1  min 5.0  ms/img 11.5  real 3.6
kimg 8.2  min 5.7  ms/img 10.9  real 1.9
stopped at step 300, 9.6 kimg
start at step 300, 1 process(es): Config(name='heads-dcgan', batch=32)
kimg 12.3  min 1.5  ms/img 10.7  real 0.9
stopped at step 500, 16.0 kimg
"""


def test_minutes_of_a_training_that_was_resumed_add_up():
    assert cards.minutes_of(LOG) == pytest.approx(7.2)
    assert cards.minutes_of("") == 0


def test_coverage_is_the_share_of_the_renders_rate_and_spread():
    torch.manual_seed(0)
    real, fake = torch.randn(2, 4000, len(NAMES))
    worn, wide = NAMES.index("glasses"), NAMES.index("yaw")
    fake[:, worn], fake[:, wide] = fake[:, worn] - 0.6745, 0.5 * fake[:, wide]  # 25 % in place of 50 %
    found = attribute_coverage(real, fake, NAMES, bars_of("heads-dcgan"))
    assert found["glasses"]["ratio"] == pytest.approx(0.5, abs=0.05) and not found["glasses"]["enough"]
    assert found["yaw"]["ratio"] == pytest.approx(0.5, abs=0.03) and found["yaw"]["measure"] == "spread"
    assert found["beard"]["measure"] == "rate" and found["beard"]["enough"]
    assert lost(found) == {}
    found["glasses"] |= {"samples": 0.04, "ratio": 0.08}
    assert list(lost(found)) == ["glasses"] and "a rate of 0.04 where renders have 0." in lost(found)["glasses"]
    assert bars_of("heads-stylegan")["rate"] > bars_of("heads-dcgan")["rate"]


def test_a_folder_that_says_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not say how many pictures"):
        cards.ship(tmp_path)
    (tmp_path / "log.txt").write_text(LOG.replace("heads-dcgan", "heads-other"))
    with pytest.raises(InputError, match="of heads-other, which does not ship"):
        cards.ship(tmp_path)


def test_a_figure_that_is_another_now_is_named(monkeypatch):
    card = {"frechet_distance": 3.2, "pictures": 64, "coverage": {"glasses": {"ratio": 0.9, "enough": True}}}
    monkeypatch.setattr(cards, "load_card", lambda path: card)
    monkeypatch.setattr(cards, "shipped", lambda name: None)
    now = {"frechet_distance": 3.21, "pictures": 64, "coverage": {"glasses": {"ratio": 0.7, "enough": False}}, "recall": 0.5}
    monkeypatch.setattr(cards, "measure", lambda *_: now)
    assert cards.differences("heads-dcgan", None) == [
        "heads-dcgan: coverage.glasses.ratio: 0.9 on the card, 0.7 now",
        "heads-dcgan: coverage.glasses.enough: True on the card, False now",
        "heads-dcgan: recall: None on the card, 0.5 now",
    ]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_grid_is_of_the_shipped_weights(name):
    generator = shipped(name)
    side = generator.info.resolution
    with Image.open(weights_of(name).with_suffix(".png")) as image:
        grid = np.asarray(image.convert("RGB"), np.float64)
    with torch.no_grad():
        images = generator.synthesize(generator.sample(torch.arange(8), seed=0)).clamp(-1, 1)
    expected = (images.permute(0, 2, 3, 1).numpy() + 1) * 127.5
    first = grid[:side].reshape(side, 8, side, 3).swapaxes(0, 1)
    assert np.abs(first - expected).max() < 3


@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_is_of_the_shipped_weights(name):
    """256 of the pictures that the card is about: every rate and spread within what so few of 4,096 can be off."""
    n, card, domain = 256, load_card(weights_of(name).with_suffix(".json")), heads()
    generator = shipped(name)
    codes = generator.sample(stream_ids("reference", n), seed=0)
    read = Passes(generator).read({"attributes": domain.judge("attributes")}, codes)["attributes"]
    for attribute, one in card["coverage"].items():
        column = read[:, domain.info.names.index(attribute)]
        if one["measure"] == "rate":
            p = one["samples"]
            assert abs(float((column > 0).float().mean()) - p) < 4 * math.sqrt(max(p * (1 - p), 0.01) / n), attribute
        else:
            assert float(column.std()) == pytest.approx(one["samples"], rel=0.35), attribute
    assert json.dumps(card["below_their_bar"]) == json.dumps(sorted(card["below_their_bar"]))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_card_below_its_bars_says_what_was_tried(name):
    card = load_card(weights_of(name).with_suffix(".json"))
    assert card.get("tried") == (cards.RECIPES[name].tried if card["below_their_bar"] else None)
    assert len(cards.RECIPES[name].tried) > 40
