"""The generator's own codes as a representation: which spaces it offers, and that pictures and seeds play no part."""

from types import SimpleNamespace

import pytest
import torch

from bench.cards import GeneratorInfo
from bench.codes import Codes, Space
from bench.generators.heads_oracle import heads_oracle
from bench.suite import checked
from methods.base import Encoder, Fitted
from methods.baselines.native import Native

FORBIDDEN = None  # what stands for pictures: calling it fails


def info(**spaces):
    return GeneratorInfo("g", "a", "toys", 4, spaces)


@pytest.mark.parametrize("space", ["z", "w"])
def test_codes_are_those_of_the_space(space, toy, codes, context):
    method = Native(space=space)
    fitted = method.fit(context(toy()))
    assert isinstance(fitted.encoder, Encoder) and fitted.encoder.space == space
    batch = codes(toy(), 6)
    assert torch.equal(fitted.encoder.encode(batch, FORBIDDEN), toy().convert(batch, space).values)
    assert (method.variant, method.space) == ("" if space == "w" else "space=z", space)
    assert method.produces == {"encoder"} and method.approach == "baseline"


def test_it_is_restored_from_nothing(toy, codes, context):
    fitted = Native().fit(context(toy()))
    assert fitted.state() == {}
    again = Native().restore(context(toy()), {})
    batch = codes(toy(), 6)
    assert torch.equal(again.encoder.encode(batch, FORBIDDEN), fitted.encoder.encode(batch, FORBIDDEN))


def test_a_row_depends_on_its_own_code_alone():
    encoder = Native(space="w").fit(SimpleNamespace(generator=heads_oracle())).encoder
    batch = heads_oracle().sample(torch.arange(8), seed=0)
    assert torch.allclose(encoder.encode(batch, FORBIDDEN)[3:5], encoder.encode(batch[3:5], FORBIDDEN), atol=1e-6)


def test_layered_rows_that_differ_lie_one_after_another():
    class Chunked:
        def convert(self, codes, space):
            return codes.with_values(codes.values.reshape(len(codes), 4, 2), space)

    values = torch.arange(16.0).view(2, 8)
    encoder = Native(space="z+").fit(SimpleNamespace(generator=Chunked())).encoder
    assert torch.equal(encoder.encode(Codes(Space.Z, values, torch.arange(2)), FORBIDDEN), values)


def test_the_control_mixes_codes_into_more_channels(toy, codes, context, domain):
    class Styled(toy):
        def __init__(self):
            super().__init__()
            self.info = GeneratorInfo("g", "a", "toys", 4, {**self.info.spaces, "s": (40,)})

    method, generator = Native(as_many_as="s"), Styled()
    encoder, batch = method.fit(context(generator)).encoder, codes(generator, 200)
    mixed, w = encoder.encode(batch, FORBIDDEN), generator.convert(batch, "w").values.double()
    assert mixed.shape == (200, 40) and encoder.space == "" and method.variant == "as_many_as=s" and method.space == "w"
    assert torch.linalg.matrix_rank(mixed) == 12 and torch.allclose(torch.linalg.lstsq(w, mixed).solution, encoder.mix, atol=1e-8)
    again, other = method.restore(context(generator), {}).encoder, method.fit(context(generator, seed=1)).encoder
    assert torch.equal(again.mix, encoder.mix) and not torch.equal(other.mix, encoder.mix)
    assert method.supports(generator.info, domain) is None
    assert method.supports(info(z=(8,), w=(12,)), domain) == "g has no space s"


@pytest.mark.parametrize(
    ("space", "spaces", "why"),
    [
        ("w", {"z": (8,), "w": (12,)}, None),
        ("s", {"z": (8,), "w": (12,), "s": (40,)}, None),
        ("p_n", {"z": (8,), "w": (12,), "p_n": (12,)}, None),
        ("s", {"z": (8,), "w": (12,)}, "g has no space s"),
        ("w+", {"z": (8,), "w": (12,), "w+": (4, 12)}, "a sample's w+ in g repeats w"),
        ("p+", {"w": (12,), "p": (12,), "p+": (4, 12)}, "a sample's p+ in g repeats p"),
        ("z+", {"z": (8,), "z+": (4, 8)}, "a sample's z+ in g repeats z"),
        ("z+", {"z": (8,), "z+": (4, 2)}, None),
    ],
)
def test_spaces_that_repeat_a_code_are_refused(space, spaces, why, domain):
    assert Native(space=space).supports(info(**spaces), domain) == why


def test_unknown_spaces_are_bad_input():
    with pytest.raises(ValueError):
        Native(space="q")
    with pytest.raises(Exception, match="rows"):
        checked(Native.Options, {"rows": 3}, "here")


def test_a_fit_carries_its_encoders_state_beside_its_tables():
    class Learned:
        space = ""

        def encode(self, codes, images):
            return images()

        def state(self):
            return {"weight": torch.ones(3)}

    fitted = Fitted(encoder=Learned(), tables={"rows": [{"a": 1}]})
    assert set(fitted.state()) == {"weight", "tables"}
