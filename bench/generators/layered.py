"""Generators with named layers: look at a feature map, or change it on the way, without touching a weight."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.codes import Codes
from bench.errors import unknown
from bench.generators.base import Generator
from bench.interventions import Blend, Intervention, Unit

# Sees, and may replace, a layer's output: (layer name, map) -> map.
Visit = Callable[[str, Tensor], Tensor]


def leave(name: str, x: Tensor) -> Tensor:
    """The visit that changes nothing."""
    return x


class Layered(Generator):
    """A generator whose subclass runs its layers in the order of `info.layers` and shows each output to `visit`."""

    @abstractmethod
    def run(self, codes: Codes, *, noise: str, visit: Visit = leave, last: str | None = None) -> Tensor:
        """Pictures [N, 3, R, R]. visit: called with every layer's name and output [N, C, h, w], whose answer goes on.

        last: a layer's name; whatever comes after it need not be computed, and what is given back is then not used.
        """

    def synthesize(self, codes: Codes, *, intervene: Intervention = (), noise: str = "const") -> Tensor:
        changes: dict[str, list[Callable[[Tensor], Tensor]]] = {}
        for one in intervene:
            self.check_layer(one.layer)
            changes.setdefault(one.layer, []).append(self._change(one, noise))

        def visit(name: str, x: Tensor) -> Tensor:
            for change in changes.get(name, ()):
                x = change(x)
            return x

        return self.run(codes, noise=noise, visit=visit if changes else leave)

    def features(self, codes: Codes, layers: Sequence[str]) -> dict[str, Tensor]:
        """The outputs [N, C, h, w] of the named layers, after their activation. Noise is const."""
        return self._features(codes, layers, "const")

    def _features(self, codes: Codes, layers: Sequence[str], noise: str) -> dict[str, Tensor]:
        for name in layers:
            self.check_layer(name)
        found: dict[str, Tensor] = {}

        def visit(name: str, x: Tensor) -> Tensor:
            if name in layers:
                found[name] = x
            return x

        if layers:
            order = [layer.name for layer in self.info.layers]
            self.run(codes, noise=noise, visit=visit, last=max(layers, key=order.index))
        return {name: found[name] for name in layers}

    def check_layer(self, name: str) -> None:
        """Raise InputError, with the nearest names, where there is no such layer."""
        names = [layer.name for layer in self.info.layers]
        if name not in names:
            raise unknown(f"layer of {self.info.name}", name, names)

    def _change(self, one: Unit | Blend, noise: str) -> Callable[[Tensor], Tensor]:
        """The function of a feature map that an intervention is."""
        if isinstance(one, Unit):
            return lambda x: apply_unit(x, one)
        other = self._features(one.other, [one.layer], noise)[one.layer]
        return lambda x: torch.lerp(x, other, resize_mask(one.mask, x))


def resize_mask(mask: Tensor, x: Tensor) -> Tensor:
    """A mask [N or 1, 1, h, w] at the size and precision of the map x: averaged to shrink, bilinear to grow."""
    mask = mask.to(x)
    if mask.shape[2:] == x.shape[2:]:
        return mask
    if mask.shape[2] > x.shape[2]:
        return F.interpolate(mask, size=x.shape[2:], mode="area")
    return F.interpolate(mask, size=x.shape[2:], mode="bilinear", align_corners=False)


def apply_unit(x: Tensor, unit: Unit) -> Tensor:
    """The feature map x [N, C, h, w] with the unit's channels set, added to or scaled, inside its mask."""
    channels = unit.channels.to(x.device)
    old = x[:, channels]
    value = unit.value.to(x)
    value = (value if value.dim() == 2 else value[None])[:, :, None, None]
    if unit.mode == "set":
        new = value.expand_as(old)
    else:
        new = old + value if unit.mode == "add" else old * value
    if unit.mask is not None:
        new = torch.lerp(old, new, resize_mask(unit.mask, x))
    # A clone keeps the layout in memory, and so the speed and the rounding of the layers after it.
    return x.clone().index_copy_(1, channels, new)
