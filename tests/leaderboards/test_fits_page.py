"""The report's part on what fits say of a generator: layers by attribute as a heat map, channels and regions as tables."""

from __future__ import annotations

import numpy as np
import pytest

from leaderboards.folder import Cell, Results
from leaderboards.pages.fits import matrix, page


def layer_row(attribute, layers, delta, *, edited=False):
    return {"attribute": attribute, "level": "parts", "layers": layers, "rows": "0+1", "resolutions": "4", "delta": delta,
            "ci_low": delta - 0.1, "ci_high": delta + 0.1, "random": 0.1, "share": None, "edited": edited, "n": 32,
            "n_failed": 0, "guide": "the-guide"}  # fmt: skip


def cell(method, variant, tables, seed=0):
    card = {"name": method, "version": 1, "approach": "supervised", "variant": variant, "space": "w+"}
    card |= {"fit_seed": seed, "hold": []}
    return Cell("editing", "toy", "", "toys", card, "ok", "", 0.0, 0.0, {}, tables)


def results(*cells):
    return Results([], list(cells), {"suite": {"tasks": {"editing": {}}, "generators": ["toy"]}})


@pytest.fixture
def layers():
    def make(value, edited=True):
        rows = [layer_row("glasses", "all", value), layer_row("glasses", "bottom", value, edited=edited),
                layer_row("glasses", "top", 0.1)]  # fmt: skip
        levels = [{"peak": "bottom", "top": 0.1, "n": 32, "bottom": 0.9, "level": "parts"}]  # in no order
        return {"layerwise_rescoring": rows, "layer_levels": levels}

    return make


def test_the_heat_map_is_the_mean_over_fits(layers):
    cells = [cell("higan", "", layers(1.0)), cell("higan", "", layers(2.0), seed=1)]
    attributes, names, values = matrix(cells, "delta")
    assert (attributes, names) == (["glasses"], ["all", "bottom", "top"])
    np.testing.assert_allclose(values, [[1.5, 1.5, 0.1]])
    text, files = page(results(*cells), "toy", None)
    assert list(files) == ["plots/editing-toy-layers.png"] and files["plots/editing-toy-layers.png"][:4] == b"\x89PNG"
    assert "n = 32 codes a fit" in text and "`the-guide` (a guide, not a judge)" in text and "stand in for them" in text
    assert "| parts | 0.900 | 0.100 | bottom | 32 |" in text and "the first of 2 fits" in text


def test_variants_that_differ_in_edited_rows_alone_share_a_panel(layers):
    both = results(cell("higan", "", layers(1.0)), cell("higan", "rows=all", layers(1.0, edited=False)))
    text, _ = page(both, "toy", None)
    assert text.count("share of the rise") == 1 and "rows=all" not in text


def test_channels_and_regions_are_tables():
    channel = {"attribute": "smile", "layer": "conv", "channel": 3, "effect": 0.25, "n": 8}
    tables = {"channels": [channel, {"attribute": "beard", "of": 0}]}
    tables["localised_counts"] = [{"region": "mouth", "n": 4, "channels": 7}]
    text, files = page(results(cell("stylespace", "", tables)), "toy", None)
    assert not files and "| smile | conv | 3 | – | 0.250 | 8 |" in text and "| beard | – | – | 0 | – | – |" in text
    assert "| mouth | 7 | 4 |" in text


def test_nothing_is_said_where_no_fit_has_such_a_table():
    assert page(results(cell("sefa", "", {"eigenvalues": [{"value": 1.0}]})), "toy", None) == ("", {})
