"""The table of costs: means over fits and targets, nothing where nothing says; fit times come from the file beside the run."""

from dataclasses import replace

import pytest

from bench.errors import InputError
from bench.fit_times import FILE, FitTime, as_csv
from leaderboards.costs import costs, costs_csv, costs_table, fit_times_table


@pytest.fixture
def results(toys):
    toy = toys.Toy(targets=("smile", "age"), fits=2)
    found = toy.results({("slow", "steps=2,rate=1"): [toy.entry(1), toy.entry(2)], ("random", ""): [toy.entry(3)]})
    spent = {("slow", 0): (1.0, 2.0, 8000, 500.0), ("slow", 1): (3.0, 4.0, 9000, 700.0), ("random", 0): (0.0, 1.0, None, None)}
    cells = []
    for cell in found.cells:
        fit, whole, calls, peak = spent[cell.card["name"], cell.card["fit_seed"]]
        cells.append(replace(cell, fit_seconds=fit, seconds=whole, fit_guide_calls=calls, peak_mb=peak))
    keys = [f"{target}/{sign}" for target, sign in toy.questions]
    assert found.records and len(keys) == 4
    records = [replace(r, seconds=0.25 if r.target == "smile" else 0.75) if r.metric == "seconds_per_edit" else r
               for r in found.records]  # fmt: skip
    return replace(found, records=records, cells=cells)


def test_a_row_for_each_entry(results):
    slow, floor = costs(results)
    assert (slow["method"], slow["fits"], slow["fit_seconds"], slow["guide_calls_per_fit"]) == ("slow", 2, 2.0, 8500)
    assert slow["edits_per_second"] == pytest.approx(2.0) and slow["peak_mb"] == 700 and slow["seconds"] == 10.0
    assert floor["guide_calls_per_fit"] is None and floor["peak_mb"] is None and floor["guide_calls_per_edit"] is None
    header, first, second = costs_csv([slow, floor]).splitlines()
    assert '"steps=2,rate=1"' in first and first.endswith(",2,2,8500,2,,700,10") and second.endswith("random,,1,0,,2,,,1")
    table = costs_table([slow, floor]).splitlines()
    assert len(table) == 4 and "| 2.0 | 8500 | 2 | – | 700 | 10.0 |" in table[2] and "| – |" in table[3]
    assert costs_table([]) == "No cell was computed."


def test_fit_times_are_shown_by_size(tmp_path):
    assert fit_times_table(tmp_path) == ""
    common = dict(generator="g", variant="", threads=1, device="cpu")
    rows = [
        FitTime(method="svm", bank=1000, seconds=0.5, draws=True, **common),
        FitTime(method="svm", bank=2000, seconds=1.25, draws=True, **common),
        FitTime(method="pca", bank=1000, seconds=2.0, draws=False, **common),
        FitTime(method="pca", bank=2000, seconds=None, draws=False, reason="too few", **common),
    ]
    (tmp_path / FILE).write_text(as_csv(rows))
    text = fit_times_table(tmp_path)
    assert "cpu, 1 thread(s)" in text and "| 1,000 | 2,000 |" in text
    assert "| g | svm | 0.50 | 1.25 | yes |" in text and "| g | pca | 2.00 | too few | no |" in text
    (tmp_path / FILE).write_text("bank,seconds\nmany,2\n")
    with pytest.raises(InputError, match="cannot be read"):
        fit_times_table(tmp_path)
