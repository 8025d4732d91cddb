"""Checks of the arrays that metrics take, so that every refusal names the argument and says what is wrong with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def matrix(values: ArrayLike, name: str, *, rows: int = 1) -> np.ndarray:
    """`values` as finite float64 [N, C] with N >= rows and C >= 1. Raises ValueError, naming the argument, otherwise."""
    array = _real(values, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must be [rows, columns], not of shape {array.shape}")
    if not array.size:
        raise ValueError(f"{name} is empty: its shape is {array.shape}")
    if len(array) < rows:
        raise ValueError(f"{name} has {len(array)} rows; at least {rows} are needed")
    return finite(array, name)


def varying(array: np.ndarray, name: str) -> np.ndarray:
    """The array itself where every column of [N, C] takes two values or more. Raises ValueError with the columns otherwise.

    Drop such columns with array[:, active_columns(array)]: what never changes can carry nothing.
    """
    constant = np.flatnonzero(~active_columns(array))
    if len(constant):
        shown = ", ".join(map(str, constant[:5])) + (", ..." if len(constant) > 5 else "")
        raise ValueError(f"{name} never changes in column {shown}: one value or one class only")
    return array


def active_columns(array: np.ndarray) -> np.ndarray:
    """Which columns of [N, C] take more than one value, bool [C]."""
    return np.ptp(np.asarray(array), axis=0) > 0


def codes_matrix(values: ArrayLike, name: str = "codes", *, columns: int = 1) -> np.ndarray:
    """Latent codes to learn from, float64 [N, D]: finite, no constant column, N >= D >= columns. Raises ValueError otherwise.

    With fewer rows than columns any labelling is told apart by a hyperplane, and what a metric reads is chance.
    """
    array = matrix(values, name, rows=2)
    if array.shape[1] < columns:
        raise ValueError(f"{name} has {array.shape[1]} column(s); at least {columns} are needed")
    if array.shape[0] < array.shape[1]:
        raise ValueError(f"{name} has fewer rows ({array.shape[0]}) than columns ({array.shape[1]})")
    return varying(array, name)


def factors_matrix(values: ArrayLike, rows: int, name: str = "factors", *, columns: int = 1) -> np.ndarray:
    """True or judged factors, float64 [N, K], one row a code: finite, no constant column, K >= columns. ValueError
    otherwise."""
    array = matrix(values, name, rows=2)
    if len(array) != rows:
        raise ValueError(f"{name} has {len(array)} rows for {rows} rows of codes")
    if array.shape[1] < columns:
        raise ValueError(f"{name} has {array.shape[1]} column(s); at least {columns} are needed")
    return varying(array, name)


def held_out(
    codes: ArrayLike, factors: ArrayLike, like_codes: np.ndarray, like_factors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Held-out codes and factors, checked against the columns of the training ones. They may be few and may be constant."""
    codes, factors = matrix(codes, "codes_test"), matrix(factors, "factors_test")
    for array, like, name in ((codes, like_codes, "codes"), (factors, like_factors, "factors")):
        if array.shape[1] != like.shape[1]:
            raise ValueError(f"{name}_test has {array.shape[1]} columns, {name} has {like.shape[1]}")
    if len(codes) != len(factors):
        raise ValueError(f"factors_test has {len(factors)} rows for {len(codes)} rows of codes_test")
    return codes, factors


def finite(array: np.ndarray, name: str) -> np.ndarray:
    """The array itself. Raises ValueError where it holds NaN or an infinity."""
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds {int((~np.isfinite(array)).sum())} values that are NaN or infinite")
    return array


def is_discrete(column: np.ndarray) -> bool:
    """Whether a factor holds classes: it does where every value is a whole number."""
    return bool(np.all(column == np.round(column)))


def bin_count(bins: int) -> int:
    """A number of histogram bins, at least 2. Raises ValueError otherwise."""
    if isinstance(bins, bool) or int(bins) != bins or bins < 2:
        raise ValueError(f"bins must be a whole number of at least 2, not {bins}")
    return int(bins)


def _real(values: ArrayLike, name: str) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be numbers in a rectangular array") from None
