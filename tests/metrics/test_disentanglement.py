"""The front of the family: its names, and that every metric of codes and factors refuses bad input by the argument's name."""

import numpy as np
import pytest
import torch

from metrics import disentanglement as front

N, D, K = 40, 3, 2
RNG = np.random.default_rng(0)
FACTORS = np.stack([np.arange(N) % 2, np.arange(N) // 2 % 3], 1)
CODES = RNG.normal(size=(N, D)) + FACTORS[:, [0, 1, 1]]

ON_CODES = {
    "mig": lambda codes, factors: front.mig(codes, factors, bins=5),
    "modularity": lambda codes, factors: front.modularity(codes, factors, bins=5),
    "mutual_information": front.mutual_information,
    "irs": front.irs,
    "explicitness": lambda codes, factors: front.explicitness(codes, factors, CODES, FACTORS),
    "sap": lambda codes, factors: front.sap(codes, factors, CODES, FACTORS),
    "sap_continuous": lambda codes, factors: front.sap(codes, factors, CODES, FACTORS, continuous=True),
    "dci": lambda codes, factors: front.dci(codes, factors, CODES, FACTORS),
    "dci_lasso": lambda codes, factors: front.dci(codes, factors, CODES, FACTORS, regressor="lasso"),
    "beta_vae": lambda codes, factors: front.beta_vae_batches_from(codes, factors, 3, batch=2),
    "factor_vae": lambda codes, factors: front.factor_vae_batches_from(codes, factors, 3, batch=2),
}
HELD_OUT = {
    "explicitness": front.explicitness,
    "sap": front.sap,
    "dci": lambda *four: front.dci(*four, regressor="lasso"),
}


def with_entry(array, value):
    changed = np.array(array, float)
    changed[3, 1] = value
    return changed


@pytest.mark.parametrize("name", ON_CODES)
@pytest.mark.parametrize(
    "codes, factors, message",
    [
        (np.column_stack([CODES[:, :2], np.ones(N)]), FACTORS, "codes never changes in column 2"),
        (CODES, np.column_stack([FACTORS[:, 0], np.ones(N)]), "factors never changes in column 1: one value or one class only"),
        (with_entry(CODES, np.nan), FACTORS, "codes holds 1 values that are NaN"),
        (with_entry(CODES, np.inf), FACTORS, "codes holds 1 values that are NaN"),
        (CODES, with_entry(FACTORS, np.nan), "factors holds 1 values that are NaN"),
        (CODES[:2], FACTORS[:2], r"codes has fewer rows \(2\) than columns \(3\)"),
        (CODES[:0], FACTORS[:0], "codes is empty"),
        (CODES, FACTORS[:, :0], "factors is empty"),
        (CODES, FACTORS[1:], "factors has 39 rows for 40 rows of codes"),
        (CODES[:, 0], FACTORS, r"codes must be \[rows, columns\]"),
        (CODES, FACTORS[:, 0], r"factors must be \[rows, columns\]"),
        (CODES, [["a"]] * N, "factors must be numbers"),
    ],
)
def test_bad_codes_and_factors_are_refused_by_name(name, codes, factors, message):
    with pytest.raises(ValueError, match=message):
        ON_CODES[name](codes, factors)


@pytest.mark.parametrize("name", HELD_OUT)
@pytest.mark.parametrize(
    "codes, factors, message",
    [
        (CODES[:, :2], FACTORS, "codes_test has 2 columns, codes has 3"),
        (CODES, FACTORS[:, :1], "factors_test has 1 columns, factors has 2"),
        (CODES, FACTORS[1:], "factors_test has 39 rows for 40"),
        (with_entry(CODES, np.nan), FACTORS, "codes_test holds 1 values"),
        (CODES[:0], FACTORS[:0], "codes_test is empty"),
    ],
)
def test_bad_held_out_rows_are_refused_by_name(name, codes, factors, message):
    with pytest.raises(ValueError, match=message):
        HELD_OUT[name](CODES, FACTORS, codes, factors)


def test_correlations_refuse_by_name():
    for score in (front.gaussian_total_correlation, front.gaussian_wasserstein_correlation):
        for codes, message in (
            (CODES[:2], "codes has fewer rows"),
            (with_entry(CODES, np.nan), "codes holds"),
            ([], "codes must"),
        ):
            with pytest.raises(ValueError, match=message):
                score(codes)


@pytest.mark.parametrize("name", ON_CODES)
def test_tensors_are_arrays(name):
    array = ON_CODES[name](CODES, FACTORS)
    tensor = ON_CODES[name](torch.from_numpy(CODES).requires_grad_(), torch.from_numpy(FACTORS))
    np.testing.assert_equal(tensor, array)


def test_names_of_the_family():
    assert all(hasattr(front, name) for name in front.__all__)
    assert list(front.DCI._fields) == ["disentanglement", "completeness", "informativeness", "importance"]
