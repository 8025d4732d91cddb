"""Inverted codes: how well they give the picture back, how well they can be edited, and how far they lie from sampled codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from metrics.arrays import finite
from metrics.effects import identity_cosine, leakage, target_effect
from metrics.perceptual import mse, psnr, squared_distance, ssim
from metrics.plausibility import CodeStatistics, statistic, to_p
from metrics.statistics import weighted_mean

Pair = tuple[np.ndarray, np.ndarray]


def reconstruction(
    original: np.ndarray,
    rebuilt: np.ndarray,
    *,
    data_range: float,
    perceptual: Pair | None = None,
    identity: Pair | None = None,
    seconds: ArrayLike | None = None,
) -> dict[str, np.ndarray]:
    """Measure -> per-picture values [N] of pictures [N, C, h, w] and what their codes give back; a measure without input is
    absent.

    mse (lower), psnr in dB (higher), ssim (higher); perceptual (lower): the squared distance of the judge's vectors (original's,
    rebuilt's) [N, P], which is LPIPS for an lpips judge; identity (higher): cosine of the judge's embeddings [N, D], NaN where it
    could not read a face; seconds (lower): time per picture. data_range: width of the pictures' nominal range, 2 for [-1, 1].
    Set-level realism (FID, KID, SWD of rebuilt pictures) is in metrics.distribution. Raises ValueError where pictures do not fit.
    """
    found = {
        "mse": mse(original, rebuilt),
        "psnr": psnr(original, rebuilt, data_range=data_range),
        "ssim": ssim(original, rebuilt, data_range=data_range),
    }
    if perceptual is not None:
        found["perceptual"] = squared_distance(*perceptual)
    if identity is not None:
        found["identity"] = identity_cosine(*(np.asarray(one, np.float64) for one in identity))
    if seconds is not None:
        found["seconds"] = finite(np.asarray(seconds, np.float64), "seconds")
    n = len(found["mse"])
    for name, values in found.items():
        if values.shape != (n,):
            raise ValueError(f"{name} has the shape {values.shape} for {n} pictures")
    return found


class Editability(NamedTuple):
    """Means at one and the same strength. effect and leakage of inverted codes in sigma; ratio: their effect over sampled codes'.

    excess: leakage over effect of inverted codes minus that of sampled ones; above 0 they leak more for what they achieve.
    """

    effect: float
    leakage: float
    ratio: float
    excess: float


def editability(inverted: ArrayLike, sampled: ArrayLike, target: int, sign: int = 1) -> Editability:
    """How well inverted codes can be edited, against sampled codes of the same generator under the same edit.

    inverted [N, K], sampled [M, K]: signed change of every judged attribute in sigma (metrics.effects.changes); target: the
    column asked for; sign: the way asked. ratio is 1 and excess 0 where inverted codes are as good as sampled ones. Raises
    ValueError, naming the argument, for NaN, no codes, and where sampled codes show no effect the way asked.
    """
    mine, theirs = _changes(inverted, "inverted"), _changes(sampled, "sampled")
    if mine.shape[1] != theirs.shape[1]:
        raise ValueError(f"sampled has {theirs.shape[1]} attributes, inverted has {mine.shape[1]}")
    if not 0 <= target < mine.shape[1]:
        raise ValueError(f"target is column {target} of {mine.shape[1]}")
    effect, reference = (float(target_effect(one, target, sign).mean()) for one in (mine, theirs))
    if not reference > 0:
        raise ValueError("sampled codes show no effect the way asked: there is nothing to compare with")
    leak, leak_reference = (float(leakage(one, target).mean()) for one in (mine, theirs))
    excess = leak / effect - leak_reference / reference if effect > 0 else float("inf")
    return Editability(effect, leak, effect / reference, excess)


class EditabilityRows(NamedTuple):
    """Editability under R rows of weights, [R] each, as in Editability.

    sampled_effect, sampled_leakage: of sampled codes. ratio is NaN and excess inf in a row where sampled codes show no effect;
    excess is inf where inverted codes show none.
    """

    effect: np.ndarray
    leakage: np.ndarray
    sampled_effect: np.ndarray
    sampled_leakage: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        blank = np.full(len(self.effect), np.nan)
        return np.divide(self.effect, self.sampled_effect, out=blank, where=self.sampled_effect > 0)

    @property
    def excess(self) -> np.ndarray:
        mine = np.divide(self.leakage, self.effect, out=np.full(len(self.effect), np.inf), where=self.effect > 0)
        blank = np.zeros(len(self.effect))
        theirs = np.divide(self.sampled_leakage, self.sampled_effect, out=blank, where=self.sampled_effect > 0)
        return np.where(self.sampled_effect > 0, mine - theirs, np.inf)

    @staticmethod
    def pooled(edits: Sequence[EditabilityRows]) -> EditabilityRows:
        """Several edits as one: the means of effects and leakages. Its ratios are those of means, so that one edit with next to
        no effect does not decide them. Raises ValueError for no edits."""
        if not edits:
            raise ValueError("edits is empty: there is nothing to pool")
        return EditabilityRows(*(np.mean(columns, 0) for columns in zip(*edits, strict=True)))


def editability_rows(
    inverted: ArrayLike,
    sampled: ArrayLike,
    target: int,
    sign: int = 1,
    *,
    weights: ArrayLike,
    sampled_weights: ArrayLike,
    worst: tuple[float, float] = (0.0, 10.0),
) -> EditabilityRows:
    """`editability` under weights, for bootstrap replicates: weights [R, N] and sampled_weights [R, M] (metrics.replicates).

    A row of equal weights gives `editability` itself. Where inverted and sampled codes belong to the same pictures, equal weights
    for both make the comparison a paired one. Rows of changes may hold NaN: an inverted code whose edited picture cannot be read
    counts as `worst` (effect, leakage), a sampled one is left out. Raises ValueError where weights do not fit, or no sampled code
    can be read.
    """
    mine, theirs = (np.asarray(one, np.float64) for one in (inverted, sampled))
    for name, changes, given in (("weights", mine, weights), ("sampled_weights", theirs, sampled_weights)):
        if changes.ndim != 2 or changes.shape[1] < 2 or np.shape(given)[1:] != changes.shape[:1]:
            raise ValueError(f"{name} {np.shape(given)} do not fit changes {changes.shape} [codes, attributes >= 2]")
    read = ~np.isnan(theirs).any(1)
    if not read.any():
        raise ValueError("sampled holds no row that could be read: there is nothing to compare with")
    effect, leak = (
        np.where(np.isnan(one), lost, one)
        for one, lost in zip((target_effect(mine, target, sign), leakage(mine, target)), worst, strict=True)
    )
    ours, sampled_rows = np.asarray(weights, np.float64), np.asarray(sampled_weights, np.float64)[:, read]
    effect, leak = weighted_mean(effect, ours), weighted_mean(leak, ours)
    theirs = theirs[read]
    reference = weighted_mean(target_effect(theirs, target, sign), sampled_rows)
    reference_leak = weighted_mean(leakage(theirs, target), sampled_rows)
    return EditabilityRows(effect, leak, reference, reference_leak)


def latent_editing_consistency(codes: ArrayLike, returned: ArrayLike) -> np.ndarray:
    """e4e's LEC per code, [N]: |code - returned| over all layers and dimensions, range [0, inf), lower is better.

    returned: the code after editing, rendering, inverting the edited picture and undoing the edit (Tov et al. 2021, section 6).
    The authors' script drops incomplete batches and outlying ones; here every code counts. codes: [N, D] or [N, L, D].
    """
    first, second = _codes(codes, "codes"), _codes(returned, "returned")
    if first.shape != second.shape:
        raise ValueError(f"returned has the shape {second.shape}, codes {first.shape}")
    return np.linalg.norm((first - second).reshape(len(first), -1), axis=1)


def distance_to_mean(codes: ArrayLike, mean: ArrayLike) -> np.ndarray:
    """Euclidean distance of codes from the mean code, root of the mean square over layers for w+: [N, D] or [N, L, D] -> [N].

    mean: [D]. For w and w+ alike it is in units of one w, so that both compare with sampled w codes. Range [0, inf).
    """
    values, centre = _codes(codes, "codes"), finite(np.asarray(mean, np.float64), "mean")
    if centre.shape != values.shape[-1:]:
        raise ValueError(f"mean has the shape {centre.shape} for codes {values.shape}")
    rows = np.square(values - centre).sum(-1)
    return np.sqrt(rows if rows.ndim == 1 else rows.mean(1))


def mahalanobis(codes: ArrayLike, statistics: CodeStatistics) -> np.ndarray:
    """How far out codes lie among samples, [N]: Mahalanobis distance (in p_n where the statistics say so), the worst row's for
    w+.

    The plausibility statistic of the editing protocol, so that it compares with its threshold; see metrics.plausibility.
    """
    return statistic(_codes(codes, "codes"), statistics)


def p_norm(codes: ArrayLike, statistics: CodeStatistics) -> np.ndarray:
    """Mean square of whitened p coordinates over layers and dimensions, [N]: about 1 for sampled codes, lower is nearer the mean.

    Zhu et al. 2020, 'Improved StyleGAN Embedding', the regulariser of II2S. codes: w [N, D] or w+ [N, L, D] (every row by the
    same statistics where these are of [N, D] samples). Raises ValueError where the statistics are those of style channels.
    """
    if statistics.kind != "vector":
        raise ValueError("statistics are of style channels: the p norm needs those of vectors")
    values = _codes(codes, "codes")
    centred = (to_p(values) if statistics.p else values) - statistics.mean
    rows = np.einsum("nld,lde->nle", centred, statistics.whiten) if statistics.whiten.ndim == 3 else centred @ statistics.whiten
    return np.square(rows).reshape(len(rows), -1).mean(1)


def _codes(values: ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, np.float64)
    if array.ndim not in (2, 3) or not array.size:
        raise ValueError(f"{name} must be codes [N, D] or [N, L, D], not of shape {array.shape}")
    return finite(array, name)


def _changes(values: ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or array.shape[1] < 2 or not array.size:
        raise ValueError(f"{name} must be changes [codes, attributes >= 2], not of shape {array.shape}")
    return finite(array, name)
