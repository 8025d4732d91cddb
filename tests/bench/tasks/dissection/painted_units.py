"""A generator whose units are known: one draws a square, one a bar, one looks like the square's and draws nothing.

The square is drawn on the ground alone, wherever its unit is on: the generator heeds context. A plug-in's stand-in: tests put
this folder on sys.path and import it by this name.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from bench.cards import Attribute, DomainInfo, GeneratorInfo, LayerInfo
from bench.domains.base import Domain, Network
from bench.generators.layered import Layered, leave
from bench.passes import Passes
from bench.tasks.base import CellContext, MethodCard
from methods.base import FitContext

MAP, SIDE, UNITS = 8, 32, 12
SQUARE, BAR, TWIN = 2, 5, 7
REGIONS = ("sky", "ground", "square", "bar")
INFO = DomainInfo(
    "paintings",
    (Attribute("square", "binary", region=("square", "ground")), Attribute("bar_size", "continuous", region=("bar",)),
     Attribute("mood", "continuous", region=("sky", "ground"))),
    {"segmentation": "painted-guide"},
    {"segmentation": "painted-judge"},
    REGIONS,
)  # fmt: skip


class Painter(Layered):
    """z [4] -> layer 'early' (4 px, noise) -> layer 'draw' (8 px) -> picture. z_0 > 0: there is a square, where z_1 puts it."""

    def __init__(self) -> None:
        super().__init__()
        layers = (LayerInfo("early", 4, 3), LayerInfo("draw", MAP, UNITS), LayerInfo("paint", SIDE, 3, is_rgb=True))
        self.info = GeneratorInfo("painter", "painter", "paintings", SIDE, {"z": (4,)}, layers)
        rng = np.random.default_rng(0)
        self.register_buffer("noise", torch.from_numpy(rng.standard_normal((4, UNITS, MAP, MAP))).float())

    def convert(self, codes, space):
        assert codes.space == space
        return codes

    def run(self, codes, *, noise, visit=leave, last=None):
        z = codes.values
        visit("early", torch.einsum("nd,dchw->nchw", z, self.noise[:, :3, :4, :4]))
        maps = 0.3 * torch.tanh(torch.einsum("nd,dchw->nchw", z, self.noise))
        square = torch.zeros(len(z), MAP, MAP)
        square[z[:, 1] < 0, 5:7, 2:4] = 1.0
        square[z[:, 1] >= 0, 5:7, 3:5] = 1.0
        square = square * ((z[:, 0] > 0) * (1 + 0.1 * torch.tanh(z[:, 2])))[:, None, None]
        bar = torch.zeros_like(square)
        bar[:, 1, 1:5] = 1 + 0.1 * torch.tanh(z[:, 3:])
        maps[:, SQUARE], maps[:, TWIN], maps[:, BAR] = square, square + 0.01 * maps[:, TWIN], bar
        maps = visit("draw", maps)
        tall = F.interpolate(maps, size=(SIDE, SIDE), mode="nearest")
        ground = (torch.arange(SIDE) >= SIDE // 2).float()[:, None].expand(SIDE, SIDE)
        drawn = tall[:, SQUARE] * ground
        return visit("paint", torch.stack([drawn - 0.5, tall[:, BAR] - 0.5, (ground - 0.5).expand(len(z), -1, -1)], 1))


class Reader(Network):
    """Tells the painting's classes apart: 0.5 and more of a unit is its concept. sharp: of the logits."""

    readings = frozenset({"segmentation"})

    def __init__(self, name="painted-judge", sharp=4.0):
        super().__init__()
        self.name = name
        self.register_buffer("sharp", torch.tensor(sharp))

    def measure(self, images):
        square, bar, ground = images.unbind(1)
        return {"segmentation": self.sharp * torch.stack([-ground, ground, square + 0.5, bar + 0.5], 1)}


class Paintings(Domain):
    info = INFO

    def load(self, name):
        return Reader(name, {"painted-judge": 4.0, "painted-guide": 6.0}[name])


class NoBank:
    names = ()
    passes = None


def fit_context(seed=0):
    """What a method sees of the painter."""
    guides = {"segmentation": Paintings().guide("segmentation")}
    return FitContext(Painter(), INFO, guides, NoBank(), (), 8, seed)


def cell(method, fitted, settings, store, seed=3):
    """A cell of the painter; cells of one `store` share what they compute."""
    generator = Painter()
    card = MethodCard(method.name, method.version, method.approach, method.variant, "", 0)

    def share(name, compute):
        if name not in store:
            store[name] = compute()
        return store[name]

    return CellContext(generator, Paintings(), card, fitted, NoBank(), settings, seed, Passes(generator), share)
