"""Faults of representations: the true normals of independent factors as codes, spoilt in known ways; no picture is rendered."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm
from sklearn.exceptions import ConvergenceWarning

from bench.tasks.validity import settings as rules
from bench.tasks.validity.lab import Lab, Series, series
from metrics.disentanglement import (
    beta_vae_batches_from,
    beta_vae_score,
    boundary_accuracy,
    dci,
    explicitness,
    factor_vae_batches_from,
    factor_vae_score,
    fit_boundary,
    gaussian_total_correlation,
    gaussian_wasserstein_correlation,
    irs,
    linear_separability,
    mig,
    modularity,
    sap,
)


@dataclass(frozen=True)
class Sample:
    """Codes [N, D] with their factors [N, K]: values, classes (whole numbers), and sides, which half of its range each is in."""

    codes: np.ndarray
    values: np.ndarray
    classes: np.ndarray
    sides: np.ndarray


# codes, severity, draws about columns (the same for training and test rows and all severities), draws about rows
Spoil = Callable[[np.ndarray, float, np.random.Generator, np.random.Generator], np.ndarray]


def rotation(codes: np.ndarray, s: float, columns: np.random.Generator, rows: np.random.Generator) -> np.ndarray:
    d = codes.shape[1]
    drawn = columns.standard_normal((d, d))
    return codes @ expm(s * rules.TURN * (drawn - drawn.T) / np.sqrt(2 * d))


def noise(codes: np.ndarray, s: float, columns: np.random.Generator, rows: np.random.Generator) -> np.ndarray:
    return codes + s * rules.FACTOR_NOISE * rows.standard_normal(codes.shape)


def leak(codes: np.ndarray, s: float, columns: np.random.Generator, rows: np.random.Generator) -> np.ndarray:
    # Not round the circle: the mix stays invertible whatever its size.
    return codes + s * rules.FACTOR_LEAK * np.concatenate([codes[:, 1:], np.zeros((len(codes), 1))], 1)


def drop(codes: np.ndarray, s: float, columns: np.random.Generator, rows: np.random.Generator) -> np.ndarray:
    d = codes.shape[1]
    return codes[:, np.sort(columns.permutation(d)[round(s * d / 2) :])]


def copy(codes: np.ndarray, s: float, columns: np.random.Generator, rows: np.random.Generator) -> np.ndarray:
    copied = columns.permutation(codes.shape[1])[: round(s * codes.shape[1])]
    # Neither of the two is nearer to the factor than the other.
    first, second = (codes[:, copied] + rules.COPY_NOISE * rows.standard_normal((len(codes), len(copied))) for _ in range(2))
    original = codes.copy()
    original[:, copied] = first
    return np.concatenate([original, second], 1)


def padding(codes: np.ndarray, s: float, columns: np.random.Generator, rows: np.random.Generator) -> np.ndarray:
    return np.concatenate([codes, rows.standard_normal((len(codes), round(s * codes.shape[1])))], 1)


def permutation(codes: np.ndarray, s: float, columns: np.random.Generator, rows: np.random.Generator) -> np.ndarray:
    d = codes.shape[1]
    moved = columns.permutation(d)[: round(s * d)]
    order = np.arange(d)
    order[moved] = np.roll(moved, 1)
    return codes[:, order]


def scaling(codes: np.ndarray, s: float, columns: np.random.Generator, rows: np.random.Generator) -> np.ndarray:
    size, sign, shift = columns.standard_normal((3, codes.shape[1]))
    return codes * np.exp(s * rules.SCALING * size) * np.where(s * sign < 0, -1.0, 1.0) + s * shift


FAULTS: dict[str, Spoil] = {
    "rotation": rotation,
    "noise": noise,
    "leak": leak,
    "drop": drop,
    "copy": copy,
    "padding": padding,
    "permutation": permutation,
    "scaling": scaling,
}


def measure_representations(lab: Lab) -> Series:
    """Every metric of representations under every fault; the units are independent draws of codes and of the faults."""
    draws: dict[str, list[Series]] = {}
    asked = {name: spoil for name, spoil in FAULTS.items() if lab.asked(f"codes_{name}")}
    for draw in range(lab.settings.draws):
        train, test = sample(lab, 2 * draw), sample(lab, 2 * draw + 1)
        start = representation_metrics(train, test, draw)
        for name, spoil in asked.items():
            levels = [start]
            for s in lab.severities[1:]:
                spoilt = [_spoilt(lab, one, name, spoil, s, draw, part) for part, one in (("train", train), ("test", test))]
                levels.append(representation_metrics(*spoilt, draw))
            draws.setdefault(f"codes_{name}", []).append(series({name: levels}))
    found: Series = {}
    for fault, each in draws.items():
        for (name, metric) in each[0]:
            found[fault, metric] = np.concatenate([one[name, metric] for one in each])
    return found


def _spoilt(lab: Lab, one: Sample, name: str, spoil: Spoil, s: float, draw: int, part: str) -> Sample:
    codes = spoil(one.codes, s, lab.rng(name, draw), lab.rng(name, draw, part))
    return Sample(codes, one.values, one.classes, one.sides)


def sample(lab: Lab, number: int) -> Sample:
    """One draw of codes that are the true normals of the settings' factors."""
    n, columns = lab.settings.factor_codes, lab.columns(lab.settings.factors)
    codes = lab.codes("factors", n, number * n)
    values = lab.truth.factors(codes).cpu().double().numpy()[:, columns]
    attributes = [lab.domain.info.attribute(name) for name in lab.settings.factors]
    low, high = (np.array([getattr(a, end) for a in attributes]) for end in ("low", "high"))
    share = np.clip((values - low) / (high - low), 0, 1 - 1e-9)
    counts = np.array([2 if a.kind == "binary" else rules.FACTOR_CLASSES for a in attributes])
    normals = lab.normals(codes).astype(np.float64)[:, columns]
    return Sample(normals, values, np.floor(share * counts), (share > 0.5).astype(np.float64))


def representation_metrics(train: Sample, test: Sample, seed: int) -> dict[str, np.ndarray]:
    """Metric -> [1]: one value of one draw."""
    with warnings.catch_warnings():
        # Linear readers that do not scale codes stop early on some faults; what they read then is what the metric reads.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return _metrics(train, test, seed)


def _metrics(train: Sample, test: Sample, seed: int) -> dict[str, np.ndarray]:
    codes, classes = train.codes, train.classes
    informed = dci(codes, train.values, test.codes, test.values)
    same, same_test = (factor_vae_batches_from(one.codes, one.classes, rules.MINIBATCHES, seed=seed) for one in (train, test))
    apart, apart_test = (beta_vae_batches_from(one.codes, one.classes, rules.MINIBATCHES, seed=seed) for one in (train, test))
    found = {
        "mig": mig(codes, classes),
        "sap": sap(codes, train.values, test.codes, test.values, continuous=True),
        "dci_disentanglement": informed.disentanglement,
        "dci_completeness": informed.completeness,
        "dci_informativeness": informed.informativeness,
        "modularity": modularity(codes, classes),
        "irs": irs(codes, classes),
        "factor_vae": factor_vae_score(same.values, same.fixed, same_test.values, same_test.fixed, scale=codes.var(0)),
        "beta_vae": beta_vae_score(apart.values, apart.fixed, apart_test.values, apart_test.fixed),
        "explicitness": explicitness(codes, classes, test.codes, test.classes),
        "linear_separability": linear_separability(codes, train.sides, None),
        "boundary_accuracy": _boundaries(train, test),
        "total_correlation": gaussian_total_correlation(codes),
        "wasserstein_correlation": gaussian_wasserstein_correlation(codes),
    }
    return {name: np.array([value]) for name, value in found.items()}


def _boundaries(train: Sample, test: Sample) -> float:
    """Mean held-out accuracy of each factor's boundary, fitted on the training rows."""
    found = []
    for side, truth in zip(train.sides.T, test.sides.T, strict=True):
        normal, offset = fit_boundary(train.codes, side)
        found.append(boundary_accuracy(test.codes, truth, normal, offset))
    return float(np.mean(found))
