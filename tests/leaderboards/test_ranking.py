"""The ranking on replicates made by hand, where the truth is known."""

import time

import numpy as np
import pytest

from leaderboards.ranking import Reading, rank_entries
from leaderboards.tables import leaderboard, mean_reading, wide_csv

RNG = np.random.default_rng(0)


def reading(value, spread=0.0, count=1000, up=False, noise=None):
    noise = RNG.standard_normal(count) if noise is None else noise
    return Reading(value, value + spread * noise, up)


def questions(headlines=("leakage", "reach"), targets=("smile", "age")):
    return [(t, s, h) for t in targets for s in "+-" for h in headlines]


def table(value, spread=0.01):
    """One entry: leakage = value, reach = 1 - value, so that a small value is good in both."""
    return {q: reading(value if q[2] == "leakage" else 1 - value, spread, up=q[2] == "reach") for q in questions()}


def test_a_clear_winner_is_first_and_best():
    ranking = rank_entries({("a", ""): table(0.5), ("b", ""): table(0.1), ("c", ""): table(0.9)})
    assert ranking.entries == (("a", ""), ("b", ""), ("c", ""))
    assert ranking.mean.tolist() == [2, 1, 3] and ranking.printed.tolist() == [2, 1, 3]
    assert ranking.best() == ("b", "")
    assert ranking.low.tolist() == ranking.high.tolist() == [2, 1, 3]


def test_exact_ties_share_their_rank_and_nobody_is_best():
    same = table(0.3)
    ranking = rank_entries({("a", ""): same, ("b", ""): same, ("c", ""): table(0.9)})
    assert ranking.mean.tolist() == [1.5, 1.5, 3] and ranking.printed.tolist() == [1, 1, 3]
    assert ranking.best() is None


def test_noise_larger_than_the_difference_is_not_called_better():
    shared = {("a", ""): table(0.30, 0.2), ("b", ""): table(0.31, 0.2)}
    ranking = rank_entries(shared)
    assert ranking.mean.tolist() == [1, 2] and ranking.printed.tolist() == [1, 1] and ranking.best() is None


def test_paired_noise_cancels():
    noise = {q: RNG.standard_normal(1000) for q in questions(("leakage",))}
    make = lambda value: {q: reading(value, 0.2, noise=noise[q]) for q in noise}  # noqa: E731
    assert rank_entries({("a", ""): make(0.30), ("b", ""): make(0.31)}).printed.tolist() == [1, 2]


def test_unreached_ties_last_and_is_never_left_out():
    lost = {}
    for q in questions():
        worst = -np.inf if q[2] == "reach" else np.inf
        lost[q] = Reading(worst, np.full(1000, worst), q[2] == "reach")
    ranking = rank_entries({("bad", ""): table(0.99), ("lost", ""): lost, ("lost", "too"): lost})
    assert ranking.mean.tolist() == [1, 2.5, 2.5] and ranking.printed.tolist() == [1, 2, 2]
    assert ranking.asked.tolist() == [8, 8, 8]


def test_an_unasked_question_leaves_an_entry_out_of_it_alone():
    one_way = {q: r for q, r in table(0.1).items() if q[1] == "+"}
    ranking = rank_entries({("one-way", ""): one_way, ("b", ""): table(0.5)})
    assert ranking.asked.tolist() == [8, 4]
    assert ranking.mean.tolist() == [1.5, 1.0]


def test_interval_covers_the_average_rank_of_the_truth():
    """Two equal entries: their true average rank is 1.5, and 95 % intervals over repeated data cover it nine times in ten."""
    rng, covered, n, count = np.random.default_rng(1), 0, 40, 300
    qs = questions(("leakage",))
    for _ in range(60):
        weights = rng.exponential(size=(count, n))
        weights /= weights.sum(1, keepdims=True)
        data = {e: {q: rng.standard_normal(n) for q in qs} for e in ("a", "b")}
        made = {(e, ""): {q: Reading(x.mean(), weights @ x, False) for q, x in d.items()} for e, d in data.items()}
        ranking = rank_entries(made)
        covered += ranking.low[0] <= 1.5 <= ranking.high[0]
    assert covered >= 54


def test_equal_methods_are_seldom_called_different():
    """Family-wise error: among four equal entries someone is called better in at most about one run of twenty."""
    rng, wrong = np.random.default_rng(2), 0
    for _ in range(40):
        weights = rng.exponential(size=(999, 40))
        weights /= weights.sum(1, keepdims=True)
        data = {(str(i), ""): {q: rng.standard_normal(40) for q in questions(("leakage",))} for i in range(4)}
        made = {e: {q: Reading(x.mean(), weights @ x, False) for q, x in d.items()} for e, d in data.items()}
        wrong += rank_entries(made, samples=dict.fromkeys(made, 40)).better.any()
    assert wrong <= 5


def test_few_replicates_are_enough_for_many_entries():
    """Holm's correction would ask for 399 replicates before any of ten pairs can differ."""
    few = lambda value: {q: reading(value, 0.001, count=50) for q in questions(("leakage",))}  # noqa: E731
    ranking = rank_entries({(str(i), ""): few(i) for i in range(5)})
    assert ranking.replicates == 50 and ranking.printed.tolist() == [1, 2, 3, 4, 5]


def test_few_samples_make_differences_less_sure():
    noise = {q: RNG.standard_normal((999, 2)) for q in questions(("leakage",))}
    make = lambda k, value: {q: reading(value, 0.1, noise=noise[q][:, k]) for q in noise}  # noqa: E731
    data = {("a", ""): make(0, 0.30), ("b", ""): make(1, 0.60)}
    assert rank_entries(data, samples={("a", ""): 200, ("b", ""): 200}).printed.tolist() == [1, 2]
    assert rank_entries(data, samples={("a", ""): 200, ("b", ""): 3}).printed.tolist() == [1, 1]


def test_bounds_take_part_but_are_no_rivals_for_best():
    losses = {"oracle": 0.01, "m": 0.2, "n": 0.4, "random": 0.9}
    ranking = rank_entries({(name, ""): table(loss) for name, loss in losses.items()})
    assert ranking.printed.tolist() == [2, 3, 1, 4] and ranking.best() == ("m", "")


def test_nan_is_refused_and_nothing_ranks_nothing():
    assert rank_entries({}) is None
    with pytest.raises(ValueError, match="worst"):
        rank_entries({("a", ""): {("t", "+", "leakage"): Reading(0.1, np.full(10, np.nan), False)}})


def test_ranking_is_fast():
    qs = [(f"t{t}", s, h) for t in range(5) for s in "+-" for h in ("leakage", "identity", "realism_loss", "reach")]
    entries = {(f"m{i}", ""): {q: reading(0.1 * i, 0.5) for q in qs} for i in range(13)}
    start = time.perf_counter()
    assert len(rank_entries(entries).entries) == 13
    assert time.perf_counter() - start < 3


def test_mean_over_reached_questions_and_its_interval():
    made = {
        ("a", "+", "leakage"): Reading(0.2, np.linspace(0.1, 0.3, 1001), False),
        ("b", "+", "leakage"): Reading(0.4, np.linspace(0.3, 0.5, 1001), False),
        ("c", "+", "leakage"): Reading(np.inf, np.full(1001, np.inf), False),
    }
    mean = mean_reading(made, "leakage")
    assert (mean.value, mean.reached, mean.asked) == (pytest.approx(0.3), 2, 3)
    assert (mean.low, mean.high) == (pytest.approx(0.205, abs=1e-3), pytest.approx(0.395, abs=1e-3))
    assert mean_reading(made, "identity").value is None


def test_wide_table():
    made = {("a", ""): table(0.5), ("random", ""): table(0.9)}
    board = leaderboard("g", made, {("a", ""): "w"}, ["leakage", "reach"])
    lines = wide_csv([board], ["leakage", "reach"]).splitlines()
    assert lines[0].startswith("generator,method,variant,space,bound,rank,mean_rank,rank_low,rank_high,unreached,asked,leakage,")
    assert lines[1].split(",")[:11] == ["g", "a", "", "w", "", "1", "1", "1", "1", "0", "4"]
    assert lines[2].split(",")[:6] == ["g", "random", "", "", "lower bound", "2"]
    assert float(lines[1].split(",")[11]) == pytest.approx(0.5)


def test_an_interval_is_of_the_questions_that_the_point_reaches():
    """A replicate that does not reach a costly question would look cheap if it were left out."""
    sometimes = np.where(np.arange(1000) % 2, 1.0, np.inf)
    made = {("a", "+", "leakage"): reading(0.2), ("b", "+", "leakage"): Reading(1.0, sometimes, False)}
    mean = mean_reading(made, "leakage")
    assert (mean.low, mean.value, mean.high) == pytest.approx((0.6, 0.6, 0.6))
