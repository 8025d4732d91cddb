"""A small run of the editing task made of drawn per-sample values: what `compare` reads, without networks."""

from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from bench.environment import code_version
from bench.records import Record
from bench.runner import CellOutcome, RunResult
from bench.suite import Suite
from bench.tasks.base import CellResult, MethodCard
from bench.tasks.editing.protocol import EditingSettings, key_of
from bench.tasks.editing.task import EditingTask
from leaderboards.folder import Cell, Results, plain, store

ATTRIBUTES = ("smile", "age", "yaw")
STRENGTHS = np.array([0.0, 0.5, 1.0, 2.0, 3.0])
SHAS = {"attributes": "a" * 16, "identity": "b" * 16, "perceptual": "c" * 16, "features": "d" * 16}
GENERATOR, HASH = "toy", "0123456789abcdef" * 4


def draw(rng, n, *, leak=0.15, loss=0.1, gain=0.5):
    """Per-sample curves of one question: arrays of `n` codes that belong together row by row.

    gain: mean effect of the target per unit of strength, in sigma; leak: spread of what the others change; loss: of identity.
    """
    s = STRENGTHS[None, :]
    own = rng.normal(1.0, 0.3, (n, 1))
    others = leak * rng.standard_normal((n, 2, 1)) * s[:, None]
    identity = 1 - np.clip(loss * own * rng.gamma(4.0, 0.25, (n, 1)) * s, 0, 1)
    features = rng.standard_normal((n, 1, 3)) + 0.1 * rng.standard_normal((n, 1, 3)) * s[:, :, None]
    return {
        "effect": gain * own * s, "others": np.moveaxis(others, 1, 2), "identity": identity,
        "perceptual": 0.02 * own**2 * s**2, "guide": gain * own * s + 0.02 * rng.standard_normal((n, 1)) * s,
        "features": features,
    }  # fmt: skip


def arrays_of(rows, target, sign, ids):
    """What a cell stores of a question."""
    column = ATTRIBUTES.index(target)
    change = np.insert(rows["others"], column, (1 if sign == "+" else -1) * rows["effect"], axis=2)
    named = {name: rows[name].astype(np.float32) for name in ("identity", "perceptual", "guide", "features")}
    named |= {"change": change.astype(np.float32), "ids": np.asarray(ids), "strengths": STRENGTHS}
    return {f"{key_of(target, sign)}/{name}": array for name, array in named.items()}


class Toy:
    """entries: (method, variant) -> {(target, sign): rows of draw}. Makes runs of them as the engine leaves them."""

    def __init__(self, targets=("smile",), n=40, replicates=200, fits=1, seed=3, effects=(0.5,)):
        self.targets, self.n, self.fits, self.seed = targets, n, fits, seed
        task = {"targets": targets, "test_codes": n, "effects": list(effects), "replicates": replicates}
        self.suite = Suite(
            name="toys", generators=(GENERATOR,), methods=("random",), tasks={"editing": task}, seed=seed, fit_seeds=fits
        )
        self.settings = EditingSettings(**task)
        self.reference = np.random.default_rng(99).standard_normal((30, 3)).astype(np.float32)

    @property
    def questions(self):
        return [(target, sign) for target in self.targets for sign in "+-"]

    def entry(self, seed, **how):
        """Rows of every question of an entry."""
        rng = np.random.default_rng(seed)
        return {question: draw(rng, self.n, **how) for question in self.questions}

    def pick(self, rows, chosen):
        """The rows of an entry at these indices."""
        return {question: {name: array[chosen] for name, array in part.items()} for question, part in rows.items()}

    def cell(self, rows, ids):
        arrays = {"sigma": np.ones(len(ATTRIBUTES)), "reference": self.reference}
        for (target, sign), part in rows.items():
            arrays |= arrays_of(part, target, sign, ids)
        found = {"component": "7", "sign": 1, "confidence": 0.5, "effect": 0.3, "runner_up": "2", "runner_up_confidence": 0.25}
        facts = {
            "attributes": list(ATTRIBUTES), "binary": [], "judges": {r: [f"toy-{r}", sha] for r, sha in SHAS.items()},
            "no_judge": {}, "guide": ["toy-guide", "e" * 16], "sigma_rules": {},
            "assignment": {"components": 12, "codes": 16, "targets": {target: found for target in self.targets}},
            "seconds": {key_of(*one): 0.001 for one in self.questions},
            "questions": {key_of(*one): {"status": "ok", "reason": "", "edge": 3.0} for one in self.questions},
        }  # fmt: skip
        return CellResult(arrays, facts)

    def run(self, entries, ids=None):
        """A RunResult; entries: (method, variant) -> rows, or a list of rows, one a fit."""
        ids = np.arange(self.n) if ids is None else ids
        cells, records = [], []
        for (method, variant), fits in entries.items():
            fits = fits if isinstance(fits, list) else [fits]
            cards = [MethodCard(method, 1, "baseline", variant, "w", i) for i in range(len(fits))]
            pairs = [(card, self.cell(rows, ids)) for card, rows in zip(cards, fits, strict=True)]
            known = dict(
                suite="toys", suite_version=1, protocol_hash=HASH, task="editing", generator=GENERATOR, generator_sha="f" * 64,
                domain="toy", method=method, method_version=1, approach="baseline", variant=variant, space="w", seed=self.seed,
                fit_seed="+".join(str(card.fit_seed) for card in cards), code_version=code_version(), seconds=1.0,
            )  # fmt: skip
            records += [replace(one, **known) for one in EditingTask().summarise(self.settings, pairs, self.seed)]
            cells += [CellOutcome(GENERATOR, "f" * 64, "toy", "editing", card, result) for card, result in pairs]
        hashes = {("editing", GENERATOR): HASH}
        return RunResult(self.suite, records, cells, {}, 1.0, {"device": "cpu"}, hashes)

    def results(self, entries, ids=None):
        """The same as a folder would be read, without the files."""
        run = self.run(entries, ids)
        cells = [
            Cell(
                c.task, c.generator, c.generator_sha, c.domain, plain(asdict(c.method)), "ok", "", 0.0, 0.0, c.result.facts, {},
                c.result.arrays,
            )
            for c in run.cells
        ]  # fmt: skip
        return Results(run.records, cells, {"suite": self.suite.model_dump(mode="json")})

    def folder(self, entries, path, ids=None):
        """Written to a folder, without a report."""
        store(self.run(entries, ids), path, [])
        return path


@pytest.fixture
def toys():
    return SimpleNamespace(Toy=Toy, Record=Record, HASH=HASH, GENERATOR=GENERATOR, draw=draw)
