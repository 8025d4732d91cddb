"""Captions of heads: they say what is true, in words that both readers know, and keep apart what is held out."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.domains.heads.captions import CLAIM, choose, consistent, grammar, holds, sentence
from bench.domains.heads.factors import FACTORS, INDEX, NAMES
from bench.domains.heads.phrases import APART, CLAIMS
from bench.domains.heads.text_networks import words_of
from bench.training.heads_pool import person_factors


@pytest.fixture(scope="module")
def rows() -> torch.Tensor:
    return person_factors(300, seed=8, independent=True)


def middle() -> torch.Tensor:
    return torch.tensor([[(f.low + f.high) / 2 for f in FACTORS]])


def true_names(row: torch.Tensor) -> set[str]:
    return {claim.name for claim, true in zip(CLAIMS, holds(row)[0].tolist(), strict=True) if true}


def test_claims_hold_where_the_factor_says_so():
    row = middle()
    row[0, INDEX["yaw"]], row[0, INDEX["glasses"]], row[0, INDEX["beard"]] = 34.0, 1.0, 0.5
    row[0, INDEX["hair_colour"]], row[0, INDEX["age"]] = 1.0, 0.9
    names = true_names(row)
    assert {"yaw:right", "yaw:far right", "glasses:yes", "age:old", "age:very old", "pitch:down"} - names == {"pitch:down"}
    assert not {name for name in names if name.startswith("beard")}  # half an opacity is neither
    assert "hair_colour:red" not in names  # greyed by age
    row[0, INDEX["age"]] = 0.1
    assert "hair_colour:red" in true_names(row)


def test_every_factor_can_be_named_at_both_ends(rows):
    often = holds(rows).float().mean(0)
    assert often.min() > 0.03
    for name in NAMES:
        levels = [claim.where[name] for claim in CLAIMS if claim.factor == name]
        assert min(low for low, _ in levels) == 0.0 and max(high for _, high in levels) == 1.0
        assert len([claim for claim in CLAIMS if claim.factor == name and claim.unseen]) >= 2


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 12), role=st.sampled_from(["guide", "judge"]))
def test_captions_are_true_name_a_factor_once_and_keep_pairs_apart(seed, count, role):
    rows, rng, rules = person_factors(4, seed=seed, independent=True), np.random.default_rng(seed), grammar(role)
    true = holds(rows)
    mentions = [choose(row, count, rules, rng) for row in true.numpy()]
    assert consistent(mentions, true).diag().all()
    for claims in mentions:
        assert len({CLAIMS[i].factor for i in claims}) == len(claims) <= count
        assert not any({CLAIM[a], CLAIM[b]} <= set(claims) for a, b in APART)
        text = sentence(claims, rules, rng)
        assert set(words_of(text)) <= set(rules.words()) and not re.search(r"  |: |\ba [aeio]", text)


def test_what_contradicts_is_inconsistent(rows):
    glasses = rows[:, INDEX["glasses"]] > 0.5
    claims = [[CLAIM["glasses:yes"]], [CLAIM["glasses:no"]], [], [CLAIM["glasses:yes"], CLAIM["glasses:no"]]]
    fits = consistent(claims, holds(rows))
    assert torch.equal(fits[0], glasses) and torch.equal(fits[1], ~glasses) and fits[2].all() and not fits[3].any()


def test_wordings_that_training_never_uses_are_of_known_words():
    guide, judge, unseen = (grammar(role) for role in ("guide", "judge", "unseen"))
    assert set(unseen.words()) <= set(guide.words()) & set(judge.words())
    for claim, *some in zip(CLAIMS, guide.phrases, judge.phrases, unseen.phrases, strict=True):
        assert not set(some[2]) & {*some[0], *some[1]}, claim.name
        assert some[0] and some[1] and some[0][0] == some[1][0] == claim.phrases[0]
    assert set(guide.words()) - set(judge.words()) and set(judge.words()) - set(guide.words())


def test_the_domains_prompts_are_known():
    for factor in FACTORS:
        for prompt in factor.prompts:
            for role in ("guide", "judge"):
                assert set(words_of(prompt)) <= set(grammar(role).words()), prompt


def test_negations_are_said():
    rules = grammar("judge")
    said = {sentence([CLAIM["glasses:no"]], rules, np.random.default_rng(i)) for i in range(40)}
    assert all(re.search(r"\b(without|no|not)\b", text) for text in said) and len(said) > 5
