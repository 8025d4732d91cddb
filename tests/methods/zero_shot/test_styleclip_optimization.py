"""Latent optimisation on a generator and a network of words whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.errors import InputError, UnsupportedError
from methods.base import Request
from methods.zero_shot.styleclip_optimization import StyleCLIPOptimization, TextLoss

OPTIONS = {"steps": 40, "l2_lambda": 0.0002}


@pytest.fixture
def editor(worded):
    return lambda **options: StyleCLIPOptimization(**{**OPTIONS, **options}).fit(worded).editor


def said(worded, edit, text):
    guide = worded.guides["text_image"]
    return guide.scores(worded.generator.synthesize(edit.codes), [text])[:, 0]


def test_pictures_come_to_say_what_the_text_says(worded, editor, codes):
    start = codes(worded.generator)
    path = editor().path(start, [Request("smile")])
    assert path.at(0).codes.space == "w+" and torch.equal(path.at(0).codes.values, worded.generator.convert(start, "w+").values)
    scores = [said(worded, path.at(s), "a happy person") for s in (0, 0.5, 1)]
    assert bool((scores[0] < scores[1]).all()) and bool((scores[1] < scores[2]).all())
    happiness = worded.guides["text_image"].effects[:, 0]
    styles = lambda s: worded.generator.convert(path.at(s).codes, "s").values @ happiness  # noqa: E731
    assert bool((styles(1) > styles(0) + 1).all())
    assert bool((styles(-1) < styles(0) - 1).all())  # below 0 the negative prompt
    assert bool((said(worded, path.at(-1), "a sad person") > said(worded, path.at(0), "a sad person")).all())


def test_the_loss_is_that_of_the_paper(worded, codes):
    generator, guides = worded.generator, worded.guides
    loss = TextLoss(generator, guides["text_image"], guides["identity"], 0.5, 0.25)
    start = codes(generator, space="w+")
    moved = start.with_values(start.values + 0.1)
    text = guides["text_image"].encode_text(["an old person"])[0]
    got = loss(moved, start.values, loss.identities(start), text)
    picture, before = generator.synthesize(moved), generator.synthesize(start)
    alike = (guides["identity"].measure(picture)["identity"] * guides["identity"].measure(before)["identity"]).sum(1)
    want = 1 - guides["text_image"].encode_image(picture) @ text + 0.5 * 12 * 0.01 + 0.25 * (1 - alike)
    torch.testing.assert_close(got, want)


def test_both_penalties_keep_what_they_are_for(worded, editor, codes):
    start = codes(worded.generator, n=8)
    identity = worded.guides["identity"]

    def moved(**options):
        path = editor(**options).path(start, [Request("smile")])
        likeness = [identity.measure(worded.generator.synthesize(path.at(s).codes))["identity"] for s in (0, 1)]
        length = (path.at(1).codes.values - path.at(0).codes.values).flatten(1).norm(dim=1).mean()
        return float(length), float((likeness[0] * likeness[1]).sum(1).mean())

    free, near, same = moved(), moved(l2_lambda=0.01), moved(id_lambda=0.1)
    assert near[0] < 0.7 * free[0]
    assert same[1] > free[1] + 0.01 and same[1] > 0.995


def test_a_row_does_not_depend_on_the_rows_beside_it(worded, editor, codes):
    start = codes(worded.generator, n=19)
    ends = lambda some: editor(steps=5).path(some, [Request("smile")]).at(1.0).codes.values  # noqa: E731
    whole = ends(start)
    for part in (slice(3, 4), slice(10, 19)):
        torch.testing.assert_close(ends(start[part]), whole[part], rtol=1e-5, atol=1e-5)


def test_strengths_by_code_prompts_and_sequences(worded, editor, codes):
    one, start = editor(steps=10), codes(worded.generator)
    path = one.path(start, [Request("smile")])
    each = torch.tensor([0.0, 1.0, -1.0, 0.5, 2.0])
    mixed = path.at(each).codes.values
    for row, strength in enumerate(each.tolist()):
        torch.testing.assert_close(mixed[row], path.at(strength).codes.values[row])
    with pytest.raises(InputError, match="5 codes need one strength"):
        path.at(torch.ones(4))
    free = one.path(start, [Request("any", prompt="a happy person")])
    torch.testing.assert_close(free.at(1.0).codes.values, path.at(1.0).codes.values)
    centre = (free.at(1.0).codes.values + free.at(-1.0).codes.values) / 2
    torch.testing.assert_close(centre, free.at(0).codes.values)
    then = one.path(start, [Request("smile"), Request("age")]).at(1.0)
    begun = one.path(path.at(1.0).codes, [Request("age")]).at(1.0)
    torch.testing.assert_close(then.codes.values, begun.codes.values)


def test_what_it_refuses(worded, editor, codes):
    one, start = editor(), codes(worded.generator)
    assert one.targets == ("smile", "age", "odd") and one.per_code
    with pytest.raises(UnsupportedError, match="no way to hold"):
        one.path(start, [Request("smile", hold=("age",))])
    with pytest.raises(InputError, match="unknown target 'mute'"):
        one.path(start, [Request("mute")])
    with pytest.raises(InputError, match="at least one request"):
        one.path(start, [])
    info, domain = worded.generator.info, worded.domain
    words = replace(domain, guides={"text_image": "words"})
    assert StyleCLIPOptimization().supports(info, words) is None
    assert "id_lambda is 0.005" in StyleCLIPOptimization(id_lambda=0.005).supports(info, words)
    assert "guide for text_image" in StyleCLIPOptimization().supports(info, replace(domain, guides={}))
    assert "no space w+" in StyleCLIPOptimization().supports(replace(info, spaces={"z": (6,)}), domain)


def test_it_is_restored_from_what_it_stores(worded, codes):
    method = StyleCLIPOptimization(steps=5, id_lambda=0.005)
    fitted = method.fit(worded)
    again = method.restore(worded, fitted.state())
    start = codes(worded.generator)
    ends = [one.editor.path(start, [Request("age")]).at(1.0).codes.values for one in (fitted, again)]
    assert torch.equal(*ends) and again.tables == fitted.tables
    assert fitted.tables["optimisation"][0]["guides"] == "words, likeness" and method.variant == "id_lambda=0.005,steps=5"
