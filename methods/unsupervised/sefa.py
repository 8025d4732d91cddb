"""SeFa: the eigenvectors of the weights that first meet a code are the directions. No sample and no label is needed."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from pydantic import field_validator
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Space
from bench.errors import InputError
from methods.base import FitContext, Fitted, Method
from methods.code_streams import code_space
from methods.editors import PLUS, DirectionEditor, component_count, largest_positive, restore_directions


def factorize(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Directions [D, D] float64, one a row, by falling eigenvalue, and the eigenvalues [D] (Shen and Zhou 2021, equation 6).

    weights: raw [outputs, D] matrices, one per layer. Each output's weights are first brought to length 1, as the published code
    does and the paper's formula does not. An eigenvector's entry of largest magnitude is positive.
    """
    stacked = torch.cat([w.detach().cpu().double() for w in weights])
    if not bool(stacked.isfinite().all()):
        raise InputError("the generator's weights are not finite")
    stacked = stacked / stacked.norm(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    values, vectors = torch.linalg.eigh(stacked.T @ stacked)
    return largest_positive(vectors.T.flip(0)), values.flip(0)


def parse_rows(text: str, n: int) -> tuple[int, ...]:
    """Rows of 'all', 'a-b' (both included) or '1+3+6-7', in rising order. Raises InputError for rows outside 0 to n - 1."""
    if text == "all":
        return tuple(range(n))
    rows: set[int] = set()
    for part in text.split("+"):
        first, _, last = part.partition("-")
        rows |= set(range(int(first), int(last or first) + 1))
    if not rows or max(rows) >= n:
        raise InputError(f"unknown layers '{text}': this generator has the layers 0 to {n - 1}")
    return tuple(sorted(rows))


def row_layers(info: GeneratorInfo, rows: Sequence[int]) -> list[str]:
    """The layers whose weights stand for these rows of w+: the convolutions they feed, a toRGB only where it is all they feed.

    So every row counts once, and 'all' takes the last toRGB but no other.
    """
    names = []
    for row in rows:
        fed = [layer for layer in info.layers if row in layer.rows]
        names += [layer.name for layer in fed if not layer.is_rgb] or [layer.name for layer in fed]
    return names


class SeFa(Method):
    """Closed-form factorisation of the style weights (of the first layer, in generators that take z alone)."""

    name = "sefa"
    approach = "unsupervised"
    citation = "Shen, Zhou: Closed-Form Factorization of Latent Semantics in GANs, CVPR 2021"

    class Options(Method.Options):
        """space: where codes meet the weights; a generator without w is factorised in z.

        layers: 'all', 'a-b' (both included), 'a+b+c-d' or a list of numbers: the rows of w+ that are factorised and that move.
        """

        space: Space = Space.W
        layers: str = "all"

        @field_validator("layers", mode="before")
        @classmethod
        def _canonical(cls, value: object) -> object:
            parts = value if isinstance(value, list | tuple) else re.split(r"[,+]", str(value))
            text = "+".join(str(part).strip() for part in parts)
            if text != "all" and not all(re.fullmatch(r"\d+(-\d+)?", part) for part in text.split("+")):
                raise ValueError(f"layers are 'all', 'a-b', 'a+b' or a list of numbers, not {value!r}")
            if any(int(a) > int(b) for a, b in re.findall(r"(\d+)-(\d+)", text)):
                raise ValueError(f"a range of layers rises, {value!r} does not")
            return text

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        space, home = self._space(info), Space.W if Space.W in info.spaces else Space.Z
        if space not in info.spaces:
            return f"{info.name} has no space {space}"
        if space != home:
            rows = f"; the option layers chooses rows of {PLUS[home]}" if space == PLUS[home] else ""
            return f"the weights of {info.name} meet codes of {home}, not of {space}{rows}"
        if self.options.layers != "all" and PLUS.get(space) not in info.spaces:
            return f"{info.name} has no layers to choose from"
        return None

    def _space(self, info: GeneratorInfo) -> Space:
        return code_space(self.options.space, info)

    def fit(self, context: FitContext) -> Fitted:
        info = context.generator.info
        space = self._space(info)
        plus = PLUS.get(space)
        rows = None
        # Rows may be parts of the code (BigGAN's chunks of z): all of them together are the code itself.
        parts = plus in info.spaces and info.spaces[plus][1:] != info.spaces[space]
        if plus in info.spaces and not (parts and self.options.layers == "all"):
            rows = parse_rows(self.options.layers, info.spaces[plus][0])
            weights = context.generator.code_weights(plus if parts else space, row_layers(info, rows))
        else:
            weights = context.generator.code_weights(space)
        directions, eigenvalues = factorize(weights)
        directions = directions[: component_count(context.budget, len(directions))].float()
        names = tuple(map(str, range(len(directions))))
        editor = DirectionEditor(context.generator, directions, names, space if rows is None else plus, rows=rows)
        facts = zip(names, eigenvalues[: len(names)].tolist(), strict=True)
        table = [{"component": name, "eigenvalue": value} for name, value in facts]
        return Fitted(editor=editor, tables={"eigenvalues": table})

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return restore_directions(context, state)
