"""results.csv and samples.npz: exact round trips, stable bytes, order, damage."""

import csv
import io
import math
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import InputError
from bench.records import COLUMNS, Record
from leaderboards.records import (
    format_float,
    npz_bytes,
    read_npz,
    read_records,
    records_csv,
    sort_records,
    write_atomic,
    write_npz,
    write_records,
)

FULL = Record(
    suite="tiny", suite_version=2, protocol_hash="ab", task="editing", generator="g", generator_sha="cd", domain="d",
    method="m", method_version=3, approach="supervised", variant="space=z,hold=a+b", fit_seed="0", space="z", target="smile",
    sign="+", attribute="age", strength=1.25, point="grid", metric="leakage", headline=True, judge="attributes[j]",
    judge_sha="ef", value=0.25, ci_low=0.125, ci_high=0.5, ci_over="codes",
    n=64, n_failed=1, unit="sigma", higher_is_better=False, status="ok",
    reason='a "quoted", reason\nin two lines', seed=7, seconds=1.5, peak_mb=20.0, code_version="0.1",
)  # fmt: skip

_text = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
_float = st.none() | st.floats(allow_nan=False).map(lambda v: float(format_float(v)))
_record = st.builds(
    Record, generator=_text, variant=_text, reason=_text, strength=_float, value=_float, ci_low=_float, n=st.integers(0, 10**9),
    headline=st.booleans(), higher_is_better=st.none() | st.booleans(), status=st.sampled_from(["ok", "error", "skipped"]),
)  # fmt: skip


def test_every_column_survives_the_file(tmp_path):
    empty = Record()
    write_records([FULL, empty], tmp_path / "results.csv")
    assert sorted(read_records(tmp_path / "results.csv"), key=str) == sorted([FULL, empty], key=str)


@settings(max_examples=40, deadline=None)
@given(st.lists(_record, max_size=6))
def test_text_is_a_fixed_point_and_ignores_the_order(tmp_path_factory, records):
    text = records_csv(records)
    assert records_csv(records[::-1]) == text
    path = tmp_path_factory.mktemp("csv") / "results.csv"
    write_records(records, path)
    back = read_records(path)
    assert records_csv(back) == text
    assert back == sort_records(records)


def test_the_format_is_fixed():
    text = records_csv([replace(FULL, value=1 / 3, strength=-0.0, ci_low=None, reason="")])
    header, row = csv.reader(io.StringIO(text))
    cells = dict(zip(header, row, strict=True))
    assert tuple(header) == COLUMNS and "\r" not in text and text.endswith("\n")
    assert (cells["value"], cells["strength"], cells["ci_low"], cells["headline"]) == ("0.333333", "0", "", "true")
    assert cells["higher_is_better"] == "false"


@pytest.mark.parametrize(
    "value, text", [(None, ""), (0.0, "0"), (-0.0, "0"), (1e-7, "1e-07"), (123456789.0, "1.23457e+08"), (math.inf, "inf")]
)
def test_floats(value, text):
    assert format_float(value) == text


def test_strengths_and_fits_sort_as_numbers():
    rows = [replace(FULL, fit_seed=seed, strength=s) for seed in ("10", "2") for s in (10.0, 9.5, None)]
    assert [(r.fit_seed, r.strength) for r in sort_records(rows)] == [(s, v) for s in ("2", "10") for v in (None, 9.5, 10.0)]


def test_volatile_columns_do_not_move_rows():
    rows = [replace(FULL, strength=s, seconds=t) for s, t in ((1.0, 9.0), (2.0, 3.0))]
    other = [replace(FULL, strength=s, seconds=t) for s, t in ((2.0, 8.0), (1.0, 1.0))]
    strip = lambda text: [[c for n, c in zip(COLUMNS, row) if n != "seconds"] for row in csv.reader(io.StringIO(text))]  # noqa: E731
    assert strip(records_csv(rows)) == strip(records_csv(other))


def test_bad_files_are_refused_in_one_line(tmp_path):
    path = tmp_path / "results.csv"
    with pytest.raises(InputError, match="run a suite first"):
        read_records(path)
    path.write_text("suite,metric\na,b\n")
    with pytest.raises(InputError, match="missing"):
        read_records(path)
    write_records([FULL], path)
    path.write_text(path.read_text().replace(",64,", ",many,"))
    with pytest.raises(InputError, match="row 2"):
        read_records(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        read_records(path)


def test_npz_bytes_are_a_function_of_the_arrays(tmp_path):
    arrays = {"b/x": np.arange(6, dtype=np.float16).reshape(2, 3).T, "a=1,c": np.float32(2.5), "ids": np.array([3, 1])}
    data = npz_bytes(arrays)
    assert data == npz_bytes(dict(reversed(arrays.items())))
    assert {info.date_time for info in zipfile.ZipFile(io.BytesIO(data)).infolist()} == {(1980, 1, 1, 0, 0, 0)}
    write_npz(arrays, tmp_path / "samples.npz")
    back = read_npz(tmp_path / "samples.npz")
    assert back.keys() == arrays.keys()
    for key, array in arrays.items():
        assert back[key].dtype == np.asarray(array).dtype and np.array_equal(back[key], array)


def test_npz_holds_no_objects_and_reads_no_pickles(tmp_path):
    with pytest.raises(InputError, match="objects"):
        npz_bytes({"x": np.array([None, {}], dtype=object)})
    np.savez(tmp_path / "evil.npz", x=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="damaged"):
        read_npz(tmp_path / "evil.npz")
    whole = npz_bytes({"x": np.zeros(1000)})
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        read_npz(tmp_path / "half.npz")


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "results.csv"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(InputError, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["results.csv"]


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_atomic(tmp_path / "file" / "results.csv", b"")
