"""Every direction method on every architecture, in every space: it fits and edits, or says in one line why it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import methods.unsupervised.ganspace as ganspace_module
from bench.cards import Attribute, DomainInfo
from bench.codes import Space
from bench.generators import style_based
from bench.generators.base import Generator
from bench.generators.biggan_deep import HUGGINGFACE
from bench.generators.biggan_pytorch import BigGAN
from bench.generators.biggan_pytorch_layers import Sizes
from bench.generators.dcgan import DCGAN, Conv
from bench.generators.eigengan import EIGENGAN
from bench.generators.pggan import GENFORCE as PGGAN
from bench.generators.stylegan import GENFORCE as STYLEGAN
from bench.generators.stylegan2 import ADA
from methods.base import FitContext, Request
from methods.supervised.higan import HiGAN
from methods.supervised.higan_layers import LayeredEditor
from methods.supervised.interfacegan import InterFaceGAN
from methods.unsupervised.axes import Axes
from methods.unsupervised.ganspace import GANSpace
from methods.unsupervised.hessian_penalty import HessianPenalty
from methods.unsupervised.sefa import SeFa

GOLDEN = Path(__file__).parents[1] / "golden"
DOMAIN = DomainInfo("none", (Attribute("one", "continuous"), Attribute("two", "continuous")), guides={"attributes": "a guide"})


def golden(name: str, form, arguments: str | None = None) -> Generator:
    """A random network whose weights lie beside the official figures."""
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        state = {key[3:]: torch.from_numpy(file[key]) for key in file.files if key.startswith("sd/")}
        meta = json.loads(str(file["meta"]))
    return form.build(state, meta[arguments] if arguments else {}, name, "none")


def filled(generator: Generator) -> Generator:
    """The network with random weights in place of none."""
    draw = torch.Generator().manual_seed(0)
    for name, value in generator.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.randn(value.shape, generator=draw) * (0.3 if value.dim() == 4 else 0.5))
            if name.endswith("var"):
                value.square_().add_(0.5)
    return generator


def biggan(deep: bool, ladder: tuple[tuple[int, int, bool], ...]) -> Generator:
    sizes = Sizes(deep, 4, 4, 3, 5, 4, ladder, (0,), 0)
    return filled(BigGAN(name="biggan-deep" if deep else "biggan", domain="none", sizes=sizes))


CONVS = [Conv("0", "1", 7, 16, 4, False), Conv("3", "4", 16, 8, 4, False), Conv("6", "", 8, 3, 4, False)]
MAKERS: dict[str, Callable[[], Generator]] = {
    "dcgan": lambda: filled(DCGAN(name="dcgan", domain="none", convs=CONVS)),
    "pggan": lambda: golden("sefa_pggan", PGGAN),
    "biggan": lambda: biggan(False, ((16, 16, True), (16, 8, True))),
    "biggan-deep": lambda: biggan(True, ((16, 16, False), (16, 8, True))),
    "biggan-deep of Hugging Face": lambda: golden("biggan_deep", HUGGINGFACE, "config"),
    "eigengan": lambda: golden("eigengan", EIGENGAN, "generator_kwargs"),
    "stylegan": lambda: golden("sefa_stylegan", STYLEGAN),
    "stylegan2": lambda: golden("stylegan2_ada", ADA),
    "conditional stylegan2": lambda: golden("stylegan2_ada_cond", ADA),
}
make = cache(lambda name: MAKERS[name]())

METHODS = {
    "interfacegan": (InterFaceGAN, {"chosen_num_or_ratio": 0.1}),
    "sefa": (SeFa, {}),
    "ganspace": (GANSpace, {"num_samples": 2}),
    "hessian_penalty": (HessianPenalty, {"steps": 2, "batch": 2, "activeness_samples": 2}),
    "axes": (Axes, {"activeness_samples": 2, "index_codes": 4}),
}


class LinearBank:
    """Codes whose scores are linear in z."""

    names = ("one", "two")

    def __init__(self, generator: Generator, n: int = 200) -> None:
        self.generator, self._codes = generator, generator.sample(torch.arange(n), seed=1)
        draw = torch.Generator().manual_seed(5)
        self.truth = torch.nn.functional.normalize(torch.randn(2, generator.info.spaces["z"][0], generator=draw), dim=1)
        self.scores = self._codes.values @ self.truth.T

    def __len__(self) -> int:
        return len(self._codes)

    def codes(self, space):
        return self.generator.convert(self._codes, space)


def context(generator: Generator, budget: int = 3) -> FitContext:
    return FitContext(generator, DOMAIN, {}, LinearBank(generator), ("one", "two"), budget, seed=0)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Fewer samples where the figures do not matter, only that it runs."""
    monkeypatch.setattr(ganspace_module, "batch_rows", lambda components: 200)
    monkeypatch.setattr(ganspace_module, "REGRESSION_SAMPLES", 200)
    monkeypatch.setattr(ganspace_module, "STDEV_SAMPLES", 200)
    monkeypatch.setattr("methods.unsupervised.hessian_penalty.STDEV_SAMPLES", 200)
    monkeypatch.setattr("methods.unsupervised.hessian_penalty.HELD_OUT", 2)
    monkeypatch.setattr(style_based, "P_SAMPLES", 2000)


def refusal(method: str, space: str, spaces: dict[str, tuple[int, ...]]) -> str | None:
    """What a method is to say of a space that a generator has; None: it works there."""
    home = "w" if "w" in spaces else "z"
    if method == "sefa":
        return None if space == home else f"meet codes of {home}, not of {space}"
    if Space(space).layered:
        return "one vector a code"
    return "its PCA is arbitrary: name a layer" if method == "ganspace" and space == "z" and home == "w" else None


def check_edits(generator: Generator, fitted) -> None:
    """A step of the first target changes the pictures of codes drawn anew, step 0 does not, and a code keeps its class."""
    editor, drawn = fitted.editor, generator.sample(torch.arange(900, 904), seed=2)
    path = editor.path(drawn, [Request(editor.targets[0])])
    still, moved = path.at(0.0).codes, path.at(torch.tensor([0.5, 1.0, 2.0, -2.0])).codes
    before, after = generator.synthesize(drawn), generator.synthesize(moved)
    assert (moved.labels is None) == (drawn.labels is None) and torch.equal(moved.ids, drawn.ids)
    if drawn.labels is not None:
        assert torch.equal(moved.labels, drawn.labels)
    assert after.shape == before.shape and bool(after.isfinite().all())
    change = (after - before).abs().flatten(1).amax(1)
    assert (change > 1e-4 * before.abs().max()).all(), change
    unchanged = generator.synthesize(still)
    assert (unchanged - before).abs().max() <= 1e-5 * before.abs().max()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MAKERS)
def test_it_edits_in_every_space_or_says_why_not(name, method):
    generator, (kind, options) = make(name), METHODS[method]
    for space in generator.info.spaces:
        few = {"components": 3} if method == "hessian_penalty" else {}  # s has hundreds
        one = kind(**options | few, space=space)
        expected, reason = refusal(method, space, generator.info.spaces), one.supports(generator.info, DOMAIN)
        if expected:
            assert reason and expected in reason and "\n" not in reason
            continue
        assert reason is None
        fitted = one.fit(context(generator))
        assert len(fitted.editor.targets) == (2 if method == "interfacegan" else 3)
        check_edits(generator, fitted)
        again = one.restore(context(generator), fitted.state())
        assert torch.equal(again.editor.directions, fitted.editor.directions)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MAKERS)
def test_the_defaults_work_in_w_or_where_there_is_none_in_z(name, method):
    """hessian_penalty and axes are at home in z, as in their papers."""
    generator, (kind, options) = make(name), METHODS[method]
    one = kind(**options)
    assert one.supports(generator.info, DOMAIN) is None
    fitted = one.fit(context(generator))
    home = "w" if "w" in generator.info.spaces and method not in ("hessian_penalty", "axes") else "z"
    assert str(fitted.editor.space) in (home, f"{home}+")
    check_edits(generator, fitted)


@pytest.mark.parametrize("name", ["dcgan", "pggan", "biggan", "biggan-deep of Hugging Face", "eigengan"])
def test_boundaries_in_z_find_the_scores_direction(name):
    generator = make(name)
    ctx = context(generator)
    ctx.bank = LinearBank(generator, 3000)
    found = InterFaceGAN(chosen_num_or_ratio=0.3).fit(ctx).editor.directions
    assert (found * ctx.bank.truth).sum(1).min() > 0.95


def test_sefa_of_dcgan_and_pggan_is_the_largest_response_of_the_first_map():
    """Not of a matrix that the test has to trust: of the map itself, each of whose outputs counts alike."""
    for name, first in (("dcgan", "0"), ("pggan", "layer0")):
        generator = make(name)
        width = generator.info.spaces["z"][0]
        directions = SeFa().fit(context(generator)).editor.directions
        weights = generator.code_weights("z")[0]
        if name == "dcgan":
            maps = generator.get_submodule(first)(torch.eye(width)[:, :, None, None]).flatten(1)
        else:  # without the norm before it, the gain and the bias
            layer = generator.get_submodule(first)
            maps = torch.nn.functional.conv2d(torch.eye(width)[:, :, None, None], layer.weight, padding=3).flatten(1)
        torch.testing.assert_close(weights.T, maps, rtol=0, atol=1e-6)
        alike = torch.nn.functional.normalize(maps.double(), dim=0)
        exact = torch.linalg.svd(alike.T).Vh[:3]
        assert ((directions * exact).sum(1).abs() > 1 - 1e-6).all()


@pytest.mark.parametrize("name", ["biggan", "biggan-deep", "eigengan"])
def test_boundaries_of_higan_move_the_part_of_a_row_alone(name):
    """In all rows they are one edit in z; rows of BigGAN hold chunks of it, of the others the whole of it."""
    generator = make(name)
    drawn = generator.sample(torch.arange(4), seed=2)

    def moved(**options):
        editor = HiGAN(chosen_num_or_ratio=0.3, verify_codes=0, **options).fit(context(generator)).editor
        again = LayeredEditor.from_state(generator, editor.state())
        assert torch.equal(again.directions, editor.directions)
        return editor.path(drawn, [Request("one")]).at(2.0).codes

    everywhere, one = moved(rows="all"), moved(rows=[1])
    flat = InterFaceGAN(space="z", chosen_num_or_ratio=0.3).fit(context(generator)).editor.path(drawn, [Request("one")])
    before, direct = generator.convert(drawn, "z+").values, generator.convert(flat.at(2.0).codes, "z+").values
    step, expected = (everywhere.values - before).flatten(1), (direct - before).flatten(1)
    assert (torch.nn.functional.cosine_similarity(step, expected) > 0.9).all()
    changed = (one.values - before).abs().amax((0, 2)) > 0
    assert changed.tolist() == [row == 1 for row in range(len(changed))]
    torch.testing.assert_close(one.values[:, 1], everywhere.values[:, 1])


@pytest.mark.parametrize("deep", [False, True])
def test_ganspace_of_a_fixed_class_finds_the_planted_axes_of_biggans_first_map(deep, monkeypatch):
    """The first layer is linear in z, so that the components' directions are its right singular vectors, which are planted."""
    monkeypatch.setattr(ganspace_module, "batch_rows", lambda components: 2000)
    monkeypatch.setattr(ganspace_module, "REGRESSION_SAMPLES", 2000)
    generator = biggan(deep, ((16, 16, not deep), (16, 8, True)))
    weight = generator.linear.weight  # of [class embedding, z] in the deep one, of the first chunk of z in the other
    draw = torch.Generator().manual_seed(3)
    planted = torch.linalg.qr(torch.randn(4, 4, generator=draw)).Q
    outputs = torch.linalg.qr(torch.randn(len(weight), 4, generator=draw)).Q
    weight[:, -4:] = outputs @ torch.diag(torch.tensor([6.0, 3.0, 1.5, 0.7])) @ planted
    found = GANSpace(label=1, num_samples=4000).fit(context(generator)).editor.directions
    exact = torch.nn.functional.pad(planted[:3], (0, found.shape[1] - 4))
    assert ((found * exact).sum(1).abs() > 0.98).all(), (found * exact).sum(1)


@pytest.mark.parametrize("name", ["biggan", "biggan-deep", "biggan-deep of Hugging Face", "eigengan"])
@pytest.mark.parametrize("kind", [GANSpace, SeFa])
def test_an_edit_of_chosen_rows_leaves_the_others_alone(name, kind):
    generator = make(name)
    chosen = {"layers": "1:3"} if kind is GANSpace else {"layers": "1-2"}
    options = {"num_samples": 2} if kind is GANSpace else {}
    editor = kind(**options, **chosen).fit(context(generator)).editor
    drawn = generator.sample(torch.arange(4), seed=2)
    before = generator.convert(drawn, "z+")
    after = editor.path(drawn, [Request(target) for target in editor.targets]).at(3.0).codes
    moved = (after.values - before.values).abs().amax((0, 2)) > 0
    assert str(after.space) == "z+" and moved.tolist() == [row in (1, 2) for row in range(len(moved))]
    fed = [layer for layer in generator.info.layers if layer.rows]
    maps = [generator.features(one, [layer.name for layer in fed]) for one in (before, after)]
    changed = [bool((maps[1][layer.name] - maps[0][layer.name]).abs().max() > 1e-6) for layer in fed]
    assert not changed[0] and any(changed[1:3])


def test_chunks_move_by_their_own_part_of_the_direction():
    """Of BigGAN's whole z, which is one edit in all rows, the rows 1 and 2 make their part."""
    generator = make("biggan")
    whole, part = (GANSpace(num_samples=2, layers=layers).fit(context(generator)).editor for layers in ("all", "1:3"))
    drawn = generator.sample(torch.arange(2), seed=2)
    moved = generator.convert(whole.path(drawn, [Request("1")]).at(1.0).codes, "z+").values
    rows = part.path(drawn, [Request("1")]).at(1.0).codes.values
    torch.testing.assert_close(rows[:, 1:3], moved[:, 1:3])
    assert torch.equal(rows[:, 0], generator.convert(drawn, "z+").values[:, 0])


def test_classes_are_chosen_where_there_are_any():
    for kind in (GANSpace, HessianPenalty):
        assert kind(label=1).supports(make("dcgan").info, DOMAIN) == "dcgan has no classes to choose from"
        assert kind(label=3).supports(make("biggan").info, DOMAIN) == "biggan has the classes 0 to 2, not 3"
        assert kind(label=2).supports(make("biggan").info, DOMAIN) is None
    generator = make("biggan-deep")
    one, other, mixed = (GANSpace(num_samples=2, label=label).fit(context(generator)).tables for label in (0, 0, None))
    assert one == other and one != mixed
