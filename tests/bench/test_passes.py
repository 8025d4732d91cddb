"""Passes: a row's value depends on that row alone, whatever is asked for beside it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.bank import STREAM_LENGTH, STREAM_START, FitBank, stream_ids
from bench.clock import Clock
from bench.codes import Codes
from bench.interventions import Unit
from bench.passes import CHUNK, Passes, chunks


class Batchy(torch.nn.Module):
    """A network whose kernels depend on the batch: what it says of a row changes with the number of rows."""

    name, readings, names = "batchy", frozenset({"attributes"}), ("mean",)

    def __init__(self):
        super().__init__()
        self.sizes = []

    def measure(self, images):
        self.sizes.append(len(images))
        return {"attributes": images.mean((1, 2, 3))[:, None] * len(images)}


@given(st.integers(0, 100))
def test_chunks_cover_every_row_once_in_full_chunks(count):
    covered = []
    for part, index in chunks(count):
        wanted = list(range(part.start, part.stop))
        assert len(index) == CHUNK and index[: len(wanted)] == wanted and set(index[len(wanted) :]) <= {wanted[-1]}
        covered += wanted
    assert covered == list(range(count))


def test_values_do_not_depend_on_company_or_batch(toys):
    generator = toys.ToyGenerator()
    codes, network = generator.sample(torch.arange(40), seed=3), Batchy()
    whole = Passes(generator, batch=64).read({"attributes": network}, codes)["attributes"]
    for batch in (1, 8, 17, 32):
        assert torch.equal(Passes(generator, batch=batch).read({"attributes": network}, codes)["attributes"], whole)
    some = Passes(generator).read({"attributes": network}, codes[[30, 2, 39]])["attributes"]
    assert torch.equal(some, whole[[30, 2, 39]])
    assert set(network.sizes) == {CHUNK}


def test_no_rows_have_the_shape_of_an_answer(toys):
    generator = toys.ToyGenerator()
    passes = Passes(generator)
    none = generator.sample(torch.arange(0), seed=0)
    assert passes.synthesize(none).shape == (0, 3, 8, 8)
    assert passes.read(toys.ToyNetwork("toy-judge", 1.0), none)["attributes"].shape == (0, 2)


def test_pictures_are_clamped_and_leave_inference_mode(toys):
    generator = toys.ToyGenerator()
    pictures = Passes(generator).synthesize(Codes("w", torch.full((3, 4), 100.0), torch.arange(3)))
    assert float(pictures.max()) == 1.0 and not pictures.is_inference()
    assert not Passes(generator).measure(toys.ToyNetwork("toy-judge", 1.0), pictures)["attributes"].is_inference()


def test_interventions_are_sliced_with_the_rows(toys):
    class Lit(toys.ToyGenerator):
        def synthesize(self, codes, *, intervene=(), noise="const"):
            assert intervene[0].value.shape[0] == len(codes)
            return super().synthesize(codes) * 0 + intervene[0].value[:, :1, None, None]

    value = torch.linspace(-0.9, 0.9, 21)[:, None]
    unit = Unit("any", torch.tensor([0]), value)
    passes = Passes(Lit(), batch=16)
    pictures = passes.synthesize(passes.generator.sample(torch.arange(21), seed=0), (unit,))
    assert torch.equal(pictures[:, 0, 0, 0], value[:, 0])
    read = passes.read(toys.ToyNetwork("n", 1.0), passes.generator.sample(torch.arange(21), seed=0), (unit,))
    assert torch.allclose(read["attributes"][:, 0], value[:, 0])


def test_networks_run_once_and_may_not_answer_one_reading_twice(toys):
    clock = Clock()
    passes = Passes(toys.ToyGenerator(), clock=clock, guides=frozenset({"batchy"}))
    network, pictures = Batchy(), torch.zeros(5, 3, 8, 8)
    with pytest.raises(ValueError, match="two networks answer one reading"):
        passes.measure([network, toys.ToyNetwork("toy-judge", 1.0)], pictures)
    network.sizes.clear()
    passes.measure({"attributes": network}, pictures)
    assert network.sizes == [CHUNK] and set(clock.seconds) == {"guides"}


def test_streams_are_disjoint():
    ranges = sorted((start, start + STREAM_LENGTH) for start in STREAM_START.values())
    assert all(stop <= start for (_, stop), (start, _) in zip(ranges, ranges[1:], strict=False))
    assert stream_ids("test", 3).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="a stream has 0 to"):
        stream_ids("fit", STREAM_LENGTH + 1)


def test_the_bank_is_computed_once_and_differs_by_fit_seed(toys):
    generator, guide, asked = toys.ToyGenerator(), toys.ToyNetwork("toy-guide", 1.0), []
    share = lambda name, compute: asked.append(name) or compute()  # noqa: E731
    banks = [FitBank(generator, guide, Passes(generator), size=40, seed=0, fit_seed=k, share=share) for k in (0, 0, 1)]
    first, again, other = banks
    assert len(first) == 40 and first.names == ("up", "down")
    assert first.scores is first.scores and asked == ["scores"]
    assert torch.equal(first.scores, again.scores) and not torch.equal(first.scores, other.scores)
    w = first.codes("w")
    assert torch.equal(w.values, generator.convert(first.codes("z"), "w").values)
    assert torch.allclose(first.scores[:, 0], (w.values[:, 0] / 4).clamp(-1, 1), atol=1e-6)
    test = generator.sample(stream_ids("test", 40), seed=0).values
    assert not (first.codes("z").values[:, None] == test).all(-1).any()
