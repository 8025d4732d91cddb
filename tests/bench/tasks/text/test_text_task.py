"""What the text task says of editors whose truth is known, in a world where pixels carry attributes and words linearly."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from bench.cards import DomainInfo
from bench.codes import Space
from bench.domains.base import TextImageNetwork
from bench.errors import InputError, UnsupportedError
from bench.tasks.base import CellResult
from bench.tasks.text.asking import text_curves
from bench.tasks.text.protocol import TextSettings
from bench.tasks.text.task import TextTask
from leaderboards.folder import plain as as_json
from methods.editors import DirectionPath

PROMPTS = {"warmth": ("cold blocks", "warm blocks"), "hat": ("bare blocks", "hatted blocks")}
# A word's step in the space of attributes (warmth, height, width, tilt, hat).
WORDS = {"cold": (-1, 0, 0, 0, 0), "warm": (1, 0, 0, 0, 0), "toasty": (0.9, 0.3, 0, 0, 0), "bare": (0, 0, 0, 0, -1),
         "hatted": (0, 0, 0, 0, 1), "low": (0, -1, 0, 0, 0), "tall": (0, 1, 0, 0, 0)}  # fmt: skip
SETTINGS = TextSettings(
    targets=("warmth", "hat"), prompts={"warmth": {"+": ("toasty blocks",)}}, test_codes=16, per_code_codes=8,
    calibrate_codes=20, replicates=200,
)  # fmt: skip


class Words(TextImageNetwork):
    """Sees all five attributes; blind to pictures whose tilt lies above a bound."""

    name, scale = "words", 10.0

    def __init__(self, blind=float("inf")):
        super().__init__()
        self.blind = blind

    def encode_image(self, images):
        values = images.flatten(1)[:, :5] / 0.05
        unit = F.normalize(torch.cat([torch.full((len(values), 1), 20.0), values], 1), dim=1)
        return torch.where((values[:, 3] > self.blind)[:, None], float("nan"), unit)

    def encode_text(self, texts):
        rows = [[1.0, *next((WORDS[word] for word in text.split() if word in WORDS), [0.0] * 5)] for text in texts]
        return F.normalize(torch.tensor(rows), dim=1)

    def unknown_words(self, text):
        return tuple(word for word in text.split() if word not in (*WORDS, "blocks"))


class Prompted:
    """Goes where the words say; leak: also along height; deaf: words that it cannot follow."""

    signed, prompts = True, True

    def __init__(self, generator, names, *, leak=0.0, deaf=(), per_code=False):
        self.generator, self.targets, self.leak, self.deaf, self.per_code = generator, names, leak, deaf, per_code
        self.heard = []

    def path(self, codes, requests, *, seed):
        (request,) = requests
        self.heard.append((request.target, request.prompt, len(codes)))
        word = request.prompt.split()[0]
        if word in self.deaf:
            raise UnsupportedError(f"nothing moves along '{request.prompt}'")
        step = torch.zeros(12)
        step[:5] = torch.tensor(WORDS[word])
        step[1] += self.leak
        return DirectionPath(self.generator.convert(codes, Space.W), step)


@pytest.fixture(scope="module")
def measure(world):
    """editor -> (cells, records)."""
    own = world.but()

    def run(editor, settings=SETTINGS, judge=None, **card):
        world = own if judge is None else own.but()
        cell = world.cell(editor, **card)
        info = cell.domain.info
        attributes = tuple(replace(a, prompts=PROMPTS.get(a.name, ("", ""))) for a in info.attributes)
        judges = {**info.judges, "text_image": "words"}
        cell.domain.info = DomainInfo("blocks", attributes, info.guides, judges)
        cell.domain.nets["words"] = judge or Words()
        cell = replace(cell, settings=settings)
        with torch.no_grad():
            cells = [(cell.method, TextTask().run(cell))]
        run.domain = cell.domain
        return cells, TextTask().summarise(settings, cells, world.seed)

    return run


@pytest.fixture(scope="module")
def pure_editor(world, blocks):
    return Prompted(world.generator, blocks.names)


@pytest.fixture(scope="module")
def pure_run(measure, pure_editor):
    return measure(pure_editor)


@pytest.fixture(scope="module")
def leaky(measure, world, blocks):
    return measure(Prompted(world.generator, blocks.names, leak=0.5))


def test_a_pure_edit_follows_its_prompt_and_changes_nothing_else(pure_run, blocks):
    _, records = pure_run
    for target, sign in (("warmth", "-"), ("hat", "+"), ("hat", "-")):
        find = lambda metric, point, t=target, s=sign: blocks.find(records, target=t, sign=s, metric=metric, point=point)  # noqa: E731
        along = find("directional_similarity", "effect_0.5")
        assert along.value == pytest.approx(1, abs=0.01) and along.headline and along.n == 16
        assert along.judge == "text_image[words]" and len(along.judge_sha) == 16
        assert along.ci_low <= along.value <= along.ci_high
        leak = find("leakage", "effect_0.5")
        assert leak.value == pytest.approx(0, abs=1e-6) and leak.headline
        assert find("reach", "summary").value == pytest.approx(1, abs=1e-6)
        assert find("clip_score_gain", "effect_0.5").value > 0
        assert find("seconds_per_edit", "summary").seconds > 0 and find("seconds_per_edit", "summary").value is None
    assert not [r for r in records if r.metric == "identity" and r.headline]


def test_other_wordings_are_asked_and_counted(pure_run, pure_editor, blocks):
    _, records = pure_run
    assert ("warmth", "toasty blocks", 16) in pure_editor.heard and ("warmth", "cold blocks", 16) in pure_editor.heard
    find = lambda metric, point: blocks.find(records, target="warmth", sign="+", metric=metric, point=point)  # noqa: E731
    own, other = (find("directional_similarity", f"effect_0.5 prompt {i}") for i in (0, 1))
    both = find("directional_similarity", "effect_0.5")
    assert both.value == pytest.approx((own.value + other.value) / 2) and both.n == 32 and not own.headline
    assert find("rewording_gap", "effect_0.5").value == pytest.approx(other.value - own.value)
    # 'toasty' drags a third of a sigma of height along for 0.9 of warmth, over four other attributes.
    leak = [find("leakage", f"effect_0.5 prompt {i}").value for i in (0, 1)]
    assert leak[0] == pytest.approx(0, abs=1e-6) and leak[1] == pytest.approx(0.5 / 3 / 4, rel=0.3)
    assert find("reach", "summary prompt 1").value == pytest.approx(1, abs=1e-6)


def test_what_leaks_is_seen_by_both_headlines(pure_run, leaky, blocks):
    for sign in "+-":
        value = lambda run, metric, s=sign: blocks.find(run[1], target="hat", sign=s, metric=metric, point="effect_0.5").value  # noqa: E731
        # A step of 1 along hat and 0.5 along height has the cosine 1 / sqrt(1.25) with the text.
        assert value(leaky, "directional_similarity") == pytest.approx(1 / math.sqrt(1.25), abs=0.03)
        assert value(leaky, "leakage") > value(pure_run, "leakage") + 0.03
    tables = [TextTask().headlines(SETTINGS, run[0], 3) for run in (pure_run, leaky)]
    assert set(tables[0]) == {
        (t, s, m) for t in ("warmth", "hat") for s in "+-" for m in ("directional_similarity", "leakage", "reach")
    }
    pure, leak = (table["hat", "+", "leakage"] for table in tables)
    assert pure.replicates.shape == (200,) and not pure.higher_is_better and bool((leak.replicates > pure.replicates).all())


def test_an_editor_without_prompts_is_asked_by_name(measure, world, pure_run, blocks):
    editor = world.directions({"warmth": {0: 1.0}})
    (cells, records) = measure(editor)
    assert cells[0][1].facts["asked_by"] == "name" and pure_run[0][0][1].facts["asked_by"] == "prompt"
    one = cells[0][1]
    assert "warmth/+/0/change" in one.arrays and "warmth/+/1/change" not in one.arrays and "warmth/+/1/score" in one.arrays
    value = lambda rs, s, point: blocks.find(rs, target="warmth", sign=s, metric="directional_similarity", point=point).value  # noqa: E731
    assert value(records, "-", "effect_0.5") == pytest.approx(value(pure_run[1], "-", "effect_0.5"), abs=1e-3)
    # One edit stands for both wordings: it goes along the own prompt, and less so along the other.
    assert value(records, "+", "effect_0.5 prompt 0") > value(records, "+", "effect_0.5 prompt 1") + 0.01
    skipped = blocks.find(records, target="hat", sign="+", metric="leakage")
    assert skipped.status == "skipped" and "no such target" in skipped.reason
    with pytest.raises(UnsupportedError, match="m takes no prompts"):
        measure(editor, settings=SETTINGS.model_copy(update={"by_name": False}))


def test_a_prompt_that_cannot_be_followed_counts_as_the_worst(measure, world, blocks):
    cells, records = measure(Prompted(world.generator, blocks.names, deaf=("toasty",)))
    for metric, worst in (("directional_similarity", -np.inf), ("leakage", np.inf)):
        one = blocks.find(records, target="warmth", sign="+", metric=metric, point="effect_0.5")
        assert one.status == "unreached" and one.value is None and "nothing moves along 'toasty blocks'" in one.reason
        assert TextTask().headlines(SETTINGS, cells, 3)["warmth", "+", metric].value == worst
        assert blocks.find(records, target="warmth", sign="+", metric=metric, point="effect_0.5 prompt 0").status == "ok"
    assert blocks.find(records, target="warmth", sign="+", metric="reach", point="summary").value == pytest.approx(0.5)
    with pytest.raises(UnsupportedError, match="nothing moves along 'warm blocks'"):
        measure(Prompted(world.generator, blocks.names, deaf=tuple(WORDS)))


def test_methods_that_work_for_every_code_do_so_on_fewer(measure, world, blocks):
    editor = Prompted(world.generator, blocks.names, per_code=True)
    _, records = measure(editor)
    assert blocks.find(records, target="hat", sign="+", metric="leakage", point="effect_0.5").n == 8
    assert {count for _, _, count in editor.heard} == {20, 8}  # strengths are placed on the codes that all methods have


def test_unreadable_pictures_count_as_the_worst(measure, pure_editor, blocks):
    _, records = measure(pure_editor, judge=Words(blind=1.0))
    one = blocks.find(records, target="warmth", sign="-", metric="directional_similarity", point="effect_0.5")
    assert 0 < one.n_failed < 16
    assert one.value == pytest.approx(1 - 2 * one.n_failed / 16, abs=0.01)  # -1 for each of them


def test_text_curves():
    before = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [float("nan"), 0, 0]])
    after = [F.normalize(torch.tensor([[1.0, 0.1, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), dim=1)]
    source, target = F.normalize(torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, 0.0]]), dim=1).double().numpy()
    found = text_curves(before, after, source, target)
    assert found["score"][0, 0] == pytest.approx(2.5 / math.sqrt(2)) and found["score"][0, 1] > found["score"][0, 0]
    assert found["directional"][0].tolist() == pytest.approx([1, 1], abs=0.01)  # at 0 the limit
    assert found["directional"][1].tolist() == [0, 0]  # nothing changed
    assert np.isnan(found["directional"][2]).all() and np.isnan(found["score"][2, 0]) and not np.isnan(found["score"][2, 1])


def test_numbers_come_again_from_what_is_stored(pure_run, world):
    cells, records = pure_run
    card, result = cells[0]
    facts = json.loads(json.dumps(as_json(result.facts)))
    again = TextTask().summarise(SETTINGS, [(card, CellResult(dict(result.arrays), facts))], world.seed)
    assert again == records
    two = TextTask().summarise(SETTINGS, [*cells, *cells], world.seed)
    assert {r.ci_over for r in two if r.ci_over} == {"codes+fits"}
    pictures, strip = result.pictures["hat"], result.facts["strips"]["hat"]
    assert pictures.dtype == np.uint8 and pictures.shape[:2] == (8, len(strip["strengths"])) and len(strip["ids"]) == 8
    assert strip["strengths"] == sorted(strip["strengths"])


def test_settings_and_protocol(measure, pure_run, blocks):
    with pytest.raises(ValidationError, match="not among the targets"):
        TextSettings(targets=("hat",), prompts={"warmth": {"+": ("x",)}})
    with pytest.raises(ValidationError, match="calibrate_codes"):
        TextSettings(targets=("hat",), calibrate_codes=16)
    with pytest.raises(ValidationError, match="list one twice"):
        TextSettings(targets=("hat",), prompts={"hat": {"+": ("x", "x")}})
    domain = measure.domain
    task = TextTask()
    task.validate(SETTINGS, domain.info, None)
    with pytest.raises(InputError, match="tilt of blocks has no prompts"):
        task.validate(TextSettings(targets=("tilt",)), domain.info, None)
    with pytest.raises(InputError, match="metric of the text task"):
        task.validate(SETTINGS.model_copy(update={"metrics": ("leak",)}), domain.info, None)
    one = task.protocol(SETTINGS, domain, 3)
    assert one["texts"]["warmth/+"] == ["warm blocks", "toasty blocks"] and one["judges"]["text_image"][0] == "words"
    assert one == task.protocol(SETTINGS.model_copy(update={"metrics": ("leakage",)}), domain, 3)
    assert one != task.protocol(SETTINGS.model_copy(update={"prompts": {}}), domain, 3)
    metrics = {r.metric for r in task.summarise(SETTINGS.model_copy(update={"metrics": ("leakage",)}), pure_run[0], 3)}
    assert metrics == {"leakage"}
