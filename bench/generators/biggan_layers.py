"""What the BigGANs share: spectral weights, conditional batch norm, attention, the deep block, and codes that reach every block.

Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", appendix B; attention from Zhang et al.
2019, "Self-Attention GAN"; spectral normalisation from Miyato et al. 2018. Networks are frozen: no estimate is updated here.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.codes import Codes, Space
from bench.errors import InputError, SpaceError
from bench.generators.layered import Layered

Apply = Callable[[Tensor], Tensor]

BOUND = 2.0  # deviations at which the published sampler truncates a normal


def stored_sigma(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The largest singular value of a weight [outputs, ...] as its stored singular vectors see it: u^T W v."""
    return u @ (weight.flatten(1) @ v)


def iterated_sigma(weight: Tensor, u: Tensor, eps: float) -> Tensor:
    """The same after one power iteration from the stored u [1, outputs]: |W v| with v = W^T u / |W^T u|."""
    matrix = weight.flatten(1)
    v = F.normalize(u @ matrix, eps=eps)
    image = v @ matrix.t()
    return (image @ F.normalize(image, eps=eps).t()).squeeze()


class Weight(nn.Module):
    """A linear map or a convolution that keeps the size of the map. shape: [outputs, inputs] or [outputs, inputs, k, k]."""

    def __init__(self, shape: Sequence[int], *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(*shape))
        self.bias = nn.Parameter(torch.empty(shape[0])) if bias else None

    def effective(self) -> Tensor:
        """The weight that multiplies the input."""
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        weight = self.effective()
        if weight.dim() == 2:
            return F.linear(x, weight, self.bias)
        return F.conv2d(x, weight, self.bias, padding=weight.shape[2] // 2)


class StoredSpectral(Weight):
    """A spectrally normalised weight under the names of torch.nn.utils.spectral_norm: weight_orig, weight_u, weight_v.

    The division happens in every pass, as it does there: it costs one pass over the weight, and nothing outside the state dict
    has to follow the network to another device or precision.
    """

    def __init__(self, shape: Sequence[int], *, bias: bool = True) -> None:
        super().__init__(shape, bias=bias)
        self.weight_orig = self.weight
        del self.weight
        self.register_buffer("weight_u", torch.empty(shape[0]))
        self.register_buffer("weight_v", torch.empty(self.weight_orig[0].numel()))

    def effective(self) -> Tensor:
        return self.weight_orig / stored_sigma(self.weight_orig, self.weight_u, self.weight_v)


class IteratedSpectral(Weight):
    """A spectrally normalised weight under the names of BigGAN-PyTorch: weight, and u0, sv0 (u1, sv1, ... where it kept several).

    Only u0 acts; sv0 is a log of training.
    """

    def __init__(self, shape: Sequence[int], *, bias: bool = True, vectors: int = 1, eps: float = 1e-12) -> None:
        super().__init__(shape, bias=bias)
        self.eps = eps
        for index in range(vectors):
            self.register_buffer(f"u{index}", torch.empty(1, shape[0]))
            self.register_buffer(f"sv{index}", torch.empty(1))

    def effective(self) -> Tensor:
        return self.weight / iterated_sigma(self.weight, self.u0, self.eps)


def standardize(x: Tensor, mean: Tensor, variance: Tensor, eps: float, gain: Tensor, bias: Tensor) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * gain + bias. x: [N, C, h, w]; mean, variance: [C]; gain, bias: [C] or [N, C]."""
    scale = gain * torch.rsqrt(variance + eps)
    return torch.addcmul(bias[..., None, None], x - mean[:, None, None], scale[..., None, None])


def double(x: Tensor) -> Tensor:
    """Twice the resolution, every pixel four times."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def attend(x: Tensor, theta: Apply, phi: Apply, g: Apply, o: Apply, gamma: Tensor) -> Tensor:
    """x [N, C, h, w] plus gamma times what every pixel gathers from keys and values at half the resolution."""
    n, _, h, w = x.shape
    queries = theta(x).flatten(2)
    keys = F.max_pool2d(phi(x), 2).flatten(2)
    values = F.max_pool2d(g(x), 2).flatten(2)
    attention = torch.softmax(queries.transpose(1, 2) @ keys, -1)
    gathered = (values @ attention.transpose(1, 2)).view(n, -1, h, w)
    return x + gamma * o(gathered)


def deep_block(x: Tensor, norms: Sequence[Apply], convs: Sequence[Apply], outputs: int, up: bool) -> Tensor:
    """BigGAN-deep's residual block: 1x1 down, two 3x3 (the first after doubling), 1x1 up; each after its norm and a ReLU.

    The shortcut has no weight: it drops the last channels where there are fewer outputs. norms, convs: four of each.
    """
    h = convs[0](F.relu(norms[0](x)))
    h = F.relu(norms[1](h))
    h = convs[1](double(h) if up else h)
    h = convs[2](F.relu(norms[2](h)))
    h = convs[3](F.relu(norms[3](h)))
    x = x[:, :outputs]
    return h + (double(x) if up else x)


def truncated_normal(uniform: Tensor, bound: float = BOUND) -> Tensor:
    """The normal truncated to [-bound, bound], by its inverse distribution function, of numbers uniform in [0, 1]. float64."""
    tail = torch.special.ndtr(torch.tensor(-bound, dtype=torch.float64, device=uniform.device))
    return torch.special.ndtri(tail + uniform.double() * (1 - 2 * tail)).clamp(-bound, bound)


class ClassConditional(Layered):
    """Spaces z and, where z reaches more than the first layer, z+: one row for the first layer and one for each block.

    psi: truncation. A subclass names its spaces in `info` and fills the two methods below.
    """

    psi: float = 1.0

    @abstractmethod
    def split(self, z: Tensor) -> Tensor:
        """z+ [N, L, D'] of z [N, D]."""

    @abstractmethod
    def code_parts(self) -> Mapping[str, tuple[Iterable[Weight], slice]]:
        """For every layer that a code meets: its weights that the code meets first, and the columns that belong to the code."""

    def settings(self) -> dict[str, Any]:
        return {"psi": self.psi}

    def truncated(self, psi: float, cutoff: int | None = None) -> ClassConditional:
        """The same weights under this truncation (it replaces the present one). InputError outside (0, 1] and for a cutoff."""
        if cutoff is not None:
            raise InputError(f"{self.info.name} truncates z, which has no layers to cut off at")
        if not 0 < psi <= 1:
            raise InputError(f"truncation of {self.info.name} is above 0 and at most 1, not {psi}")
        other = copy.copy(self)
        other.__dict__.pop("fingerprint", None)
        other.psi = float(psi)
        return other

    def step(self, start: Space, goal: Space) -> tuple[Space, Callable[[Codes], Tensor]] | None:
        """z -> z+."""
        if (start, goal) == (Space.Z, Space.Z_PLUS):
            return Space.Z_PLUS, lambda codes: self.split(codes.values)
        return None

    def class_weights(self, codes: Codes) -> Tensor:
        """The class weights [N, K] of codes. Raises InputError where they are absent or of another width."""
        if codes.labels is None or codes.labels.shape != (len(codes), self.info.n_labels):
            found = "none" if codes.labels is None else f"shape {list(codes.labels.shape)}"
            raise InputError(f"{self.info.name} needs labels [{len(codes)}, {self.info.n_labels}] (class weights), got {found}")
        return codes.labels.to(codes.values)

    def code_weights(self, space: Space | str, layers: Sequence[str] | None = None) -> list[Tensor]:
        """The code's columns of the weights [outputs, D] of each layer that a code meets; gains and biases of a block stacked.

        Spectrally normalised, as they act: what is stored has an arbitrary scale of its own in every weight. Raises SpaceError
        for other spaces and for layers that no code meets.
        """
        if Space(space) not in (Space.Z, Space.Z_PLUS):
            raise SpaceError(f"in {self.info.name} weights meet codes of z and z+, not of {Space(space)}")
        for name in layers or ():
            self.check_layer(name)
        parts = self.code_parts()
        dry = [name for name in layers or () if name not in parts]
        if dry:
            raise SpaceError(f"no code enters {', '.join(dry)} of {self.info.name}: those that one enters are {', '.join(parts)}")
        return [
            torch.cat([weight.effective()[:, columns] for weight in weights])
            for name, (weights, columns) in parts.items()
            if layers is None or name in layers
        ]
