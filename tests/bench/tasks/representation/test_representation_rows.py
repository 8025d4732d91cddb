"""Replicates: paired across entries, wide enough for few blocks, made again from arrays alone."""

import numpy as np
import pytest

from bench.tasks.base import CellResult, MethodCard
from bench.tasks.representation.protocol import RepresentationSettings, factor_quantities
from bench.tasks.representation.rows import mean_rows, path_rows, widening
from bench.tasks.representation.task import RepresentationTask
from metrics.path_length import filtered_mean
from metrics.statistics import interval, paired_difference, replicate_difference

BLOCKS = 8


def card(variant="", fit_seed=0):
    return MethodCard("native", 1, "baseline", variant, "w", fit_seed)


def result(shift=0.0, seed=0, left_out=None):
    """What a cell leaves: two attributes, blocks that vary, `shift` on every score."""
    rng = np.random.default_rng(seed)
    arrays = {f"judged/{one.key}": 0.4 + shift + 0.02 * rng.standard_normal(BLOCKS) for one in factor_quantities("lasso")}
    for key in ("explicitness", "boundary", "entropy"):
        arrays[f"judged/{key}"] = 0.5 + shift + 0.02 * rng.standard_normal((BLOCKS, 2))
    arrays |= {"pictures/ppl_full": rng.gamma(4, 5, 200), "pictures/ppl_end": rng.gamma(4, 4, 200)}
    arrays["pictures/hessian"] = rng.gamma(4, 100, 32)
    judged = {"reason": "", "names": ["smile", "hat"], "left_out": left_out or {}, "n": 790, "n_failed": 10, "unsettled": 0}
    facts = {
        "generator": ["toy", "a" * 16], "judges": {"attributes": ["judge", "b" * 16], "perceptual": ["seer", "c" * 16]},
        "channels": [12, 11], "factors": {"judged": judged, "true": {"reason": "toy does not know"}}, "paths": {},
    }  # fmt: skip
    return CellResult(arrays, facts)


def test_replicates_of_few_blocks_are_widened_to_hold_their_level():
    # t(0.975, 7) = 2.36462, z(0.975) = 1.95996, and exponential weights vary by 7/9 of what means do.
    assert widening(8) == pytest.approx(2.364624 / 1.959964 * (9 / 7) ** 0.5, rel=1e-5)
    assert widening(100_000) == pytest.approx(1, abs=1e-4)
    rng, inside = np.random.default_rng(0), 0
    for i in range(500):
        low, high = interval(mean_rows(rng.standard_normal(BLOCKS), 200, i)[1:])
        inside += low <= 0 <= high
    assert 0.92 <= inside / 500 <= 0.975


def test_what_makes_a_block_easy_drops_out_of_differences():
    hard = np.random.default_rng(0).normal(size=BLOCKS)
    a, b = mean_rows(hard + 0.3, 300, 5), mean_rows(hard, 300, 5)
    assert a - b == pytest.approx(np.full(301, 0.3)) and np.ptp(a[1:]) > 0.5
    assert (mean_rows(hard, 300, 6)[1:] != b[1:]).all()
    each = mean_rows(np.column_stack([hard, 2 * hard]), 300, 5)  # columns keep their replicates
    assert each[:, 0] == pytest.approx(b) and each[:, 1] == pytest.approx(2 * b)


def test_rows_agree_with_the_library_of_intervals():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.1, 1, 60), rng.normal(0, 1, 60)
    a, b = (mean_rows(one, 4000, 3) for one in (x, y))
    ours, theirs = replicate_difference(a[1:], b[1:], point_a=a[0], point_b=b[0]), paired_difference(x, y, seed=3)
    assert ours.diff == pytest.approx(theirs.diff)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_path_rows_filter_every_resample():
    distances = np.append(np.linspace(1, 2, 300), 1e6)  # one broken pair lies beyond the 99th percentile
    rows = path_rows(distances, 200, 0)
    assert rows[0] == filtered_mean(distances) and rows[0] < 2
    assert rows.shape == (201,) and 1.4 < rows[1:].min() and (path_rows(distances, 200, 0) == rows).all()


def test_records_name_judge_n_and_interval():
    settings = RepresentationSettings(blocks=BLOCKS, replicates=300)
    made = list(RepresentationTask().measured(settings, [(card(), result(left_out={"beard": "it is rare"}))], seed=0))
    records = {(one.record.target, one.record.attribute, one.record.metric): one for one in made}
    assert len(records) == len(made)
    one, rows = records["judged", "", "mig"]
    assert (one.judge, one.judge_sha, one.n, one.n_failed, one.ci_over) == ("attributes[judge]", "b" * 16, 790, 10, "blocks")
    assert one.headline and one.higher_is_better and one.reason == "beard is left out: it is rare"
    assert rows.shape == (301,) and one.value == rows[0] and one.ci_low < one.value < one.ci_high
    entropies = result().arrays["judged/entropy"]
    whole = records["judged", "", "separability"].record
    assert whole.value == pytest.approx(np.exp(entropies.sum(1).mean())) and not whole.higher_is_better
    hat = records["judged", "hat", "separability_entropy"]
    assert hat.record.value == pytest.approx(entropies[:, 1].mean()) and not hat.record.headline
    parts = records["judged", "smile", "explicitness"].rows + records["judged", "hat", "explicitness"].rows
    assert records["judged", "", "explicitness"].rows == pytest.approx(parts / 2)
    full = records["pictures", "", "ppl_full"].record
    assert (full.judge, full.n, full.ci_over, full.headline) == ("perceptual[seer]", 200, "pairs", True)
    assert records["pictures", "", "hessian_penalty"].record.judge == ""
    missing = records["true", "", "mig"]
    assert (missing.record.status, missing.record.reason, missing.rows) == ("skipped", "toy does not know", None)
    assert missing.record.judge == ""  # nobody was asked
    channels = records["", "", "active_channels"].record
    assert channels.value == 11 and channels.reason == "1 of 12 channels never change and are left out"
    for each, rows in made:
        assert each.status == "skipped" or each.metric == "active_channels" or (each.n > 0 and each.ci_over and len(rows) == 301)


def test_headlines_are_questions_and_pair_up():
    settings = RepresentationSettings(blocks=BLOCKS, replicates=250)
    better, worse = (RepresentationTask().headlines(settings, [(card(), result(shift))], 0) for shift in (0.1, 0.0))
    assert set(better) == {
        ("judged", "", "mig"), ("judged", "", "separability"), ("pictures", "", "ppl_full"),
    }  # fmt: skip
    a, b = better["judged", "", "mig"], worse["judged", "", "mig"]
    assert len(a.replicates) == 250 and a.replicates - b.replicates == pytest.approx(np.full(250, 0.1))
    same = better["pictures", "", "ppl_full"].replicates == worse["pictures", "", "ppl_full"].replicates
    assert same.all()


def test_replicates_keep_to_the_range_of_their_metric():
    low = result()
    low.arrays["judged/mig"] = np.array([0.0] * 7 + [0.01])
    low.arrays["judged/entropy"] = np.zeros((BLOCKS, 2))
    settings = RepresentationSettings(blocks=BLOCKS, replicates=200)
    made = {one.record.metric: one for one in RepresentationTask().measured(settings, [(card(), low)], 0) if one.rows is not None}
    assert made["mig"].rows.min() == 0 and (made["separability"].rows == 1).all()


def test_several_fits_are_averaged_and_said():
    settings = RepresentationSettings(blocks=BLOCKS, replicates=200)
    cells = [(card(fit_seed=i), result(0.1 * i, seed=i)) for i in range(3)]
    made = {(r.target, r.attribute, r.metric): (r, rows) for r, rows in RepresentationTask().measured(settings, cells, 0)}
    one, rows = made["judged", "", "mig"]
    assert one.value == pytest.approx(np.mean([cell.arrays["judged/mig"].mean() for _, cell in cells]))
    assert one.ci_over == "blocks+fits" and one.n == 3 * 790 and rows.shape == (201,)
    alone = dict(((r.target, r.attribute, r.metric), rows) for r, rows in RepresentationTask().measured(settings, cells[:1], 0))
    assert np.ptp(rows[1:]) > np.ptp(alone["judged", "", "mig"][1:])  # what another fit would give is in it
