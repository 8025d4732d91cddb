"""StyleGAN2 in the form of stylegan2-ada-pytorch: unconditional, `skip` architecture (Karras et al. 2020)."""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from bench.cards import GeneratorInfo, LayerInfo
from bench.codes import Codes, Space
from bench.errors import InputError, SpaceError
from bench.generators.forms import load_exactly
from bench.generators.layered import Visit, leave
from bench.generators.style_based import StyleBased
from bench.generators.stylegan2_layers import Mapping, Noise, StyledConv, Synthesis, ToRGB, constant_noise, no_noise
from bench.generators.weights import load_card, load_safetensors
from bench.streams import normal_rows


class StyleGAN2(StyleBased):
    """A frozen StyleGAN2 with the spaces z, w, w+, s, p, p+ and p_n.

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
                "p_n": (w_dim,),
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
        load_exactly(generator, state, "an unconditional skip StyleGAN2")
        return generator

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"lr_multiplier": self.lr_multiplier, "conv_clamp": self.conv_clamp}

    @property
    def w_avg(self) -> Tensor:
        return self.mapping.w_avg

    def map(self, z: Tensor, labels: Tensor | None) -> Tensor:
        return self.mapping(z)

    def styles(self, ws: Tensor) -> list[Tensor]:
        return self.synthesis.styles(ws)

    def run(self, codes: Codes, *, noise: str, visit: Visit = leave, last: str | None = None) -> Tensor:
        """Layers: convolutions after their activation; toRGB layers, their own part of the picture."""
        return self.synthesis(self.layer_styles(codes), noise=noise_inputs(noise, codes), visit=visit, last=last)

    def code_weights(self, space: Space | str, layers: Sequence[str] | None = None) -> list[Tensor]:
        """Raw style weights [I, D] of the named layers (None: all, every toRGB included), without the run-time 1/sqrt(D).

        SeFa's `all` takes all convolutions and the last toRGB only: name the layers to follow it.
        """
        if Space(space) not in (Space.W, Space.W_PLUS):
            raise SpaceError(f"in {self.info.name} the style weights meet codes of w and w+, not of {Space(space)}")
        for name in layers or ():
            self.check_layer(name)
        return [layer.affine.weight for name, layer, _ in self.synthesis.layers() if layers is None or name in layers]


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


def heads_stylegan2() -> StyleGAN2:
    """The generator of heads that ships with the package (trained by `latentbench train heads-stylegan2`)."""
    path = Path(__file__).parent / "weights" / "heads_stylegan2.safetensors"
    card = load_card(path.with_suffix(".json"))
    state = load_safetensors(path, sha256=card.get("sha256"))
    return StyleGAN2.from_state_dict(
        state, name="heads-stylegan2", domain="heads", description=card.get("description", ""), **card.get("settings", {})
    )
