"""A style-based generator and a text-image network whose truth is known: which style channel moves pictures along which word."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from bench.cards import Attribute, DomainInfo, GeneratorInfo, LayerInfo
from bench.codes import Space
from bench.domains.base import Network, TextImageNetwork
from bench.errors import SpaceError
from bench.generators.base import Generator
from methods.base import FitContext

SIDE, CHANNELS, EMBEDDING = 8, 12, 6
# Entries of s by layer: a (0 to 4), its toRGB (5, 6), b (7 to 11). Channel 3 never varies.
LAYERS = (
    LayerInfo("a", 4, 5, rows=(0,), styles=(0, 5)),
    LayerInfo("rgb", 4, 3, is_rgb=True, rows=(1,), styles=(5, 7)),
    LayerInfo("b", 8, 5, rows=(1,), styles=(7, 12)),
)
WORDS = {
    "happy": (1, 0, 0, 0, 0), "sad": (-1, 0, 0, 0, 0), "old": (0, 1, 0, 0, 0), "young": (0, -1, 0, 0, 0),
    "cheerful": (0.9, 0, 0.2, 0, 0), "odd": (0, 0, 0, 0, 1),
}  # fmt: skip
# What a channel does to pictures in the network's eyes: 2 is happiness, 8 half of it, 4 is age and half happiness; the toRGB
# channel 5 is pure happiness too. Nothing does what 'odd' says.
EFFECTS = {0: (0, 0, 1, 0, 0), 1: (0, 0, 0, 1, 0), 2: (1, 0, 0, 0, 0), 4: (0.5, 0.866, 0, 0, 0), 5: (1, 0, 0, 0, 0),
           7: (0, 0, -1, 0, 0), 8: (0.6, 0, 0, 0.8, 0), 9: (0, 0, 0.7, 0.7, 0)}  # fmt: skip


class Planted(Generator):
    """z is w; entry c of s is a mix of w; pixel c of the picture has the brightness of that entry."""

    def __init__(self):
        super().__init__()
        mix = torch.randn(2, 6, CHANNELS, generator=torch.Generator().manual_seed(0)) * 0.7
        mix[:, :, 3] = 0
        self.register_buffer("mix", mix)
        spaces = {"z": (6,), "w": (6,), "w+": (2, 6), "s": (CHANNELS,)}
        self.info = GeneratorInfo("planted", "stylegan2", "words", SIDE, spaces, LAYERS)

    def step(self, start, goal):
        order = [Space.Z, Space.W, Space.W_PLUS, Space.S]
        if order.index(start) >= order.index(goal):
            return None
        if start == Space.Z:
            return Space.W, lambda codes: codes.values
        if start == Space.W:
            return Space.W_PLUS, lambda codes: codes.values[:, None].repeat(1, 2, 1)
        return Space.S, self._styles

    def _styles(self, codes):
        each = torch.einsum("nrd,rdc->nrc", codes.values, self.mix)
        return torch.cat([each[:, 0, :5], each[:, 1, 5:]], 1) + 1

    def synthesize(self, codes, *, intervene=(), noise="const"):
        if codes.space == Space.P:
            raise SpaceError("no p here")
        s = self.convert(codes, "s").values
        return F.pad(0.02 * s, (0, 3 * SIDE * SIDE - CHANNELS)).view(-1, 3, SIDE, SIDE)


class Words(TextImageNetwork):
    """Reads pixels and words linearly beside a large constant, so that cosines are nearly linear too."""

    name, scale = "words", 10.0

    def __init__(self):
        super().__init__()
        effects = torch.zeros(CHANNELS, EMBEDDING - 1)
        for channel, row in EFFECTS.items():
            effects[channel] = torch.tensor(row)
        self.register_buffer("effects", effects)

    def encode_image(self, images):
        moved = images.flatten(1)[:, :CHANNELS] / 0.02 @ self.effects
        return F.normalize(torch.cat([torch.full((len(moved), 1), 40.0), moved], 1), dim=1)

    def encode_text(self, texts):
        rows = []
        for text in texts:
            words = [WORDS[word] for word in text.lower().replace(".", "").split() if word in WORDS]
            rows.append(torch.cat([torch.tensor([2.0]), torch.tensor(words or [[0.0] * 5]).sum(0)]))
        return F.normalize(torch.stack(rows), dim=1)

    def unknown_words(self, text):
        known = {*WORDS, *"a an of the picture photo portrait person this is face".split()}
        return tuple(word for word in text.lower().split() if word not in known)


class Likeness(Network):
    """Identity is the first two pixels, which carry channels 0 and 1."""

    name, readings = "likeness", frozenset({"identity"})

    def measure(self, images):
        return {"identity": F.normalize(images.flatten(1)[:, :2] / 0.02, dim=1)}


class Bank:
    """Codes of the planted generator. share: remembers what was computed, as the engine does."""

    names, scores = (), None

    def __init__(self, generator, n=400):
        self.generator, self._codes, self.computed = generator, generator.sample(torch.arange(n), seed=1), {}

    def __len__(self):
        return len(self._codes)

    def codes(self, space):
        return self.generator.convert(self._codes, space)

    def share(self, name, compute):
        if name not in self.computed:
            self.computed[name] = compute()
        return self.computed[name]


DOMAIN = DomainInfo(
    "words",
    (
        Attribute("smile", "continuous", prompts=("a sad person", "a happy person")),
        Attribute("age", "continuous", prompts=("a young person", "an old person")),
        Attribute("odd", "continuous", prompts=("a person", "an odd person")),
        Attribute("mute", "continuous"),
    ),
    {"text_image": "words", "identity": "likeness"},
)


@pytest.fixture
def worded():
    """A fit context in which words are known."""
    generator = Planted()
    guides = {"text_image": Words(), "identity": Likeness()}
    return FitContext(generator, DOMAIN, guides, Bank(generator), ("smile", "age", "odd", "mute"), 4, 0)
