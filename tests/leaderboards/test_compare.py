"""Two runs into a verdict: what is paired, what is worse, what is refused, and how often chance alone is called worse."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bench.errors import InputError
from leaderboards.compare import model
from leaderboards.compare.comparison import compare
from leaderboards.compare.sides import Side, read_side

ENTRIES = (("alpha", ""), ("beta", "x=1"))


@pytest.fixture
def small(toys):
    toy = toys.Toy()
    return toy, {entry: toy.entry(i) for i, entry in enumerate(ENTRIES)}


def changed(rows, **functions):
    """The rows of an entry with some arrays changed: name -> function of the array."""
    return {q: {n: functions[n](a) if n in functions else a for n, a in part.items()} for q, part in rows.items()}


def sides(toy, old, new, **how):
    return compare(Side.of(toy.results(old), "OLD"), Side.of(toy.results(new), "NEW"), **how)


def table_alone(side, edit=lambda one: one, name="NEW"):
    """The records of a side, changed, without its arrays."""
    records = [edit(one) for one in side.records]
    return Side(name, [one for one in records if one is not None], None, f"{name} is a table alone")


def find(changes, **fields):
    found = [one for one in changes if all(getattr(one.new, k) == v for k, v in fields.items())]
    assert len(found) == 1, (fields, len(found))
    return found[0]


def test_a_run_is_the_same_as_itself(small):
    toy, entries = small
    found = sides(toy, entries, entries)
    assert {one.verdict for one in found.changes} == {"same"} and {one.how for one in found.changes} == {"equal"}
    assert [one.state for one in found.groups] == ["same protocol"] and found.exit_code("changed") == 0
    assert not (found.missing or found.added or found.refused or found.notes)
    points = {one.new.point for one in found.changes}
    assert points == {"effect_0.5", "summary"}  # the grid, whose strengths are each method's own, is not compared
    assert "seconds_per_edit" not in {one.new.metric for one in found.changes}
    # Two entries; per sign 3 headlines at the effect and reach; 4 means.
    assert sum(one.headline for one in found.changes) == 2 * (2 * 4 + 4)


def test_a_planted_drop_of_identity_is_flagged(toys):
    """5 % of identity preservation at 500 paired codes, beside the noise of another run: the issue's bar."""
    toy = toys.Toy(n=500)
    rows = toy.entry(1)
    rng = np.random.default_rng(5)
    noisy = lambda x: 0.95 * x + 0.05 * rng.standard_normal(x.shape)  # noqa: E731
    found = sides(toy, {ENTRIES[0]: rows}, {ENTRIES[0]: changed(rows, identity=noisy)})
    worse = found.of("worse")
    assert {(one.new.metric, one.new.target, one.new.sign) for one in worse} == {
        ("identity", "smile", "+"), ("identity", "smile", "-"), ("identity", "", ""),
    }  # fmt: skip
    for one in worse:
        drop = 0.05 * one.old.value
        assert one.how == "paired" and one.difference.low < -drop < one.difference.high < 0
        assert one.difference.high - one.difference.low < 0.02 and one.p_holm < 1e-6
    assert found.exit_code() == 1 and found.exit_code("never") == 0
    back = sides(toy, {ENTRIES[0]: changed(rows, identity=noisy)}, {ENTRIES[0]: rows})
    assert len(back.of("better")) == 3 and not back.of("worse") and back.exit_code() == 0 and back.exit_code("changed") == 1


def false_alarms(pairs, make):
    """The share of pairs of runs of one truth in which any number is called worse."""
    worse = 0
    for index in range(pairs):
        old, new = make(np.random.default_rng([7, index]))
        found = compare(Side.of(old, "OLD"), Side.of(new, "NEW"))
        assert {one.how for one in found.changes} <= {"paired", "equal"}
        worse += bool(found.of("worse"))
    return worse / pairs


def test_chance_alone_is_seldom_called_worse(toys):
    """200 pairs of runs, each drawn anew from stored values of 400 codes; `beta` reaches the level in about every other run."""
    stored, toy = toys.Toy(n=400), toys.Toy(n=40)
    rows = {ENTRIES[0]: stored.entry(1), ENTRIES[1]: stored.entry(2, gain=0.5 / 3.0, leak=0.3)}

    def run(rng):
        chosen = rng.integers(0, 400, 40)
        return toy.results({entry: toy.pick(one, chosen) for entry, one in rows.items()})

    assert false_alarms(200, lambda rng: (run(rng), run(rng))) <= 0.08

    # The same by the tables alone, fewer of them.
    tables = lambda results: Side("alone", results.records, None, "no arrays")  # noqa: E731
    worse = [bool(compare(*(tables(run(np.random.default_rng([8, i, j]))) for j in (0, 1))).of("worse")) for i in range(60)]
    assert np.mean(worse) <= 0.08


def test_what_two_runs_swap_code_by_code_is_seldom_called_worse(toys):
    """100 pairs on shared codes: every code's values come from either of two stored fits, by a coin."""
    toy = toys.Toy(n=40)
    first = toy.entry(1)
    rng = np.random.default_rng(0)
    second = changed(first, **{name: lambda x: x + 0.02 * rng.standard_normal(x.shape) for name in ("identity", "others")})

    def pair(rng):
        coin = rng.random(40) < 0.5
        mix = lambda a, b: {  # noqa: E731
            q: {n: np.where(coin.reshape(-1, *[1] * (x.ndim - 1)), x, b[q][n]) for n, x in part.items()} for q, part in a.items()
        }
        return toy.results({ENTRIES[0]: mix(first, second)}), toy.results({ENTRIES[0]: mix(second, first)})

    assert false_alarms(100, pair) <= 0.08


@pytest.mark.parametrize(
    "edit, reason",
    [
        (lambda r: replace(r, metric_version=2) if r.metric == "identity" else r, "version of identity 1 → 2"),
        (lambda r: replace(r, protocol_hash="e" * 64), "protocol hash 0123456789ab → eeeeeeeeeeee"),
        (lambda r: replace(r, generator_sha="e" * 64), "generator fingerprint ffffffffffff → eeeeeeeeeeee"),
        (lambda r: replace(r, suite_version=2), "suite version 1 → 2"),
        (
            lambda r: replace(r, judge_sha="9" * 16) if r.judge.startswith("identity") else r,
            "judge of identity identity[toy-identity] bbbbbbbbbbbb → identity[toy-identity] 999999999999",
        ),
    ],
)
def test_another_protocol_is_refused(small, edit, reason):
    toy, entries = small
    old = Side.of(toy.results(entries), "OLD")
    found = compare(old, table_alone(old, edit))
    (group,) = found.groups
    assert group.state == "different protocol" and reason in group.reasons
    assert not found.changes and not found.missing and not found.added
    assert found.refused[0].numbers == sum(1 for r in old.records if r.point in ("effect_0.5", "summary") and r.value is not None)
    assert found.exit_code() == 2 == found.exit_code("never")


def test_the_settings_behind_a_hash_are_said(small, toys):
    toy, entries = small
    other = toys.Toy(n=50, seed=4)
    results = other.results({ENTRIES[0]: other.entry(1)})
    results = replace(results, records=[replace(r, protocol_hash="e" * 64) for r in results.records])
    (group,) = compare(Side.of(toy.results(entries), "OLD"), Side.of(results, "NEW")).groups
    assert {"seed 3 → 4", "test_codes 40 → 50"} <= set(group.reasons)
    old = Side.of(toy.results(entries), "OLD")
    (group,) = compare(table_alone(old, name="OLD"), table_alone(old, lambda r: replace(r, protocol_hash="e" * 64))).groups
    assert any("nothing in these files says" in reason for reason in group.reasons)


def test_groups_are_paired_by_their_hashes(small):
    """A table may hold several protocols; what both hold is compared, and the rest is in one of them alone."""
    toy, entries = small
    records = toy.results(entries).records
    under = lambda name: [replace(r, protocol_hash=name * 64) for r in records]  # noqa: E731
    found = compare(Side("OLD", under("a") + under("b")), Side("NEW", under("b") + under("c")))
    assert [(g.protocol_hash[0], g.state) for g in found.groups] == [
        ("b", "same protocol"), ("a", "only in OLD"), ("c", "only in NEW"),
    ]  # fmt: skip
    assert found.missing and found.added and found.exit_code() == 0 and found.exit_code("missing") == 1


def test_another_version_of_a_method_is_another_method(small):
    toy, entries = small
    old = Side.of(toy.results(entries), "OLD")
    new = table_alone(old, lambda r: replace(r, method_version=2) if r.method == "beta" else r)
    found = compare(old, new)
    assert [(one.entry, one.reasons) for one in found.refused] == [(("beta", "x=1"), ("method version 1 → 2",))]
    assert {one.new.method for one in found.changes} == {"alpha"} and found.exit_code() == 2


def test_no_longer_reaching_is_worse(small):
    """With arrays, by the bootstrap; whatever the number of replicates of the settings leaves possible."""
    toy, entries = small
    lower = changed(entries[ENTRIES[0]], effect=lambda x: 0.25 * x)
    found = sides(toy, entries, {**entries, ENTRIES[0]: lower})
    one = find(found.changes, method="alpha", metric="leakage", sign="+", target="smile")
    assert (one.old.status, one.new.status, one.verdict, one.how) == ("ok", "unreached", "worse", "paired")
    assert one.difference.diff == float("inf") and one.p_holm <= 0.05
    assert find(found.changes, method="alpha", metric="reach", sign="+", target="smile").verdict == "worse"
    assert {o.verdict for o in found.changes if o.new.method == "beta"} == {"same"}
    back = sides(toy, {**entries, ENTRIES[0]: lower}, entries)
    assert find(back.changes, method="alpha", metric="leakage", sign="+", target="smile").verdict == "better"
    nowhere = sides(toy, {ENTRIES[0]: lower}, {ENTRIES[0]: changed(lower, identity=lambda x: 0.9 * x)})
    assert find(nowhere.changes, metric="identity", sign="+").verdict == "same"  # both unreached: they tie


def test_few_replicates_are_made_more_where_counting_needs_them(toys):
    toy = toys.Toy(replicates=50)
    rows = toy.entry(1)
    found = sides(toy, {ENTRIES[0]: rows}, {ENTRIES[0]: changed(rows, effect=lambda x: 0.25 * x)})
    one = find(found.changes, metric="identity", sign="-")
    assert one.verdict == "worse" and one.difference.p < 2 / 51


def test_a_level_that_is_hardly_reached_is_not_told(toys):
    toy = toys.Toy()
    rows = toy.entry(1, gain=0.168)
    old, new = toy.results({ENTRIES[0]: rows}), toy.results({ENTRIES[0]: changed(rows, effect=lambda x: 0.985 * x)})
    found = compare(Side.of(old, "OLD"), Side.of(new, "NEW"))
    lost = [one for one in found.changes if (one.old.status, one.new.status) == ("ok", "unreached") and one.headline]
    assert lost and {one.verdict for one in lost} == {"cannot tell"}


def test_no_longer_reaching_by_the_tables_alone(small):
    toy, entries = small
    old = Side.of(toy.results(entries), "OLD")
    gone = lambda r: replace(r, value=None, ci_low=None, ci_high=None, status="unreached")  # noqa: E731
    new = table_alone(old, lambda r: gone(r) if r.point == "effect_0.5" and r.method == "alpha" else r)
    found = compare(old, new)
    one = find(found.changes, method="alpha", metric="leakage", sign="+")
    assert (one.verdict, one.how) == ("worse", "reached or not") and found.exit_code() == 1
    assert find(compare(new, old).changes, method="alpha", metric="leakage", sign="+").verdict == "better"
    changes = [o for o in found.changes if o.new.metric == "attribute_change" and o.new.status == "unreached"]
    assert changes and {o.verdict for o in changes} == {"cannot tell"}
    # OLD's own interval says that some of its resamples do not reach the level either.
    unsure = table_alone(old, lambda r: replace(r, ci_high=float("inf")) if r.metric == "leakage" else r, "OLD")
    assert find(compare(unsure, new).changes, method="alpha", metric="leakage", sign="+").verdict == "cannot tell"

    # NEW's reach fell, and its interval does not say that the level is lost; then one that does.
    for high, verdict in ((0.6, "cannot tell"), (0.45, "worse")):
        low = {"value": 0.4, "ci_low": 0.3, "ci_high": high}

        def fall(record, low=low):
            if record.method == "alpha" and record.metric == "leakage" and not record.sign:
                return gone(record)
            return replace(record, **low) if record.method == "alpha" and record.metric == "reach" else record

        near = table_alone(new, fall)
        assert find(compare(old, near).changes, method="alpha", metric="leakage", sign="+").verdict == verdict
        assert find(compare(old, near).changes, method="alpha", metric="leakage", sign="").verdict == verdict


def test_tables_alone_are_compared_by_their_intervals(small):
    toy, entries = small
    old = Side.of(toy.results(entries), "OLD")

    def shift(record):
        if record.metric != "leakage" or record.point == "grid" or record.sign == "-":
            return record
        return replace(record, value=record.value + 1, ci_low=record.ci_low + 1, ci_high=record.ci_high + 1)

    found = compare(old, table_alone(old, shift))
    assert {(one.new.metric, one.how) for one in found.of("worse")} == {("leakage", "unpaired")} and len(found.of("worse")) == 4
    assert any("not paired, 4 numbers: NEW is a table alone" in note for note in found.notes)
    bare = table_alone(old, lambda r: replace(shift(r), ci_low=None, ci_high=None))
    found = compare(old, bare)
    assert not found.of("worse") and {(o.new.metric, o.how) for o in found.of("cannot tell")} == {("leakage", "no interval")}
    assert find(found.changes, metric="leakage", sign="+", method="alpha").difference.diff == pytest.approx(1)


def test_holm_is_over_the_headlines_of_the_whole_run(small):
    """One headline whose p is below 0.05 is worse where it alone changed, and not among the others that did."""
    toy, entries = small
    old = Side.of(toy.results(entries), "OLD")
    base = {"ci_low": -0.1, "ci_high": 0.1, "value": 0.0, "status": "ok"}
    flat = table_alone(old, lambda r: replace(r, **base) if r.headline else r, "OLD")
    step = 0.1 * np.sqrt(2) * 2.5758 / 1.95996

    at = lambda record, value: replace(record, value=value, ci_low=value - 0.1, ci_high=value + 0.1)  # noqa: E731

    def one(record):
        first = record.metric == "leakage" and record.sign == "+" and record.method == "alpha" and record.headline
        return at(record, step) if first else record

    def all_move(record):
        return at(record, 0.01) if record.headline and one(record) is record else one(record)

    alone, among = (compare(flat, table_alone(flat, edit)) for edit in (one, all_move))
    p = 2 * stats.t.sf(2.5758 / np.sqrt(41 / 39), 39)  # 0.016, of 40 codes
    assert [c.p_holm for c in alone.of("worse")] == [pytest.approx(p, rel=1e-3)]
    assert not among.of("worse", "better")
    assert [c.p_holm for c in among.changes if c.new.value == step] == [pytest.approx(24 * p, rel=1e-3)]  # 24 headlines


def test_tolerances(small):
    toy, entries = small
    lower = {**entries, ENTRIES[0]: changed(entries[ENTRIES[0]], identity=lambda x: x - 0.01)}
    place = dict(method="alpha", metric="identity", sign="+")
    verdict = lambda **how: find(sides(toy, entries, lower, **how).changes, **place).verdict  # noqa: E731
    assert verdict() == "worse"
    assert verdict(tolerances={"identity": 0.02}) == "same"
    assert verdict(tolerances={"identity": 0.005}) == "worse"
    assert verdict(tolerances={"leakage": 0.5}) == "worse"
    # A difference below the tolerance whose interval goes beyond it is neither the same nor worse.
    rng = np.random.default_rng(1)
    rough = changed(entries[ENTRIES[0]], identity=lambda x: x - 0.02 + 0.02 * rng.standard_normal((len(x), 1)))
    found = sides(toy, entries, {**entries, ENTRIES[0]: rough})
    one = find(found.changes, **place)
    assert one.verdict == "worse"
    held = sides(toy, entries, {**entries, ENTRIES[0]: rough}, tolerances={"identity": abs(one.difference.diff) + 1e-4})
    assert find(held.changes, **place).verdict == "cannot tell"
    with pytest.raises(InputError, match="unknown metric in these results 'leekage': did you mean leakage"):
        sides(toy, entries, entries, tolerances={"leekage": 0.1})
    with pytest.raises(InputError, match="tolerance of leakage must be a number from 0 up"):
        sides(toy, entries, entries, tolerances={"leakage": -0.1})


def test_missing_new_and_failed(small, toys):
    toy, entries = small
    old = Side.of(toy.results(entries), "OLD")
    lost = compare(old, table_alone(old, lambda r: None if r.method == "beta" else r))
    numbers = len(lost.missing)
    assert numbers == len(lost.changes) and {one.reason for one in lost.missing} == {"not in the file"}
    assert [lost.exit_code(one) for one in ("worse", "missing", "changed", "never")] == [0, 1, 1, 0]
    more = compare(table_alone(old, lambda r: None if r.method == "beta" else r, "OLD"), old)
    assert len(more.added) == numbers and not more.missing
    assert [more.exit_code(one) for one in ("worse", "missing", "changed", "never")] == [0, 0, 1, 0]
    whole = replace(old.records[-1], metric="", point="", target="", sign="", attribute="", value=None, protocol_hash="")
    crash = replace(whole, method="beta", variant="x=1", status="error", reason="MemoryError: 4 GB")
    left = [r for r in old.records if r.method != "beta"]
    failed = compare(old, Side("NEW", [*left, crash]))
    assert {one.reason for one in failed.missing} == {"error: MemoryError: 4 GB"} and len(failed.failed) == numbers
    assert failed.exit_code() == 1 and failed.exit_code("never") == 0
    skipped = compare(old, Side("NEW", [*left, replace(crash, status="skipped", reason="no mapping")]))
    assert not skipped.failed and skipped.exit_code() == 0


def test_nothing_in_common(small):
    toy, entries = small
    old = Side.of(toy.results(entries), "OLD")
    found = compare(old, table_alone(old, lambda r: replace(r, generator="another")))
    assert [one.state for one in found.groups] == ["only in NEW", "only in OLD"] and found.exit_code() == 2


@pytest.mark.parametrize("what", ["codes", "seed", "fits"])
def test_what_does_not_belong_together_is_not_paired(small, toys, what):
    toy, entries = small
    entries = {ENTRIES[0]: entries[ENTRIES[0]]}
    old, lower = toy.results(entries), {ENTRIES[0]: changed(entries[ENTRIES[0]], identity=lambda x: x - 0.01)}
    if what == "codes":
        new, why = toy.results(lower, ids=np.arange(40) + 1), "other test codes"
    elif what == "fits":
        new, why = toys.Toy(fits=2).results({ENTRIES[0]: [*lower.values()] * 2}), "other fits (0 and 0+1)"
    else:
        new, why = toys.Toy(seed=5).results(lower), "the runs' seeds differ"
    found = compare(Side.of(old, "OLD"), Side.of(new, "NEW"))
    identity = [one for one in found.changes if one.new.metric == "identity"]
    assert {one.how for one in identity} == {"unpaired"} and {one.note for one in identity} == {why}
    assert any(note.endswith(why) for note in found.notes)


def test_the_order_of_codes_does_not_matter(small):
    toy, entries = small
    turned = np.arange(40)[::-1]
    new = toy.results({entry: toy.pick(rows, turned) for entry, rows in entries.items()}, ids=turned)
    found = compare(Side.of(toy.results(entries), "OLD"), Side.of(new, "NEW"))
    assert {one.verdict for one in found.changes} == {"same"}


def test_fits_are_resampled_together_with_codes(toys):
    toy = toys.Toy(fits=3)
    fits = [toy.entry(i) for i in range(3)]
    found = sides(toy, {ENTRIES[0]: fits}, {ENTRIES[0]: [changed(one, identity=lambda x: x - 0.05) for one in fits]})
    worse = found.of("worse")
    assert {one.new.metric for one in worse} == {"identity"} and {one.how for one in worse} == {"paired"}
    assert all(-0.06 < one.difference.low <= one.difference.high < -0.045 for one in worse)


def test_files_that_disagree_are_not_trusted(small):
    """Arrays changed under a table that was not: the numbers are neither the same nor told apart, and the exit code says so."""
    toy, entries = small
    old = Side.of(toy.results(entries), "OLD")
    lower = toy.results({**entries, ENTRIES[0]: changed(entries[ENTRIES[0]], identity=lambda x: 0.95 * x)})
    torn = replace(lower, records=old.records)
    found = compare(old, Side.of(torn, "NEW"))
    one = find(found.changes, method="alpha", metric="identity", sign="+")
    assert (one.verdict, one.note) == ("cannot tell", model.CONTRADICTION) and found.exit_code() == 2
    assert any("samples.npz does not repeat" in note for note in found.notes)
    assert find(found.changes, method="alpha", metric="leakage", sign="+").verdict == "same"
    # Where another version of the code wrote them, it may read them differently: then the tables are what there is.
    records = [replace(r, code_version="0.0.1") for r in old.records]
    found = compare(Side.of(replace(old.results, records=records), "OLD"), Side.of(replace(torn, records=records), "NEW"))
    one = find(found.changes, method="alpha", metric="identity", sign="+")
    assert one.verdict == "same" and found.exit_code() == 0


def test_a_task_without_readings_is_compared_by_its_tables(small):
    toy, entries = small
    results = toy.results(entries)
    other = lambda r: replace(r, records=[replace(one, task="shift") for one in r.records])  # noqa: E731
    lower = toy.results({**entries, ENTRIES[0]: changed(entries[ENTRIES[0]], identity=lambda x: 0.5 * x)})
    found = compare(Side.of(other(results), "OLD"), Side.of(other(lower), "NEW"))
    assert {one.how for one in found.of("worse")} == {"unpaired"}
    assert any("nothing repeats the readings of task shift" in note for note in found.notes)


def test_arrays_that_cannot_be_read_are_said(small):
    toy, entries = small
    old, new = (
        toy.results(entries),
        toy.results({**entries, ENTRIES[0]: changed(entries[ENTRIES[0]], identity=lambda x: 0.9 * x)}),
    )
    new.cells[0].arrays["smile/+/identity"] = np.zeros((3, 2))
    found = compare(Side.of(old, "OLD"), Side.of(new, "NEW"))
    assert any("arrays that the task cannot read (ValueError" in note for note in found.notes)
    assert find(found.changes, method="alpha", metric="identity", sign="+").how == "unpaired"
    assert {one.how for one in found.changes if one.new.method == "beta"} == {"equal"}


def test_a_number_may_stand_once(small):
    toy, entries = small
    old = Side.of(toy.results(entries), "OLD")
    with pytest.raises(InputError, match=r"NEW holds leakage of alpha at effect_0.5, smile \+ twice"):
        compare(old, Side("NEW", [*old.records, *(r for r in old.records if r.metric == "leakage")]))


@pytest.mark.parametrize("field", ["value", "ci_low"])
def test_what_is_no_number_is_refused(small, field):
    toy, entries = small
    old = Side.of(toy.results(entries), "OLD")
    with pytest.raises(InputError, match="NEW holds what is no number: reach of alpha at summary"):
        compare(old, table_alone(old, lambda r: replace(r, **{field: float("nan")}) if r.metric == "reach" else r))


def test_a_folder_is_read_with_what_it_kept(small, tmp_path):
    toy, entries = small
    folder = toy.folder(entries, tmp_path / "run")
    whole = read_side(folder)
    assert whole.results is not None and whole.run["suite"]["name"] == "toys"
    alone = read_side(folder / "results.csv")
    assert alone.results is None and "table alone" in alone.why_not
    found = compare(whole, alone)
    assert {one.verdict for one in found.changes} == {"same"} and found.exit_code() == 0
    (folder / "samples.npz").unlink()
    assert "keeps no samples.npz" in read_side(folder).why_not and read_side(folder).run["suite"]["seed"] == 3
    with pytest.raises(InputError, match="there is nothing at"):
        read_side(tmp_path / "nowhere")
    torn = toy.folder(entries, tmp_path / "torn")
    (torn / "run.json").write_text((torn / "run.json").read_text().replace('"tasks"', '"task"'))
    with pytest.raises(InputError, match="run.json is not what `latentbench run` writes: KeyError: 'tasks'"):
        read_side(torn)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no results at"):
        read_side(tmp_path / "empty")
    header = (folder / "results.csv").read_text().splitlines()[0]
    (folder / "results.csv").write_text(header + "\n")
    with pytest.raises(InputError, match="holds no rows"):
        read_side(folder)
