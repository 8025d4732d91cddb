"""The renderer of heads: ranges, gradients, effects, maps."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.domains.heads import geometry
from bench.domains.heads.factors import CLASSES, FACTORS, INDEX, N_COLUMNS, NAMES, NUISANCE, sample_factors
from bench.domains.heads.renderer import Rendering, render

LOW = torch.tensor([f.low for f in FACTORS] + [0.0] * len(NUISANCE))
HIGH = torch.tensor([f.high for f in FACTORS] + [1.0] * len(NUISANCE))


def rows(n: int, seed: int = 0, **fixed: float) -> Tensor:
    drawn = sample_factors(torch.arange(n), seed=seed)
    for name, value in fixed.items():
        drawn[:, INDEX[name]] = value
    return drawn


def ends(name: str, n: int = 12) -> tuple[Rendering, Rendering]:
    """The same heads at both ends of a factor, with maps."""
    i = INDEX[name]
    with torch.no_grad():
        low, high = (render(rows(n, 5, **{name: float(end[i])}), maps=True) for end in (LOW, HIGH))
    return low, high


@pytest.fixture(scope="module")
def effects() -> dict[str, tuple[Rendering, Rendering]]:
    return {name: ends(name) for name in NAMES}


@pytest.mark.parametrize(("size", "supersample"), [(16, 1), (48, 1), (64, 2), (33, 3)])
def test_shapes_and_ranges(size, supersample):
    out = render(rows(3), size=size, supersample=supersample, maps=True)
    assert out.rgb.shape == (3, 3, size, size) and out.rgb.dtype == torch.float32
    assert -1 <= out.rgb.min() and out.rgb.max() <= 1 and out.rgb.std() > 0.2
    assert out.segmentation.shape == out.depth.shape == (3, size, size)
    assert out.segmentation.dtype == torch.int64
    assert torch.allclose(out.normals.norm(dim=1), torch.ones(3, size, size), atol=1e-3)


def test_maps_are_left_out_unless_asked_for():
    heads = rows(2)
    plain, full = render(heads), render(heads, maps=True)
    assert plain[1:] == (None, None, None)
    assert torch.equal(plain.rgb, full.rgb)


def test_named_factors_alone_have_nuisance_in_the_middle():
    heads = rows(2, **dict.fromkeys(NUISANCE, 0.5))
    assert torch.equal(render(heads).rgb, render(heads[:, : len(FACTORS)]).rgb)


def test_empty_batch():
    assert render(torch.zeros(0, N_COLUMNS)).rgb.shape == (0, 3, 64, 64)


def test_bad_rows_are_refused():
    with pytest.raises(ValueError, match="expected factors"):
        render(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="finite"):
        render(torch.full((2, N_COLUMNS), float("nan")))
    with pytest.raises(ValueError, match="floating"):
        render(torch.zeros(2, N_COLUMNS, dtype=torch.int64))


def test_a_picture_does_not_depend_on_its_batch():
    heads = rows(11)
    with torch.no_grad():
        together = render(heads, maps=True)
        for i in (0, 3, 10):
            alone = render(heads[i : i + 1], maps=True)
            # float32 sums of another order, made steeper by sharp edges: 0.006 of a grey level
            assert (together.rgb[i] - alone.rgb[0]).abs().max() < 5e-5
            assert (together.depth[i] - alone.depth[0]).abs().max() < 5e-5
            assert torch.equal(together.segmentation[i], alone.segmentation[0])


@pytest.mark.parametrize("output", ["rgb", "depth", "normals"])
def test_gradients_match_central_differences(output):
    heads = rows(4, 1, glasses=0.4, beard=0.6).double()
    weight = F.avg_pool2d(torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(0)).double(), 9, 1, 4)

    def score(x: Tensor) -> Tensor:
        return (getattr(render(x, size=32, maps=True), output) * (weight[0] if output == "depth" else weight)).flatten(1).sum(1)

    variable = heads.clone().requires_grad_()
    (slope,) = torch.autograd.grad(score(variable).sum(), variable)
    assert torch.isfinite(slope).all()
    paints = {"warmth", "light", "skin_tone", "hair_colour", "background", *NUISANCE, "smile", "eye_open", "eye_spacing"}
    for name in NAMES + NUISANCE:
        step = torch.zeros(N_COLUMNS).double()
        step[INDEX[name]] = 1e-5 * (HIGH - LOW)[INDEX[name]]
        with torch.no_grad():
            difference = (score(heads + step) - score(heads - step)) / (2 * step.sum())
        error = (slope[:, INDEX[name]] - difference).abs().sum()
        assert error <= 0.01 * difference.abs().sum() + 1e-6, name
        if output == "rgb" or name not in paints | {"beard"}:
            assert difference.abs().sum() > 0, name


def test_rendering_under_inference_mode_leaves_gradients_usable():
    geometry.windows.cache_clear()
    with torch.inference_mode():
        render(rows(1), size=24)
    variable = rows(1).requires_grad_()
    render(variable, size=24).rgb.square().sum().backward()
    assert torch.isfinite(variable.grad).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_factor_changes_the_picture(effects, name):
    """At least 4 % of the pixels change by more than 0.15 of [-1, 1] in some channel, on the average head."""
    low, high = effects[name]
    changed = ((low.rgb - high.rgb).abs().amax(1) > 0.15).float().mean((1, 2))
    assert changed.mean() > 0.04
    assert changed.min() > 0.005


@pytest.mark.parametrize("name", NAMES)
def test_change_lies_in_the_declared_region(effects, name):
    low, high = effects[name]
    change = (low.rgb - high.rgb).abs().amax(1)
    region = torch.zeros_like(change, dtype=torch.bool)
    for kind in FACTORS[INDEX[name]].region:
        region |= (low.segmentation == CLASSES.index(kind)) | (high.segmentation == CLASSES.index(kind))
    region = F.max_pool2d(region.float()[:, None], 3, 1, 1)[:, 0]
    assert (change * region).sum() > 0.9 * change.sum()


@pytest.mark.parametrize("name", ["glasses", "beard"])
def test_opacity_is_continuous_and_clamped(name):
    opacity = torch.linspace(-0.5, 1.5, 41)
    heads = rows(1).repeat(41, 1)
    heads[:, INDEX[name]] = opacity
    picture = render(heads).rgb
    steps = (picture[1:] - picture[:-1]).abs().flatten(1).amax(1)
    assert steps.max() < 0.2  # a twentieth of the way, of at most 2
    assert (steps[:9] < 1e-4).all() and (steps[-9:] < 1e-4).all()
    assert (picture[-1] - picture[0]).abs().max() > 0.5


def test_age_is_even_over_its_range():
    steps = torch.linspace(0, 1, 6)
    pictures = [render(rows(12, 2, age=float(age))).rgb for age in steps]
    change = torch.stack([(b - a).abs().mean() for a, b in zip(pictures, pictures[1:])])
    assert change.max() < 2.5 * change.min()


def test_the_ends_of_the_background_differ():
    low, high = ends("background", 2)
    corner = (low.rgb - high.rgb)[:, :, :4, :4].abs().amax(1)
    assert corner.min() > 0.3


def test_grey_hair_shows_its_colour():
    """Dark, blond and red hair of the very old still differ."""
    colours = torch.stack([render(rows(4, age=1.0, hair_colour=c)).rgb for c in (0.0, 0.66, 1.0)])
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert (colours[a] - colours[b]).abs().flatten(1).amax(1).min() > 0.15


def test_maps_are_consistent():
    out = render(rows(12, 6, glasses=1.0, beard=1.0), maps=True)
    assert 0 <= out.segmentation.min() and out.segmentation.max() < len(CLASSES)
    for picture in out.segmentation:
        assert {"background", "hair", "skin", "glasses", "beard", "body"} <= {CLASSES[k] for k in picture.unique()}
    wall = out.segmentation == CLASSES.index("background")
    pure = -F.max_pool2d(-wall.float()[:, None], 3, 1, 1)[:, 0] > 0
    # a soft hem of hair may half cover a few pixels that count as background
    assert (out.depth[pure] == -1).float().mean() > 0.98
    assert (out.normals[:, 2][pure] > 0.9999).float().mean() > 0.98
    assert out.depth[pure].max() < out.depth[~wall].quantile(0.5)
    assert out.depth.min() >= -1 - 1e-5
    glasses, hair = (out.depth[out.segmentation == CLASSES.index(kind)].mean() for kind in ("glasses", "hair"))
    assert glasses > hair
    bare = render(rows(12, 6, glasses=0.0, beard=0.0), maps=True).segmentation
    assert not ((bare == CLASSES.index("glasses")) | (bare == CLASSES.index("beard"))).any()


def test_windows_hold_what_they_must(monkeypatch):
    """Larger windows draw the same picture: nothing is cut off."""
    heads = rows(24, 7)
    picture = render(heads).rgb
    larger = {
        "body": (-0.92, 0.92, -0.92, -0.20),
        "skin": (-0.92, 0.92, -0.92, 0.60),
        "nose": (-0.54, 0.54, -0.62, 0.32),
        "eyes": (-0.64, 0.64, -0.38, 0.52),
        "mouth": (-0.64, 0.64, -0.90, 0.00),
        "beard": (-0.80, 0.80, -0.90, 0.26),
        "ears": (-0.80, 0.80, -0.42, 0.32),
    }
    for name, box in larger.items():
        with monkeypatch.context() as patch:
            patch.setitem(geometry.BOXES, name, box)
            geometry.windows.cache_clear()
            difference = (render(heads).rgb - picture).abs().amax(1)
        geometry.windows.cache_clear()
        assert (difference > 0.1).sum() <= 3, name


@settings(max_examples=25, deadline=None)
@given(unit=st.lists(st.floats(-0.25, 1.25, width=32), min_size=N_COLUMNS, max_size=N_COLUMNS))
def test_pictures_are_finite_somewhat_beyond_the_range(unit):
    heads = torch.lerp(LOW, HIGH, torch.tensor([unit]))
    for output in render(heads, size=32, supersample=1, maps=True):
        assert torch.isfinite(output).all()
