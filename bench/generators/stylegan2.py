"""StyleGAN2 in the form of stylegan2-ada-pytorch: unconditional, `skip` architecture (Karras et al. 2020)."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from collections.abc import Mapping as Dict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.cards import GeneratorInfo, LayerInfo
from bench.codes import Codes, Space
from bench.errors import InputError, SpaceError, unknown
from bench.generators.base import Generator
from bench.generators.stylegan2_layers import Mapping, Noise, StyledConv, Synthesis, ToRGB, constant_noise, no_noise
from bench.generators.weights import load_card, load_safetensors
from bench.interventions import Blend, Intervention, Unit
from bench.streams import normal_rows

# The inverse of the mapping network's last leaky ReLU has slope 1 / 0.2 (Zhu et al. 2020, 'Improved StyleGAN Embedding').
P_SLOPE = 5.0


class StyleGAN2(Generator):
    """A frozen StyleGAN2 with the spaces z, w, w+, s, p and p+.

    channels: resolution -> feature maps, from 4 up. widths: outputs of the mapping layers, the last being the width of w.
    psi, cutoff: truncation of the w+ rows below `cutoff` (None: all) toward w_avg. conv_clamp: limit of feature maps, as trained.
    """

    def __init__(
        self,
        *,
        name: str,
        domain: str,
        z_dim: int,
        widths: Sequence[int],
        channels: Dict[int, int],
        lr_multiplier: float = 0.01,
        conv_clamp: float | None = None,
        psi: float = 1.0,
        cutoff: int | None = None,
        description: str = "",
    ) -> None:
        super().__init__()
        self.lr_multiplier, self.conv_clamp = lr_multiplier, conv_clamp
        self.psi, self.cutoff = psi, cutoff
        self.mapping = Mapping(z_dim, widths, lr_multiplier=lr_multiplier)
        self.synthesis = Synthesis(dict(channels), w_dim=widths[-1], clamp=conv_clamp)
        layers = layer_cards(self.synthesis)
        rows, w_dim = self.synthesis.num_ws, widths[-1]
        self.info = GeneratorInfo(
            name=name,
            architecture="stylegan2",
            domain=domain,
            resolution=self.synthesis.resolutions[-1],
            spaces={
                "z": (z_dim,),
                "w": (w_dim,),
                "w+": (rows, w_dim),
                "s": (layers[-1].styles[1],),
                "p": (w_dim,),
                "p+": (rows, w_dim),
            },
            layers=layers,
            description=description,
        )
        self.requires_grad_(False).eval()

    @classmethod
    def from_state_dict(cls, state: Dict[str, Tensor], *, name: str, domain: str, **settings: Any) -> StyleGAN2:
        """A generator of the sizes of an official state dict. settings: constructor arguments that weights do not show.

        Raises InputError where the state dict is of another architecture, incomplete, or of inconsistent shapes.
        """
        generator = cls(name=name, domain=domain, **state_sizes(state), **settings)
        own = generator.state_dict()
        problems = [f"missing {key}" for key in own.keys() - state.keys()]
        problems += [f"unexpected {key}" for key in state.keys() - own.keys()]
        problems += [
            f"{key} has shape {list(state[key].shape)}, not {list(own[key].shape)}"
            for key in own.keys() & state.keys()
            if state[key].shape != own[key].shape
        ]
        if problems:
            more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
            raise InputError(f"not the weights of an unconditional skip StyleGAN2: {'; '.join(sorted(problems)[:5])}{more}")
        generator.load_state_dict(dict(state))
        return generator

    def settings(self) -> dict[str, Any]:
        return {"psi": self.psi, "cutoff": self.cutoff, "lr_multiplier": self.lr_multiplier, "conv_clamp": self.conv_clamp}

    def truncated(self, psi: float, cutoff: int | None = None) -> StyleGAN2:
        """The same weights under this truncation (it replaces the present one)."""
        other = copy.copy(self)
        other.__dict__.pop("fingerprint", None)
        other.psi, other.cutoff = psi, cutoff
        return other

    def convert(self, codes: Codes, space: Space | str) -> Codes:
        """z -> w -> w+ -> s, and w <-> p, w+ <-> p+ by the leaky ReLU of slope 5."""
        if space not in list(Space):
            raise SpaceError(f"unknown space '{space}': {self.info.name} has {', '.join(self.info.spaces)}")
        goal, start = Space(space), codes.space
        if start not in self.info.spaces or goal not in self.info.spaces:
            known = ", ".join(self.info.spaces)
            raise SpaceError(f"{self.info.name} cannot convert {start} to {goal}: its spaces are {known}")
        if codes.values.shape[1:] != self.info.spaces[start]:
            shape, need = list(codes.values.shape[1:]), list(self.info.spaces[start])
            raise SpaceError(f"codes in {start} of {self.info.name} have the shape {need} each, not {shape}")
        if goal == start:
            return codes
        step = self._step(start, goal)
        if step is None:
            raise SpaceError(f"there is no way from {start} to {goal}: the map is not invertible, or rows differ by layer")
        middle, values = step
        return self.convert(codes.with_values(values(codes.values), middle), goal)

    def _step(self, start: Space, goal: Space) -> tuple[Space, Callable[[Tensor], Tensor]] | None:
        """The next space on the way from start to goal and the map into it; None where there is no way."""
        layered = goal in (Space.W_PLUS, Space.P_PLUS, Space.S)
        if start == Space.Z:
            return Space.W, self.mapping
        if start == Space.P and goal != Space.Z:
            return Space.W, lambda p: F.leaky_relu(p, 1 / P_SLOPE)
        if start == Space.W and goal == Space.P:
            return Space.P, lambda w: F.leaky_relu(w, P_SLOPE)
        if start == Space.W and layered:
            return Space.W_PLUS, self._broadcast
        if start == Space.W_PLUS and goal == Space.P_PLUS:
            return Space.P_PLUS, lambda w: F.leaky_relu(w, P_SLOPE)
        if start == Space.W_PLUS and goal == Space.S:
            return Space.S, lambda ws: torch.cat(self.synthesis.styles(ws), 1)
        if start == Space.P_PLUS and layered:
            return Space.W_PLUS, lambda p: F.leaky_relu(p, 1 / P_SLOPE)
        return None

    def _broadcast(self, w: Tensor) -> Tensor:
        """w+ [N, L, D] of w [N, D], truncated."""
        rows = self.synthesis.num_ws
        ws = w[:, None].expand(-1, rows, -1)
        if self.psi == 1.0:
            return ws.contiguous()
        cut = rows if self.cutoff is None else self.cutoff
        return torch.cat([self.mapping.w_avg.lerp(ws[:, :cut], self.psi), ws[:, cut:]], 1)

    def _styles(self, codes: Codes) -> tuple[Tensor, ...]:
        """One style per layer for codes of any space."""
        if codes.space != Space.S:
            return tuple(self.synthesis.styles(self.convert(codes, Space.W_PLUS).values))
        values = self.convert(codes, Space.S).values
        return tuple(values[:, slice(*layer.styles)] for layer in self.info.layers)

    def synthesize(self, codes: Codes, *, intervene: Intervention = (), noise: str = "const") -> Tensor:
        visit = None
        if intervene:
            changes: dict[str, list[Callable[[Tensor], Tensor]]] = {}
            for one in intervene:
                self._check_layer(one.layer)
                changes.setdefault(one.layer, []).append(self._change(one, noise))

            def visit(name: str, x: Tensor) -> Tensor:
                for change in changes.get(name, ()):
                    x = change(x)
                return x

        return self.synthesis(self._styles(codes), noise=noise_inputs(noise, codes), visit=visit)

    def features(self, codes: Codes, layers: Sequence[str]) -> dict[str, Tensor]:
        """Layer outputs: convolutions after their activation, toRGB layers their own part of the picture. Noise is const."""
        return self._features(codes, layers, "const")

    def _features(self, codes: Codes, layers: Sequence[str], noise: str) -> dict[str, Tensor]:
        for name in layers:
            self._check_layer(name)
        found: dict[str, Tensor] = {}

        def visit(name: str, x: Tensor) -> Tensor:
            if name in layers:
                found[name] = x
            return x

        if layers:
            order = [layer.name for layer in self.info.layers]
            last = max(layers, key=order.index)
            self.synthesis(self._styles(codes), noise=noise_inputs(noise, codes), visit=visit, last=last)
        return {name: found[name] for name in layers}

    def code_weights(self, space: Space | str, layers: Sequence[str] | None = None) -> list[Tensor]:
        """Raw style weights [I, D] of the named layers (None: all, every toRGB included), without the run-time 1/sqrt(D).

        SeFa's `all` takes all convolutions and the last toRGB only: name the layers to follow it.
        """
        if Space(space) not in (Space.W, Space.W_PLUS):
            raise SpaceError(f"in {self.info.name} the style weights meet codes of w and w+, not of {Space(space)}")
        for name in layers or ():
            self._check_layer(name)
        return [layer.affine.weight for name, layer, _ in self.synthesis.layers() if layers is None or name in layers]

    def _check_layer(self, name: str) -> None:
        names = [layer.name for layer in self.info.layers]
        if name not in names:
            raise unknown(f"layer of {self.info.name}", name, names)

    def _change(self, one: Unit | Blend, noise: str) -> Callable[[Tensor], Tensor]:
        """The function of a feature map that an intervention is."""
        if isinstance(one, Unit):
            return lambda x: apply_unit(x, one)
        other = self._features(one.other, [one.layer], noise)[one.layer]
        return lambda x: torch.lerp(x, other, resize_mask(one.mask, x))


def layer_cards(synthesis: Synthesis) -> tuple[LayerInfo, ...]:
    """The cards of all styled layers in the order of synthesis."""
    cards, start = [], 0
    for name, layer, row in synthesis.layers():
        end = start + layer.inputs
        is_rgb = isinstance(layer, ToRGB)
        cards.append(LayerInfo(name, layer.resolution, layer.channels, is_rgb, rows=(row,), styles=(start, end)))
        start = end
    return tuple(cards)


def state_sizes(state: Dict[str, Tensor]) -> dict[str, Any]:
    """Constructor sizes read off the shapes of an official state dict. Raises InputError where names do not fit."""
    depth = sum(re.fullmatch(r"mapping\.fc\d+\.weight", key) is not None for key in state)
    found = (re.fullmatch(r"synthesis\.b(\d+)\.conv1\.weight", key) for key in state)
    channels = {int(match[1]): state[match[0]].shape[0] for match in found if match}
    ladder = [4 * 2**i for i in range(len(channels))]
    if not depth or not channels or sorted(channels) != ladder:
        raise InputError("not a StyleGAN2 state dict: it needs mapping.fc0, ... and synthesis.b4, synthesis.b8, ...")
    if "mapping.embed.weight" in state or any(".skip." in key for key in state):
        raise InputError("class-conditional and resnet StyleGAN2 are not supported: only unconditional, skip")
    try:
        widths = [state[f"mapping.fc{index}.weight"].shape[0] for index in range(depth)]
        return {"z_dim": state["mapping.fc0.weight"].shape[1], "widths": widths, "channels": channels}
    except (KeyError, IndexError) as error:
        raise InputError(f"not a StyleGAN2 state dict: the mapping layers are not numbered fc0 to fc{depth - 1}") from error


def noise_inputs(mode: str, codes: Codes) -> Noise:
    """The noise inputs of a mode; under random:<seed> a row's noise is a function of (seed, layer, id) alone."""
    if mode in ("const", "none"):
        return constant_noise if mode == "const" else no_noise
    if not re.fullmatch(r"random:\d+", mode):
        raise InputError(f"noise is const, none or random:<seed>, not '{mode}'")
    seed = int(mode.partition(":")[2])

    def noise(name: str, layer: StyledConv) -> Tensor:
        side = layer.resolution
        rows = normal_rows(codes.ids, side * side, seed=seed, name=f"noise {name}")
        return rows.view(-1, 1, side, side).to(layer.noise_const)

    return noise


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


def heads_stylegan2() -> StyleGAN2:
    """The generator of heads that ships with the package (trained by `latentbench train heads-stylegan2`)."""
    path = Path(__file__).parent / "weights" / "heads_stylegan2.safetensors"
    card = load_card(path.with_suffix(".json"))
    state = load_safetensors(path, sha256=card.get("sha256"))
    return StyleGAN2.from_state_dict(
        state, name="heads-stylegan2", domain="heads", description=card.get("description", ""), **card.get("settings", {})
    )
