"""When a component gets a name, and when a name is right."""

import numpy as np
import pytest

from bench.tasks.naming.protocol import LEVEL
from bench.tasks.naming.rows import right
from bench.tasks.naming.rule import leading_columns, name_components

SUBJECTS = [0, 0, 1, 1, 2]


def changes_of(means, spread=0.1, codes=16, seed=0):
    rng = np.random.default_rng(seed)
    means = np.atleast_2d(means)
    return means[:, None] + spread * rng.standard_normal((len(means), codes, means.shape[1]))


def test_the_leader_its_column_and_the_next():
    found = name_components(changes_of([[0.1, -0.9, 0.3, 0.0, 0.2], [0.0, 0.0, 0.0, 0.0, 0.8]]), SUBJECTS, seed=1)
    assert found.named.tolist() == [True, True]
    assert (found.subject.tolist(), found.column.tolist(), found.runner_up.tolist()) == ([0, 2], [1, 4], [1, found.runner_up[1]])
    assert found.effect == pytest.approx([-0.9, 0.8], abs=0.1)
    first = found.effects[0]
    assert found.confidence[0] == pytest.approx(abs(first[0]) / np.sqrt(np.square(first).sum() + 0.01))
    assert found.runner_up_confidence[0] == pytest.approx(abs(first[1]) / np.sqrt(np.square(first).sum() + 0.01))


def test_a_mixture_a_trifle_and_nothing_have_no_name():
    means = [[0.8, 0.0, 0.8, 0.0, 0.0], [0.05, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    found = name_components(np.concatenate([changes_of(means[:1]), changes_of(means[1:], spread=0.0)]), SUBJECTS, seed=1)
    assert not found.named.any()
    assert found.stability[0] < 1 - LEVEL and found.p[0] <= LEVEL
    assert found.p[1] <= LEVEL and found.p[2] == 1.0


def test_what_has_no_effect_is_seldom_named():
    noise = changes_of(np.zeros((400, 12)), spread=1.0, seed=3)
    found = name_components(noise, np.arange(12) // 2, seed=5)
    # The test of signs alone keeps its level over all columns together; the rule can only be stricter.
    assert 0.02 < (found.p <= LEVEL).mean() < 0.09
    assert found.named.mean() < LEVEL
    one_subject = name_components(noise, np.zeros(12, int), seed=5)
    assert (one_subject.stability == 1).all() and one_subject.named.mean() < 0.09 and (one_subject.runner_up == -1).all()


def test_more_codes_make_a_small_lead_a_name():
    means = [0.7, 0.0, 0.4, 0.0, 0.0]
    few, many = (name_components(changes_of(means, spread=0.8, codes=n), SUBJECTS, seed=1) for n in (8, 800))
    assert many.named[0] and many.stability[0] > 0.95 and few.stability[0] < 0.95


def test_leading_columns_of_subjects():
    effects = np.array([[0.1, -0.2, 0.0, 0.0, 5.0]])
    assert leading_columns(effects, np.array(SUBJECTS), 3).tolist() == [[1, 2, 4]]


def test_bad_changes_are_refused():
    for bad, subjects in ((np.zeros((1, 1, 2)), [0, 1]), (np.full((1, 4, 2), np.nan), [0, 1]), (np.zeros((1, 4, 2)), [0, 2])):
        with pytest.raises(ValueError, match="names need finite changes"):
            name_components(bad, subjects, seed=0)


def test_a_name_is_right_where_its_attribute_leads_and_goes_its_way():
    effects = np.array([[-0.9, 0.5, 0.2], [0.1, 0.5, 0.2], [np.nan] * 3, [0.0, 0.0, 0.0]])
    assert right(effects, 0, -1).tolist() == [True, False, False, False]
    assert right(effects, 0, 1).tolist() == [False, False, False, False]
    assert right(effects, 1, 0).tolist() == [False, True, False, False]
    assert right(effects, 2, 1, top=2).tolist() == [False, True, False, False]
