"""The factor table, and rows drawn from it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.domains.heads.factors import (
    BINARY_RATE,
    CLASSES,
    CORRELATIONS,
    FACTORS,
    IDENTITY,
    INDEX,
    N_COLUMNS,
    NAMES,
    NUISANCE,
    correlation_matrix,
    normal_to_factors,
    sample_factors,
)

MANY = torch.arange(6000)
# What is left of a latent correlation once a side is cut into a binary factor.
CUT = {("age", "glasses"): 0.38, ("beard", "hair_length"): -0.40, ("beard", "age"): 0.16, ("beard", "face_width"): 0.20}


def test_table_is_well_formed():
    assert len(FACTORS) == 18 and len(set(NAMES + NUISANCE)) == N_COLUMNS == 22
    assert set(IDENTITY) == {"face_width", "nose_size", "skin_tone", "eye_spacing", "jaw"}
    assert {f.name for f in FACTORS if f.kind == "binary"} == set(BINARY_RATE)
    for factor in FACTORS:
        assert factor.low < factor.high
        assert factor.region and set(factor.region) <= set(CLASSES)
        assert len(set(factor.prompts)) == 2 and factor.description
        assert not factor.cyclic


def test_correlation_matrix_is_a_correlation():
    matrix = correlation_matrix()
    assert torch.equal(matrix, matrix.T)
    assert torch.equal(matrix.diagonal(), torch.ones(N_COLUMNS))
    assert torch.linalg.eigvalsh(matrix).min() > 0.05


@settings(max_examples=20, deadline=None)
@given(ids=st.lists(st.integers(0, 2**40), min_size=1, max_size=9), seed=st.integers(0, 2**31), independent=st.booleans())
def test_row_depends_on_seed_and_id_alone(ids, seed, independent):
    together = sample_factors(torch.tensor(ids), seed=seed, independent=independent)
    for row, one in zip(together, ids):
        assert torch.equal(row, sample_factors(torch.tensor([one]), seed=seed, independent=independent)[0])


def test_other_ids_and_seeds_give_other_rows():
    rows = torch.cat([sample_factors(torch.arange(50), seed=seed) for seed in (0, 1)])
    assert len(torch.unique(rows[:, INDEX["yaw"]])) == 100


@pytest.mark.parametrize("independent", [False, True])
def test_marginals(independent):
    rows = sample_factors(MANY, seed=3, independent=independent)
    assert rows.dtype == torch.float32 and rows.shape == (len(MANY), N_COLUMNS)
    spans = [(f.name, f.low, f.high) for f in FACTORS if f.kind == "continuous"] + [(name, 0, 1) for name in NUISANCE]
    for name, low, high in spans:
        column = (rows[:, INDEX[name]] - low) / (high - low)
        assert 0 <= column.min() and column.max() <= 1
        # Kolmogorov-Smirnov distance to the uniform; 1.95 is the 0.1 % point
        even = (torch.arange(len(MANY)) + 0.5) / len(MANY)
        assert (column.sort().values - even).abs().max() < 1.95 / len(MANY) ** 0.5
    for name, rate in BINARY_RATE.items():
        column = rows[:, INDEX[name]]
        assert set(column.tolist()) == {0.0, 1.0}
        assert abs(column.mean() - rate) < 0.025


def test_correlations_are_as_listed_and_only_those():
    seen = torch.corrcoef(sample_factors(MANY, seed=4).T)
    rest = 1 - torch.eye(N_COLUMNS)
    for (a, b), rho in CORRELATIONS.items():
        assert abs(seen[INDEX[a], INDEX[b]] - CUT.get((a, b), rho)) < 0.06, (a, b)
        rest[INDEX[a], INDEX[b]] = rest[INDEX[b], INDEX[a]] = 0
    assert (seen * rest).abs().max() < 0.07


def test_independent_rows_are_uncorrelated():
    seen = torch.corrcoef(sample_factors(MANY, seed=5, independent=True).T)
    assert (seen - torch.eye(N_COLUMNS)).abs().max() < 0.07


def test_extreme_normals_stay_in_range():
    rows = normal_to_factors(torch.tensor([[-40.0], [40.0]]).expand(2, N_COLUMNS))
    for i, factor in enumerate(FACTORS):
        assert rows[0, i] == factor.low and rows[1, i] == factor.high


def test_wrong_width_is_refused():
    with pytest.raises(ValueError, match="22"):
        normal_to_factors(torch.zeros(3, N_COLUMNS - 1))
