"""Locality, reversibility and order in the report."""

from types import SimpleNamespace

from bench.records import Record
from leaderboards.pages.beside import beside


def record(metric, value, method="a", target="smile", sign="+", point="effect_0.5", **fields):
    known = {"task": "editing", "generator": "g", "method": method, "target": target, "sign": sign, "point": point, "n": 16}
    return Record(**{**known, "metric": metric, "value": value, "judge": "segmentation[j]", **fields})


def test_locality_stands_beside_an_even_change():
    records = [
        record("leakage", 0.1, headline=True), record("locality", 0.5, ci_low=0.4, ci_high=0.6),
        record("locality", 0.9, point="effect_1"), record("region_share", 0.1),
        record("locality", None, "b", status="unreached"), record("region_share", 0.2, "c"),
    ]  # fmt: skip
    text = beside(SimpleNamespace(records=records), "g")
    assert "| a | 0.500 [0.400, 0.600] |" in text and "| b | unreached |" in text and "0.900" not in text
    assert "| *a change spread evenly* | 0.100 to 0.200 |" in text and "n = 16 codes" in text


def test_what_holds_by_construction_is_no_finding():
    place = {"point": "summary", "judge": "perceptual[j]"}
    records = [
        record("reversibility", 0.0, reason="by construction: the code itself returns", **place),
        record("reversibility", 0.2, "b", ci_low=0.1, ci_high=0.3, **place),
        record("order_consistency", 0.0, target="smile>age", reason="by construction: the same", **place),
    ]
    text = beside(SimpleNamespace(records=records), "g")
    assert "no finding: a." in text and "| b | 0.200 [0.100, 0.300] |" in text and "| a |" not in text
    assert beside(SimpleNamespace(records=records), "other") == ""
