"""A world in which pixels carry attributes linearly, with a guide of texts that reads five attributes and the stripes."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from bench.cards import DomainInfo
from bench.domains.base import TextImageNetwork
from bench.tasks.naming.protocol import NamingSettings
from bench.tasks.naming.task import NamingTask

# A word's step along the dimensions of codes that the guide of texts sees.
WORDS = {"cold": (0, -1), "warm": (0, 1), "flat": (1, -1), "tall": (1, 1), "bare": (4, -1), "hatted": (4, 1), "plain": (8, -1),
         "striped": (8, 1), "warmer": (1, 1), "colder": (1, -1)}  # fmt: skip
PROMPTS = {"warmth": ("cold blocks", "warm blocks"), "height": ("flat blocks", "tall blocks"),
           "hat": ("bare blocks", "hatted blocks")}  # fmt: skip
SETTINGS = NamingSettings(codes=16, test_codes=16, calibrate_codes=20, replicates=300)


class Words(TextImageNetwork):
    name, scale = "words", 10.0

    def encode_image(self, images):
        values = images.flatten(1)[:, :12] / 0.05
        return F.normalize(torch.cat([torch.full((len(values), 1), 30.0), values], 1), dim=1)

    def encode_text(self, texts):
        rows = torch.zeros(len(texts), 13)
        rows[:, 0] = 1.0
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                if word in WORDS:
                    dimension, step = WORDS[word]
                    row[1 + dimension] = step
        return F.normalize(rows, dim=1)


@pytest.fixture(scope="session")
def name(world, blocks):
    """(editor, settings, prompts, guide of texts, ...) -> (cells, records)."""

    def run(editor, settings=SETTINGS, prompts=PROMPTS, words=True, guide=None, **card):
        own = world.but() if guide is None else world.but(guide=guide)
        own.store = {key: one for key, one in own.store.items() if key.startswith("editing-plausible")}
        cell = own.cell(editor, **card)
        info = cell.domain.info
        attributes = tuple(replace(a, prompts=prompts.get(a.name, ("", ""))) for a in info.attributes)
        guides = {**info.guides, **({"text_image": "words"} if words else {})}
        cell.domain.info = DomainInfo("blocks", attributes, guides, info.judges)
        cell.domain.nets["words"] = Words()
        cells = [(cell.method, NamingTask().run(replace(cell, settings=settings)))]
        run.domain = cell.domain
        return cells, NamingTask().summarise(settings, cells, world.seed)

    return run
