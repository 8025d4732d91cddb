"""CLIP against open_clip itself, on small random models of it: encodings, gradients, and what is refused."""

import io
import json
import os
import zipfile

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from tiny_clip import official, open_clip_or_skip, write

from bench.cards import Attribute, DomainInfo
from bench.domains.faces.domain import faces_info
from bench.errors import InputError, UnsupportedError
from bench.networks import clip_files
from bench.networks.clip_ import CHUNK, ClipTextImage, import_open_clip
from bench.networks.clip_files import CATALOGUED, ClipChoice, load_clip, named

TEXTS = ["a photo of a smiling face", "un café à la crème, 40!", "", "x " * 75]
INFO = DomainInfo("toy", (Attribute("old", "binary", prompts=("a young face", "an old face")), Attribute("bare", "binary")))


def choice(path, name="tiny"):
    return ClipChoice(weights=str(path), name=name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clip")


@pytest.fixture(scope="module")
def clip(folder):
    return load_clip(choice(write(folder / "vit")))


@pytest.fixture(scope="module")
def network(clip):
    return ClipTextImage("clip-tiny", clip, INFO)


@pytest.fixture(scope="module")
def pictures():
    return torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(1)) * 2 - 1


def photo(side, seed=0):
    """A picture of PIL with smooth parts, edges and fine grain."""
    draw = np.random.default_rng(seed)
    rough = Image.fromarray(draw.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    pixels = np.asarray(rough).astype(int) + draw.integers(-20, 21, (side, side, 3))
    pixels[: side // 3, side // 2 :] = (255, 0, 128)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def as_tensor(picture):
    return torch.from_numpy(np.asarray(picture).astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_encodings_are_open_clips_own(folder, kind):
    path = write(folder / kind, kind)
    clip, (model, preprocess, tokenize) = load_clip(choice(path)), official(folder / kind)
    with torch.no_grad():
        words = F.normalize(model.encode_text(tokenize(TEXTS)), dim=1)
    assert float((words[0] - words[1]).abs().max()) > 1e-2
    torch.testing.assert_close(clip.texts(TEXTS), words, atol=1e-5, rtol=0)
    for side in (20, 32, 33, 64, 150, 512):
        shown = [photo(side, i) for i in range(3)]
        with torch.no_grad():
            wanted = F.normalize(model.encode_image(torch.stack([preprocess(one) for one in shown])), dim=1)
        assert float((wanted[0] - wanted[1]).abs().max()) > 1e-2
        found = torch.cat([clip.images(as_tensor(one)) for one in shown])
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    assert clip.scale == pytest.approx(float(model.logit_scale.detach().exp()))


def test_rows_depend_on_themselves_alone(clip, pictures):
    torch.testing.assert_close(clip.images(pictures[1:2]), clip.images(pictures)[1:2], atol=1e-6, rtol=0)
    many = [f"a face with {i} hats" for i in range(CHUNK + 3)]
    rows = clip.texts(many)
    assert torch.equal(clip.texts(many[-1:]), rows[-1:]) and torch.equal(clip.texts(many[::-1]), rows.flip(0))
    assert rows.shape == (CHUNK + 3, 16) and torch.allclose(rows.norm(dim=1), torch.ones(len(many)))
    assert clip.texts([]).shape == (0, 16)
    with pytest.raises(InputError, match="CLIP reads pictures"):
        clip.images(torch.zeros(1, 3, 4, 5))


def test_an_attribute_is_the_log_odds_of_its_two_prompts(network, clip, pictures):
    assert network.names == ("old",) and network.readings == {"attributes", "text_image"}
    found = network.measure(pictures)
    chance = (network.scores(pictures, ["a young face", "an old face"]) * network.scale).softmax(1)
    torch.testing.assert_close(found["attributes"][:, 0], (chance[:, 1] / chance[:, 0]).log(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found["text_image"], network.encode_image(pictures))
    other = DomainInfo("toy", (Attribute("old", "binary", prompts=("a young face", "an aged face")),))
    assert ClipTextImage("clip-tiny", clip, other).fingerprint != network.fingerprint
    assert ClipTextImage("clip-tiny", clip, faces_info()).names == faces_info().names
    with pytest.raises(UnsupportedError, match="have no prompts"):
        ClipTextImage("clip-tiny", clip, DomainInfo("toy", (Attribute("bare", "binary"),)))


def test_gradients_lead_uphill_through_resize_and_rounding(network, pictures):
    """A small step along the gradient changes the score as the gradient says; rounding to bytes is smaller than the step."""
    text = network.encode_text(["an old face"])[0]
    images = (0.8 * pictures).requires_grad_()
    before = network.encode_image(images) @ text
    (gradient,) = torch.autograd.grad(before.sum(), [images])
    step = 0.03 * gradient.sign()
    change = (network.encode_image((images + step).detach()) @ text - before).detach()
    said = (gradient * step).flatten(1).sum(1)
    assert bool((said > 0).all()) and torch.allclose(change, said, rtol=0.25)


def test_a_text_that_is_too_long_ends_in_one_line(network):
    network.encode_text(["x " * 75])
    with pytest.raises(InputError, match=r"^the text 'x x .*\.\.\.' has 78 tokens, and tiny reads 77: shorten it$"):
        network.encode_text(["a face", "x " * 76])
    with pytest.raises(InputError, match="78 tokens"):
        network.check_texts(["x " * 76])
    with pytest.raises(InputError, match="a list of texts"):
        network.encode_text("a face")
    assert network.unknown_words("qqxzvj") == ()


def test_the_fingerprint_covers_weights_activation_and_preprocessing(folder):
    def fingerprint(place, edit=lambda card: None, **options):
        path = write(folder / place, **options)
        card = json.loads((path.parent / "open_clip_config.json").read_text())
        edit(card)
        (path.parent / "open_clip_config.json").write_text(json.dumps(card))
        return ClipTextImage("tiny", load_clip(choice(path)), INFO).fingerprint

    first = fingerprint("f0")
    assert fingerprint("f1") == first == fingerprint("f2", name="tiny.pt")
    others = [
        fingerprint("f3", seed=1),
        fingerprint("f4", quick_gelu=True),
        fingerprint("f5", lambda card: card["preprocess_cfg"].update(interpolation="bilinear")),
        fingerprint("f6", lambda card: card["preprocess_cfg"].update(mean=[0.5, 0.5, 0.5])),
    ]
    assert len({first, *others}) == 5


def test_files_of_every_form_hold_the_same_network(folder, clip, pictures):
    """Of torch.save and safetensors, from a training run, of DataParallel, and of the older form whose text side has no name."""
    wrapped = {
        "plain.pt": lambda state: state,
        "training.pt": lambda state: {"epoch": 3, "name": "run", "state_dict": {f"module.{k}": v for k, v in state.items()}},
        "half.safetensors": lambda state: {k: v.half() if v.is_floating_point() else v for k, v in state.items()},
    }
    for name, edit in wrapped.items():
        found = load_clip(choice(write(folder / name, name=name, edit=edit))).images(pictures)
        torch.testing.assert_close(found, clip.images(pictures), atol=0 if "half" not in name else 2e-2, rtol=0)

    def older(state):
        return {key.removeprefix("text."): value for key, value in state.items()}

    plain = write(folder / "newer", custom_text=True)
    path = write(folder / "older", custom_text=True, edit=older)
    assert torch.equal(load_clip(choice(path)).texts(TEXTS), load_clip(choice(plain)).texts(TEXTS))


def without(*names):
    return lambda state: {key: value for key, value in state.items() if key not in names}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (without("visual.proj", "ln_final.bias"), r"it lacks ln_final.bias, visual.proj$"),
        (lambda s: {**s, "extra.weight": torch.ones(2)}, "it also has extra.weight"),
        (lambda s: {**s, "visual.conv1.weight": torch.ones(32, 3, 4, 4)}, "of another shape: visual.conv1.weight"),
        (lambda s: {**s, "ln_final.bias": torch.full((16,), float("nan"))}, "NaN or infinity"),
        (without("logit_scale"), "none of its tensors is logit_scale"),
    ],
)
@pytest.mark.parametrize("name", ["bad.safetensors", "bad.pt"])
def test_a_file_that_holds_something_else_is_refused_in_one_line(tmp_path, name, edit, message):
    path = write(tmp_path, name=name, edit=edit)
    with pytest.raises(InputError, match=message) as caught:
        load_clip(choice(path))
    said = str(caught.value)
    assert str(path) in said and "\n" not in said and "does not hold the weights of" in said


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_programs_and_damaged_files_are_refused(tmp_path):
    path = write(tmp_path)
    script = tmp_path / "ViT-B-32.pt"
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(script))
    with pytest.raises(InputError, match=r"a TorchScript archive, .* \(clip-vit-b-32, .*; latentbench fetch NAME --from FILE\)"):
        load_clip(choice(script))
    hostile = io.BytesIO()
    torch.save({"logit_scale": zipfile.ZipFile}, hostile)
    for name, data, message in (
        ("cut.safetensors", path.read_bytes()[:5000], "damaged|no checkpoint"),
        ("page.pt", b"<!doctype html><html></html>", "a web page"),
        ("hostile.pt", hostile.getvalue(), "nothing of it was executed"),
        ("snapshot.pkl", b"\x80\x03}.", "none that torch.save wrote"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=message):
            load_clip(choice(tmp_path / name))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[", "is no configuration of open_clip"),
        ('{"model_cfg": {"embed_dim": 16}}', r"is no configuration of open_clip \(KeyError: 'vision_cfg'\)"),
        ({"text_cfg": {"hf_model_name": "roberta-base"}}, "only CLIPs with CLIP's own tokenizer"),
        ({"text_cfg": {"vocab_size": 32000}}, "only CLIPs with CLIP's own tokenizer"),
        ({"vision_cfg": {"timm_model_name": "hf-hub:some/net"}}, "parts of a hub"),
        ({"multimodal_cfg": {}}, "also writes texts"),
        ({"embed_dim": "wide"}, "makes no model of open_clip"),
        ({"colour": 1}, "makes no model of open_clip: .*colour"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(tmp_path, config, message):
    path = write(tmp_path)
    card = tmp_path / "open_clip_config.json"
    if isinstance(config, dict):
        said = json.loads(card.read_text())
        config = json.dumps({**said, "model_cfg": {**said["model_cfg"], **config, "text_cfg": config.get("text_cfg", {})}})
        if "vision_cfg" not in config:
            config = json.dumps(said)
    card.write_text(config)
    with pytest.raises(InputError, match=message):
        load_clip(choice(path))
    card.unlink()
    with pytest.raises(InputError, match="say its architecture, or put its open_clip_config.json beside it"):
        load_clip(choice(path))


def test_pictures_that_are_wanted_otherwise_are_refused(tmp_path):
    path = write(tmp_path)
    card = tmp_path / "open_clip_config.json"
    said = json.loads(card.read_text())
    for change in ({"size": [32, 48]}, {"std": [0, 1, 1]}, {"mean": "none"}, {"interpolation": "nearest"}):
        card.write_text(json.dumps({**said, "preprocess_cfg": {**said["preprocess_cfg"], **change}}))
        with pytest.raises(InputError, match="wants its pictures as nobody else"):
            load_clip(choice(path))


def test_catalogued_designs_are_open_clips_and_weights_that_are_not_at_hand_say_how_to_get_them(tmp_path, monkeypatch):
    open_clip = open_clip_or_skip()
    for name in ("TORCH_HOME", "LATENTBENCH_CACHE", "XDG_CACHE_HOME", "HF_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    for name, (architecture, tag) in CATALOGUED.items():
        design = named(architecture, tag)
        trained = open_clip.get_pretrained_cfg(architecture, tag)
        assert design.model.get("quick_gelu", False) == (tag == "openai") == trained.get("quick_gelu", False)
        with pytest.raises(UnsupportedError, match=f"latentbench fetch {name}"):
            load_clip(name)
    with pytest.raises(UnsupportedError, match="of clip-rn50-cc12m are not at hand: there is no file .*rn50.pt"):
        load_clip(ClipChoice(weights="rn50.pt", architecture="RN50", pretrained="cc12m"), tmp_path)
    (tmp_path / "rn50.pt").write_bytes(b"x")
    with pytest.raises(InputError, match="unknown tag of RN50 'openia': did you mean openai"):
        load_clip(ClipChoice(weights="rn50.pt", architecture="RN50", pretrained="openia"), tmp_path)
    with pytest.raises(InputError, match="unknown architecture of open_clip 'RN5': did you mean"):
        load_clip(ClipChoice(weights="rn50.pt", architecture="RN5"), tmp_path)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_a_program_whose_hash_was_checked_gives_its_weights(folder, clip, pictures, monkeypatch):
    """OpenAI's files are traced models with three settings among their tensors, in half precision."""
    design, model = clip_files.beside(folder / "vit" / "tiny.safetensors"), official(folder / "vit")[0]
    for name in ("input_resolution", "context_length", "vocab_size"):
        if hasattr(model, name):
            delattr(model, name)
        model.register_buffer(name, torch.tensor(77))
    texts = torch.zeros(1, 77, dtype=torch.long)
    inputs = {"encode_image": torch.zeros(1, 3, 32, 32), "encode_text": texts}
    torch.jit.trace_module(model.half().float(), inputs, check_trace=False).save(str(folder / "program.pt"))
    monkeypatch.setattr(clip_files, "cached", lambda name: folder / "program.pt")
    monkeypatch.setattr(clip_files, "named", lambda architecture, tag: design)
    found = load_clip("clip-rn50")
    assert found.name == "clip-rn50"
    torch.testing.assert_close(found.images(pictures), clip.images(pictures), atol=2e-2, rtol=0)
    monkeypatch.setattr(clip_files, "cached", lambda name: folder / "vit" / "tiny.safetensors")
    with pytest.raises(InputError, match="tiny.safetensors does not hold the weights of"):
        load_clip("clip-rn50")


def test_offline_reaches_the_hub_library(monkeypatch):
    monkeypatch.setenv("LATENTBENCH_OFFLINE", "1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    try:
        import_open_clip()
    except UnsupportedError:
        pass
    assert os.environ["HF_HUB_OFFLINE"] == "1"
