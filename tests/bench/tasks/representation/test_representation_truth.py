"""Blocks against planted truth: factors themselves score near 1, a rotation less where axes count and alike where they do not;
on heads-oracle, whose true directions are straight in w and bend in z, w is the straighter space."""

import numpy as np
import pytest
import torch

from bench.cards import Attribute
from bench.domains.heads.domain import heads_info
from bench.domains.heads.factors import FACTORS
from bench.errors import UnsupportedError
from bench.generators.heads_oracle import heads_oracle
from bench.tasks.representation.blocks import alive, in_span, measure_blocks
from bench.tasks.representation.factors import factors_of, usable
from bench.tasks.representation.protocol import RepresentationSettings
from bench.tasks.representation.rows import widening

BLOCKS, TRAIN, TEST = 4, 300, 100
N = BLOCKS * (TRAIN + TEST)
ATTRIBUTES = tuple(Attribute(name, "binary" if name == "hat" else "continuous") for name in ("a", "b", "c", "d", "hat"))


def measured(codes, attributes, values, **how):
    factors, parts, left_out = usable(factors_of(attributes, values, 0.0), BLOCKS, TRAIN, TEST, 4)
    assert not left_out
    return measure_blocks(codes, factors, parts, **how)[0]


@pytest.fixture(scope="module")
def planted():
    """Five independent factors, uniform so that histograms see them whole; the last one is read as a class."""
    return np.random.default_rng(0).uniform(-1, 1, (N, 5))


@pytest.fixture(scope="module")
def found(planted):
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    several = {"itself": planted, "turned": planted @ turn, "noise": rng.standard_normal((N, 5))}
    return {name: measured(codes, ATTRIBUTES, planted) for name, codes in several.items()}


def test_factors_themselves_score_near_one_and_a_rotation_lower(found):
    itself, turned, noise = (found[name] for name in ("itself", "turned", "noise"))
    assert itself["disentanglement"].min() > 0.93 and itself["completeness"].min() > 0.93 and itself["purity"].min() > 0.93
    assert itself["mig"].min() > 0.85 and itself["sap"].min() > 0.85 and itself["modularity"].min() > 0.9
    for key in ("disentanglement", "completeness", "purity", "mig", "sap", "modularity"):
        assert turned[key].max() < itself[key].min() - 0.1, key
    assert noise["mig"].max() < 0.02 and noise["sap"].max() < 0.02 and noise["informativeness"].max() < 0.02


def test_trees_agree_on_planted_truth(planted):
    trees = measured(planted[:, :3], ATTRIBUTES[:3], planted[:, :3], regressor="fast")
    assert trees["disentanglement"].min() > 0.97 and trees["informativeness"].min() > 0.97


def test_hyperplanes_do_not_notice_a_rotation(found):
    itself, turned, noise = (found[name] for name in ("itself", "turned", "noise"))
    for key in ("explicitness", "entropy", "boundary"):
        assert turned[key] == pytest.approx(itself[key], abs=0.02), key
    assert itself["explicitness"].min() > 0.99 and noise["explicitness"].mean() == pytest.approx(0.5, abs=0.03)
    assert itself["boundary"].min() > 0.93 and noise["boundary"].mean() == pytest.approx(0.5, abs=0.05)
    # exp of the sum of five entropies: 1 where planes part the surest half, near 2^5 where codes know nothing.
    assert np.exp(itself["entropy"].sum(1)).max() < 1.02 < 20 < np.exp(noise["entropy"].sum(1)).min()


def test_an_affine_copy_with_more_channels_is_read_alike_by_hyperplanes(planted, found):
    rng = np.random.default_rng(2)
    wide = planted @ rng.standard_normal((5, 40)) + rng.standard_normal(40)
    assert in_span((wide - wide.mean(0)) / wide.std(0)).shape == (N, 5)
    copied = measured(wide, ATTRIBUTES, planted)
    assert copied["boundary"] == pytest.approx(found["itself"]["boundary"], abs=0.03)
    assert copied["explicitness"] == pytest.approx(found["itself"]["explicitness"], abs=0.02)
    # What DCI pays for channels alone it does not pay for knowing more: why it is no headline, and mutual information gap is.
    turned = found["turned"]
    assert copied["disentanglement"].min() > turned["disentanglement"].max() + 0.1
    assert copied["mig"].mean() < turned["mig"].mean() + 0.05
    full = rng.standard_normal((50, 7))
    assert in_span(full) is full


@pytest.fixture(scope="module")
def oracle():
    """Codes of heads-oracle in z and w, and its true factors."""
    generator = heads_oracle()
    z = generator.sample(torch.arange(N), seed=0)
    names = [f.name for f in FACTORS]
    assert list(generator.factor_names[: len(names)]) == names and len(generator.factor_names) == 22
    truth = generator.factors(z)
    assert truth.shape == (N, 22) and 0 <= truth[:, names.index("beard")].min() < truth[:, names.index("beard")].max() <= 1
    w = generator.convert(z, "w")
    assert torch.allclose(generator.factors(w), truth)  # of codes of either space
    normals = generator.normals(z)[:, : len(names)].double().numpy()
    spaces = {"z": z.values.double().numpy(), "w": w.values.double().numpy(), "normals": normals}
    factors = factors_of(heads_info().attributes, truth[:, : len(names)].double().numpy(), 0.5)
    factors, parts, left_out = usable(factors, BLOCKS, TRAIN, TEST, 4)
    assert not left_out and len(factors.names) == 18
    return spaces, factors, parts


def test_on_the_oracle_w_is_straighter_than_z(oracle):
    spaces, factors, parts = oracle
    z, w = (measure_blocks(spaces[name], factors, parts)[0] for name in ("z", "w"))
    # In every block, and by far: the directions of the true factors are straight in w and bend in z.
    assert (w["explicitness"].mean(1) > z["explicitness"].mean(1) + 0.05).all() and w["explicitness"].mean() > 0.98
    assert (w["boundary"].mean(1) > z["boundary"].mean(1) + 0.08).all() and w["boundary"].mean() > 0.95
    assert (2 * np.exp(w["entropy"].sum(1)) < np.exp(z["entropy"].sum(1))).all()
    assert (w["informativeness"] > z["informativeness"] + 0.1).all()


def test_on_the_oracle_its_normals_are_axes_and_a_rotation_hides_them(oracle):
    spaces, factors, parts = oracle
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((18, 18)))[0]
    axes, turned = (measure_blocks(one, factors, parts)[0] for one in (spaces["normals"], spaces["normals"] @ turn))
    assert axes["disentanglement"].min() > 0.9 and axes["mig"].min() > 0.3
    assert turned["disentanglement"].max() < 0.4 and turned["mig"].max() < 0.1
    assert turned["explicitness"].mean() == pytest.approx(axes["explicitness"].mean(), abs=0.01)


def test_dead_channels_are_found_and_too_many_channels_refused(planted):
    parts = [(np.arange(g * 400, g * 400 + 300), np.arange(g * 400 + 300, g * 400 + 400)) for g in range(BLOCKS)]
    codes = np.column_stack([planted, np.ones(N), np.repeat([0.0, 1.0], N // 2)])
    assert alive(codes, parts).tolist() == [True] * 5 + [False, False]  # the last one changes between blocks alone
    with pytest.raises(UnsupportedError, match="301 channels need as many train_codes in a block, and there are 300"):
        measured(np.random.default_rng(0).standard_normal((N, 301)), ATTRIBUTES, planted)


def test_what_cannot_be_asked_is_left_out_with_its_reason(planted):
    values = planted.copy()
    values[:, 0] = np.nan  # never read
    values[:, 4] = np.where(np.arange(N) < 3, 1.0, -1.0)  # a class of three
    values[7, 1] = np.nan  # one picture that could not be read
    factors, parts, left_out = usable(factors_of(ATTRIBUTES, values, 0.0), BLOCKS, TRAIN, TEST, 4)
    assert factors.names == ("b", "c", "d") and set(left_out) == {"a", "hat"}
    assert left_out["a"] == "it could not be read" and "0 rows of its rarer class" in left_out["hat"]
    assert len(parts[0][0]) == TRAIN - 1 and 7 not in parts[0][0] and len(parts[1][0]) == TRAIN
    rows = np.concatenate([rows for part in parts for rows in part])
    assert len(np.unique(rows)) == len(rows) == N - 1  # disjoint, and none lost but the one


def test_continuous_attributes_are_cut_at_their_median_and_binary_ones_at_their_threshold():
    values = np.column_stack([np.arange(10.0), np.linspace(0, 1, 10) ** 2])
    two = factors_of([Attribute("age", "continuous"), Attribute("hat", "binary")], values, 0.5)
    assert two.cut.tolist() == [4.5, 0.5] and two.classes.sum(0).tolist() == [5, 3]
    assert two.regressed[:, 0].tolist() == values[:, 0].tolist() and set(two.regressed[:, 1]) == {0.0, 1.0}
    assert two.certainty[0].tolist() == [4.5, 0.5]


def test_settings_refuse_what_cannot_be():
    many = {"blocks": 100, "train_codes": 10_000}
    for wrong in ({"factors": ("judged", "judged")}, {"factors": ("guessed",)}, {"blocks": 3}, many, {"regressor": "ridge"}):
        with pytest.raises(ValueError):
            RepresentationSettings(**wrong)
    assert RepresentationSettings(factors=[True, "judged"]).factors == ("true", "judged")  # as YAML reads [true, judged]
    assert RepresentationSettings().samples == 12_800 and widening(8) == pytest.approx(1.3680, abs=1e-4)
