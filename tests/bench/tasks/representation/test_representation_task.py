"""The task on a linear world, where paths and curvature have closed forms; what it refuses, and what it says instead."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.errors import UnsupportedError
from bench.passes import Passes
from bench.tasks.base import CellContext, MethodCard
from bench.tasks.representation.protocol import CURVATURE_STEP, RepresentationSettings
from bench.tasks.representation.task import RepresentationTask
from methods.base import Encoder, Fitted

SETTINGS = RepresentationSettings(
    factors=("judged",), blocks=4, train_codes=64, test_codes=48, pairs=24, hessian_codes=8, replicates=50
)
GAIN = 0.05  # of the linear world: pixel j is GAIN times w_j


class Codes12:
    """The codes of a space themselves."""

    def __init__(self, space="w"):
        self.space = space

    def encode(self, codes, images):
        return codes.values


class Seen:
    """Reads pictures: the mean brightness of their first channel's rows, and a pixel that never changes."""

    space = ""

    def __init__(self):
        self.pictures = 0

    def encode(self, codes, images):
        found = images()
        assert len(found) == len(codes) and found.abs().max() <= 1
        self.pictures += len(found)
        return torch.cat([found[:, 0, :2].flatten(1)[:, :11], found[:, 2, -1, -1:]], 1)


@pytest.fixture(scope="module")
def world(blocks):
    """Makes cells: of the linear world of the editing tests, or of a change of it."""

    def make(encoder, settings=SETTINGS, generator=None, judge=None, absent=(), store=None):
        generator, judge, guide = generator or blocks.Linear(), judge or blocks.Judge(), blocks.Guide()
        domain = blocks.Blocks(judge, guide, absent)
        store = {} if store is None else store
        method = MethodCard("m", 1, "baseline", "", encoder.space if encoder else "", 0)

        def share(name, compute):
            if name not in store:
                store[name] = compute()
            return store[name]

        return CellContext(generator, domain, method, Fitted(encoder=encoder), None, settings, 3, Passes(generator), share)

    return make


def told(cell):
    """(result, record by (target, attribute, metric))."""
    result = RepresentationTask().run(cell)
    found = RepresentationTask().summarise(cell.settings, [(cell.method, result)], 3)
    return result, {(r.target, r.attribute, r.metric): r for r in found}


@pytest.fixture(scope="module")
def straight(world):
    steps = []
    cell = replace(world(Codes12()), progress=lambda done, total: steps.append((done, total)))
    return SimpleNamespace(cell=cell, steps=steps, **dict(zip(("result", "records"), told(cell), strict=True)))


def test_channels_that_are_the_attributes_score_high(straight):
    found = {metric: record for (target, attribute, metric), record in straight.records.items() if not attribute}
    assert found["dci_disentanglement[lasso]"].value > 0.6 and found["explicitness"].value > 0.97
    assert found["boundary_accuracy"].value > 0.85 and found["separability"].value < 1.1 and found["sap[r2]"].value > 0.7
    assert straight.result.facts["channels"] == [12, 12] and found["mig"].n == 4 * 112
    assert straight.steps[0][0] == 0 and straight.steps[-1] == (straight.steps[-1][1],) * 2


def test_path_lengths_and_curvature_have_their_closed_forms(straight):
    cell = straight.cell
    z = cell.generator.sample(torch.arange(448, 448 + 48), seed=3).values.double()
    # Pixels are GAIN w, the perceptual distance is theirs squared: GAIN^2 |end - start|^2, wherever on the path.
    expected = GAIN**2 * (z[24:] - z[:24]).square().sum(1).numpy()
    assert straight.result.arrays["pictures/ppl_end"] == pytest.approx(expected, rel=0.02)
    assert straight.result.arrays["pictures/ppl_full"] == pytest.approx(expected, rel=0.02)
    # A linear generator has no curvature but rounding: a few 1e-8 in a pixel, over the square of a step, squared.
    assert straight.result.arrays["pictures/hessian"].max() < (1e-7 / CURVATURE_STEP**2) ** 2 * 10


def test_curvature_of_a_product_of_two_channels(world, blocks):
    class Bent(blocks.Linear):
        def synthesize(self, codes, *, intervene=(), noise="const"):
            flat = torch.zeros(len(codes), 3 * blocks.R**2)
            flat[:, 5] = 0.02 * codes.values[:, 0] * codes.values[:, 1]
            return flat.view(-1, 3, blocks.R, blocks.R)

    found = RepresentationTask().run(world(Codes12(), generator=Bent())).arrays["pictures/hessian"]
    # v'Hv = 2 h s0 s1 v0 v1 = +-2 h s0 s1, h = 0.02: the variance over four signs is 0, 4/4 or 4/3 of (2 h s0 s1)^2.
    z = blocks.Linear().sample(torch.arange(2048), seed=3).values
    unit = (0.04 * z.std(0)[0] * z.std(0)[1]).item() ** 2
    steps = np.unique(np.round(found / unit, 2))
    assert set(steps) <= {0.0, 1.0, 1.33} and found.max() > 0


def test_z_is_followed_along_circles_of_typical_length(world, blocks):
    class Long(blocks.Linear):
        lengths = []

        def synthesize(self, codes, *, intervene=(), noise="const"):
            self.lengths.append(codes.values.norm(dim=1))
            return super().synthesize(codes, intervene=intervene, noise=noise)

    generator = Long()
    cell = world(Codes12("z"), generator=generator, store={"representation-judged": {"attributes": torch.randn(448, 5)}})
    arrays = RepresentationTask().run(cell).arrays
    # The first 3 chunks of 16 pictures of each kind, before the Hessian's codes.
    assert torch.cat(generator.lengths[: 2 * 24 * 2 // 16]) == pytest.approx(blocks.D**0.5, rel=1e-4)
    # A turn by an angle, on a sphere of radius sqrt(D): GAIN^2 D angle^2 in both samplings.
    z = cell.generator.sample(torch.arange(448, 448 + 48), seed=3).values.double()
    angle = torch.nn.functional.cosine_similarity(z[:24], z[24:]).acos()
    assert arrays["pictures/ppl_end"] == pytest.approx(GAIN**2 * blocks.D * angle.square().numpy(), rel=0.02)
    assert arrays["pictures/ppl_full"] == pytest.approx(GAIN**2 * blocks.D * angle.square().numpy(), rel=0.02)


def test_an_encoder_of_pictures_gets_them_and_is_not_driven_by(world):
    encoder = Seen()
    assert isinstance(encoder, Encoder) and encoder.pictures == 0
    result, records = told(world(encoder))
    assert encoder.pictures == 448 and result.facts["channels"] == [12, 11]
    assert records["judged", "", "explicitness"].value > 0.95
    lost = records["pictures", "", "ppl_full"]
    assert lost.status == "skipped" and lost.reason == "m gives a representation that linear cannot be driven by"
    assert records["", "", "active_channels"].reason == "1 of 12 channels never change and are left out"


def test_the_judge_is_asked_once_for_all_representations(world, straight):
    store = {}
    RepresentationTask().run(world(Codes12(), store=store))
    assert set(store) == {"representation-judged"} and store["representation-judged"]["attributes"].shape == (448, 5)
    again = RepresentationTask().run(world(Codes12(), store=store))
    for name, array in straight.result.arrays.items():
        assert np.array_equal(array, again.arrays[name]), name


def test_pictures_that_cannot_be_read_are_counted(world, blocks):
    _, records = told(world(Codes12(), judge=blocks.Judge(blind=1.5), absent=("perceptual",)))
    one = records["judged", "", "mig"]
    assert one.n + one.n_failed == 448 and 15 < one.n_failed < 50
    lost = records["pictures", "", "ppl_end"]
    assert (lost.status, lost.reason) == ("skipped", "the network of perceptual was not fetched")
    assert records["pictures", "", "hessian_penalty"].status == "ok"


def test_a_rare_attribute_is_left_out_and_named(world, blocks):
    _, records = told(world(Codes12(), generator=blocks.Linear(rare=4.0), absent=("perceptual",)))
    one = records["judged", "", "separability"]
    assert one.status == "ok" and one.reason.startswith("hat is left out: a block has 0 rows of its rarer class")
    assert ("judged", "hat", "explicitness") not in records and ("judged", "tilt", "explicitness") in records


def test_true_factors_are_asked_where_they_are_known(world, blocks):
    class Known(blocks.Linear):
        factor_names = ("else", "hat", "warmth")

        def factors(self, codes):
            hat = torch.sigmoid(8 * codes.values[:, 4])
            return torch.stack([codes.values[:, 7], hat, codes.values[:, 0]], 1)

    settings = SETTINGS.model_copy(update={"factors": ("true",)})
    result, records = told(world(Codes12(), settings, generator=Known(), absent=("perceptual",)))
    assert result.facts["factors"]["true"]["names"] == ["warmth", "hat"] and "attributes" not in result.facts["judges"]
    one = records["true", "", "explicitness"]
    assert one.value > 0.95 and one.judge == "factors[linear]" and len(one.judge_sha) == 16
    _, records = told(world(Codes12(), settings, absent=("perceptual",)))
    one = records["true", "", "mig"]
    assert (one.status, one.reason) == ("skipped", "linear does not know the factors behind its pictures")


def test_refusals(world):
    with pytest.raises(UnsupportedError, match="m has no encoder"):
        RepresentationTask().run(world(None))

    class Wide(Codes12):
        def encode(self, codes, images):
            return codes.values.repeat(1, 6)

    with pytest.raises(UnsupportedError, match="72 channels need as many train_codes in a block, and there are 64"):
        RepresentationTask().run(world(Wide()))


def test_the_protocol_covers_sizes_rules_judges_and_versions(world):
    domain = world(Codes12()).domain
    one = RepresentationTask().protocol(SETTINGS, domain, 3)
    assert json.loads(json.dumps(one)) == one
    assert one["judges"]["attributes"] == ["exact", domain.judge("attributes").fingerprint] and one["rules"]["BINS"] == 10
    other = RepresentationTask().protocol(SETTINGS.model_copy(update={"blocks": 5}), domain, 3)
    assert other != one and {k for k in one if one[k] != other[k]} == {"settings"}
