"""What the report says beside intervals over fits."""

from leaderboards.report import _fits_note
from metrics.fit_coverage import percentile_coverage


def test_few_fits_are_told_with_what_their_intervals_hold():
    alone = f"{100 * percentile_coverage(3).fits_alone:.0f} %"
    note = _fits_note({"codes", "codes+fits"}, 3)
    assert note.startswith(" and fits. Over 3 fits") and alone in note and not note.endswith(".")
    assert _fits_note({"blocks+fits"}, 3) == note


def test_one_fit_says_nothing_of_others():
    for over, fits in (({"codes"}, 1), ({"codes"}, 3), (set(), 1)):
        assert "nothing of other fits" in _fits_note(over, fits)
