"""SeFa against the official code's figures, the property that defines it, and its failures."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.cards import GeneratorInfo, LayerInfo
from bench.errors import InputError
from methods.base import Request
from methods.unsupervised.sefa import SeFa, factorize, parse_rows, row_layers

CHOICES = ["all", "0-1", "2-5", "1,3, 6-7", "7"]
# The card of the golden generator: eight rows, an RGB layer on every odd one; the last feeds nothing else.
LAYERS = tuple(
    layer
    for r in range(8)
    for layer in (
        *((LayerInfo(f"synthesis.layer{r}", 4, 14, rows=(r,)),) if r < 7 else ()),
        *((LayerInfo(f"synthesis.output{r // 2}", 4, 3, is_rgb=True, rows=(r,)),) if r % 2 else ()),
    )
)
INFO = GeneratorInfo("g", "stylegan2", "d", 32, {"w": (24,), "w+": (8, 24)}, LAYERS)


@pytest.mark.parametrize("choice", CHOICES)
def test_directions_and_eigenvalues_are_the_official_ones(golden, choice):
    data = golden("sefa_stylegan2")
    rows = parse_rows(SeFa(layers=choice).options.layers, 8)
    assert rows == tuple(data[f"sefa/{choice}/layers"])
    weights = [torch.from_numpy(data[f"sd/{name}.style.weight"]) for name in row_layers(INFO, rows)]
    directions, eigenvalues = factorize(weights)
    official = torch.from_numpy(data[f"sefa/{choice}/eigenvalues_sorted"]).double()
    kept = official > 1e-4  # a narrow layer's zero eigenvalues span a space without a basis of its own
    assert kept.sum() == (8 if choice == "7" else 24)
    torch.testing.assert_close(eigenvalues[kept], official[kept], rtol=2e-6, atol=0)  # the official ones are float32
    assert ((eigenvalues - official).abs() / official[0]).max() < 2e-7
    assert (eigenvalues[~kept].abs() < 1e-6).all()
    cosine = (directions * torch.from_numpy(data[f"sefa/{choice}/boundaries_sorted"])).sum(1)[kept]
    assert (cosine > 0.9999999).all(), cosine


def test_all_takes_every_convolution_and_the_last_rgb_layer_only():
    assert row_layers(INFO, range(8)) == [f"synthesis.layer{r}" for r in range(7)] + ["synthesis.output3"]


@pytest.mark.parametrize("choice", CHOICES)
def test_an_edit_moves_the_official_rows(golden, toy, choice):
    """The official edit adds 2.0 times its first returned direction to the chosen layers."""
    from bench.codes import Codes
    from methods.editors import DirectionEditor

    data = golden("sefa_stylegan2")
    generator = toy(w_dim=24, rows=8)
    first = torch.from_numpy(data[f"sefa/{choice}/boundaries_as_returned"][:1])
    editor = DirectionEditor(generator, first, ("0",), "w+", rows=parse_rows(SeFa(layers=choice).options.layers, 8))
    before = Codes("w+", torch.from_numpy(data[f"edit/{choice}/code_before"]), torch.arange(3))
    after = editor.path(before, [Request("0")]).at(2.0).codes.values
    torch.testing.assert_close(after, torch.from_numpy(data[f"edit/{choice}/code_after"]), rtol=0, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), outputs=st.integers(2, 20), dimension=st.integers(2, 12))
def test_the_first_direction_has_the_largest_response_of_all_unit_directions(seed, outputs, dimension):
    draw = torch.Generator().manual_seed(seed)
    weights = [torch.randn(outputs, dimension, generator=draw) * s for s in (0.1, 3.0)]
    directions, eigenvalues = factorize(weights)
    torch.testing.assert_close(directions @ directions.T, torch.eye(dimension, dtype=torch.float64), rtol=0, atol=1e-10)
    normalised = torch.nn.functional.normalize(torch.cat(weights).double(), dim=1)
    response = (directions @ normalised.T).norm(dim=1)
    torch.testing.assert_close(response.square(), eigenvalues.clamp(min=0), rtol=1e-8, atol=1e-10)
    assert (response.diff() <= 1e-9).all()
    others = torch.nn.functional.normalize(torch.randn(200, dimension, generator=draw).double(), dim=1)
    assert (others @ normalised.T).norm(dim=1).max() <= response[0] + 1e-9


def test_the_scale_of_an_output_does_not_matter_and_dead_outputs_do_no_harm():
    weights = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    scaled = torch.cat([weights * torch.linspace(0.1, 50, 9)[:, None], torch.zeros(2, 5)])
    torch.testing.assert_close(factorize([scaled])[0], factorize([weights])[0], rtol=0, atol=1e-6)


def test_it_edits_the_chosen_rows_of_w_plus_alone(context, codes):
    ctx = context(budget=3)
    editor = SeFa(layers="1-2").fit(ctx).editor
    assert (editor.targets, editor.space, editor.rows) == (("0", "1", "2"), "w+", (1, 2))
    before = codes(ctx.generator, space="w+").values
    after = editor.path(codes(ctx.generator), [Request("1")]).at(4.0).codes.values
    assert torch.equal(after[:, [0, 3]], before[:, [0, 3]])
    assert not torch.equal(after[:, [1, 2]], before[:, [1, 2]])
    expected = factorize([ctx.generator.styles[1], ctx.generator.styles[2]])[0][:3].float()
    torch.testing.assert_close(editor.directions, expected)


def test_a_generator_without_w_plus_is_edited_in_w(context, toy, codes, domain):
    ctx = context(toy(layered=False))
    editor = SeFa().fit(ctx).editor
    assert (editor.space, editor.rows) == ("w", None)
    assert editor.path(codes(ctx.generator), [Request("0")]).at(1.0).codes.space == "w"
    assert SeFa(layers="0-1").supports(ctx.generator.info, domain) == "toy has no layers to choose from"
    assert SeFa().supports(GeneratorInfo("g", "a", "d", 4, {"z": (3,)}), domain) is None


def test_restored_is_fitted(context, codes):
    ctx, method = context(), SeFa(layers=[0, 3])
    fitted = method.fit(ctx)
    again = method.restore(ctx, fitted.state())
    one, two = (f.editor.path(codes(ctx.generator), [Request("2")]).at(-1.0).codes.values for f in (fitted, again))
    assert torch.equal(one, two) and again.tables == fitted.tables
    assert [row["component"] for row in fitted.tables["eigenvalues"]] == list("0123")


def test_layers_are_read_one_way(domain):
    assert SeFa(layers=[1, 3, "6-7"]).options == SeFa(layers="1,3, 6-7").options
    assert SeFa(layers="1,3, 6-7").variant == "layers=1+3+6-7"
    assert SeFa().variant == ""
    for bad in ("", "a", "3-1", "1-", "-1", [], "all+1", "1:3"):
        with pytest.raises(ValidationError):
            SeFa(layers=bad)


def test_bad_requests_end_in_one_line(context):
    with pytest.raises(InputError, match="unknown layers '2-4': this generator has the layers 0 to 3"):
        SeFa(layers="2-4").fit(context())
    with pytest.raises(InputError, match="budget of 0"):
        SeFa().fit(context(budget=0))
    ctx = context()
    ctx.generator.styles[0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="weights are not finite"):
        SeFa().fit(ctx)


def test_golden_choices_are_all_tested(golden):
    assert json.loads(str(golden("sefa_stylegan2")["meta"]))["layer_choices"] == CHOICES


class Chunked:
    """BigGAN's way: a code z of 8 is cut into two chunks of 4, and a layer meets one of them."""

    info = GeneratorInfo(
        "chunks", "biggan", "d", 8, {"z": (8,), "z+": (2, 4)}, (LayerInfo("a", 4, 3, rows=(0,)), LayerInfo("b", 8, 3, rows=(1,)))
    )
    weights = dict(zip("ab", torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0)), strict=True))

    def code_weights(self, space, layers=None):
        chosen = [name for name in "ab" if layers is None or name in layers]
        if space == "z+":
            return [self.weights[name] for name in chosen]
        return [torch.nn.functional.pad(self.weights[name], ((4, 0) if name == "b" else (0, 4))) for name in chosen]


@pytest.mark.parametrize(("layers", "space", "width"), [("all", "z", 8), ("1", "z+", 4)])
def test_chunks_of_a_code_are_edited_as_one_code_or_by_row(layers, space, width):
    fitted = SeFa(space="z", layers=layers).fit(SimpleNamespace(generator=Chunked(), budget=4))
    editor = fitted.editor
    assert (str(editor.space), editor.directions.shape) == (space, (4, width))
    weights = Chunked().code_weights(space, ["b"] if layers == "1" else None)
    assert torch.allclose(editor.directions, factorize(weights)[0][:4].float())
