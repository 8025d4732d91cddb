"""Verdicts on made-up curves whose verdict is known, and the table of expectations itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.tasks.validity.expectations import EXPECTATIONS, EXPECTED, WORDS
from bench.tasks.validity.faults import BY_NAME as BY_FAULT
from bench.tasks.validity.faults import FAULTS
from bench.tasks.validity.quantities import BY_NAME, QUANTITIES
from bench.tasks.validity.settings import ValiditySettings
from bench.tasks.validity.verdicts import BLIND, MISLED, SEES, UNEVEN, VERDICTS, as_expected, read, verdict

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)


def curve(*means: float, units: int = 40, spread: float = 0.1, seed: int = 0) -> np.ndarray:
    """Values [units, severities] about these means; what a unit adds is the same at every severity, but for a little."""
    rng = np.random.default_rng(seed)
    own = rng.normal(scale=spread, size=(units, 1))
    return np.array(means) + own + rng.normal(scale=spread / 10, size=(units, len(means)))


def found(values: np.ndarray, worse: int = 1, unit: str = "dB") -> str:
    return verdict(read(values, LEVELS, worse, replicates=400, seed=1), unit)


@pytest.mark.parametrize(
    "means, worse, wanted",
    [
        ((1.0, 1.2, 1.5, 1.7, 2.0), 1, SEES),
        ((1.0, 1.2, 1.5, 1.7, 2.0), -1, MISLED),
        ((2.0, 1.7, 1.5, 1.2, 1.0), -1, SEES),
        ((1.0, 1.0, 1.0, 1.0, 1.0), 1, BLIND),
        ((1.0, 1.6, 2.0, 1.6, 1.0), 1, UNEVEN),  # back where it was
        ((1.0, 0.4, 0.3, 0.2, 1.6), 1, UNEVEN),  # worse in the end, better on the way
        ((1.0, 1.0, 1.0, 1.0, 1.02), 1, BLIND),  # certain, but less than other codes would change
    ],
)
def test_known_curves(means, worse, wanted):
    assert found(curve(*means), worse) == wanted


def test_a_change_of_less_than_a_hundredth_does_not_count_in_standardised_units():
    small, large = (curve(*np.linspace(1.0, 1.0 + change, 5), spread=0.002) for change in (0.008, 0.012))
    assert found(small) == SEES and found(small, unit="squared") == SEES
    assert found(small, unit="sigma") == BLIND and found(large, unit="sigma") == SEES


def test_what_is_not_reached_counts_as_worst():
    values = curve(1.0, 1.1, 1.2, 1.3, 1.4)
    values[:, 3:] = np.inf
    one = read(values, LEVELS, 1, replicates=200, seed=0)
    assert one.change.value == one.change.low == np.inf and verdict(one, "sigma") == SEES
    assert one.changes[1].value == pytest.approx(0.2, abs=0.01)
    assert one.rho.value == pytest.approx(0.97, abs=0.01)  # two severities tie for the worst


def test_a_constant_metric_is_blind_to_everything():
    one = read(np.full((12, 5), 0.3), LEVELS, 1, replicates=100, seed=0)
    assert verdict(one, "FID") == BLIND and one.rho.value == 0 and one.change.value == 0


def test_rounding_is_no_change():
    values = np.full((12, 5), 1e6)
    values[:, -1] += 1e-3
    assert found(values) == BLIND


def test_intervals_hold_what_they_say():
    # The change is known: 0.5; units differ by much, their changes by little.
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(20, 1)) + np.array([0, 0.1, 0.2, 0.3, 0.5]) + rng.normal(scale=0.3, size=(20, 5))
        one = read(values, LEVELS, 1, replicates=200, seed=seed)
        inside += one.change.low <= 0.5 <= one.change.high
    assert 0.9 <= inside / 200 <= 0.99


@given(st.integers(0, 10_000), st.sampled_from([1, -1]))
@settings(max_examples=20, deadline=None)
def test_turning_a_metric_round_turns_its_verdict(seed, worse):
    values = np.random.default_rng(seed).normal(size=(9, 5)).cumsum(1)
    opposite = {SEES: MISLED, MISLED: SEES}
    here, there = found(values, worse), found(values, -worse)
    assert there == opposite.get(here, here)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        read(np.array([[0.0, np.nan, 1.0]] * 4), (0, 0.5, 1), 1, replicates=10, seed=0)


def test_every_pair_is_expected_once_and_every_metric_sees_something():
    assert len(EXPECTED) == len(EXPECTATIONS)
    assert {one.fault for one in EXPECTATIONS} == set(BY_FAULT) and len(BY_FAULT) == len(FAULTS)
    assert {one.metric for one in EXPECTATIONS} == set(BY_NAME) and len(BY_NAME) == len(QUANTITIES)
    assert all(one.word in WORDS and one.was in (*WORDS, "") and one.reason for one in EXPECTATIONS)
    assert all(one.was != one.word for one in EXPECTATIONS)
    assert {one.metric for one in EXPECTATIONS if one.word == "worse"} == set(BY_NAME)
    assert {one.worse for one in QUANTITIES} == {1, -1}


def test_words_and_verdicts():
    held = {(word, v) for word in WORDS for v in VERDICTS if as_expected(word, v)}
    assert held == {("worse", SEES), ("better", MISLED), ("unchanged", BLIND), ("blind", BLIND)}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"severities": (0.0, 0.5)}, "at least 3"),
        ({"severities": (0.0, 0.7, 0.5, 1.0)}, "severities rise from 0 to 1"),
        ({"severities": (0.1, 0.5, 1.0)}, "severities rise from 0 to 1"),
        ({"targets": ("smile", "smile")}, "targets lists a value twice: smile, smile"),
        ({"leak": "smile"}, "smile is a target"),
        ({"codes": 20, "blocks": 6}, "20 codes are too few for 6 blocks"),
        ({"faults": ()}, "at least 1"),
        ({"sizes": 3}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_make_no_sense(change, message):
    with pytest.raises(ValueError, match=message):
        ValiditySettings(**change)
