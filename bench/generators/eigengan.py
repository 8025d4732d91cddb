"""EigenGAN under the names of its usual PyTorch port (bryandlee/eigengan-pytorch).

He et al. 2021, "EigenGAN: Layer-Wise Eigen-Learning for GANs": every block has a linear subspace of its feature maps with an
orthonormal basis U, importances L and origin mu (equation 4); a code of its own moves along it, and noise feeds the first layer.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.cards import GeneratorInfo, LayerInfo
from bench.codes import Codes, Space
from bench.errors import InputError, SpaceError
from bench.generators.finite import check_finite
from bench.generators.forms import Form, check_arguments, load_exactly
from bench.generators.layered import Layered, Visit, leave
from bench.generators.noise import check_noise

WHAT = "an EigenGAN"
BOTTOM = 4  # pixels a side of the first map
SLOPE = 0.2


@dataclass(frozen=True)
class Subspace:
    """One block's subspace: it adds U^T (L * z) + mu to the block's input. U: [dims, C * h * w]; L: [dims]; mu: [C * h * w].

    layer: the block's name; row: its row of z+; columns: where its code lies in z (and in that row).
    """

    layer: str
    row: int
    columns: slice
    U: Tensor
    L: Tensor
    mu: Tensor


class Projection(nn.Module):
    """The point of the subspace [N, C * h * w] that a code [N, dims] names."""

    def __init__(self, dims: int, size: int) -> None:
        super().__init__()
        self.U, self.L, self.mu = (nn.Parameter(torch.empty(*shape)) for shape in ((dims, size), (dims,), (size,)))

    def forward(self, z: Tensor) -> Tensor:
        return torch.addmm(self.mu, self.L * z, self.U)


class Block(nn.Module):
    """h [N, inputs, r, r] -> [N, outputs, 2r, 2r]. All convolutions are transposed; the subspace's own have no activation."""

    def __init__(self, inputs: int, outputs: int, resolution: int, dims: int) -> None:
        super().__init__()
        up = {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}
        activation = nn.LeakyReLU(SLOPE)
        self.projection = Projection(dims, inputs * resolution**2)
        self.subspace_conv1 = nn.Sequential(nn.ConvTranspose2d(inputs, inputs, 1))
        self.subspace_conv2 = nn.Sequential(nn.ConvTranspose2d(inputs, outputs, **up))
        self.feature_conv1 = nn.Sequential(activation, nn.ConvTranspose2d(inputs, outputs, **up))
        self.feature_conv2 = nn.Sequential(activation, nn.ConvTranspose2d(outputs, outputs, 3, padding=1))

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        phi = self.projection(z).view_as(h)
        h = self.feature_conv1(h + self.subspace_conv1(phi))
        return self.feature_conv2(h + self.subspace_conv2(phi))


class EigenGAN(Layered):
    """A frozen EigenGAN. channels: of the maps at 4, 8, 16, ... pixels.

    z is the whole code: the noise [noise_dim] of the first layer, then each block's code [dims], first block first. z+ holds one
    such z for the first layer and one for each block, which read their own columns of their own row and nothing else: so both
    spaces hold everything, z -> z+ repeats, and an edit of one row touches one layer, as in w+. psi scales sampled codes.
    """

    psi: float = 1.0

    def __init__(
        self, *, name: str, domain: str, noise_dim: int, dims: int, channels: Sequence[int], description: str = ""
    ) -> None:
        super().__init__()
        blocks = len(channels) - 1
        self.noise_dim, self.dims = noise_dim, dims
        self.fc = nn.Linear(noise_dim, BOTTOM * BOTTOM * channels[0])
        self.blocks = nn.ModuleList(
            Block(inputs, outputs, BOTTOM << index, dims) for index, (inputs, outputs) in enumerate(zip(channels, channels[1:]))
        )
        self.to_rgb = nn.Sequential(nn.Sequential(nn.LeakyReLU(SLOPE), nn.Conv2d(channels[-1], 3, 7, padding=3)))
        resolution, width = BOTTOM << blocks, noise_dim + blocks * dims
        middle = [LayerInfo(f"blocks.{i}", BOTTOM << (i + 1), channels[i + 1], rows=(i + 1,)) for i in range(blocks)]
        self.info = GeneratorInfo(
            name=name,
            architecture="eigengan",
            domain=domain,
            resolution=resolution,
            spaces={"z": (width,), "z+": (1 + blocks, width)},
            layers=(
                LayerInfo("fc", BOTTOM, channels[0], rows=(0,)),
                *middle,
                LayerInfo("to_rgb", resolution, 3, is_rgb=True),
            ),
            description=description,
        )
        self.requires_grad_(False).eval()

    def columns(self, row: int) -> slice:
        """The columns of z that the layer of a row of z+ reads: row 0 is the first layer."""
        start = self.noise_dim + (row - 1) * self.dims
        return slice(0, self.noise_dim) if row == 0 else slice(start, start + self.dims)

    @property
    def subspaces(self) -> tuple[Subspace, ...]:
        """Every block's subspace, first block first."""
        return tuple(
            Subspace(f"blocks.{i}", i + 1, self.columns(i + 1), block.projection.U, block.projection.L, block.projection.mu)
            for i, block in enumerate(self.blocks)
        )

    def settings(self) -> dict[str, Any]:
        return {"psi": self.psi, "noise_dim": self.noise_dim}

    def truncated(self, psi: float, cutoff: int | None = None) -> EigenGAN:
        """The same weights whose sampled codes are psi times as long. Raises InputError outside (0, 1], or for a cutoff."""
        if cutoff is not None or not 0 < psi <= 1:
            raise InputError(f"truncation of {self.info.name} is above 0 and at most 1, without a cutoff, not {psi} and {cutoff}")
        other = copy.copy(self)
        other.__dict__.pop("fingerprint", None)
        other.psi = float(psi)
        return other

    def sample(self, ids: Tensor, *, seed: int, labels: Tensor | None = None) -> Codes:
        """z codes [N, D], normal with deviation psi; row i is a function of (seed, ids[i]) alone."""
        codes = super().sample(ids, seed=seed, labels=labels)
        return codes if self.psi == 1 else codes.with_values(codes.values * self.psi)

    def step(self, start: Space, goal: Space) -> tuple[Space, Callable[[Codes], Tensor]] | None:
        """z -> z+."""
        if (start, goal) == (Space.Z, Space.Z_PLUS):
            rows = self.info.spaces["z+"][0]
            return Space.Z_PLUS, lambda codes: codes.values[:, None].expand(-1, rows, -1).contiguous()
        return None

    def run(self, codes: Codes, *, noise: str, visit: Visit = leave, last: str | None = None) -> Tensor:
        """Layers: fc as a map; blocks, before the next one's activation; to_rgb, the picture. `noise` changes nothing."""
        check_noise(noise)
        rows = self.convert(codes, "z+").values
        x = visit("fc", self.fc(rows[:, 0, self.columns(0)]).view(len(rows), -1, BOTTOM, BOTTOM))
        if last == "fc":
            return x
        for row, block in enumerate(self.blocks, 1):
            x = visit(f"blocks.{row - 1}", block(x, rows[:, row, self.columns(row)]))
            if last == f"blocks.{row - 1}":
                return x
        return visit("to_rgb", torch.tanh(self.to_rgb(x)))

    def code_weights(self, space: Space | str, layers: Sequence[str] | None = None) -> list[Tensor]:
        """[outputs, D] of fc and of each block's subspace (the columns of U^T scaled by L); zero in the columns of other layers.

        Raises SpaceError for other spaces and for to_rgb, which no code enters.
        """
        if Space(space) not in (Space.Z, Space.Z_PLUS):
            raise SpaceError(f"in {self.info.name} weights meet codes of z and z+, not of {Space(space)}")
        for name in layers or ():
            self.check_layer(name)
        if layers is not None and "to_rgb" in layers:
            raise SpaceError(f"no code enters to_rgb of {self.info.name}")
        named = [("fc", 0, self.fc.weight)]
        named += [(one.layer, one.row, (one.L[:, None] * one.U).t()) for one in self.subspaces]
        width = self.info.spaces["z"][0]
        found = []
        for name, row, weight in named:
            if layers is None or name in layers:
                own = self.columns(row)
                found.append(F.pad(weight, (own.start, width - own.stop)))
        return found


def build(state: Mapping[str, Tensor], arguments: Mapping[str, Any], name: str, domain: str) -> EigenGAN:
    """A generator of the weights; arguments: the port's Generator's. Raises InputError where they do not fit."""
    blocks = sum(re.fullmatch(r"blocks\.\d+\.projection\.U", key) is not None for key in state)
    try:
        noise_dim, dims = state["fc.weight"].shape[1], state["blocks.0.projection.U"].shape[0]
        channels = [state["blocks.0.feature_conv1.1.weight"].shape[0]]
        channels += [state[f"blocks.{i}.feature_conv1.1.weight"].shape[1] for i in range(blocks)]
    except (KeyError, IndexError) as error:
        raise InputError(f"not the weights of {WHAT}: {error} is missing or has another shape") from error
    told = {"size": BOTTOM << blocks, "n_basis": dims, "noise_dim": noise_dim, "base_channels": channels[-1]}
    free = check_arguments(arguments, told, ("max_channels",), WHAT)
    most = free.get("max_channels")
    # Channels double toward the first map up to this limit; where they did not reach it, shapes do not tell it.
    if most is not None and channels != [min(most, channels[-1] << (blocks - i)) for i in range(blocks + 1)]:
        raise InputError(f"{WHAT}: max_channels is {most} in the checkpoint's arguments, but its weights have {channels}")
    check_finite(state, WHAT)
    generator = EigenGAN(name=name, domain=domain, noise_dim=noise_dim, dims=dims, channels=channels)
    return load_exactly(generator, state, WHAT)


EIGENGAN = Form(
    name="eigengan",
    architecture="eigengan",
    marks=(r"fc\.weight", r"blocks\.0\.projection\.U", r"to_rgb\.0\.1\.weight"),
    build=build,
)
