"""Domains by words: the page, its networks on a stand-in for CLIP, and a suite that names one for a checkpoint."""

import pytest
import torch

from bench.catalogue import Catalogue
from bench.domains.prompted import DomainFile, PromptedDomain, is_domain_file, load_domain, shared_weights
from bench.errors import InputError, UnsupportedError
from bench.registry import Registry
from bench.suite import load_suite

PAGE = """
name: colours
attributes:
  - {name: red, prompts: [a picture, a red picture]}
  - {name: dark, prompts: [a light picture, a dark picture], kind: binary}
"""


class Words(torch.nn.Module):
    """A CLIP whose space is colour: a text's vector is the colour that it names."""

    scale = 10.0
    colours = {"a picture": (1, 1, 1), "a red picture": (1, 0, 0), "a light picture": (1, 1, 1), "a dark picture": (-1, -1, -1)}

    def __init__(self, gain=1.0):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(gain))

    def check(self, texts):
        """No colour is too long."""

    def texts(self, texts):
        return torch.nn.functional.normalize(torch.tensor([self.colours[text] for text in texts]).float(), dim=1)

    def images(self, images):
        return torch.nn.functional.normalize(self.gain * images.mean((2, 3)), dim=1)


def page(tmp_path, text=PAGE):
    path = tmp_path / "colours.yaml"
    path.write_text(text)
    return path


def test_attributes_are_read_by_two_clips_that_differ(tmp_path):
    asked = []
    domain = load_domain(page(tmp_path))
    domain.load_clip = lambda choice, folder: asked.append((choice.label, folder)) or Words(1.0 + len(asked))
    guide, judge = domain.guide("attributes"), domain.judge("attributes")
    assert asked == [(guide.name, tmp_path), (judge.name, tmp_path)]
    assert [guide.name, judge.name] == ["clip-vit-b-32", "open-clip-vit-b-16-laion2b"]
    assert domain.guide("text_image") is guide and domain.judge("text_image") is judge
    assert guide.names == judge.names == domain.info.names == ("red", "dark")
    assert guide.fingerprint != judge.fingerprint
    images = torch.stack([torch.full((3, 4, 4), -1.0), torch.full((3, 4, 4), 1.0)])
    images[1, 1:] = -0.5
    red, dark = judge.measure(images)["attributes"].detach().T
    assert red[1] > red[0] and dark[0] == pytest.approx(20.0) and dark[1] < 0 + 1e-5
    assert [a.kind for a in domain.info.attributes] == ["continuous", "binary"]
    assert domain.info.judges["perceptual"] == "lpips-alex"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name: colours", "nom: colours"), "nom"),
        (("a red picture]", "]"), "red"),
        (("name: dark", "name: red"), "lists a name twice: red, red"),
        (("name: colours", "name: colours\nguide: open-clip-vit-b-16-laion2b"), "cannot both guide and judge"),
        (("name: colours", "name: colours\nguide: clip-vit-b-23"), "unknown CLIP 'clip-vit-b-23': did you mean clip-vit-b-32"),
        (("name: colours", "name: colours\nguide: {architecture: RN50}"), "a CLIP is a catalogued name, or"),
        (("name: colours", "name: colours\nguide: {weights: a.pt}"), "without an architecture the file a.pt needs a name"),
        (("name: colours", "name: colours\nguide: {weights: a.pt, name: a, pretrained: openai}"), "needs its architecture"),
        (("name: colours", "name: colours\nguide: {weights: a.pt, name: clip-rn50}"), "is a catalogued CLIP"),
        (
            ("name: colours", "name: c\nguide: {weights: a.pt, name: a}\njudge: {weights: a.pt, name: b}"),
            "the file a.pt cannot both",
        ),
        (
            ("name: colours", "name: c\njudge: {weights: a.pt, architecture: ViT-B-32-quickgelu, pretrained: openai}"),
            "clip-vit-b-32-quickgelu-openai cannot judge: clip-vit-b-32, the guide, is ViT-B-32 of openai too",
        ),
        ((PAGE, "- a\n- b"), "is not a mapping"),
        ((PAGE, "name: ["), "cannot be read"),
    ],
)
def test_a_page_that_says_something_else_is_refused(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        load_domain(page(tmp_path, PAGE.replace(*change)))


def test_a_missing_page_and_a_foreign_network(tmp_path):
    with pytest.raises(InputError, match="no domain file"):
        load_domain(tmp_path / "none.yaml")
    page = DomainFile(
        name="d", attributes=[{"name": "a", "prompts": ["x", "y"]}], guide={"weights": "w.pt", "architecture": "RN50"}
    )
    assert page.guide.label == "clip-rn50-w"
    domain = PromptedDomain(DomainFile(name="d", attributes=[{"name": "a", "prompts": ["x", "y"]}]))
    with pytest.raises(InputError, match="unknown network of d 'clip-vit-b-23': did you mean"):
        domain.network("clip-vit-b-23")
    assert is_domain_file("a/b.yml") and not is_domain_file("faces") and not is_domain_file(None)


def test_a_suite_takes_the_page_from_its_own_folder(tmp_path, monkeypatch):
    """CLIP is not at hand here, so that the place has no networks, and says which it lacks."""
    monkeypatch.setenv("LATENTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    page(tmp_path)
    state = {"main.0.weight": torch.randn(6, 8, 4, 4), "main.3.weight": torch.randn(8, 3, 4, 4)}
    state |= {f"main.1.{key}": torch.ones(8) for key in ("weight", "bias", "running_mean", "running_var")}
    torch.save(state, tmp_path / "tiny.pt")
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "name: mine\ngenerators: [{path: tiny.pt, domain: colours.yaml}]\nmethods: [random]\ntasks: {editing: {targets: [red]}}\n"
    )
    monkeypatch.chdir(tmp_path.parent)
    place = Catalogue(load_suite(suite), Registry(), torch.device("cpu")).place("tiny")
    assert place.generator.info.domain == place.domain.info.name == "colours"
    assert place.networks == {}
    with pytest.raises(UnsupportedError, match="latentbench fetch|pip install"):
        place.domain.judge("attributes")


def test_a_judge_that_has_weights_in_common_with_the_guide_is_refused(tmp_path):
    """Whatever its name, its file's form and the precision it was kept in; towers of one's own make it another network."""
    torch.manual_seed(0)
    one, other = (torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 24)) for _ in range(2))
    assert shared_weights(one, other) == 0.0
    copy = torch.nn.ModuleDict({"visual": torch.nn.Linear(8, 8), "text": torch.nn.Linear(8, 24)})
    copy["visual"].load_state_dict({key: value.half().float() for key, value in one[0].state_dict().items()})
    assert shared_weights(one, copy) == pytest.approx((64 + 8) / (64 + 8 + 192 + 24))
    domain = load_domain(page(tmp_path))
    shared = torch.nn.Parameter(torch.randn(50))

    def load_clip(choice, folder):
        words = Words(float(len(choice.label)))
        words.tower = shared
        return words

    domain.load_clip = load_clip
    domain.guide("text_image")
    with pytest.raises(
        InputError, match="open-clip-vit-b-16-laion2b and clip-vit-b-32 have weights in common: a guide never judges"
    ):
        domain.judge("text_image")
