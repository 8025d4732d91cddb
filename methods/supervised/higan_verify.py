"""HiGAN's verification and its answer: how far each group of layers raises an attribute's score, and which level it carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.cards import GeneratorInfo
from bench.errors import InputError
from metrics.rescoring import rescoring_delta

# Levels of attributes, by domain; they stand in for the paper's levels of scenes (layout, objects, attributes, colour scheme).
# Age is in none: it changes shape, surface and colour at once.
LEVELS: dict[str, dict[str, tuple[str, ...]]] = {
    "heads": {
        "pose and shape": ("yaw", "pitch", "face_width", "jaw", "eye_spacing", "nose_size"),
        "parts": ("glasses", "beard", "hair_length"),
        "expression": ("smile", "mouth_open", "eye_open"),
        "colour and light": ("light", "warmth", "skin_tone", "hair_colour", "background"),
    }
}
NO_LEVEL = "none"
Z95 = 1.959964


@dataclass(frozen=True)
class Verified:
    """Re-scoring of one attribute. Entry 0 is the edit of all rows, the others one group of layers each.

    delta, random: [1 + G] mean rise of the guide's score, in its units, along the boundary and along random directions;
    error: [1 + G] standard error of delta. spread: the score's standard deviation over samples. n, failed: codes read, and not.
    """

    attribute: str
    names: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]
    delta: np.ndarray
    error: np.ndarray
    random: np.ndarray
    spread: float
    n: int
    failed: int

    @property
    def excess(self) -> np.ndarray:
        """[G] what each group does beyond chance, at least 0: falls count as none, so that a random direction raises too."""
        return np.maximum(self.delta - self.random, 0)[1:]

    def carriers(self, share: float) -> list[int]:
        """The groups whose excess is at least `share` of the largest; all groups where none does more than chance."""
        peak = self.excess.max()
        return [i for i, one in enumerate(self.excess) if one >= share * peak] if peak > 0 else list(range(len(self.excess)))

    def rows(self, share: float) -> tuple[int, ...]:
        """The rows of those groups."""
        return tuple(row for index in self.carriers(share) for row in self.groups[1:][index])


def verified(
    attribute: str,
    before: np.ndarray,
    after: np.ndarray,
    random: np.ndarray,
    spread: float,
    edits: Sequence[tuple[str, tuple[int, ...]]],
) -> Verified:
    """Yang et al. 2021, equation 2, for one attribute: before [N], after and random [1 + G, N] scores of the same codes.

    edits: [1 + G] names and rows, that of all rows first.
    Codes that the guide cannot read (NaN) in any of them are left out and counted. Raises InputError where fewer than 2 are left.
    """
    read = np.isfinite(before) & np.isfinite(after).all(0) & np.isfinite(random).all(0)
    n = int(read.sum())
    if n < 2:
        raise InputError(f"the guide reads {n} of {len(read)} codes on which {attribute} is verified: too few")
    base = np.repeat(before[read, None], len(edits), 1)
    rises = np.maximum(after[:, read].T - base, 0)
    delta, chance = rescoring_delta(base, after[:, read].T), rescoring_delta(base, random[:, read].T)
    error = rises.std(0, ddof=1) / np.sqrt(n)
    names, groups = zip(*edits, strict=True)
    return Verified(attribute, names, groups, delta, error, chance, float(spread), n, len(read) - n)


def level_of(attribute: str, domain: str) -> str:
    """The level that an attribute belongs to, or 'none'."""
    return next((level for level, members in LEVELS.get(domain, {}).items() if attribute in members), NO_LEVEL)


def layer_table(
    found: Sequence[Verified], chosen: Mapping[str, Sequence[int]], info: GeneratorInfo, domain: str, guide: str
) -> list[dict[str, Any]]:
    """Attribute by group of layers: delta in sigma of the guide's score, its 95 % interval (normal, over codes), n.

    random: what random directions of the same length reach there. share: of all that groups do beyond chance. edited: whether
    an edit of the attribute moves these rows. The line 'all' is the edit of every row at once.
    """
    table = []
    for one in found:
        total, excess = one.excess.sum(), np.concatenate([[np.nan], one.excess])
        for index, (name, rows) in enumerate(zip(one.names, one.groups, strict=True)):
            low, value, high = (float(one.delta[index] + z * one.error[index]) / one.spread for z in (-Z95, 0, Z95))
            table.append(
                {
                    "attribute": one.attribute, "level": level_of(one.attribute, domain), "layers": name,
                    "rows": "+".join(map(str, rows)), "resolutions": _resolutions(info, rows), "delta": value,
                    "ci_low": low, "ci_high": high, "random": float(one.random[index]) / one.spread,
                    "share": float(excess[index] / total) if index and total > 0 else None,
                    "edited": set(rows) <= set(chosen[one.attribute]), "n": one.n, "n_failed": one.failed, "guide": guide,
                }
            )  # fmt: skip
    return table


def level_table(found: Sequence[Verified], domain: str) -> list[dict[str, Any]]:
    """Level by group of layers: the mean share, over the level's attributes, of what groups do beyond chance."""
    table = []
    for level in (*LEVELS.get(domain, {}), NO_LEVEL):
        mine = [one for one in found if level_of(one.attribute, domain) == level and one.excess.sum() > 0]
        if mine:
            shares = np.mean([one.excess / one.excess.sum() for one in mine], 0)
            names = mine[0].names[1:]
            row: dict[str, Any] = {"level": level, "attributes": "+".join(one.attribute for one in mine)}
            row |= dict(zip(names, shares.tolist(), strict=True))
            table.append(row | {"peak": names[int(shares.argmax())], "n": min(one.n for one in mine)})
    return table


def _resolutions(info: GeneratorInfo, rows: Sequence[int]) -> str:
    """The resolutions of the layers that these rows feed, '4 to 16'; '' where the card does not say."""
    sizes = sorted({layer.resolution for layer in info.layers if set(layer.rows) & set(rows)})
    return "" if not sizes else str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
