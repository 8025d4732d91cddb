"""The generators of heads that ship: registered, small, and what their cards say they are."""

import json

import pytest
import torch

from bench.errors import InputError
from bench.generators import zoo
from bench.generators.weights import load_card, load_safetensors
from bench.registry import Registry
from bench.training.heads_gan_card import RECIPES
from bench.training.pggan_hessian import HessianRecipe
from bench.training.recipe import Draw

SHIPPED = [name for name in RECIPES if zoo.weights_of(name).exists()]


def test_what_ships_is_registered_and_small():
    names = Registry(plugins=False).names("generators")
    assert [name for name in SHIPPED if name not in names] == []
    assert [name for name in names if name.startswith("heads-") and name not in (*SHIPPED, "heads-oracle")] == []
    assert sum(path.stat().st_size for path in zoo.WEIGHTS.iterdir()) < 40e6


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_generator_is_what_its_card_says(name):
    generator = Registry(plugins=False).load("generators", name)()
    card = load_card(zoo.weights_of(name).with_suffix(".json"))
    assert generator.info.name == name == card["name"] and generator.info.domain == "heads"
    assert generator.info.resolution == card["resolution"] and generator.info.description == card["description"]
    assert sum(one.numel() for one in generator.parameters()) == card["parameters"]
    assert generator.lost.keys() == card.get("lost", {}).keys()
    codes = generator.sample(torch.arange(2), seed=0)
    images = generator.synthesize(codes)
    assert images.shape == (2, 3, card["resolution"], card["resolution"]) and float((images[0] - images[1]).abs().mean()) > 0.01


def test_the_bases_of_the_eigengan_are_orthonormal():
    """As its paper claims of what training learns, up to the noise of the last layer's 12,288 numbers a vector."""
    subspaces = zoo.shipped("heads-eigengan").subspaces
    errors = [float((one.U @ one.U.t() - torch.eye(len(one.U))).norm()) for one in subspaces]
    assert len(errors) == 3 and max(errors[:2]) < 0.03 and errors[2] < 0.05
    # And its axes are told apart by their importances, which fall within each layer.
    assert all(float((one.L[:-1] - one.L[1:]).min()) > 0.5 for one in subspaces)


def test_fine_tuning_with_the_hessian_penalty_lowers_it():
    """As its paper claims, beside the control; at codes and directions that no step of the training drew."""
    recipe, found = HessianRecipe(), {}
    for name in ("heads-pggan-hessian", "heads-pggan-control"):
        generator = zoo.shipped(name)
        with torch.no_grad():
            draws = [recipe.penalty(generator, Draw(seed, torch.device("cpu"))) for seed in range(8)]
        found[name] = float(torch.stack(draws).mean())
    assert found["heads-pggan-hessian"] < 0.5 * found["heads-pggan-control"]


def test_a_card_of_other_weights_is_refused(tmp_path, monkeypatch):
    state, name = load_safetensors(zoo.weights_of("heads-stylegan2")), "heads-stylegan2"
    card = load_card(zoo.weights_of(name).with_suffix(".json"))
    for suffix in (".safetensors", ".json"):
        path = zoo.weights_of(name).with_suffix(suffix)
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    path = zoo.weights_of(name).with_suffix(".json")
    path.write_text(json.dumps(card | {"lost": {"beard": "a rate of 0.01 where renders have 0.45"}}))
    assert zoo.shipped(name).lost == {"beard": "heads-stylegan2 lost it: a rate of 0.01 where renders have 0.45"}
    path.write_text(json.dumps(card | {"sha256": "0" * 64}))
    with pytest.raises(InputError, match="are not the ones of their card"):
        zoo.shipped(name)
    with pytest.raises(InputError, match="of no known architecture"):
        zoo.build({"other": state["mapping.fc0.weight"]}, name)
