"""GAN Dissection on other architectures, with random weights: it finds layers, ranks units, and its edits change pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.cards import DomainInfo
from bench.domains.base import Network
from bench.generators.base import Generator
from bench.generators.dcgan import DCGAN, Conv
from bench.generators.pggan import GENFORCE as PGGAN
from bench.generators.stylegan import GENFORCE as STYLEGAN
from bench.generators.stylegan2 import ADA
from methods.base import FitContext, Request
from methods.supervised.gan_dissection import GanDissection

GOLDEN = Path(__file__).parents[2] / "golden"
DOMAIN = DomainInfo("none", (), {"segmentation": "brightness"}, {}, ("dark", "bright"))


class Brightness(Network):
    """A pixel is bright above the median of all pictures."""

    name, readings = "brightness", frozenset({"segmentation"})

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = level

    def measure(self, images):
        grey = images.mean(1) - self.level
        return {"segmentation": torch.stack([-grey, grey], 1)}


def golden(name: str, form) -> Generator:
    """A random network whose weights lie beside the official figures."""
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        state = {key[3:]: torch.from_numpy(file[key]) for key in file.files if key.startswith("sd/")}
        assert json.loads(str(file["meta"]))
    return form.build(state, {}, name, "none")


def dcgan() -> Generator:
    convs = [Conv("0", "1", 7, 16, 4, False), Conv("3", "4", 16, 8, 4, False), Conv("6", "", 8, 3, 4, False)]
    generator, draw = DCGAN(name="dcgan", domain="none", convs=convs), torch.Generator().manual_seed(0)
    for name, value in generator.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.randn(value.shape, generator=draw) * (0.3 if value.dim() == 4 else 0.5))
            if name.endswith("var"):
                value.square_().add_(0.5)
    return generator


MAKERS: dict[str, Callable[[], Generator]] = {
    "dcgan": dcgan,
    "pggan": lambda: golden("sefa_pggan", PGGAN),
    "stylegan": lambda: golden("sefa_stylegan", STYLEGAN),
    "stylegan2": lambda: golden("stylegan2_ada", ADA),
}


class Bank:
    names, passes = (), None


@pytest.mark.parametrize("name", MAKERS)
def test_it_fits_and_edits(name):
    generator = MAKERS[name]()
    codes = generator.sample(torch.arange(6), seed=1)
    level = float(generator.synthesize(codes).clamp(-1, 1).median())
    context = FitContext(generator, DOMAIN, {"segmentation": Brightness(level)}, Bank(), (), 4, 0)
    small = {"samples": 16, "size": 8, "units": 3, "eval_codes": 4, "ranking": "alpha", "steps": 2, "batch": 2, "pool": 4}
    method = GanDissection(**small)
    assert method.supports(generator.info, DOMAIN) is None
    fit = method.fit(context)
    layer = next(one for one in generator.info.layers if one.name == fit.units.layer)
    assert not layer.is_rgb and fit.units.iou[layer.name].shape == (2, layer.channels)
    assert fit.units.ranking.sort(1).values.tolist() == [list(range(layer.channels))] * 2
    path = fit.editor.path(codes, [Request("bright")], seed=0)
    plain, off, on = (generator.synthesize(e.codes, intervene=e.intervene) for e in (path.at(0.0), path.at(-1.0), path.at(1.0)))
    assert torch.equal(plain, generator.synthesize(codes)) and on.isfinite().all()
    assert not torch.equal(off, plain) and not torch.equal(on, plain)
