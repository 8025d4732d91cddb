"""The inversion task in a world whose truth is known: pixels carry the code exactly, so that a perfect inverter exists."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.bank import FitBank
from bench.cards import Attribute, DomainInfo, GeneratorInfo
from bench.codes import Codes, Space
from bench.domains.base import Domain, Network
from bench.errors import InputError, LatentbenchError, SpaceError, UnsupportedError
from bench.generators.base import Generator
from bench.passes import Passes
from bench.tasks.base import CellContext, CellResult, MethodCard
from bench.tasks.inversion.protocol import REAL_START, InversionSettings
from bench.tasks.inversion.task import InversionTask
from methods.base import Fitted, Inversion

NAMES = ("warmth", "height", "tilt", "hat")
D, R, GAIN = 10, 16, 1 / 16
HIDDEN = 8  # the columns that only identity sees


class Pixels(Generator):
    """Pixel j of the first channel is w_j / 16."""

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.ones(1))
        self.info = GeneratorInfo("pixels", "linear", "blocks", R, {"z": (D,), "w": (D,), "w+": (2, D)})

    def convert(self, codes, space):
        goal = Space(space)
        if codes.space == goal:
            return codes
        if goal == Space.W_PLUS and not codes.space.layered:
            return codes.with_values(codes.values[:, None].repeat(1, 2, 1), goal)
        if goal not in (Space.Z, Space.W) or codes.space.layered:
            raise SpaceError(f"there is no way from {codes.space} to {goal}")
        return codes.with_values(codes.values, goal)

    def synthesize(self, codes, *, intervene=(), noise="const"):
        values = codes.values.mean(1) if codes.space.layered else codes.values
        return F.pad(values * GAIN, (0, 3 * R * R - D)).view(-1, 3, R, R)


class Judge(Network):
    """Reads everything exactly; pictures with a tilt beyond `blind` cannot be read."""

    readings = frozenset({"attributes", "identity", "perceptual"})
    names = NAMES

    def __init__(self, blind=float("inf")):
        super().__init__()
        self.name, self.blind = "exact", blind

    def measure(self, images):
        values = images.flatten(1)[:, :D] / GAIN
        identity = F.normalize(torch.cat([values[:, HIDDEN:], torch.ones(len(values), 1)], 1), dim=1)
        found = {"attributes": values[:, : len(NAMES)], "identity": identity, "perceptual": values}
        failed = (values[:, NAMES.index("tilt")] > self.blind)[:, None]
        return {name: torch.where(failed, float("nan"), one) for name, one in found.items()}


class Guide(Network):
    """The same attributes, seen 1.25 times as large; names in another order."""

    readings, names, name = frozenset({"attributes"}), NAMES[::-1], "large"

    def measure(self, images):
        return {"attributes": 1.25 * images.flatten(1)[:, : len(NAMES)].flip(1) / GAIN}


class Blocks(Domain):
    """absent: readings without a judge. drawn: whether there are pictures of the domain."""

    def __init__(self, judge, guide=None, absent=(), drawn=True):
        super().__init__()
        attributes = tuple(Attribute(name, "binary" if name == "hat" else "continuous") for name in NAMES)
        judges = {reading: judge.name for reading in sorted(judge.readings) if reading not in absent}
        self.nets = {judge.name: judge, **({guide.name: guide} if guide else {})}
        self.info = DomainInfo("blocks", attributes, {"attributes": guide.name} if guide else {}, judges)
        if drawn:
            self.pictures = lambda ids, *, seed, size: torch.rand(len(ids), 3, size, size, generator=_rng(seed)) * 2 - 1

    def load(self, name):
        return self.nets[name]


def _rng(seed):
    return torch.Generator().manual_seed(seed % 2**63)


class Planted:
    """Reads the code off the pixels, then does `change` to it: [N, D] -> values of `space`."""

    def __init__(self, change=lambda values: values, space=Space.W, **extra):
        self.change, self.space, self.extra = change, Space(space), extra

    def invert(self, images, *, seed, degrade=None):
        values = self.change(images.flatten(1)[:, :D] / GAIN)
        if self.space.layered:
            values = values[:, None].repeat(1, 2, 1)
        codes = Codes(self.space, values, torch.arange(len(values)))
        return Inversion(codes, seconds=torch.full((len(values),), 0.5), **self.extra)


def run(inverter, *, judge=None, guide=None, settings=None, **domain):
    """(settings, cells, records by (target, attribute, metric))."""
    settings = settings or InversionSettings(targets=("warmth", "hat"), pictures=20, calibrate_codes=16, replicates=100)
    generator, store = Pixels(), {}
    domain = Blocks(judge or Judge(), guide if guide is not None else Guide(), **domain)

    def share(name, compute):
        return store.setdefault(name, store[name] if name in store else compute())

    passes = Passes(generator)
    guide_net = domain.nets.get("large")
    bank = FitBank(generator, guide_net, passes, size=400, seed=3, fit_seed=0, share=lambda name, compute: compute())
    card = MethodCard("planted", 1, "inversion", "", "w", 0)
    cell = CellContext(generator, domain, card, Fitted(inverter=inverter), bank, settings, 3, passes, share)
    with torch.no_grad():
        cells = [(card, InversionTask().run(cell))]
    records = InversionTask().summarise(settings, cells, 3)
    table = {(r.target, r.attribute, r.metric): r for r in records}
    assert len(table) == len(records)
    return SimpleNamespace(settings=settings, cells=cells, table=table, arrays=cells[0][1].arrays, result=cells[0][1])


@pytest.fixture(scope="module")
def perfect():
    return run(Planted())


def test_a_perfect_inverter_is_perfect(perfect):
    wanted = {
        "mse": 0, "psnr": 100, "ssim": 1, "perceptual": 0, "identity": 1, "attribute_error": 0, "editability_ratio": 1,
        "editability_excess": 0,
    }  # fmt: skip
    for metric, value in wanted.items():
        record = perfect.table["generated", "", metric]
        assert record.value == pytest.approx(value, abs=1e-9), metric
        assert record.ci_low == pytest.approx(value, abs=1e-9) and record.ci_high == pytest.approx(value, abs=1e-9)
        assert (record.n, record.n_failed, record.status, record.point, record.ci_over) == (20, 0, "ok", "summary", "codes")
    judges = {metric: perfect.table["generated", "", metric].judge for metric in wanted}
    assert judges["mse"] == "" and judges["identity"] == "identity[exact]" and judges["perceptual"] == "perceptual[exact]"
    headlines = {m for (source, a, m), r in perfect.table.items() if r.headline and source == "generated"}
    assert headlines == {"perceptual", "identity", "attribute_error", "editability_excess"}
    # Time stands in its own column, never among the values.
    seconds = perfect.table["generated", "", "seconds_per_picture"]
    assert seconds.value is None and seconds.seconds == pytest.approx(0.5)
    assert json.dumps(perfect.result.facts)
    # The pictures of the report: originals above what the codes give back.
    assert perfect.result.pictures["generated"].shape == (2, 8, R, R, 3)
    np.testing.assert_array_equal(*perfect.result.pictures["generated"])


def test_samples_are_typical_codes_and_edits_reach_their_effect(perfect):
    codes = perfect.arrays["generated/w_norm"]
    assert np.square(codes).mean() == pytest.approx(1, abs=0.25)
    assert perfect.table["generated", "", "code_distance"].value < 1
    assert perfect.table["generated", "", "p_norm"].status == "skipped"
    # The guide sees 1.25 times the change but divides by its own, as large, spread: its effect of 1 is the judge's.
    assert perfect.table["generated", "warmth", "edit_effect"].value == pytest.approx(1, abs=0.02)
    assert perfect.table["generated", "hat", "edit_effect"].value == pytest.approx(0.4, abs=0.02)
    assert perfect.table["generated", "warmth", "edit_leakage"].value < 0.1
    assert perfect.table["generated", "", "edit_effect"].value == pytest.approx(0.7, abs=0.02)
    assert len(perfect.arrays["sampled/ids"]) == 64


def test_pictures_of_the_domain_that_no_code_gives(perfect):
    arrays = perfect.arrays
    np.testing.assert_array_equal(arrays["real/ids"], REAL_START + np.arange(20))
    # All but the code's pixels are lost: uniform in [-1, 1] has a mean square of 1 / 3.
    lost = (3 * R * R - D) / (3 * R * R) / 3
    assert perfect.table["real", "", "mse"].value == pytest.approx(lost, rel=0.03)
    assert perfect.table["real", "", "psnr"].value == pytest.approx(10 * np.log10(4 / lost), abs=0.15)
    assert perfect.table["real", "", "attribute_error"].value == pytest.approx(0, abs=1e-6)


def test_the_numbers_of_a_known_error():
    shift = torch.tensor([0.5, 0.0, -1.0, 0.0] + [0.0] * 5 + [2.0])
    found = run(Planted(lambda values: values + shift, Space.W_PLUS))
    sigma = np.array([float(x) for x in _sigma()])
    by_name = dict(zip(NAMES, np.array([0.5, 0, 1, 0]) / sigma, strict=True))
    for name, value in by_name.items():
        assert found.table["generated", name, "attribute_error"].value == pytest.approx(value, rel=1e-5, abs=1e-6)
    assert found.table["generated", "", "attribute_error"].value == pytest.approx(np.mean(list(by_name.values())), rel=1e-5)
    square = float(shift.square().sum())
    assert found.table["generated", "", "perceptual"].value == pytest.approx(square, rel=1e-5)
    assert found.table["generated", "", "mse"].value == pytest.approx(square * GAIN**2 / (3 * R * R), rel=1e-5)
    # Identity by hand: cosines of (h, 1) and (h + shift, 1).
    hidden = found.arrays["generated/ids"]
    w = Pixels().sample(torch.from_numpy(hidden), seed=3).values.double().numpy()[:, HIDDEN:]
    a, b = (np.concatenate([x, np.ones((20, 1))], 1) for x in (w, w + [0, 2]))
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(found.arrays["generated/identity"], cosine, atol=1e-5)
    assert found.table["generated", "", "identity"].value == pytest.approx(cosine.mean(), abs=1e-5)
    # A linear world edits the same wherever the code lies.
    assert found.table["generated", "", "editability_ratio"].value == pytest.approx(1, abs=1e-5)
    assert found.result.facts["space"] == "w+"


def _sigma(blind=float("inf")):
    from bench.tasks.editing.pool import spread

    codes = Pixels().sample(torch.arange(256) + 2_000_000, seed=3).values
    codes = codes[codes[:, NAMES.index("tilt")] <= blind]
    return [spread(codes[:, i], name == "hat")[0] for i, name in enumerate(NAMES)]


def test_unreadable_pictures_count_as_the_worst_unless_the_original_is():
    lift = torch.zeros(D)
    lift[NAMES.index("tilt")] = 3.0
    few = InversionSettings(targets=("warmth",), pictures=20, sources=("generated",), calibrate_codes=16, replicates=50)
    found = run(Planted(lambda values: values + lift), judge=Judge(blind=2.5), settings=few)
    tilt = Pixels().sample(torch.from_numpy(found.arrays["generated/ids"]), seed=3).values[:, NAMES.index("tilt")].numpy()
    lost, failed = tilt > 2.5, tilt + 3 > 2.5
    assert 0 < failed.sum() < 20
    cosines = np.where(failed, -1.0, 1.0)[~lost]
    record = found.table["generated", "", "identity"]
    assert record.value == pytest.approx(cosines.mean(), abs=1e-6) and record.n_failed == failed.sum() and record.n == 20
    worst = found.table["generated", "", "perceptual"]
    assert (worst.status, worst.value, worst.reason) == ("unreached", None, "not every picture could be read")
    headline = InversionTask().headlines(few, found.cells, 3)["generated", "", "perceptual"]
    assert headline.value == np.inf and np.isinf(headline.replicates).all()
    error = found.table["generated", "", "attribute_error"]
    assert error.value == pytest.approx(np.where(failed, 10, 3 / _sigma(2.5)[2] / 4)[~lost].mean(), rel=1e-4)
    assert found.table["generated", "", "mse"].n_failed == 0  # no judge is asked for it


def test_headlines_are_what_measured_says(perfect):
    headlines = InversionTask().headlines(perfect.settings, perfect.cells, 3)
    assert {key[0] for key in headlines} == {"generated", "real"} and {key[1] for key in headlines} == {""}
    assert len(headlines) == 8
    more = perfect.settings.model_copy(update={"replicates": 300})
    again = InversionTask().headlines(more, perfect.cells, 3)["real", "", "editability_excess"]
    assert len(again.replicates) == 300
    np.testing.assert_allclose(again.replicates[:100], headlines["real", "", "editability_excess"].replicates)
    only = perfect.settings.model_copy(update={"metrics": ("ssim",)})
    assert {r.metric for r in InversionTask().summarise(only, perfect.cells, 3)} == {"ssim"}


def test_several_fits_are_averaged_and_widen_the_interval(perfect):
    worse = run(Planted(lambda values: values + 0.5))
    cells = [perfect.cells[0], (worse.cells[0][0], worse.result)]
    table = {(r.target, r.attribute, r.metric): r for r in InversionTask().summarise(perfect.settings, cells, 3)}
    record, alone = table["generated", "", "perceptual"], worse.table["generated", "", "perceptual"]
    assert record.value == pytest.approx(alone.value / 2) and record.n == 40 and record.ci_over == "codes+fits"
    assert record.ci_low == pytest.approx(0, abs=1e-9) and record.ci_high == pytest.approx(alone.value)


def test_what_is_not_there_is_skipped_with_its_reason():
    found = run(Planted(), drawn=False, absent=("identity",))
    skipped = {m: r for (source, _, m), r in found.table.items() if source == "real"}
    assert set(skipped) == {"perceptual", "identity", "attribute_error", "editability_excess"}
    assert {(r.status, r.reason, r.headline) for r in skipped.values()} == {
        ("skipped", "domain blocks has no pictures of its own", True)
    }
    identity = found.table["generated", "", "identity"]
    assert (identity.status, identity.reason) == ("skipped", "domain blocks has no judge for identity")
    assert found.table["generated", "", "perceptual"].value == 0
    blind = run(Planted(), absent=("attributes",))
    assert blind.table["generated", "", "attribute_error"].status == "skipped"
    assert blind.table["generated", "", "editability_excess"].reason == "domain blocks has no judge for attributes"
    assert ("generated", "", "editability_ratio") not in blind.table
    unguided = run(Planted(), guide=False)
    assert "has no guide" in unguided.table["generated", "", "editability_excess"].reason
    only_real = InversionSettings(targets=("warmth",), sources=("real",), pictures=4)
    with pytest.raises(UnsupportedError, match="no pictures of its own"):
        run(Planted(), drawn=False, settings=only_real)
    with pytest.raises(UnsupportedError, match="tunes noise or weights"):
        run(Planted(weights={"b4": torch.zeros(1)}), settings=only_real)
    with pytest.raises(UnsupportedError, match="has no inverter"):
        run(None)


def test_an_inverter_that_breaks_is_an_error():
    few = InversionSettings(targets=("warmth",), sources=("generated",), pictures=4)
    with pytest.raises(LatentbenchError, match="not finite"):
        run(Planted(lambda values: values / 0), settings=few)
    with pytest.raises(LatentbenchError, match="gives 3 codes for 4 pictures"):
        run(Planted(lambda values: values[:3]), settings=few)


def test_settings_and_protocol():
    task, generator = InversionTask(), Pixels()
    domain = Blocks(Judge(), Guide())
    with pytest.raises(InputError, match="did you mean warmth|warmth"):
        task.validate(InversionSettings(targets=("warmht",)), domain.info, generator.info)
    with pytest.raises(InputError, match="metric of the inversion task"):
        task.validate(InversionSettings(targets=("warmth",), metrics=("lpips",)), domain.info, generator.info)
    for bad in ({"targets": ()}, {"targets": ("hat", "hat")}, {"sources": ("drawn",)}, {"pictures": 1}):
        with pytest.raises(ValueError):
            InversionSettings(**{"targets": ("hat",), **bad})
    plain = InversionSettings(targets=("hat",))
    same = task.protocol(plain, domain, 0)
    assert json.loads(json.dumps(same)) == task.protocol(plain.model_copy(update={"metrics": ("mse",)}), domain, 0)
    for other in (plain.model_copy(update={"pictures": 17}), plain.model_copy(update={"sources": ("real",)})):
        assert task.protocol(other, domain, 0) != same
    assert task.protocol(plain, Blocks(Judge()), 0) != same  # without a guide nothing places edits: another question
    assert CellResult().arrays == {}
