"""Inverters on a tiny random StyleGAN2: planted codes come back, rows stand alone, and what is hidden does not count."""

import numpy as np
import pydantic
import pytest
import torch

from bench.cards import Attribute, DomainInfo
from bench.codes import Codes, Space
from bench.domains.base import Network
from bench.errors import InputError
from bench.generators.stylegan2 import StyleGAN2
from bench.generators.zoo import shipped
from methods.base import FitContext, Fitted
from methods.inversion.adam import Adam
from methods.inversion.degrade import Downsample, Mask, grey
from methods.inversion.loss import find_guide
from methods.inversion.mean_code import MeanCode
from methods.inversion.optimise import Optimise, fixed, projector

GOLDEN_ADAM = [-0.26272285659782874, 0.18323684169450766]
DOMAIN = DomainInfo("shapes", (Attribute("bright", "continuous"),), {"perceptual": "blur"})


class Blur(Network):
    """A perceptual guide: means of blocks of 4 px."""

    name, readings = "blur", frozenset({"perceptual", "features"})

    def measure(self, images):
        small = torch.nn.functional.avg_pool2d(images, 4).flatten(1)
        return {"perceptual": small / small.shape[1] ** 0.5, "features": small}


class Codebank:
    """A fit stream of 200 codes."""

    names = ()

    def __init__(self, generator):
        self.generator = generator

    def __len__(self):
        return 200

    def codes(self, space):
        return self.generator.convert(self.generator.sample(torch.arange(10_000, 10_200), seed=1), space)


@pytest.fixture(scope="module")
def generator():
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    made = StyleGAN2(name="random", domain="shapes", z_dim=6, widths=[6, 6], channels={4: 4, 8: 4, 16: 4}, lr_multiplier=1.0)
    for name, value in made.state_dict().items():
        if name.endswith("weight"):
            value.copy_(torch.randn(value.shape))
    torch.random.set_rng_state(state)
    made._memory.clear()
    # Fewer codes than a published whitening, which has the precision of a hundred thousand.
    made.remember("whitening", lambda: _whitening(made))
    return made


def _whitening(generator):
    from bench.generators.whitening import fit_whitening

    codes = generator.sample(torch.arange(4000), seed=0)
    return fit_whitening([generator.convert(codes, "p").values])


@pytest.fixture(scope="module")
def context(generator):
    return FitContext(generator, DOMAIN, {"perceptual": Blur()}, Codebank(generator), (), 4, 0)


@pytest.fixture(scope="module")
def target(generator):
    with torch.no_grad():
        return generator.synthesize(generator.sample(torch.arange(5), seed=9))


def error(generator, codes, target):
    with torch.no_grad():
        return (generator.synthesize(codes) - target).square().mean((1, 2, 3))


@pytest.mark.parametrize("space", ["z", "w", "w+", "s", "p", "p+", "p_n"])
def test_a_planted_picture_comes_back_from_every_space(space, generator, context, target):
    method = Optimise(space=space, steps=80, learning_rate=0.1, schedule="projector")
    assert method.supports(generator.info, DOMAIN) is None
    fitted = method.fit(context)
    found = fitted.inverter.invert(target, seed=0)
    assert found.codes.space == space and found.codes.values.shape[1:] == generator.info.spaces[space]
    assert found.seconds.shape == (5,) and bool((found.seconds > 0).all())
    mine = error(generator, found.codes, target)
    floor = error(generator, MeanCode(space=space).fit(context).inverter.invert(target, seed=0).codes, target)
    assert float(floor.mean()) > 0.08  # the pictures' own variance is 0.15
    assert float(mine.mean()) < 0.015 and float((mine / floor).max()) < 0.6, (mine, floor)
    if space != "z":  # deterministic, and the same from its stored tensors
        return
    again = method.restore(context, fitted.state())
    assert torch.equal(again.inverter.invert(target, seed=0).codes.values, found.codes.values)
    assert again.tables == {"inversion": [{"space": "z", "perceptual guide": "perceptual[blur]"}]}


@pytest.mark.parametrize("space", ["w+", "p_n"])
def test_a_row_does_not_depend_on_the_others(space, generator, context, target):
    inverter = Optimise(space=space, steps=25, learning_rate=0.1, p_norm=0.001).fit(context).inverter
    with torch.no_grad():
        many = generator.synthesize(generator.sample(torch.arange(20), seed=9))
    together = inverter.invert(many, seed=0).codes.values
    alone = inverter.invert(many[17:18], seed=0).codes.values
    pair = inverter.invert(torch.stack([many[3], many[17]]), seed=0).codes.values
    torch.testing.assert_close(alone[0], together[17], rtol=0, atol=1e-4)
    torch.testing.assert_close(pair, together[[3, 17]], rtol=0, atol=1e-4)
    assert float((together[3] - together[17]).abs().max()) > 0.05


def test_what_a_mask_hides_does_not_count(generator, context, target):
    inverter = Optimise(space="w", steps=20, learning_rate=0.1).fit(context).inverter
    known = torch.zeros(5, 1, 16, 16)
    known[:, :, :, :8] = 1
    known[4] = 1
    hidden = torch.where(known.bool(), target, torch.full_like(target, float("nan")))
    scribbled = torch.where(known.bool(), target, torch.randn_like(target) * 9)
    codes = [inverter.invert(one, seed=0, degrade=Mask(known)).codes.values for one in (target, hidden, scribbled)]
    assert torch.equal(codes[0], codes[1]) and torch.equal(codes[0], codes[2])
    whole = inverter.invert(target, seed=0).codes.values
    # The mask of a picture travels with it: the last one is known whole.
    torch.testing.assert_close(codes[0][4], whole[4], rtol=0, atol=1e-4)
    assert float((codes[0][:4] - whole[:4]).abs().max()) > 1e-2


def test_grey_and_small_pictures_are_matched_as_such(generator, context, target):
    inverter = Optimise(space="w", steps=80, learning_rate=0.1, schedule="projector").fit(context).inverter
    for degrade in (grey, Downsample(4)):
        start = inverter.start.expand(5, -1)
        with torch.no_grad():
            before, after = (
                (degrade(generator.synthesize(Codes("w", values, torch.arange(5)))) - degrade(target)).square().mean((1, 2, 3))
                for values in (start, inverter.invert(target, seed=0, degrade=degrade).codes.values)
            )
        assert float((after / before).mean()) < 0.1
    colour = torch.zeros(1, 3, 2, 2)
    colour[:, 1] = 1.0
    np.testing.assert_allclose(grey(colour).numpy(), 0.587, rtol=1e-6)
    np.testing.assert_allclose(Downsample(2)(torch.arange(4.0).view(1, 1, 2, 2)).numpy(), 1.5)
    with pytest.raises(InputError, match="3 times smaller"):
        Downsample(3)(target)
    with pytest.raises(InputError, match="does not fit pictures"):
        Mask(torch.ones(2, 1, 16, 16))(target)
    with pytest.raises(InputError, match="values from 0 to 1"):
        Mask(torch.full((1, 1, 16, 16), 2.0))


def test_the_p_norm_keeps_codes_near_the_mean(generator, context, target):
    from bench.generators.p_rows import whitened_rows

    size = {}
    for weight in (0.0, 0.1):
        inverter = Optimise(space="w+", steps=60, learning_rate=0.1, p_norm=weight).fit(context).inverter
        codes = inverter.invert(target, seed=0).codes
        with torch.no_grad():
            size[weight] = float(whitened_rows(generator, codes).square().mean())
    assert size[0.1] < 0.5 * size[0.0]
    sampled = generator.convert(generator.sample(torch.arange(500), seed=4), "w+")
    with torch.no_grad():
        assert float(whitened_rows(generator, sampled).square().mean()) == pytest.approx(1, abs=0.1)


def test_the_mean_code_is_one_picture_in_every_space(generator, context):
    with torch.no_grad():
        bank = context.bank.codes("w").values
        mean = generator.synthesize(Codes("w", bank.mean(0, keepdim=True), torch.arange(1)))
        for space in ("w", "w+", "s", "p", "p+", "p_n"):
            inverter = MeanCode(space=space).fit(context).inverter
            codes = inverter.invert(torch.zeros(2, 3, 16, 16), seed=0).codes
            torch.testing.assert_close(generator.synthesize(codes), mean.expand(2, -1, -1, -1), rtol=0, atol=1e-3)
        # There is no way back to z: it is the code of the stream that lies nearest.
        z = MeanCode(space="z").fit(context).inverter.code
        row = int((context.bank.codes("z").values == z).all(1).nonzero())
        away = (bank - bank.mean(0)).norm(dim=1)
        assert away[row] == away.min()
    state = MeanCode(space="z").fit(context).state()
    assert torch.equal(MeanCode(space="z").restore(context, state).inverter.code, z)


def test_options_are_the_papers_and_bad_ones_are_refused(generator, context):
    default = Optimise()
    assert (default.space, default.options.steps, default.options.learning_rate, default.variant) == ("w+", 5000, 0.01, "")
    assert Optimise(space="z", steps=9).variant == "space=z,steps=9"
    for options in ({"steps": 0}, {"learning_rate": 0}, {"pixel": 0, "perceptual": 0}, {"p_norm": -1}, {"schedule": "step"}):
        with pytest.raises(pydantic.ValidationError):
            Optimise(**options)
    assert "p_n" in Optimise(space="s", p_norm=0.1).supports(generator.info, DOMAIN)
    assert "no space z+" in Optimise(space="z+").supports(generator.info, DOMAIN)
    blind = DomainInfo("blind", DOMAIN.attributes)
    assert "no perceptual guide" in Optimise(pixel=0).supports(generator.info, blind)
    assert Optimise().supports(generator.info, blind) is None
    with pytest.raises(InputError, match="got \\[2, 3, 8, 8\\]"):
        Optimise(steps=1).fit(context).inverter.invert(torch.zeros(2, 3, 8, 8), seed=0)
    # From 0 at first to 1 and down to almost 0.
    assert [round(projector(share), 3) for share in (0, 0.025, 0.05, 0.5, 0.875, 0.99)] == [0, 0.5, 1, 1, 0.5, 0.004]
    assert fixed(0.3) == 1


def test_a_domain_without_guides_says_that_pixels_alone_count(generator, context):
    alone = FitContext(generator, DOMAIN, {}, context.bank, (), 4, 0)
    assert "pixels alone" in Optimise(steps=1).fit(alone).tables["inversion"][0]["perceptual guide"]
    assert Optimise(perceptual=0).fit(context).tables["inversion"][0]["perceptual guide"] == "none: its weight is 0"
    features = find_guide({"features": Blur()})
    assert features.label == "features[blur]"
    vectors = features.vectors(torch.ones(1, 3, 16, 16))
    np.testing.assert_allclose(float(vectors.square().sum()), 1, rtol=1e-6)  # a mean of squares, however many there are
    # Where the domain has both, the perceptual one is asked.
    assert find_guide({"features": Blur(), "perceptual": Blur()}).reading == "perceptual"


def test_adam_is_the_published_one():
    """Figures of torch.optim.Adam at rate 0.1 with gradients (1, -2), then (3, 0.5), then (0, 0)."""
    adam = Adam(torch.zeros(2, dtype=torch.float64))
    for gradient in ((1.0, -2.0), (3.0, 0.5), (0.0, 0.0)):
        adam.step(torch.tensor(gradient, dtype=torch.float64), 0.1)
    np.testing.assert_allclose(adam.values.numpy(), GOLDEN_ADAM, rtol=1e-7)


def test_a_start_drawn_from_the_seed(generator, context, target):
    inverter = Optimise(space="w", steps=1, learning_rate=1e-9, start="uniform").fit(context).inverter
    first, again, other = (inverter.invert(target, seed=seed).codes.values for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert float(first.abs().max()) <= 1 and torch.equal(first[0], first[4])


def test_parts_of_a_fit_may_not_store_under_one_name(context):
    inverter = MeanCode(space=Space.Z).fit(context).inverter
    assert sorted(Fitted(inverter=inverter).state()) == ["code"]
    with pytest.raises(ValueError, match="two parts of a fit store 'code'"):
        Fitted(editor=inverter, inverter=inverter).state()


@pytest.mark.parametrize("method", [MeanCode, Optimise])
def test_a_picture_tells_no_class_so_that_codes_of_z_cannot_answer_it(method):
    info = shipped("heads-biggan").info
    assert "the picture's class, which is not known" in method(space="z").supports(info, DOMAIN)
    assert method(space="z").supports(shipped("heads-dcgan").info, DOMAIN) is None
