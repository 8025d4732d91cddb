"""`heads-oracle`: the renderer of heads behind a known map, so that the best possible edit is known.

z ~ N(0, I) -> u -> w = R diag(s) u -> x = A w -> factors -> picture. The warp z -> u turns pairs of coordinates by angles that
depend on the others: smooth, exactly invertible, bent, and, since a rotation by an independent angle leaves a standard normal
standard normal, u ~ N(0, I) exactly. A is fixed so that x ~ N(0, C) with the correlations C of the factor table. R is a rotation
and s are unequal scales, so the PCA of w has distinct axes; they are mixtures of factors, each with a few that lead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.cards import GeneratorInfo
from bench.codes import Codes, Space
from bench.domains.heads.factors import BINARY_RATE, FACTORS, INDEX, N_COLUMNS, NUISANCE, correlation_matrix
from bench.domains.heads.renderer import render
from bench.errors import SpaceError, UnsupportedError, unknown
from bench.generators.base import Generator
from bench.interventions import Intervention
from bench.streams import stream_rng

NAME = "heads-oracle"
LAYERS = 4  # of the warp
BEND = 0.6  # largest angle of a layer, in radians
SHARPNESS = 1.0  # length of the vectors whose inner product with the other coordinates sets an angle
SCALES = (1.8, 0.45)  # largest and smallest deviation of w along its principal axes
MIXING = 1.2  # how far principal axes are turned away from single factors, in radians per random plane
STEEPNESS = 12.0  # of a binary factor's opacity, per deviation of its normal


def binary_thresholds() -> Tensor:
    """The normal value [N_COLUMNS] above which a binary factor is on, at its rate in the table; infinite for the others."""
    out = torch.full((N_COLUMNS,), math.inf, dtype=torch.float64)
    for name, rate in BINARY_RATE.items():
        out[INDEX[name]] = torch.special.ndtri(torch.tensor(1 - rate, dtype=torch.float64))
    return out


def smooth_factors(normal: Tensor) -> Tensor:
    """Factor rows of normals [N, N_COLUMNS]: low + (high - low) Phi(x); binary ones are opacities sigmoid(STEEPNESS (x - t))."""
    low = normal.new_tensor([f.low for f in FACTORS] + [0.0] * len(NUISANCE))
    high = normal.new_tensor([f.high for f in FACTORS] + [1.0] * len(NUISANCE))
    threshold = binary_thresholds().to(normal)
    opacity = torch.sigmoid(STEEPNESS * (normal - torch.where(threshold.isinf(), 0.0, threshold)))
    return torch.where(threshold.isinf(), low + (high - low) * torch.special.ndtr(normal), opacity)


def smooth_normals(factors: Tensor) -> Tensor:
    """The inverse of `smooth_factors`, for rows strictly between their ends. Raises ValueError for others."""
    low = factors.new_tensor([f.low for f in FACTORS] + [0.0] * len(NUISANCE))
    high = factors.new_tensor([f.high for f in FACTORS] + [1.0] * len(NUISANCE))
    share = (factors - low) / (high - low)
    if not bool(((share > 0) & (share < 1)).all()):
        raise ValueError("only factors strictly between their lowest and highest value have a code")
    threshold = binary_thresholds().to(factors)
    cut = torch.where(threshold.isinf(), 0.0, threshold) + torch.logit(share) / STEEPNESS
    return torch.where(threshold.isinf(), torch.special.ndtri(share), cut)


class HeadsOracle(Generator):
    """The renderer behind a known warp and mix. Spaces z and w, both [N_COLUMNS]; no layers, noise or truncation."""

    factor_names = (*(f.name for f in FACTORS), *NUISANCE)

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed
        self.info = GeneratorInfo(
            NAME, "oracle", "heads", 64, {"z": (N_COLUMNS,), "w": (N_COLUMNS,)}, description="procedural heads behind a known map"
        )
        rng = stream_rng(NAME, seed)
        n, half = N_COLUMNS, N_COLUMNS // 2
        orders = [rng.permutation(n) for _ in range(LAYERS)]
        turned = 2 * (half // 2 + half % 2)  # coordinates that a layer turns; the others set the angles
        angles = rng.standard_normal((LAYERS, turned // 2, n - turned))
        angles *= SHARPNESS / ((angles**2).sum(-1, keepdims=True) ** 0.5)
        offsets = rng.uniform(-0.5, 0.5, (LAYERS, turned // 2))
        scale = torch.logspace(math.log10(SCALES[0]), math.log10(SCALES[1]), n, dtype=torch.float64)
        basis = torch.linalg.qr(torch.from_numpy(rng.standard_normal((n, n)))).Q
        turn = _mixing_rotation(torch.from_numpy(rng.standard_normal((n, n))))
        axes = turn[torch.from_numpy(rng.permutation(n))].T  # column k: where principal axis k of w leads, in whitened normals
        spread = basis * scale  # w = spread @ u
        mix = torch.linalg.cholesky(correlation_matrix().double()) @ axes @ (basis / scale).T
        self.register_buffer("orders", torch.from_numpy(np.stack(orders)))
        self.register_buffer("angles", torch.from_numpy(angles).float())
        self.register_buffer("offsets", torch.from_numpy(offsets).float())
        self.register_buffer("spread", spread.float())
        self.register_buffer("gather", (basis / scale).T.contiguous().float())
        self.register_buffer("mix", mix.float())
        self.register_buffer("unmix", torch.linalg.inv(mix).float())

    def settings(self) -> dict[str, Any]:
        return {"supersample": 2, "steepness": STEEPNESS, "bend": BEND, "factors": [f.name for f in FACTORS]}

    def _turn(self, x: Tensor, layer: int, sign: float) -> Tensor:
        """One layer of the warp, with sign -1 its inverse: pairs of coordinates turn by angles that the other coordinates set."""
        order = self.orders[layer]
        angles = self.angles[layer].to(x)
        held, moved = x[:, order[: angles.shape[1]]], x[:, order[angles.shape[1] :]]
        theta = sign * BEND * torch.tanh(held @ angles.T + self.offsets[layer].to(x))
        a, b = moved.chunk(2, 1)
        cos, sin = theta.cos(), theta.sin()
        return torch.cat([held, cos * a - sin * b, sin * a + cos * b], 1)[:, order.argsort()]

    def _warp(self, z: Tensor) -> Tensor:
        for layer in range(LAYERS):
            z = self._turn(z, layer, 1.0)
        return z

    def _unwarp(self, u: Tensor) -> Tensor:
        for layer in reversed(range(LAYERS)):
            u = self._turn(u, layer, -1.0)
        return u

    def convert(self, codes: Codes, space: Space | str) -> Codes:
        """z and w into one another; exact both ways but for rounding. Raises SpaceError for other spaces."""
        space = _known(space)
        if _known(codes.space) == space:
            return codes
        if space == Space.W:
            return codes.with_values(self._warp(codes.values) @ self.spread.to(codes.values).T, space)
        return codes.with_values(self._unwarp(codes.values @ self.gather.to(codes.values).T), space)

    def normals(self, codes: Codes) -> Tensor:
        """The latent normals [N, N_COLUMNS] of the factors and nuisance: A w."""
        w = self.convert(codes, Space.W).values
        return w @ self.mix.to(w).T

    def factors(self, codes: Codes) -> Tensor:
        """The factor rows [N, N_COLUMNS] that are rendered; binary factors are opacities."""
        return smooth_factors(self.normals(codes))

    def from_factors(self, factors: Tensor, ids: Tensor) -> Codes:
        """The w codes of factor rows [N, N_COLUMNS] strictly between their ends (ValueError for others).

        Near an end the code is as exact as the row's own rounding allows; a binary one is near one where it is clearly off or on.
        """
        return Codes(Space.W, smooth_normals(factors) @ self.unmix.to(factors).T, ids)

    def direction(self, name: str) -> Tensor:
        """The direction [N_COLUMNS] in w that lifts one factor's normal by 1 and changes no other. InputError for other names."""
        if name not in INDEX:
            raise unknown("factor of heads", name, INDEX)
        return self.unmix[:, INDEX[name]]

    def moved(self, codes: Codes, name: str, delta: float | Tensor) -> Codes:
        """Codes of the same space in which one factor's normal is `delta` (a number or [N]) higher and every other is unchanged.

        One unit is one deviation of that factor's normal over samples.
        """
        w = self.convert(codes, Space.W)
        step = torch.as_tensor(delta).to(w.values).reshape(-1, 1) * self.direction(name).to(w.values)
        return self.convert(w.with_values(w.values + step), codes.space)

    def synthesize(self, codes: Codes, *, intervene: Intervention = (), noise: str = "const") -> Tensor:
        """Pictures [N, 3, 64, 64]. `noise` changes nothing: there is none. Raises UnsupportedError for interventions."""
        if intervene:
            raise UnsupportedError(f"{NAME} has no layers to intervene in")
        return render(self.factors(codes), size=self.info.resolution, supersample=2).rgb

    def code_weights(self, space: Space | str, layers: Sequence[str] | None = None) -> list[Tensor]:
        """The linear mix A [N_COLUMNS, N_COLUMNS] for w. SpaceError for z, which meets a bent warp, and for named layers."""
        if space != Space.W or layers:
            raise SpaceError(f"{NAME} has one weight, without a layer's name, and it meets w only")
        return [self.mix]


def _mixing_rotation(noise: Tensor) -> Tensor:
    """A rotation near enough to a permutation that rows keep leaders: the exponential of a random skew matrix of set size."""
    skew = (noise - noise.T) / (2 * len(noise)) ** 0.5
    return torch.linalg.matrix_exp(MIXING * skew)


def _known(space: Space | str) -> Space:
    if space not in (Space.Z, Space.W):
        raise SpaceError(f"{NAME} has the spaces z and w only, not {space}")
    return Space(space)


def heads_oracle() -> HeadsOracle:
    """The generator of the registry."""
    return HeadsOracle()
