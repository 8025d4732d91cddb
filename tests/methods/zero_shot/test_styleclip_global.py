"""Global directions: figures of the official code, and channels whose meaning is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cards import LayerInfo
from bench.codes import Codes
from bench.errors import InputError, UnsupportedError
from bench.passes import Passes
from methods.base import Request
from methods.zero_shot.styleclip_global import StyleCLIPGlobal
from methods.zero_shot.styleclip_relevance import boundary, measure_relevance, population, relevance
from methods.zero_shot.templates import filled, imagenet_templates, templates_for, text_step


def test_relevance_boundary_and_codes_are_the_official_ones(golden):
    with golden("styleclip") as data:
        meta = json.loads(str(data["meta"]))
        found = relevance(torch.from_numpy(data["global/image_features"]))
        np.testing.assert_allclose(found, data["global/relevance"], atol=2e-6)
        places = np.cumsum([0, *(meta["stylespace_dims"][i] for i in meta["relevance_layers"])])
        for beta in meta["betas"]:
            moved = boundary(found, torch.from_numpy(data["global/text_direction"]), beta)
            assert int((moved != 0).sum()) == meta["channels_kept"][str(beta)] and float(moved.abs().max()) == 1
            for start, stop, layer in zip(places[:-1], places[1:], meta["relevance_layers"], strict=True):
                std = population_of(data[f"global/s_samples{layer}"])
                np.testing.assert_allclose(std, data[f"global/code_std{layer}"], rtol=1e-5)
                step = moved[start:stop].numpy() * std
                np.testing.assert_allclose(step, data[f"global/beta{beta}/boundary{layer}"], atol=2e-6)
                codes = data[f"global/s_samples{layer}"][:2, None] + np.array(meta["alpha"])[:, None] * step
                np.testing.assert_allclose(codes, data[f"global/beta{beta}/codes{layer}"], atol=1e-5)
            for layer in set(range(len(meta["stylespace_dims"]))) - set(meta["relevance_layers"]):
                assert not data[f"global/beta{beta}/boundary{layer}"].any()  # layers that are left out stay


def population_of(samples):
    return population(Codes("s", torch.from_numpy(samples), torch.arange(len(samples))))[1].numpy()


@given(seed=st.integers(0, 2**31), beta=st.floats(0, 0.6))
@settings(max_examples=20, deadline=None)
def test_a_larger_threshold_keeps_fewer_channels_and_none_of_their_signs_change(seed, beta):
    draw = torch.Generator().manual_seed(seed)
    rows = torch.nn.functional.normalize(torch.randn(30, 8, generator=draw, dtype=torch.float64), dim=1)
    low, high = boundary(rows, rows[0], beta), boundary(rows, rows[0], beta + 0.2)
    assert set(high.nonzero().flatten().tolist()) <= set(low.nonzero().flatten().tolist())
    assert low[0] == 1 and bool((low.sign() * high.sign() >= 0).all())


def fit(context, **options):
    return StyleCLIPGlobal(**{"images": 20, "templates": "plain", **options}).fit(context)


def test_the_channels_that_carry_a_word_are_found(worded):
    moved = fit(worded).editor.channels("smile")
    assert moved.argmax() == 2 and moved[2] == 1
    assert moved.nonzero().flatten().tolist() == [2, 4, 8]  # not 5, which feeds toRGB, nor 3, which never varies
    assert moved[8] == pytest.approx(0.6, abs=0.03) and moved[4] == pytest.approx(0.5, abs=0.03)
    strict = fit(worded, beta=0.7).editor
    assert strict.channels("smile").nonzero().flatten().tolist() == [2]
    assert strict.channels("age").nonzero().flatten().tolist() == [4]


def test_edits_move_s_by_standard_deviations(worded, codes):
    fitted = fit(worded, beta=0.7)
    start = codes(worded.generator)
    path = fitted.editor.path(start, [Request("smile")])
    before = worded.generator.convert(start, "s").values
    std = worded.bank.codes("s").values.std(0, correction=0)
    torch.testing.assert_close(path.at(0.0).codes.values, before)
    moved = path.at(-1.5).codes.values - before
    torch.testing.assert_close(moved[:, 2], torch.full((5,), -1.5 * float(std[2])), rtol=1e-4, atol=1e-5)
    assert moved.abs().sum(1).allclose(moved[:, 2].abs())
    both = fitted.editor.path(start, [Request("smile"), Request("age")]).at(1.0).codes.values
    torch.testing.assert_close(both[:, [2, 4]] - before[:, [2, 4]], std[[2, 4]].expand(5, 2).float(), rtol=1e-4, atol=1e-4)


def test_prompts_become_directions_without_another_fit(worded):
    editor = fit(worded).editor
    step = lambda target, prompt=None: editor.texts.step(target, prompt)  # noqa: E731
    assert step("smile", "a cheerful person") @ step("smile") > 0.9
    # Toward the negative side it starts from the positive prompt.
    torch.testing.assert_close(step("smile", "a sad person"), -step("smile"))
    assert step("anything", "a cheerful person") @ step("smile") > 0.9  # against what the domain says on average
    other = fit(worded, neutral="an old person").editor
    assert other.texts.step("anything", "a happy person") @ step("age") < -0.5
    assert editor.channels("anything", "an old person").argmax() == 4
    with pytest.raises(UnsupportedError, match="no style channel is relevant to 'an odd person': the largest is 0"):
        editor.step(Request("x", prompt="an odd person"))
    with pytest.raises(UnsupportedError, match="one and the same"):
        text_step(editor.texts.feature("a person"), editor.texts.feature("the face"))


def test_targets_that_cannot_be_asked_are_left_out(worded):
    fitted = fit(worded)
    assert fitted.editor.targets == ("smile", "age")  # no channel does what 'odd' says, 'mute' has no prompts
    with pytest.raises(InputError, match="unknown target 'odd'"):
        fitted.editor.path(worded.bank.codes("z"), [Request("odd")])
    lines = {line["attribute"]: line for line in fitted.tables["channels"]}
    assert (lines["smile"]["layer"], lines["smile"]["channel"], lines["smile"]["side"]) == ("a", 2, 1)
    assert lines["smile"]["channels"] == 3 and lines["smile"]["of"] == 7 and lines["smile"]["guide"] == "words"
    assert lines["odd"]["channels"] == 0 and lines["odd"]["largest_relevance"] < 0.05


def test_held_attributes_are_projected_off(worded):
    editor = fit(worded).editor
    std = editor.std
    free, held = (editor.step(Request("age", hold=hold)) / std.clamp_min(1e-9) for hold in ((), ("smile",)))
    assert abs(float(free @ editor.channels("smile"))) > 0.3
    assert abs(float(held @ editor.channels("smile"))) < 1e-6 and held.norm() == pytest.approx(float(free.norm()))


def test_one_measurement_serves_all_thresholds_and_is_kept(worded):
    pictures = []
    bank = worded.bank
    original = worded.generator.synthesize
    worded.generator.synthesize = lambda codes, **more: pictures.append(len(codes)) or original(codes, **more)
    first = fit(worded)
    made = sum(pictures)
    # 9 channels vary and feed no toRGB; 10 and 11 do nothing in the network's eyes.
    assert first.state()["relevance"].any(1).nonzero().flatten().tolist() == [0, 1, 2, 4, 7, 8, 9]
    assert 9 * 2 * 20 <= made < 9 * 2 * 20 + 32
    second = fit(worded, beta=0.5)
    assert sum(pictures) == made and len(bank.computed) == 1
    fit(worded, images=10)
    assert len(bank.computed) == 2
    again = StyleCLIPGlobal(beta=0.5, templates="plain").restore(worded, second.state())
    for target in ("smile", "age"):
        torch.testing.assert_close(again.editor.step(Request(target)), second.editor.step(Request(target)))
    assert again.tables == second.tables


def test_a_row_does_not_depend_on_the_channels_measured_beside_it(worded):
    styles = worded.bank.codes("s")
    mean, std = population(styles)

    def run(channels, std=std):
        passes = Passes(worded.generator)
        return measure_relevance(passes, worded.guides["text_image"], styles[:7], torch.tensor(channels), mean, std, 5.0)

    torch.testing.assert_close(run([0, 2, 8])[2], run([2])[2], rtol=0, atol=1e-6)
    with pytest.raises(InputError, match="no style channel varies"):
        run([3], torch.zeros_like(std))


def test_templates(worded):
    guide = worded.guides["text_image"]
    assert filled("a photo of a {}.", "an old person") == "a photo of an old person."
    assert filled("a photo of the {}", "glasses") == "a photo of the glasses"
    assert filled("{}", "the face") == "the face"
    # 'an image of' and 'a rendering of' hold words that this guide does not know; 'auto' sees that it has a vocabulary.
    assert len(templates_for(guide, "auto")) == 5 and templates_for(guide, "none") == ("{}",)


def test_what_it_supports(worded):
    info, domain = worded.generator.info, worded.domain
    assert StyleCLIPGlobal().supports(info, domain) is None
    assert "guide for text_image" in StyleCLIPGlobal().supports(info, replace(domain, guides={}))
    assert "no space s" in StyleCLIPGlobal().supports(replace(info, spaces={"z": (6,)}), domain)
    assert "shifts beside scales" in StyleCLIPGlobal().supports(replace(info, architecture="stylegan"), domain)
    tints = replace(info, layers=(LayerInfo("rgb", 4, 3, is_rgb=True, styles=(0, 12)),))
    assert "feature maps up to 128 px" in StyleCLIPGlobal().supports(tints, domain)
    assert "no prompts" in StyleCLIPGlobal().supports(info, replace(domain, attributes=domain.attributes[-1:]))
    with pytest.raises(InputError, match="more than the 400 codes"):
        fit(worded, images=401)


class Letters:
    """A guide that reads by letters knows every word."""

    name = "letters"

    def unknown_words(self, text):
        return ()


def test_a_guide_that_reads_by_letters_has_clips_own_templates():
    try:
        every = imagenet_templates()
    except UnsupportedError as error:
        pytest.skip(str(error))
    assert len(set(every)) == len(every) == 80 and "a photo of a {}." in every and all(one.count("{}") == 1 for one in every)
    assert templates_for(Letters(), "auto") == every
