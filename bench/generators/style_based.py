"""What StyleGANs share: a mapping network from z to w, truncation toward the mean w, a w per layer, styles, and the p spaces."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.codes import Codes, Space
from bench.generators.layered import Layered
from bench.generators.whitening import Whitening, fit_whitening

# The inverse of the mapping network's last leaky ReLU has slope 1 / 0.2 (Zhu et al. 2020, 'Improved StyleGAN Embedding').
P_SLOPE = 5.0
# Codes behind p_n. The paper takes a million; with a hundred thousand a deviation is known to 0.2 percent.
# With 512 dimensions and eight mapping layers they take nine seconds of one core, once per generator and process.
P_SAMPLES = 100_000
P_CHUNK = 4096

Step = tuple[Space, Callable[[Codes], Tensor]]


def style_spaces(z_dim: int, w_dim: int, rows: int, styles: int) -> dict[str, tuple[int, ...]]:
    """The spaces of a StyleGAN for its card. rows: of w+; styles: the numbers of all layers' styles together."""
    one, layered = (w_dim,), (rows, w_dim)
    return {"z": (z_dim,), "w": one, "w+": layered, "s": (styles,), "p": one, "p+": layered, "p_n": one}


class StyleBased(Layered):
    """Spaces z, w, w+, s, p, p+ and p_n. psi, cutoff: truncation of the w+ rows below `cutoff` (None: all) toward the mean w.

    A subclass names its spaces in `info` and answers the four questions below.
    """

    psi: float = 1.0
    cutoff: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self._memory: dict[str, Any] = {}

    def remember(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, made when first asked for and shared with the copies under other truncations."""
        if name not in self._memory:
            self._memory[name] = make()
        return self._memory[name]

    @property
    @abstractmethod
    def w_avg(self) -> Tensor:
        """The mean w [D] that truncation draws toward."""

    @abstractmethod
    def map(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """w [N, D] of z [N, Z] and class weights [N, K]; no truncation."""

    @abstractmethod
    def styles(self, ws: Tensor) -> Sequence[Tensor]:
        """One style [N, C_l] per layer of `info.layers` for w+ codes [N, L, D]."""

    @property
    def strength(self) -> float:
        """psi as it acts."""
        return self.psi

    def settings(self) -> dict[str, Any]:
        return {"psi": self.psi, "cutoff": self.cutoff}

    def truncated(self, psi: float, cutoff: int | None = None) -> StyleBased:
        """The same weights under this truncation (it replaces the present one)."""
        other = copy.copy(self)
        other.__dict__.pop("fingerprint", None)
        other.psi, other.cutoff = psi, cutoff
        return other

    def step(self, start: Space, goal: Space) -> Step | None:
        """z -> w -> w+ -> s; w <-> p <-> p_n and w+ <-> p+ both ways. Truncation acts from w to w+."""
        layered = goal in (Space.W_PLUS, Space.P_PLUS, Space.S)
        if start == Space.Z:
            return Space.W, lambda codes: self.map(codes.values, codes.labels)
        if start == Space.P_N and goal != Space.Z:
            return Space.P, lambda codes: self.whitening.color(codes.values)
        if start == Space.P and goal == Space.P_N:
            return Space.P_N, lambda codes: self.whitening.whiten(codes.values)
        if start == Space.P and goal != Space.Z:
            return Space.W, lambda codes: F.leaky_relu(codes.values, 1 / P_SLOPE)
        if start == Space.W and goal in (Space.P, Space.P_N):
            return Space.P, lambda codes: F.leaky_relu(codes.values, P_SLOPE)
        if start == Space.W and layered:
            return Space.W_PLUS, lambda codes: self._broadcast(codes.values)
        if start == Space.W_PLUS and goal == Space.P_PLUS:
            return Space.P_PLUS, lambda codes: F.leaky_relu(codes.values, P_SLOPE)
        if start == Space.W_PLUS and goal == Space.S:
            return Space.S, lambda codes: torch.cat(list(self.styles(codes.values)), 1)
        if start == Space.P_PLUS and layered:
            return Space.W_PLUS, lambda codes: F.leaky_relu(codes.values, 1 / P_SLOPE)
        return None

    def _broadcast(self, w: Tensor) -> Tensor:
        """w+ [N, L, D] of w [N, D], truncated."""
        rows = self.info.spaces["w+"][0]
        ws = w[:, None].expand(-1, rows, -1)
        if self.psi == 1.0:
            return ws.contiguous()
        cut = rows if self.cutoff is None else self.cutoff
        return torch.cat([self.w_avg.lerp(ws[:, :cut], self.strength), ws[:, cut:]], 1)

    def layer_styles(self, codes: Codes) -> tuple[Tensor, ...]:
        """One style per layer for codes of any space."""
        if codes.space != Space.S:
            return tuple(self.styles(self.convert(codes, Space.W_PLUS).values))
        values = self.convert(codes, Space.S).values
        return tuple(values[:, slice(*layer.styles)] for layer in self.info.layers if layer.styles)

    @property
    def whitening(self) -> Whitening:
        """The PCA of p over samples, fitted when first asked for: truncation does not change it."""
        return self.remember("whitening", self._fit_whitening)

    @torch.no_grad()
    def _fit_whitening(self) -> Whitening:
        like = next(self.parameters())
        drawn = (self.sample(ids, seed=0) for ids in torch.arange(P_SAMPLES).split(P_CHUNK))
        return fit_whitening(self.convert(codes.with_values(codes.values.to(like)), Space.P).values for codes in drawn)
