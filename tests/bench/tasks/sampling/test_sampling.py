"""What the sampling task says of samplers whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from bench.codes import Codes
from bench.errors import InputError, LatentbenchError, UnsupportedError
from bench.streams import normal_rows
from bench.tasks.base import CellResult
from bench.tasks.sampling.arithmetic import has_asked, mean_square, pairwise_distance, wilson_interval
from bench.tasks.sampling.protocol import SamplingSettings, needed_share
from bench.tasks.sampling.task import SamplingTask
from leaderboards.folder import plain as as_json
from leaderboards.ranking import Reading, rank_entries
from methods.base import Fitted
from methods.baselines.unconditional import Unconditional

TARGETS = ("warmth", "hat")
SETTINGS = SamplingSettings(targets=TARGETS, samples=64, asked=1.5, replicates=200)


class Sampler:
    """Of the linear world, where attribute j is coordinate j: sets what is asked. leak: also moves height. one: always the same.

    far: moves a nuisance out to where no sample is. weak: the share of what is asked that it gives.
    """

    def __init__(self, names, width, *, leak=0.0, one=False, far=0.0, weak=1.0, targets=None):
        self.names, self.width, self.leak, self.one, self.far, self.weak = names, width, leak, one, far, weak
        self.targets = names if targets is None else targets

    def sample(self, asked, ids, *, seed):
        values = normal_rows(torch.zeros_like(ids) if self.one else ids, self.width, seed=seed)
        for name, value in asked.items():
            values[:, self.names.index(name)] = value * self.weak
        values[:, 1] += self.leak
        values[:, 8] += self.far
        return Codes("z", values, ids)


@pytest.fixture(scope="module")
def measure(world, blocks):
    """sampler -> (cells, records); `at`: another world."""

    def run(sampler, at=world, settings=SETTINGS, **card):
        cell = replace(at.cell(None, **card), fitted=Fitted(sampler=sampler), settings=settings)
        cells = [(cell.method, SamplingTask().run(cell))]
        return cells, SamplingTask().summarise(settings, cells, at.seed)

    return run


@pytest.fixture(scope="module")
def sampler(blocks):
    return lambda **fields: Sampler(blocks.names, blocks.D, **fields)


@pytest.fixture(scope="module")
def perfect(measure, sampler):
    return measure(sampler())


@pytest.fixture(scope="module")
def floor(measure, world):
    fitted = Unconditional().fit(type("Context", (), {"generator": world.generator, "targets": TARGETS}))
    return measure(fitted.sampler)


def test_a_sampler_that_gives_what_is_asked(perfect, blocks):
    _, records = perfect
    for target in TARGETS:
        for sign in "+-":
            find = lambda metric, t=target, s=sign: blocks.find(records, target=t, sign=s, metric=metric, attribute="")  # noqa: E731
            success = find("success")
            assert success.value == 1 and success.headline and success.n == 64 and success.judge == "attributes[exact]"
            assert (success.ci_low, success.ci_high) == pytest.approx(wilson_interval(1.0, 64)) and success.ci_low < 0.95
            assert find("off_target_shift").value < 0.15  # chance alone gives about 0
            diversity, raw = find("diversity"), find("diversity_as_sampled")
            assert diversity.status == "ok" and diversity.value == raw.value and 0.8 < raw.value < 1.1
            base = find("base_rate")
            assert base.n == 512 and base.ci_low < base.value < base.ci_high and not base.headline
            assert base.value == pytest.approx(0.309 if target == "warmth" else 0.5, abs=0.05)  # of N(0, 1)
    shift = blocks.find(records, target="warmth", sign="-", metric="target_shift")
    assert shift.value == pytest.approx(1.5, abs=0.15)
    moved = blocks.find(records, target="warmth", sign="-", metric="attribute_shift", attribute="warmth")
    assert moved.value == pytest.approx(-shift.value)
    assert blocks.find(records, target="warmth", sign="+", metric="asked_side").value == 1
    assert not [r for r in records if r.metric == "asked_side" and r.target == "hat"]  # binary


def test_a_sampler_that_ignores_the_question_is_at_chance_and_counts_as_worst(floor, perfect, blocks):
    cells, records = floor
    for sign in "+-":
        place = dict(target="warmth", sign=sign)
        success, base = (blocks.find(records, **place, metric=m) for m in ("success", "base_rate"))
        assert success.ci_low < base.value < success.ci_high
        for metric, near in (("diversity", 1.0), ("realism_loss", 0.0)):
            headline = blocks.find(records, **place, metric=metric)
            assert headline.status == "unreached" and "are needed" in headline.reason and headline.value is None
            raw = blocks.find(records, **place, metric=f"{metric}_as_sampled")
            assert raw.ci_low <= near <= raw.ci_high
    readings = {}
    for name, one in (("floor", cells), ("perfect", perfect[0])):
        found = SamplingTask().headlines(SETTINGS, one, 3)
        assert set(found) == {(t, s, m) for t in TARGETS for s in "+-" for m in ("success", "diversity", "realism_loss")}
        readings[name, ""] = {question: Reading(*headline) for question, headline in found.items()}
    ranking = rank_entries(readings)
    assert ranking.best() == ("perfect", "") and ranking.mean[ranking.entries.index(("perfect", ""))] == 1


def test_what_else_moves_is_read(measure, sampler, blocks):
    cells, records = measure(sampler(leak=0.8))
    sigma = cells[0][1].arrays["plain/sigma"][1]
    one = blocks.find(records, target="warmth", sign="+", metric="off_target_shift")
    assert (
        one.value == pytest.approx(0.8 / sigma / 2, abs=0.12) and one.ci_low < one.value < one.ci_high
    )  # root of 1 in 4 squares
    height = blocks.find(records, target="warmth", sign="+", metric="attribute_shift", attribute="height")
    assert height.value == pytest.approx(0.8 / sigma, abs=0.3)


def test_variety_and_realism_are_read(measure, sampler, perfect, blocks):
    collapsed = measure(sampler(one=True))[1]
    place = dict(target="warmth", sign="+")
    assert blocks.find(collapsed, **place, metric="success").value == 1
    assert blocks.find(collapsed, **place, metric="diversity").value == pytest.approx(0, abs=1e-6)
    away = measure(sampler(far=4.0))[1]
    loss = [blocks.find(records, **place, metric="realism_loss").value for records in (perfect[1], away)]
    assert loss[1] > loss[0] + 1
    accepted = blocks.find(perfect[1], **place, metric="accepted_realism_loss")
    assert accepted.n == 64 and accepted.ci_low < accepted.value < accepted.ci_high
    # A perfect sampler is about as real and as varied as samples that were accepted.
    for metric in ("diversity", "realism_loss"):
        mine, theirs = (
            blocks.find(perfect[1], **place, metric=metric),
            blocks.find(perfect[1], **place, metric=f"accepted_{metric}"),
        )
        assert mine.ci_low < theirs.ci_high and theirs.ci_low < mine.ci_high


def test_a_weak_sampler_is_below_what_is_needed(measure, sampler, blocks):
    records = measure(sampler(weak=0.25))[1]  # at 0.375 sigma, short of the 0.5 that counts
    assert blocks.find(records, target="warmth", sign="+", metric="success").value == 0
    assert blocks.find(records, target="warmth", sign="+", metric="asked_side").value == 1
    assert blocks.find(records, target="hat", sign="+", metric="success").value == 1  # of the class, however little
    assert needed_share(0.3) == pytest.approx(0.65)


def test_several_fits_are_joined(measure, sampler, world):
    settings = SETTINGS.model_copy(update={"metrics": ("success", "diversity")})
    cells = [measure(sampler(weak=weak), settings=settings, fit_seed=i)[0][0] for i, weak in enumerate((1.0, 0.25))]
    records = SamplingTask().summarise(settings, cells, world.seed)
    one = next(r for r in records if (r.target, r.sign, r.metric) == ("warmth", "+", "success"))
    assert one.value == 0.5 and one.n == 128 and one.ci_over == "codes+fits" and (one.ci_low, one.ci_high) == (0, 1)
    assert {r.metric for r in records} == {"success", "diversity"}


def test_records_come_again_from_what_a_folder_keeps(perfect):
    cells, records = perfect
    card, result = cells[0]
    kept = CellResult(arrays=result.arrays, facts=json.loads(json.dumps(as_json(result.facts))))
    assert SamplingTask().summarise(SETTINGS, [(card, kept)], 3) == records
    strip = result.facts["strips"]["warmth"]
    assert result.pictures["warmth"].shape == (8, 3, 8, 8, 3) and strip["strengths"] == [-1.5, 0, 1.5]
    low, plain, high = (result.pictures["warmth"][:, i, 0, 0, 0].astype(int) for i in range(3))
    assert (low < plain.max()).all() and (high > low).all() and len(set(high)) == 1  # the first pixel is warmth


def test_unreadable_samples_count_as_failures(measure, sampler, world, blocks):
    """The judge is blind where the tilt lies above 0.5: three samples in ten."""
    here = world.but(judge=blocks.Judge(blind=0.5))
    records = measure(sampler(), at=here)[1]
    success = blocks.find(records, target="warmth", sign="+", metric="success")
    assert success.n_failed > 10 and success.value == pytest.approx(1 - success.n_failed / 64)
    diversity = blocks.find(records, target="warmth", sign="+", metric="diversity_as_sampled")
    whole = blocks.find(measure(sampler())[1], target="warmth", sign="+", metric="diversity_as_sampled")
    assert diversity.n_failed == success.n_failed and diversity.value < 0.8 * whole.value


def test_missing_judges_skip_their_own_headlines(measure, sampler, world):
    records = measure(sampler(), at=world.but(absent=("perceptual", "features")))[1]
    skipped = {(r.metric, r.reason) for r in records if r.status == "skipped"}
    assert skipped == {
        (m, f"the network of {r} was not fetched") for m, r in (("diversity", "perceptual"), ("realism_loss", "features"))
    }
    assert not [r for r in records if r.metric.startswith("accepted") and "off_target" not in r.metric]
    with pytest.raises(UnsupportedError, match="attributes was not fetched"):
        measure(sampler(), at=world.but(absent=("attributes",)))


def test_questions_that_cannot_be_asked_say_why(measure, sampler, world, blocks):
    records = measure(sampler(targets=("hat",)))[1]
    mine = [r for r in records if r.target == "warmth"]
    assert {(r.status, r.reason) for r in mine} == {("skipped", "the method has no such target")} and all(
        r.headline for r in mine
    )
    assert blocks.find(records, target="hat", sign="+", metric="success").status == "ok"
    rare = world.but(generator=blocks.Linear(rare=-9.0))  # everyone has a hat
    found = {(r.sign, r.reason) for r in measure(sampler(), at=rare)[1] if r.target == "hat" and r.status == "skipped"}
    assert ("+", "every sample has it without being asked") in found
    poor = blocks.Linear()
    poor.lost = {"hat": "toy lost it"}
    found = {(r.target, r.reason) for r in measure(sampler(), at=world.but(generator=poor))[1] if r.status == "skipped"}
    assert found == {("hat", "toy lost it")}


def test_wrong_samplers_fail(measure, world, sampler):
    class Bad(Sampler):
        def __init__(self, change):
            super().__init__(("warmth", "hat"), 12)
            self.change = change

        def sample(self, asked, ids, *, seed):
            return self.change(super().sample(asked, ids, seed=seed))

    with pytest.raises(LatentbenchError, match="codes that are not finite"):
        measure(Bad(lambda codes: codes.with_values(codes.values * torch.nan)))
    with pytest.raises(InputError, match="63 samples where 64"):
        measure(Bad(lambda codes: codes[1:]))
    with pytest.raises(UnsupportedError, match="has no sampler"):
        measure(None)


def test_settings_and_targets_are_checked(world):
    for wrong in ({"targets": ()}, {"targets": ("a", "a")}, {"targets": ("a",), "samples": 2}, {"targets": ("a",), "asked": 0.2}):
        with pytest.raises(ValidationError):
            SamplingSettings(**wrong)
    cell = world.cell(None)
    check = lambda **s: SamplingTask().validate(SamplingSettings(**s), cell.domain.info, cell.generator.info)  # noqa: E731
    check(targets=TARGETS, metrics=("success",))
    with pytest.raises(InputError, match="did you mean warmth"):
        check(targets=("warmt",))
    with pytest.raises(InputError, match="did you mean success"):
        check(targets=TARGETS, metrics=("sucess",))
    asked = SamplingTask().protocol(SETTINGS, cell.domain, 3)
    assert json.dumps(asked) and asked == SamplingTask().protocol(
        SETTINGS.model_copy(update={"metrics": ("success",)}), cell.domain, 3
    )
    assert asked != SamplingTask().protocol(SETTINGS.model_copy(update={"asked": 1.0}), cell.domain, 3)


def test_who_has_what_was_asked():
    scores = np.array([-1.0, 0.0, 0.4, 0.6, np.nan])
    assert has_asked(scores, 1, binary=True, median=9, sigma=9).tolist() == [False, False, True, True, False]
    assert has_asked(scores, -1, binary=True, median=9, sigma=9).tolist() == [True, True, False, False, False]
    assert has_asked(scores, 1, binary=False, median=0.1, sigma=1).tolist() == [False, False, False, True, False]
    assert has_asked(scores, -1, binary=False, median=0.1, sigma=2).tolist() == [True, False, False, False, False]


def test_arithmetic_against_plain_loops():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 3))
    expected = [[((a - b) ** 2).sum() for b in vectors] for a in vectors]
    assert pairwise_distance(vectors) == pytest.approx(np.array(expected))
    weights = rng.exponential(size=(2, 6))
    for row, found in zip(weights, mean_square(vectors, weights)):
        pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
        top = sum(row[i] * row[j] * vectors[i] * vectors[j] for i, j in pairs)
        assert found == pytest.approx(top / sum(row[i] * row[j] for i, j in pairs))
    means = [mean_square(rng.normal(size=(20, 1)), np.ones((1, 20)))[0, 0] for _ in range(2000)]
    assert abs(np.mean(means)) < 4 * np.std(means) / 2000**0.5  # no bias, where the mean's own square would have 1 / 20
    assert wilson_interval(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)  # Wilson 1927's form, by hand
    assert wilson_interval(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
