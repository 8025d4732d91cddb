"""Names of planted components of heads-oracle, by the shipped networks, and what can be said of heads."""

import pytest
import torch

from bench.bank import FitBank
from bench.cards import Attribute, DomainInfo
from bench.codes import Space
from bench.domains.heads.domain import heads
from bench.domains.heads.factors import INDEX
from bench.domains.heads.phrases import CLAIMS
from bench.domains.statements import Statement, attribute_statements
from bench.generators.heads_oracle import heads_oracle
from bench.passes import Passes
from bench.tasks.base import CellContext, MethodCard
from bench.tasks.naming.namers import statement_directions
from bench.tasks.naming.protocol import NamingSettings
from bench.tasks.naming.task import NamingTask
from methods.base import Fitted
from methods.editors import DirectionEditor

FACTORS = ("pitch", "smile", "glasses", "jaw", "hair_colour", "eye_spacing")


@pytest.fixture(scope="module")
def domain():
    return heads()


def test_planted_factors_are_named_and_judged_right(domain, blocks):
    generator, settings = heads_oracle(), NamingSettings(codes=12, test_codes=8, replicates=200)
    rows = torch.stack([generator.unmix[:, INDEX[name]] for name in (*FACTORS, "clothes_hue")])
    rows[1] = -rows[1]  # less of a smile
    editor = DirectionEditor(generator, rows, tuple(map(str, range(len(rows)))), Space.W)
    passes, store = Passes(generator), {}
    share = lambda name, compute: store.setdefault(name, None) or store.update({name: compute()}) or store[name]  # noqa: E731
    bank = FitBank(
        generator, domain.guide("attributes"), passes, size=64, seed=0, fit_seed=0, share=lambda name, compute: compute()
    )
    card = MethodCard("planted", 1, "baseline", "", "w", 0)
    cell = CellContext(generator, domain, card, Fitted(editor=editor), bank, settings, 0, passes, share)
    task = NamingTask()
    cells = [(card, task.run(cell))]
    records = task.summarise(settings, cells, 0)
    for kind in ("attributes", "text"):
        found = cells[0][1].facts["names"][kind]
        assert [row["subject"] for row in found if row["named"]] == list(FACTORS), kind
        assert found[1]["way"] == -1 and found[-1]["component"] == "6" and not found[-1]["named"]
        assert blocks.find(records, target=kind, metric="naming_hit_rate_true").value == 1.0
        assert blocks.find(records, target=kind, metric="naming_hit_rate").value >= 5 / 6
        assert blocks.find(records, target=kind, metric="naming_chance_true").value <= 1.5 / 7
    assert found[0]["words"] in ("a person looking up", "a person looking down")


def test_every_claim_is_a_statement_that_both_networks_can_read(domain):
    said = domain.statements()
    assert len(said) == len(CLAIMS) and {one.subject for one in said} <= set(domain.info.names)
    assert Statement("glasses", ("a person with glasses", "a person with eyeglasses"), 1) in said
    assert Statement("age", ("a middle aged person", "a person of middle age"), 0) in said
    assert Statement("age", ("an old person", "a person with wrinkles"), 1) in said
    for network in (domain.guide("text_image"), domain.judge("text_image")):
        assert not [text for one in said for text in one.texts if network.unknown_words(text)]


def test_other_domains_say_what_their_prompts_say():
    attributes = (Attribute("light", "continuous", prompts=("a dark room", "a bright room")), Attribute("wood", "binary"))
    assert attribute_statements(DomainInfo("rooms", attributes)) == (
        Statement("light", ("a dark room",), -1), Statement("light", ("a bright room",), 1),
    )  # fmt: skip


def test_directions_start_at_what_a_statement_denies(domain):
    guide, said = domain.guide("text_image"), domain.statements()
    rows = statement_directions(guide, said)
    assert rows.shape[0] == len(said) and (rows**2).sum(1) == pytest.approx(1)
    pair = [i for i, one in enumerate(said) if one.subject == "beard"]
    assert rows[pair[0]] @ rows[pair[1]] == pytest.approx(-1)  # each denies the other
    alone = statement_directions(guide, [*said, Statement("hats", ("a person with a beard",))])
    assert alone[-1] @ rows[pair[0]] > 0.3
