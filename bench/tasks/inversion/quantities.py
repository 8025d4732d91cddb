"""What the inversion task reports: names, units, directions, and what counts where a judge cannot read a picture."""

from __future__ import annotations

import numpy as np

from bench.tasks.numbers import Quantity
from metrics.editing import IdentityPreservation, Leakage

INF = float("inf")

# Of a picture and what its code gives back. An unreadable reconstruction counts as the worst: the inverter lost the face.
PERCEPTUAL = Quantity("perceptual", "perceptual", "distance", False, headline=True, worst=INF)
IDENTITY = Quantity("identity", "identity", "cosine", True, headline=True, worst=IdentityPreservation.worst)
# Mean over attributes of the judge's |difference| in sigma: what a reader of the picture gets wrong.
ATTRIBUTE_ERROR = Quantity("attribute_error", "attributes", "sigma", False, headline=True, worst=Leakage.worst)
MSE = Quantity("mse", "", "squared, of [-1, 1]", False)
PSNR = Quantity("psnr", "", "dB", True)
SSIM = Quantity("ssim", "", "index", True)
# Of the code. 1 is where only one sample in a thousand lies beyond; samples have a p norm of about 1 and a w norm of about 1.
CODE_DISTANCE = Quantity("code_distance", "", "of the samples' limit", None)
P_NORM = Quantity("p_norm", "", "mean square of p_n", None)
W_NORM = Quantity("w_norm", "", "of the samples' distance", None)
# Of edits, against sampled codes at the same strength: see metrics.inversion.
EXCESS = Quantity("editability_excess", "attributes", "leakage per effect", False, headline=True)
RATIO = Quantity("editability_ratio", "attributes", "share", None)
EFFECT = Quantity("edit_effect", "attributes", "sigma", None)
LEAKAGE = Quantity("edit_leakage", "attributes", "sigma", None)
SECONDS = Quantity("seconds_per_picture", "", "s", False)

PICTURES = (PERCEPTUAL, IDENTITY, ATTRIBUTE_ERROR, MSE, PSNR, SSIM)
CODES = (CODE_DISTANCE, P_NORM, W_NORM)
EDITS = (EXCESS, RATIO, EFFECT, LEAKAGE)
QUANTITIES = (*PICTURES, *CODES, *EDITS, SECONDS)
HEADLINES = tuple(one for one in QUANTITIES if one.headline)

# What an edit counts as that left a picture which cannot be read, in sigma: no effect, and the leakage of the editing task.
WORST_EFFECT, WORST_LEAKAGE = 0.0, Leakage.worst


def metric_names() -> tuple[str, ...]:
    return tuple(one.name for one in QUANTITIES)


def picture_key(source: str, name: str) -> str:
    """The name of one source's values in a cell's arrays."""
    return f"{source}/{name}"


def edit_key(source: str, target: str) -> str:
    """The name of one source's changes under one edit, [N, A]; the source 'sampled' has those of sampled codes."""
    return f"{source}/edit/{target}"


def mean_attribute_error(change: np.ndarray) -> np.ndarray:
    """Mean over attributes of |change|, [N, A] in sigma -> [N]; NaN where the judge could not read."""
    return np.abs(change).mean(1)
