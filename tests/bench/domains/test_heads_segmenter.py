"""The shipped segmenters of heads: they find what their cards say, thin classes too, row by row."""

import hashlib

import pytest
import torch

from bench.domains.heads.domain import WEIGHTS, HeadsDomain, heads
from bench.domains.heads.factors import CLASSES, INDEX
from bench.domains.heads.networks import folded_state
from bench.domains.heads.segmenter import SEGMENTERS, segmenter
from bench.errors import InputError
from bench.generators.weights import load_card
from bench.generators.zoo import shipped
from bench.training.heads_mask_pool import MaskPool, mask_pool
from bench.training.heads_pool import person_factors
from bench.training.heads_segmenter_cards import classes_of, confusion, mask_figures


@pytest.fixture(scope="module")
def domain() -> HeadsDomain:
    return heads()


@pytest.fixture(scope="module")
def pool() -> MaskPool:
    """Renders that neither training nor the cards have seen."""
    return mask_pool(person_factors(64, seed=31, independent=True))


@pytest.mark.parametrize("name", SEGMENTERS)
def test_figures_are_the_cards(domain, pool, name):
    stated = load_card(WEIGHTS / f"{name}.json")["held_out"]["independent"]
    measured = mask_figures(confusion(classes_of(domain.network(name), pool.pictures(slice(None))), pool.labels(slice(None))))
    assert measured["n"] == 128
    for key in ("mean_iou", "pixel_accuracy"):
        assert abs(measured[key][0] - stated[key][0]) < 0.015
    for one in CLASSES:
        assert abs(measured["iou"][one][0] - stated["iou"][one][0]) < 0.04, one


@pytest.mark.parametrize("name", SEGMENTERS)
def test_segmenters_are_good_enough_thin_classes_too(name):
    card = load_card(WEIGHTS / f"{name}.json")
    for figures in (card["held_out"]["independent"], card["held_out"]["correlated"], card["damaged"]):
        low = {one: value[1] for one, value in figures["iou"].items()}
        assert figures["mean_iou"][1] > 0.8 and min(low.values()) > 0.6 and low["glasses"] > 0.75
    agreed = card["on_gan_pictures"]
    assert agreed["agreement_on_gan"]["mean_iou"][0] > 0.7
    assert agreed["generator_sha"] == shipped(agreed["generator"]).fingerprint, "renew with bench.training.heads_gan_agreement"


@pytest.mark.parametrize("name", SEGMENTERS)
def test_card_belongs_to_its_weights(domain, name):
    card, path = load_card(WEIGHTS / f"{name}.json"), WEIGHTS / f"{name}.safetensors"
    assert card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() and path.stat().st_size < 1e6
    assert card["parameters"] == sum(p.numel() for p in domain.network(name).parameters())
    assert card["classes"] == list(CLASSES)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_reading_has_its_shape_and_a_row_is_its_pictures_alone(domain, pool, name):
    network, images = domain.network(name), pool.pictures(slice(0, 5))
    together = network.measure(images)
    assert set(together) == network.readings == {"segmentation"}
    logits = together["segmentation"]
    assert logits.shape == (5, len(CLASSES), 64, 64) and logits.dtype == torch.float32 and logits.is_contiguous()
    alone = network.measure(images[3:4])["segmentation"]
    assert (alone[0] - logits[3]).abs().max() < 1e-4
    doubled = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert (classes_of(network, doubled) == classes_of(network, images)).float().mean() > 0.999
    with pytest.raises(InputError, match="reads pictures"):
        network.measure(images[:, :1])


def test_differentiable_and_frozen(domain, pool):
    guide = domain.guide("segmentation")
    assert not any(p.requires_grad for p in guide.parameters()) and not guide.training
    images = pool.pictures(slice(0, 2)).requires_grad_()
    guide.measure(images)["segmentation"][:, CLASSES.index("mouth")].sum().backward()
    assert torch.isfinite(images.grad).all() and images.grad.abs().sum() > 0


def test_glasses_are_seen_where_they_are_worn(domain, pool):
    worn = pool.factors[:, INDEX["glasses"]] > 0.5
    for network in (domain.guide("segmentation"), domain.judge("segmentation")):
        seen = (classes_of(network, pool.pictures(slice(None))) == CLASSES.index("glasses")).flatten(1).sum(1)
        assert ((seen > 20) == worn).float().mean() > 0.98


def test_a_guide_is_no_judge(domain):
    guide, judge = domain.guide("segmentation"), domain.judge("segmentation")
    assert guide.fingerprint != judge.fingerprint and guide.spec.family != judge.spec.family
    assert judge.spec.independent and not guide.spec.independent


@pytest.mark.parametrize("name", SEGMENTERS)
def test_folding_changes_nothing(name):
    body = segmenter(SEGMENTERS[name], folded=False)
    generator = torch.Generator().manual_seed(0)
    for module in body.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 2, generator=generator)
            module.bias.data.normal_(generator=generator)
    folded = segmenter(SEGMENTERS[name])
    folded.load_state_dict(folded_state(body))
    images = torch.rand(2, 3, 64, 64, generator=generator) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(body.eval()(images), folded(images), atol=2e-3, rtol=2e-3)
