"""Fit times: each method at each size of the fit stream, made anew, with the reason where there is none."""

import csv
import io

import pydantic

from bench.errors import UnsupportedError
from bench.fit_times import as_csv, fit_times
from bench.store import Store


def test_every_method_at_every_size(toys):
    calls = []

    class Rows(toys.Axis):
        """Fails below 30 codes."""

        name = "rows"

        class Options(toys.Axis.Options):
            needed: int = pydantic.Field(30, ge=1)

        def fit(self, context):
            calls.append((len(context.bank), context.folder))
            assert context.bank.share is None  # nothing that another fit measured
            if len(context.bank) < self.options.needed:
                raise UnsupportedError(f"{len(context.bank)} codes are too few")
            return super().fit(context)

    class Blind(toys.Axis):
        name = "blind"

        def fit(self, context):
            raise ValueError("no\nidea")

    registry = toys.toy_registry()
    registry.add("methods", "rows", Rows)
    registry.add("methods", "blind", Blind)
    suite = toys.toy_suite(methods=("axis", "rows", "blind"), fit_seeds=3)
    store = Store()
    found = fit_times(suite, [20, 40], registry=registry, store=store)
    again = fit_times(suite, [20, 40], registry=registry, store=store)
    assert [(one.method, one.bank) for one in found] == [(name, n) for n in (20, 40) for name in ("axis", "rows", "blind")]
    by = {(one.method, one.bank): one for one in found}
    assert by["axis", 20].seconds >= 0 and by["axis", 20].draws and not by["axis", 20].reason
    assert by["rows", 20].seconds is None and by["rows", 20].reason == "20 codes are too few"
    assert by["rows", 40].seconds is not None and by["blind", 40].reason == "ValueError: no idea" and not by["blind", 40].draws
    # Nothing is found in the store, and nothing goes on from a checkpoint.
    assert calls == [(20, None), (40, None)] * 2 and len(again) == len(found)
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert rows[1]["reason"] == "20 codes are too few" and rows[1]["seconds"] == "" and float(rows[0]["seconds"]) >= 0
