"""The factor table of the `heads` domain, and how factor rows are drawn.

A head is described by one row of N_COLUMNS numbers: the named factors, in the
order of FACTORS, then the nuisance columns, which vary the picture a little but
which no task names. Everything else (prompts, regions, identity, ranges) is read
from the table, so a factor is added or changed in one place.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from bench.streams import normal_rows

CLASSES = ("background", "hair", "skin", "eyes", "brows", "nose", "mouth", "glasses", "beard", "body")
HEAD = CLASSES[1:]


class Factor(NamedTuple):
    """One row of the factor table.

    `kind` is "continuous" or "binary" (drawn as 0 or 1, rendered at any opacity
    between). `region` lists the segmentation classes the factor may change.
    `prompts` describe the low and the high end. `identity` marks what makes two
    pictures the same person. `cyclic` says that the two ends look alike.
    """

    name: str
    kind: str
    low: float
    high: float
    region: tuple[str, ...]
    prompts: tuple[str, str]
    description: str
    identity: bool = False
    cyclic: bool = False


def _continuous(
    name: str,
    span: tuple[float, float],
    region: tuple[str, ...],
    prompts: tuple[str, str],
    description: str,
    identity: bool = False,
) -> Factor:
    return Factor(name, "continuous", *span, region, prompts, description, identity)


def _binary(name: str, region: tuple[str, ...], prompts: tuple[str, str], description: str) -> Factor:
    return Factor(name, "binary", 0.0, 1.0, region, prompts, description)


_UNIT = (0.0, 1.0)
_SIGNED = (-1.0, 1.0)
FACTORS: tuple[Factor, ...] = (
    _continuous(
        "yaw",
        (-35.0, 35.0),
        HEAD,
        ("a face turned to the left", "a face turned to the right"),
        "head turn in degrees, positive to the viewer's right",
    ),
    _continuous(
        "pitch",
        (-15.0, 15.0),
        HEAD,
        ("a face looking down", "a face looking up"),
        "head nod in degrees, positive looks up",
    ),
    _continuous(
        "light",
        _SIGNED,
        HEAD,
        ("a face lit from the left", "a face lit from the right"),
        "light azimuth, -1 from the left, 1 from the right",
    ),
    _continuous(
        "warmth",
        _SIGNED,
        HEAD,
        ("a face in cool blue light", "a face in warm orange light"),
        "light colour, -1 cool, 1 warm",
    ),
    _continuous(
        "age",
        _UNIT,
        HEAD[:-1],
        ("a young person", "an old person"),
        "wrinkles, mottling, greying, heavier jaw",
    ),
    _continuous(
        "smile",
        _SIGNED,
        ("mouth", "skin"),
        ("a frowning person", "a smiling person"),
        "mouth curve from frown to smile, with lifted cheeks",
    ),
    _continuous(
        "mouth_open",
        _UNIT,
        ("mouth", "skin", "beard"),
        ("a person with a closed mouth", "a person with an open mouth"),
        "mouth opening with teeth",
    ),
    _continuous(
        "eye_open",
        _UNIT,
        ("eyes", "brows"),
        ("a person with narrowed eyes", "a person with wide open eyes"),
        "eyelid opening, 0 narrow, 1 wide, with raised brows",
    ),
    _binary(
        "glasses",
        ("glasses", "eyes"),
        ("a person without glasses", "a person with glasses"),
        "dark-rimmed glasses",
    ),
    _binary(
        "beard",
        ("beard",),
        ("a clean-shaven person", "a person with a beard"),
        "full beard with moustache",
    ),
    _continuous(
        "hair_length",
        _UNIT,
        ("hair",),
        ("a person with short hair", "a person with long hair"),
        "from cropped to below the shoulders",
    ),
    _continuous(
        "hair_colour",
        _UNIT,
        ("hair", "brows", "beard"),
        ("a person with black hair", "a person with red hair"),
        "black, brown, blond, red",
    ),
    _continuous(
        "face_width",
        _UNIT,
        ("skin", "hair", "beard"),
        ("a person with a narrow face", "a person with a wide face"),
        "narrow to wide head",
        identity=True,
    ),
    _continuous(
        "nose_size",
        _UNIT,
        ("nose", "skin", "beard", "mouth"),
        ("a person with a small nose", "a person with a big nose"),
        "small to large nose",
        identity=True,
    ),
    _continuous(
        "skin_tone",
        _UNIT,
        ("skin", "nose", "body"),
        ("a person with light skin", "a person with dark skin"),
        "light to dark skin",
        identity=True,
    ),
    _continuous(
        "background",
        _UNIT,
        ("background",),
        ("a pink background", "a green background"),
        "background hue over 0.8 of the circle, so the ends differ",
    ),
    _continuous(
        "eye_spacing",
        _UNIT,
        ("eyes", "brows", "nose"),
        ("a person with close-set eyes", "a person with wide-set eyes"),
        "distance between the eyes",
        identity=True,
    ),
    _continuous(
        "jaw",
        _UNIT,
        ("skin", "beard"),
        ("a person with a pointed chin", "a person with a square jaw"),
        "pointed to square jaw",
        identity=True,
    ),
)
NUISANCE: tuple[str, ...] = ("clothes_hue", "clothes_shade", "iris", "strands")
NAMES = tuple(f.name for f in FACTORS)
INDEX = {name: i for i, name in enumerate(NAMES + NUISANCE)}
IDENTITY = tuple(f.name for f in FACTORS if f.identity)
N_COLUMNS = len(FACTORS) + len(NUISANCE)
BINARY_RATE = {"glasses": 0.45, "beard": 0.45}
CORRELATIONS: dict[tuple[str, str], float] = {
    ("age", "glasses"): 0.5,
    ("age", "hair_length"): -0.2,
    ("beard", "hair_length"): -0.5,
    ("beard", "age"): 0.2,
    ("beard", "face_width"): 0.25,
    ("smile", "mouth_open"): 0.4,
    ("smile", "eye_open"): -0.2,
    ("skin_tone", "hair_colour"): -0.4,
    ("light", "yaw"): 0.3,
    ("warmth", "background"): -0.25,
}
"""Correlations of the latent normals; cutting a binary factor weakens what is seen."""


def correlation_matrix() -> Tensor:
    """Return the copula's [N_COLUMNS, N_COLUMNS] correlation matrix; nuisance is independent."""
    matrix = torch.eye(N_COLUMNS)
    for (a, b), rho in CORRELATIONS.items():
        matrix[INDEX[a], INDEX[b]] = matrix[INDEX[b], INDEX[a]] = rho
    return matrix


@lru_cache(maxsize=1)
def _mixing() -> Tensor:
    return torch.linalg.cholesky(correlation_matrix().double()).float().T.contiguous()


def normal_to_factors(normal: Tensor) -> Tensor:
    """Map standard normal columns [N, N_COLUMNS] to factor rows by their marginals.

    Continuous factors become uniform in [low, high], binary ones are 1 for the
    upper BINARY_RATE share, nuisance is uniform in [0, 1]. Correlations between
    the columns are the caller's.
    """
    if normal.ndim != 2 or normal.shape[1] != N_COLUMNS:
        raise ValueError(f"expected [N, {N_COLUMNS}] normals, got {tuple(normal.shape)}")
    uniform = torch.special.ndtr(normal)
    low = normal.new_tensor([f.low for f in FACTORS] + [0.0] * len(NUISANCE))
    high = normal.new_tensor([f.high for f in FACTORS] + [1.0] * len(NUISANCE))
    rows = torch.lerp(low, high, uniform)
    for name, rate in BINARY_RATE.items():
        rows[:, INDEX[name]] = (uniform[:, INDEX[name]] > 1 - rate).to(rows.dtype)
    return rows


def sample_factors(ids: Tensor, *, seed: int, independent: bool = False) -> Tensor:
    """Return factor rows [N, N_COLUMNS] of int64 ids [N].

    A row depends on (seed, id) alone, whatever else is asked for beside it.
    `independent` drops the correlations, which is what judges are trained on.
    """
    normal = normal_rows(ids, N_COLUMNS, seed=seed, name="heads")
    # A sum of outer products, not a matrix product: a BLAS may round a row
    # differently with the number of rows beside it.
    if not independent:
        mixing = _mixing().to(normal.device)
        normal = sum((normal[:, i, None] * mixing[i] for i in range(1, N_COLUMNS)), normal[:, :1] * mixing[0])
    return normal_to_factors(normal)
