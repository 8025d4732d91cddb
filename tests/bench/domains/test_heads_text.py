"""The shipped text-image networks of heads: their cards hold, a text or picture is read alone, unknown words are named."""

import hashlib
import json

import pytest
import torch

from bench.domains.base import TextImageNetwork
from bench.domains.heads.domain import WEIGHTS, HeadsDomain, heads
from bench.domains.heads.factors import FACTORS, INDEX, NAMES
from bench.domains.heads.text_networks import CONTEXT, TEXT_SPECS, HeadsTextImage, Towers, Vocabulary, words_of
from bench.errors import InputError
from bench.generators.weights import load_card, load_safetensors
from bench.generators.zoo import shipped
from bench.training.heads_pool import Pool, person_factors, render_bytes
from bench.training.heads_text_cards import auc, pool_vectors, prompt_scores, retrieval, zero_shot


@pytest.fixture(scope="module")
def domain() -> HeadsDomain:
    return heads()


@pytest.fixture(scope="module")
def pool() -> Pool:
    """Renders that neither training nor the cards have seen, every person once."""
    rows = person_factors(512, seed=31, independent=True)[::2]
    return Pool(render_bytes(rows), rows)


@pytest.fixture(scope="module", params=TEXT_SPECS)
def network(domain, request) -> HeadsTextImage:
    return domain.network(request.param)


def test_figures_are_the_cards(network, pool):
    from bench.domains.heads.captions import grammar

    card = load_card(WEIGHTS / f"{network.name}.json")
    vectors = pool_vectors(network, pool)
    scores = prompt_scores(network, vectors, [f.prompts for f in FACTORS]).numpy()
    measured, stated = zero_shot(scores, pool.factors.numpy()), card["zero_shot"]["independent"]
    for name in NAMES:
        assert abs(measured[name]["auc"][0] - stated[name]["auc"][0]) < 0.03 + 0.25 * (1 - stated[name]["auc"][0]), name
    for name, rules in (("known_wordings", grammar(network.spec.role)), ("unseen_wordings", grammar("unseen"))):
        found = retrieval(network, vectors, pool.factors, rules)
        assert found["n"] == 512
        assert abs(found["own_picture"][0] - card["retrieval"]["independent"][name]["own_picture"][0]) < 0.08


def test_words_are_understood():
    for name in TEXT_SPECS:
        card = load_card(WEIGHTS / f"{name}.json")
        zero_shots = card["zero_shot"]["independent"]
        assert sum(one["auc"][0] > 0.97 for one in zero_shots.values()) >= 16, name
        assert min(zero_shots[one]["auc"][0] for one in ("glasses", "beard", "smile", "age", "yaw")) > 0.99, name
        assert min(one["auc"][0] for one in card["unseen_combinations"].values()) > 0.9, name
        read = card["on_gan_pictures"]
        assert min(read["agreement"][one]["auc"][0] for one in ("glasses", "beard", "smile", "yaw")) > 0.97
        assert read["generator_sha"] == shipped(read["generator"]).fingerprint, "renew with bench.training.heads_gan_agreement"
        known, unseen = (card["retrieval"]["independent"][key] for key in ("known_wordings", "unseen_wordings"))
        assert known["of"] == 64 and known["own_picture"][1] > 0.8 and unseen["own_picture"][1] > 0.5, name


def test_card_belongs_to_its_weights(network):
    card = load_card(WEIGHTS / f"{network.name}.json")
    path = WEIGHTS / f"{network.name}.safetensors"
    assert card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() and path.stat().st_size < 1e6
    assert card["parameters"] == sum(p.numel() for p in network.parameters())
    assert card["scale"] == pytest.approx(network.scale, abs=1e-3)
    assert card["architecture"]["words"] == len(network.vocabulary.words)


def test_a_guide_is_no_judge(domain):
    guide, judge = domain.guide("text_image"), domain.judge("text_image")
    assert isinstance(guide, TextImageNetwork) and isinstance(judge, TextImageNetwork)
    assert guide.fingerprint != judge.fingerprint and guide.spec.reader != judge.spec.reader
    assert guide.spec.trunk.family != judge.spec.trunk.family and guide.vocabulary.words != judge.vocabulary.words
    assert judge.spec.trunk.independent and not guide.spec.trunk.independent


def test_rows_are_read_alone(network, pool):
    texts = ["a person with glasses", "a very old person", "", "a person without a beard looking up", *["a smiling face"] * 20]
    together = network.encode_text(texts)
    assert together.shape == (24, 64) and torch.allclose(together.norm(dim=1), torch.ones(24), atol=1e-5)
    for i in (0, 2, 3):
        assert torch.equal(network.encode_text([texts[i]])[0], together[i])
    images = pool.pictures(slice(0, 6))
    vectors = network.measure(images)["text_image"]
    assert torch.allclose(vectors.norm(dim=1), torch.ones(6), atol=1e-5)
    assert (network.encode_image(images[2:3])[0] - vectors[2]).abs().max() < 1e-5
    torch.testing.assert_close(network.scores(images, texts[:2]), vectors @ together[:2].T)
    assert network.encode_text([]).shape == (0, 64)


def test_unknown_words_are_named_and_refused_by_none(network):
    with pytest.warns(UserWarning, match="does not know these words of 'a pirate with 3 glasses': pirate, 3"):
        one = network.encode_text(["a pirate with 3 glasses"])
    with pytest.warns(UserWarning):
        assert torch.equal(one, network.encode_text(["A zebra, with QWYX glasses!"]))
    assert network.unknown_words("a face with glasses") == () and network.unknown_words("née Müller") == ("née", "müller")
    with pytest.warns(UserWarning, match=f"reads the first {CONTEXT} words"):
        network.encode_text(["glasses " * (CONTEXT + 1)])
    for text in ("", "!?", "\n", "???"):
        assert torch.isfinite(network.encode_text([text])).all()
    with pytest.raises(InputError, match="a list of texts"):
        network.encode_text("one text")


@pytest.mark.parametrize(
    "pair",
    [
        ("a person with a beard without glasses", "a person without a beard with glasses"),
        ("a person with a beard and no glasses", "a person with glasses and no beard"),
        ("without glasses with a beard", "with glasses without a beard"),
    ],
)
def test_a_negation_goes_with_its_thing(network, pool, pair):
    """Both texts hold the same words: heads that have one of two things are told apart by what 'without' stands before."""
    glasses, beard = (pool.factors[:, INDEX[name]] > 0.5 for name in ("glasses", "beard"))
    one = Pool(pool.images[(glasses ^ beard).numpy()], pool.factors[glasses ^ beard])
    scores = prompt_scores(network, pool_vectors(network, one), [pair])[:, 0].numpy()
    assert auc(scores, glasses[glasses ^ beard].numpy()) > 0.95


def test_gradient_finds_its_way_to_the_words(domain, pool):
    """A few steps on pixels raise the guide's score for a prompt."""
    guide = domain.guide("text_image")
    without = pool.factors[:, INDEX["glasses"]] < 0.5
    images = pool.pictures(slice(0, 64))[without[:64]][:8].clone().requires_grad_()
    target = guide.encode_text(["a person with glasses"])
    before = (guide.encode_image(images) @ target.T).mean()
    for _ in range(5):
        score = (guide.encode_image(images) @ target.T).sum()
        (gradient,) = torch.autograd.grad(score, images)
        assert torch.isfinite(gradient).all() and (gradient.flatten(1).norm(dim=1) > 0).all()
        images = (images + 0.02 * gradient.sign()).detach().requires_grad_()
    assert (guide.encode_image(images) @ target.T).mean() > before + 0.1
    assert not any(p.requires_grad for p in guide.parameters())


def test_words_of_a_text():
    assert words_of("A Clean-shaven, 40-year-old!") == ["a", "clean", "shaven", "40", "year", "old"]
    vocabulary = Vocabulary(["a", "face"])
    assert vocabulary.tokens(["a face", "the face"]).tolist() == [[2, 3], [1, 3]] and len(vocabulary) == 4
    assert vocabulary.tokens(["", "a"], 3).tolist() == [[0, 0, 0], [2, 0, 0]]
    assert Vocabulary.from_bytes(vocabulary.as_bytes()).words == ("a", "face")


@pytest.mark.parametrize("name", TEXT_SPECS)
def test_filling_up_changes_no_text(name):
    torch.manual_seed(0)
    towers = Towers(TEXT_SPECS[name], 12).eval()
    tokens = torch.tensor([[3, 4, 5], [6, 7, 0], [0, 0, 0]])
    with torch.no_grad():
        longer = towers.texts(torch.nn.functional.pad(tokens, (0, 9)))
        torch.testing.assert_close(towers.texts(tokens), longer, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(towers.texts(tokens[2:] + torch.tensor([1, 0, 0])), longer[2:], atol=1e-5, rtol=1e-5)


def test_weights_without_a_vocabulary(tmp_path):
    state = load_safetensors(WEIGHTS / "heads-text.safetensors")
    state.pop("words")
    with pytest.raises(InputError, match="no vocabulary"):
        HeadsTextImage(TEXT_SPECS["heads-text"], state)


def test_weights_of_another_network(tmp_path):
    card = load_card(WEIGHTS / "heads-guide-text.json")
    (tmp_path / "heads-text.json").write_text(json.dumps(card))
    (tmp_path / "heads-text.safetensors").write_bytes((WEIGHTS / "heads-guide-text.safetensors").read_bytes())
    with pytest.raises(InputError, match="do not fit"):
        HeadsDomain(tmp_path).network("heads-text")
