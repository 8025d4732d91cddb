"""GANSpace against the official code's figures, exact PCA, and its failures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from bench.codes import Codes
from bench.errors import InputError
from methods.base import Request
from methods.editors import DirectionEditor
from methods.unsupervised.ganspace import (
    GANSpace,
    activation_directions,
    batch_rows,
    incremental_pca,
    parse_range,
    regress,
    spread,
    standardised,
)


@pytest.mark.parametrize("run,n", [("w_ipca", 6000), ("w_ipca_tail", 6050)])
def test_components_of_w_are_the_official_ones(golden, run, n):
    data = golden("ganspace")
    pca = incremental_pca(lambda a, b: data["w_pool"][a:b], n, 6)
    official = data[f"{run}/lat_comp"][:, 0]
    assert (np.abs((pca.components_ * official).sum(1)) > 1 - 1e-6).all()
    assert np.abs(pca.mean_ - data[f"{run}/lat_mean"][0]).max() < 1e-6
    np.testing.assert_allclose(np.sqrt(pca.explained_variance_), data[f"{run}/act_stdev"], rtol=1e-6)
    np.testing.assert_allclose(pca.explained_variance_ratio_, data[f"{run}/var_ratio"], rtol=1e-6)
    if run == "w_ipca":
        np.testing.assert_allclose(spread(data["w_lat_stdev_samples"], official), data["w_ipca/lat_stdev"], rtol=2e-6)


def test_directions_through_activations_are_the_official_ones(golden, toy):
    data = golden("ganspace")
    generator = toy(weights=data, rows=6)

    class Stored:
        """The stored samples in place of streams."""

        pools = {"pca": data["z_pool"], "regression": data["z_regression_samples"]}

        def codes(self, stream, start, stop):
            values = torch.from_numpy(self.pools[stream][start:stop])
            return Codes("z", values, torch.arange(len(values)))

        def activations(self, codes, layer):
            return generator.features(codes, [layer])[layer].flatten(1).numpy()

    pca, directions = activation_directions(Stored(), "conv", 6000, 6)
    assert (np.abs((pca.components_ * data["act_ipca/act_comp"].reshape(6, -1)).sum(1)) > 1 - 1e-6).all()
    assert (np.abs((directions * data["act_ipca/lat_comp"][:, 0]).sum(1)) > 1 - 1e-6).all()
    np.testing.assert_allclose(np.sqrt(pca.explained_variance_), data["act_ipca/act_stdev"], rtol=1e-5)


@pytest.mark.parametrize("name,component,rows,sigma,frames", [("c0_all", 0, "all", 2.0, 5), ("c1_layers1-3", 1, "1:3", 3.0, 4)])
def test_edits_are_the_official_ones(golden, toy, name, component, rows, sigma, frames):
    data = golden("ganspace")
    generator = toy(weights=data, rows=6)
    directions = torch.from_numpy(data["w_ipca/lat_comp"][:, 0])
    scale = torch.from_numpy(data["w_ipca/lat_stdev"])
    editor = DirectionEditor(generator, directions, tuple("012345"), "w+", rows=parse_range(rows, 6), scale=scale)
    path = editor.path(Codes("w", torch.from_numpy(data["edit/latents"]), torch.arange(2)), [Request(str(component))])
    strip = torch.stack([path.at(s).codes.values for s in np.linspace(-sigma, sigma, frames)], 1)
    torch.testing.assert_close(strip, torch.from_numpy(data[f"edit/{name}"]), rtol=0, atol=5e-6)


def test_fitted_components_are_an_exact_pca_of_the_codes(context):
    ctx = context(budget=4)
    editor = GANSpace(num_samples=20_000).fit(ctx).editor
    torch.testing.assert_close(editor.directions @ editor.directions.T, torch.eye(4), rtol=0, atol=1e-5)
    w = ctx.generator.convert(ctx.generator.sample(torch.arange(40_000, 60_000), seed=9), "w").values.double()
    variances, vectors = torch.linalg.eigh(torch.cov(w.T))
    cosine = (editor.directions.double() * vectors.T.flip(0)[:4]).sum(1).abs()
    assert (cosine > 0.97).all(), cosine
    torch.testing.assert_close(editor.scale.double(), variances.flip(0)[:4].sqrt(), rtol=0.05, atol=0)
    assert (editor.scale.diff() < 0.05).all()


def test_leading_components_spread_the_codes_more_than_random_directions(context):
    from methods.baselines.random_directions import RandomDirections

    ctx = context()
    pca = GANSpace(num_samples=4000).fit(ctx).editor.scale
    assert pca.mean() > 1.3 * RandomDirections().fit(ctx).editor.scale.mean()


def test_the_stream_is_its_own_and_follows_the_seed(context):
    one, same, other = (GANSpace(num_samples=4000).fit(context(seed=s)).editor.directions for s in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert (one * other).sum(1).abs()[0] > 0.95


def test_layer_ranges_are_half_open_and_leave_other_rows_alone(context, codes):
    ctx = context()
    editor = GANSpace(num_samples=2000, layers="1:3").fit(ctx).editor
    assert (editor.space, editor.rows) == ("w+", (1, 2))
    before = codes(ctx.generator, space="w+").values
    after = editor.path(codes(ctx.generator), [Request("0")]).at(2.0).codes.values
    assert torch.equal(after[:, [0, 3]], before[:, [0, 3]])
    step = 2 * editor.scale[0] * editor.directions[0]
    torch.testing.assert_close((after - before)[:, 1], step.expand(5, -1), rtol=1e-4, atol=1e-5)


def test_activations_give_directions_in_z_that_follow_the_components(context, codes):
    ctx = context(budget=2)
    fitted = GANSpace(space="z", layer="conv", num_samples=2000, components=6).fit(ctx)
    assert fitted.editor.space == "z" and torch.equal(fitted.editor.scale, torch.ones(2))
    torch.testing.assert_close(fitted.editor.directions.norm(dim=1), torch.ones(2))
    features = ctx.generator.features(codes(ctx.generator, n=2000), ["conv"])["conv"].flatten(1)
    _, _, exact = torch.linalg.svd(features - features.mean(0), full_matrices=False)
    both = torch.cat([features @ exact[:2].T, codes(ctx.generator, n=2000).values @ fitted.editor.directions.T], 1)
    related = torch.corrcoef(both.T)[:2, 2:].abs()
    assert (related.diag() > 0.5).all() and (related.diag() > 2 * related.flip(0).diag()).all(), related


def test_regression_finds_a_linear_map():
    rng = np.random.default_rng(0)
    coordinates, truth = rng.standard_normal((500, 3)), rng.standard_normal((3, 7))
    found = regress([(part, part @ truth) for part in (coordinates[:300], coordinates[300:])])
    np.testing.assert_allclose(found, truth / np.linalg.norm(truth, axis=1, keepdims=True), atol=1e-10)


def test_standardised_coordinates_have_unit_spread():
    x = np.random.default_rng(0).standard_normal((2000, 5)) * [1, 2, 3, 4, 5] + 7
    coordinates = standardised(x, incremental_pca(lambda a, b: x[a:b], 2000, 4))
    np.testing.assert_allclose(coordinates.std(0, ddof=1), 1, rtol=1e-10)
    np.testing.assert_allclose(coordinates.mean(0), 0, atol=1e-10)


def test_restored_is_fitted(context, codes):
    ctx, method = context(), GANSpace(num_samples=2000, layers="0:2")
    fitted = method.fit(ctx)
    again = method.restore(ctx, fitted.state())
    one, two = (f.editor.path(codes(ctx.generator), [Request("2")]).at(-1.0).codes.values for f in (fitted, again))
    assert torch.equal(one, two) and again.tables == fitted.tables


def test_batches_cover_what_the_official_code_covers():
    assert [batch_rows(k) for k in (6, 80, 1000)] == [2000, 2000, 3000]
    seen = []
    incremental_pca(lambda a, b: seen.append((a, b)) or np.random.default_rng(a).standard_normal((b - a, 3)), 4001, 2)
    assert seen == [(0, 2000), (2000, 4000), (4000, 6000)]


def test_bad_requests_end_in_one_line(context, domain, toy):
    with pytest.raises(InputError, match="unknown layers '2:5': this generator has the layers 0 to 3"):
        GANSpace(layers="2:5").fit(context())
    with pytest.raises(InputError, match="unknown layer of toy 'cnov': did you mean conv"):
        GANSpace(layer="cnov", num_samples=2000).fit(context())
    with pytest.raises(InputError, match="a PCA of 3 components cannot offer 4"):
        GANSpace(num_samples=2000, components=3).fit(context(budget=4))
    with pytest.raises(InputError, match="budget of -1"):
        GANSpace(num_samples=2000).fit(context(budget=-1))
    bare = toy(layered=False).info
    assert GANSpace(layers="0:1").supports(bare, domain) == "toy has no layers to choose from"
    assert GANSpace(layer="conv").supports(bare, domain) == "toy has no feature maps"
    assert GANSpace(space="w+").supports(toy().info, domain).startswith("toy has no space w+")
    for bad in ("1-3", "3:3", "a:b", "-1:2", ""):
        with pytest.raises(ValidationError):
            GANSpace(layers=bad)
