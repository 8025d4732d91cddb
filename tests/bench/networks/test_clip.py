"""CLIP's adapter on a tiny random model of open_clip."""

import os

import pytest
import torch

from bench.cards import Attribute, DomainInfo
from bench.domains.faces.domain import faces_info
from bench.errors import InputError, UnsupportedError
from bench.networks.clip_ import ARCHITECTURES, Clip, ClipAttributes, import_open_clip, load_clip


@pytest.fixture(scope="module")
def clip():
    try:
        open_clip = import_open_clip()
    except UnsupportedError as error:
        pytest.skip(str(error))
    torch.manual_seed(0)
    vision = open_clip.CLIPVisionCfg(layers=1, width=32, head_width=16, patch_size=8, image_size=32)
    text = open_clip.CLIPTextCfg(context_length=77, vocab_size=49408, width=16, heads=2, layers=1)
    return Clip(open_clip.CLIP(16, vision, text), open_clip.tokenize, 32)


@pytest.fixture(scope="module")
def pictures():
    return torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_scores_are_cosines_that_rows_do_not_share(clip, pictures):
    texts = ["a face", "a house", "a face"]
    scores = clip.scores(pictures, texts)
    assert scores.shape == (3, 3) and (scores.abs() <= 1 + 1e-6).all()
    torch.testing.assert_close(scores[:, 0], scores[:, 2])
    assert (scores[:, 0] - scores[:, 1]).abs().max() > 1e-3
    torch.testing.assert_close(clip.scores(pictures[1:2], texts), scores[1:2], atol=1e-5, rtol=1e-4)
    with pytest.raises(InputError, match="CLIP reads pictures"):
        clip.images(torch.zeros(1, 3, 4, 5))


def test_pictures_are_scaled_as_clip_was_trained(clip, monkeypatch):
    seen = []
    monkeypatch.setattr(clip.model, "encode_image", lambda x: seen.append(x) or torch.ones(len(x), 16))
    clip.images(torch.full((1, 3, 32, 32), 1.0))
    wanted = (1 - torch.tensor([0.48145466, 0.4578275, 0.40821073])) / torch.tensor([0.26862954, 0.26130258, 0.27577711])
    torch.testing.assert_close(seen[0][0, :, 0, 0], wanted)


def test_an_attribute_is_the_log_odds_of_its_two_prompts(clip, pictures):
    info = DomainInfo("toy", (Attribute("old", "binary", prompts=("a young face", "an old face")), Attribute("bare", "binary")))
    network = ClipAttributes("clip-tiny", clip, info)
    assert network.names == ("old",) and network.readings == {"attributes"}
    odds = network.measure(pictures)["attributes"]
    chance = (clip.scores(pictures, ["a young face", "an old face"]) * clip.scale).softmax(1)
    torch.testing.assert_close(odds[:, 0], (chance[:, 1] / chance[:, 0]).log(), atol=1e-4, rtol=1e-4)
    other = DomainInfo("toy", (Attribute("old", "binary", prompts=("a young face", "an aged face")),))
    assert ClipAttributes("clip-tiny", clip, other).fingerprint != network.fingerprint
    images = pictures.clone().requires_grad_()
    network.measure(images)["attributes"].sum().backward()
    assert images.grad.abs().sum() > 0


def test_every_attribute_of_faces_has_prompts_and_a_domain_without_any_says_so(clip):
    info = faces_info()
    assert ClipAttributes("clip-tiny", clip, info).names == info.names
    with pytest.raises(UnsupportedError, match="have no prompts"):
        ClipAttributes("clip-tiny", clip, DomainInfo("toy", (Attribute("bare", "binary"),)))


def test_files_and_names(clip, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=" or |,"):
        load_clip("clip-of-nobody")
    for name in ("TORCH_HOME", "LATENTBENCH_CACHE", "XDG_CACHE_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ARCHITECTURES:
        with pytest.raises(UnsupportedError, match=f"latentbench fetch {name}"):
            load_clip(name)


def test_offline_reaches_the_hub_library(monkeypatch):
    monkeypatch.setenv("LATENTBENCH_OFFLINE", "1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    try:
        import_open_clip()
    except UnsupportedError:
        pass
    assert os.environ["HF_HUB_OFFLINE"] == "1"
