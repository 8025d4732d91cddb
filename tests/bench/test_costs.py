"""What methods cost: every picture that a guide was shown is counted once, and a fit's time leaves the shared bank out."""

import mmap
import time

import pytest
import torch
from toybench import ToyNetwork

from bench.costs import Looked, WatchedBank, counted
from bench.domains.base import TextImageNetwork
from bench.environment import peak_mb, reset_peak

PICTURES = torch.zeros(5, 3, 8, 8)


class Words(TextImageNetwork):
    name, scale = "words", 1.0

    def encode_image(self, images):
        return torch.nn.functional.normalize(images.flatten(1) + 1, dim=1)

    def encode_text(self, texts):
        return torch.ones(len(texts), 192)


def test_pictures_count_once_however_a_network_is_asked():
    guide, words = ToyNetwork("toy-guide", 1.0), Words()
    with counted([guide, words, guide]) as looked:
        guide.measure(PICTURES)
        words.measure(PICTURES)  # through encode_image
        words.encode_image(PICTURES[:2])
        words.scores(PICTURES[:1], ["a"])
        words.encode_text(["a"])
    assert looked.pictures == 5 + 5 + 2 + 1
    guide.measure(PICTURES)
    assert looked.pictures == 13 and "measure" not in guide.__dict__ and "encode_image" not in words.__dict__


def test_counting_ends_where_a_network_fails():
    guide = ToyNetwork("toy-guide", 1.0)
    with pytest.raises(IndexError), counted([guide]) as looked:
        guide.measure(torch.zeros(4))
    assert "measure" not in guide.__dict__
    with counted([guide]) as looked:
        guide.measure(PICTURES)
    assert looked.pictures == 5


def test_counts_nest():
    guide = ToyNetwork("toy-guide", 1.0)
    with counted([guide]) as outer:
        guide.measure(PICTURES)
        with counted([guide]) as inner:
            guide.measure(PICTURES)
        guide.measure(PICTURES)
    assert (outer.pictures, inner.pictures) == (15, 5)


class Bank:
    names = ("up",)

    def __init__(self, guide):
        self.guide = guide

    def __len__(self):
        return 40

    def codes(self, space):
        return space

    @property
    def scores(self):
        time.sleep(0.05)
        return self.guide.measure(PICTURES)["attributes"]


def test_the_bank_is_paid_by_all_fits_alike():
    """Who happens to make the scores first pays neither their seconds nor more pictures than the next fit."""
    guide = ToyNetwork("toy-guide", 1.0)
    with counted([guide]) as looked:
        bank = WatchedBank(Bank(guide), looked)
        assert not bank.read and bank.scored == 0 and len(bank) == 40 and bank.names == ("up",)
        assert bank.codes("z") == "z" and bank.read
        guide.measure(PICTURES)
        assert bank.scores.shape == (5, 2)
    assert looked.pictures == 5 and bank.scored == 40 and bank.seconds >= 0.05
    untouched = WatchedBank(Bank(guide), Looked())
    assert len(untouched) == 40 and not untouched.read


def test_what_fits_share_is_charged_to_each_that_uses_it():
    """A variant that finds what another measured took as long, and as many pictures, as if it had come first."""
    guide, kept, costs = ToyNetwork("toy-guide", 1.0), {}, []

    class Keeper(Bank):
        def share(self, name, make):
            if name not in kept:
                kept[name] = make()
            return kept[name]

    def measure():
        time.sleep(0.1)
        return guide.measure(PICTURES)

    for _ in range(2):
        start = time.perf_counter()
        with counted([guide]) as looked:
            bank = WatchedBank(Keeper(guide), looked)
            assert bank.share("relevance", measure)["attributes"].shape == (5, 2)
        costs.append((time.perf_counter() - start - bank.seconds, looked.pictures))
    assert [pictures for _, pictures in costs] == [5, 5] and list(kept) == ["relevance-and-cost"]
    assert all(0.1 <= seconds < 0.2 for seconds, _ in costs)


def test_the_peak_forgets_what_was_let_go():
    reset_peak()
    before = peak_mb()
    # Not a tensor: allocators may hand out memory that the process holds already.
    block = mmap.mmap(-1, 160_000_000)
    for start in range(0, len(block), mmap.PAGESIZE):
        block[start] = 1
    assert peak_mb() - before > 140
    block.close()
    reset_peak()
    assert peak_mb() - before < 100
