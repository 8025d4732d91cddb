"""Verdicts on readings made by hand, where the truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaderboards.claims.model import Tolerance
from leaderboards.claims.verdicts import compare, compare_points, outlasting, wins
from leaderboards.ranking import Reading

NOISE = np.random.default_rng(0).standard_normal((8, 1000))
ASKED = [(target, sign) for target in ("smile", "age", "yaw", "beard") for sign in "+-"]


def side(value, spread=0.01, noise=NOISE, up=False):
    """Readings of eight questions around a value; the same noise on both sides is a paired resample."""
    return {asked: Reading(value, value + spread * noise[i], up) for i, asked in enumerate(ASKED)}


def lost(up=False):
    worst = -np.inf if up else np.inf
    return {asked: Reading(worst, np.full(1000, worst), up) for asked in ASKED}


def test_a_clear_difference_holds_one_way_and_fails_the_other():
    found = compare(side(0.2), side(0.6), "less")
    assert (found.verdict, found.share, found.share_low, found.share_high) == ("holds", 1, 1, 1)
    assert (found.questions, found.both, found.by_reach) == (8, 8, False)
    assert (found.difference, found.low, found.high) == pytest.approx((-0.4, -0.4, -0.4))  # shared noise falls out
    assert compare(side(0.6), side(0.2), "less").verdict == "fails"
    assert compare(side(0.2), side(0.6), "greater").verdict == "fails"
    assert compare(side(0.6), side(0.2), "greater").difference == pytest.approx(0.4)


def test_equal_sides_and_noise_are_undecided():
    assert compare(side(0.3), side(0.3), "less").verdict == "undecided"
    other = np.random.default_rng(1).standard_normal((8, 1000))
    found = compare(side(0.30, 0.2), side(0.31, 0.2, other), "less")
    assert found.share == 1 and found.verdict == "undecided" and found.low < 0 < found.high


def test_one_question_is_decided_by_its_replicates():
    alone = lambda value: {("pictures", ""): Reading(value, value + 0.1 * NOISE[0], False)}  # noqa: E731
    other = lambda value: {("pictures", ""): Reading(value, value + 0.1 * NOISE[1], False)}  # noqa: E731
    assert compare(alone(0.2), other(0.9), "less").verdict == "holds"
    assert compare(alone(0.9), other(0.2), "less").verdict == "fails"
    assert compare(alone(0.25), other(0.2), "greater").verdict == "undecided"


def test_an_unreached_side_loses_by_reach_alone():
    found = compare(side(0.9), lost(), "less")
    assert (found.verdict, found.both, found.difference, found.by_reach) == ("holds", 0, None, True)
    assert compare(lost(), side(0.9), "less").verdict == "fails"
    assert compare(side(0.1, up=True), lost(up=True), "greater").verdict == "holds"
    assert compare(lost(), lost(), "less").verdict == "undecided"


def test_a_verdict_that_reach_alone_decides_says_so():
    """Left loses where both reach, and wins because right reaches little."""
    left, right = side(0.5), side(0.2)
    right |= {asked: lost()[asked] for asked in ASKED[2:]}
    found = compare(left, right, "less")
    assert (found.verdict, found.by_reach, found.both) == ("holds", True, 2)
    assert found.difference == pytest.approx(0.3)
    assert not compare(side(0.2), side(0.5), "less").by_reach


def test_a_replicate_that_does_not_reach_leaves_the_difference_alone():
    sometimes = np.where(np.arange(1000) % 2, 0.4, np.inf)
    found = compare({("a", "+"): Reading(0.4, sometimes, False)}, {("a", "+"): Reading(0.5, np.full(1000, 0.5), False)}, "less")
    assert (found.low, found.high) == (pytest.approx(-0.1), pytest.approx(-0.1))
    assert found.share == 1 and found.verdict == "undecided"  # half of the replicates lose


def test_only_shared_questions_count():
    assert compare({("a", "+"): side(0.1)[ASKED[0]]}, side(0.3), "less") is None
    few = {asked: one for asked, one in side(0.1).items() if asked[1] == "+"}
    assert compare(few, side(0.3), "less").questions == 4


def test_a_factor_multiplies_the_right_side():
    assert compare(side(0.5), side(0.2), "greater", times=2).verdict == "holds"
    found = compare(side(0.5), side(0.2), "greater", times=3)
    assert found.verdict == "fails" and found.difference == pytest.approx(-0.1)


def test_equal_within_a_tolerance():
    near = Tolerance(absolute=0.05)
    assert compare(side(0.30), side(0.33), "equal_within", tolerance=near).verdict == "holds"
    assert compare(side(0.30), side(0.40), "equal_within", tolerance=near).verdict == "fails"
    other = np.random.default_rng(1).standard_normal((8, 1000))
    wide = compare(side(0.30, 0.05), side(0.34, 0.05, other), "equal_within", tolerance=near)
    assert wide.share == 1 and wide.verdict == "undecided"
    share = Tolerance(relative=0.02)
    assert compare(side(100.0), side(101.0), "equal_within", tolerance=share).verdict == "holds"
    assert compare(side(100.0), side(104.0), "equal_within", tolerance=share).verdict == "fails"
    assert compare(side(0.3), lost(), "equal_within", tolerance=near).verdict == "fails"
    assert compare(lost(), lost(), "equal_within", tolerance=near).verdict == "undecided"


def test_values_without_replicates_need_every_question_and_every_fit():
    points = lambda *values: {(str(i), ""): value for i, value in enumerate(values)}  # noqa: E731
    found = compare_points(points((0.9,), (0.8,)), points((0.7,), (0.6,)), "greater")
    assert (found.verdict, found.share, found.share_low, found.low) == ("holds", 1, None, None)
    assert found.difference == pytest.approx(0.2)
    assert compare_points(points((0.9,), (0.5,)), points((0.7,), (0.6,)), "greater").verdict == "undecided"
    assert compare_points(points((0.5,), (0.5,)), points((0.7,), (0.6,)), "greater").verdict == "fails"
    # three fits: one of them overlaps
    assert compare_points(points((0.9, 0.8, 0.65)), points((0.7, 0.6, 0.6)), "greater").verdict == "undecided"
    assert compare_points(points((0.9, 0.8, 0.75)), points((0.7, 0.6, 0.6)), "greater").verdict == "holds"
    assert compare_points({}, points((0.7,)), "greater") is None


def test_times_that_are_near_tell_nothing():
    one = lambda value: {("", ""): (value,)}  # noqa: E731
    assert compare_points(one(1.0), one(1.4), "less", margin=1.5).verdict == "undecided"
    assert compare_points(one(1.0), one(1.6), "less", margin=1.5).verdict == "holds"
    assert compare_points(one(1.6), one(1.0), "less", margin=1.5).verdict == "fails"
    assert compare_points(one(98.0), one(0.7), "greater", times=100, margin=1.5).verdict == "undecided"
    assert compare_points(one(98.0), one(0.007), "greater", times=100, margin=1.5).verdict == "holds"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=20))
def test_swapped_sides_share_out_every_question(values):
    a, b = np.array(values).T
    assert np.array_equal(wins(a, b, "less", None), 1 - wins(b, a, "less", None))
    assert np.array_equal(wins(a, b, "less", None), wins(b, a, "greater", None))
    assert set(wins(a, b, "equal_within", Tolerance(absolute=1.0))) <= {0.0, 1.0}


def test_a_true_tie_is_seldom_called():
    """Two sides without any difference, measured on the same 40 codes: a verdict is wrong, and comes in few of 100 runs."""
    rng, called = np.random.default_rng(3), 0
    for _ in range(100):
        weights = rng.exponential(size=(500, 40))
        weights /= weights.sum(1, keepdims=True)
        sides = []
        for _ in range(2):
            data = {asked: rng.standard_normal(40) for asked in ASKED}
            sides.append({asked: Reading(x.mean(), weights @ x, False) for asked, x in data.items()})
        called += compare(*sides, "less").verdict != "undecided"
    assert called <= 12


def test_intervals_of_points_decide_where_they_lie_apart():
    a, b = {("yaw", ""): (0.9, 0.8)}, {("yaw", ""): (0.2, 0.3)}
    near, wide = {("yaw", ""): ((0.8, 1.0), (0.7, 0.9))}, {("yaw", ""): ((0.2, 1.6), (0.7, 0.9))}
    other = {("yaw", ""): ((0.1, 0.3), (0.2, 0.4))}
    found = compare_points(a, b, "greater", ends=(near, other))
    assert (found.verdict, found.share_low) == ("holds", None)
    assert (found.difference, found.low, found.high) == pytest.approx((0.6, 0.4, 0.8))
    assert compare_points(a, b, "greater", ends=(wide, other)).verdict == "undecided"
    assert compare_points(b, a, "greater", ends=(other, near)).verdict == "fails"
    alone = compare_points(a, b, "greater", ends=(near, {}))
    assert (alone.verdict, alone.high) == ("holds", pytest.approx(0.7))
    assert compare_points(a, b, "greater").low is None
    within = Tolerance(absolute=1.0)
    assert compare_points(a, b, "equal_within", tolerance=within, ends=(near, other)).verdict == "holds"
    assert compare_points(a, b, "equal_within", tolerance=within, ends=(wide, other)).verdict == "undecided"


def test_p_agrees_with_the_interval_and_is_never_zero():
    clear = compare(side(0.2), side(0.6), "less")
    assert clear.p == pytest.approx(2 / 1001)
    assert compare(side(0.3), side(0.3), "less").p == 1
    assert compare_points({("", ""): (1.0,)}, {("", ""): (2.0,)}, "less").p is None


def test_many_comparisons_are_corrected_for_one_another():
    assert outlasting([]) == [] and outlasting([None]) == [None]
    # By hand: of p(k) <= 0.05 k / 4 the last is k = 3 (0.03 <= 0.0375), which takes the first two with it.
    assert outlasting([0.2, None, 0.001, 0.03, 0.027]) == [False, None, True, True, True]
    assert outlasting([0.04] + [0.9] * 9) == [False] * 10
    rng = np.random.default_rng(0)
    families = [outlasting(rng.random(50).tolist()) for _ in range(400)]
    assert np.mean([any(family) for family in families]) == pytest.approx(0.05, abs=0.03)  # all are true nulls here
