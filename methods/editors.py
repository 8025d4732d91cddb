"""The editor that most methods share: fixed directions in one latent space, added to the codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from bench.codes import Codes, Space
from bench.errors import InputError, unknown
from bench.generators.base import Generator
from methods.base import Edit, FitContext, Fitted, Request, pack_json, unpack_json

# The spaces with a row per layer, by the space of one row.
PLUS = {Space.Z: Space.Z_PLUS, Space.W: Space.W_PLUS, Space.P: Space.P_PLUS}


def unit(directions: Tensor) -> Tensor:
    """Each direction [K, ...] at Euclidean length 1 over all its entries. Raises InputError where it is 0 or not finite."""
    length = directions.flatten(1).norm(dim=1)
    if not bool(((length > 0) & length.isfinite()).all()):
        raise InputError("a direction has length zero or is not finite: the fit found nothing along it")
    return directions / length.view(-1, *[1] * (directions.dim() - 1))


def component_count(budget: int, dimension: int) -> int:
    """How many components a method without names offers: the budget, but not more than the space has dimensions.

    The unsupervised methods and `random` all ask here, so that none has more chances than another.
    """
    if budget < 1:
        raise InputError(f"a budget of {budget} components leaves nothing to offer")
    return min(budget, dimension)


def largest_positive(directions: Tensor) -> Tensor:
    """Directions [K, D] with signs such that each one's entry of largest magnitude is positive (eigenvectors have no sign)."""
    peak = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return torch.where(peak < 0, -directions, directions)


def project_off(direction: Tensor, conditions: Tensor) -> Tensor:
    """The unit direction nearest to `direction` [...] that is orthogonal to all `conditions` [K, ...].

    Conditional manipulation (Shen et al. 2020, 'Interpreting the Latent Space of GANs', section 3.3): the direction minus its
    projection on the span of the conditions, at length 1. Linearly dependent conditions are allowed.
    Raises InputError where the direction lies in the span, so that nothing of it is left.
    """
    primal = direction.double().flatten()
    primal = primal / primal.norm()
    span = torch.linalg.svd(conditions.double().flatten(1), full_matrices=False)
    basis = span.Vh[span.S > 1e-5 * span.S.max()]  # what is smaller is rounding of float32 directions that depend on each other
    rest = primal - basis.T @ (basis @ primal)
    rest = rest - basis.T @ (basis @ rest)  # once more: after a large cancellation the first pass leaves rounding behind
    if not rest.norm() > 1e-6:
        raise InputError("the direction lies in the span of the held ones, so that nothing of it is left: hold fewer attributes")
    return (rest / rest.norm()).view_as(direction).to(direction.dtype)


def in_rows(steps: Tensor, shape: Sequence[int]) -> Tensor:
    """Steps [..., D] of one code in the rows [L, d] of its layered space, [..., L, d].

    As they are where every row holds the whole code, and in chunks where it holds its own part, as BigGAN's do.
    """
    rows, width = shape
    if steps.shape[-1] == width:
        return steps.unsqueeze(-2).expand(*steps.shape[:-1], rows, width)
    return steps.unflatten(-1, (rows, width))


@dataclass(frozen=True)
class DirectionPath:
    """A straight line through each code: values + strength * step. step: [D], [L, D], or as the codes' values."""

    codes: Codes
    step: Tensor

    def at(self, strength: float | Tensor) -> Edit:
        """The edit at a strength: a number, or one per code [N]. Raises InputError for another shape."""
        values = self.codes.values
        if isinstance(strength, Tensor) and strength.dim():
            if strength.shape != values.shape[:1]:
                raise InputError(f"{len(values)} codes need one strength or as many, got shape {list(strength.shape)}")
            strength = strength.to(values).view(-1, *[1] * (values.dim() - 1))
        return Edit(self.codes.with_values(values + strength * self.step))


@dataclass(frozen=True)
class DirectionEditor:
    """Edits by adding strength * scale * direction.

    directions: [K, D], unit length as a rule, or [K, L, D] with a row per layer. names: one per direction. space: where codes
    move; codes are converted to it first, but codes of w+ given to an editor in w stay there and all rows move. In layered spaces
    directions [K, D] are added to `rows` alone (None: every row). targets: the directions on offer (None: all), the others serve
    only to be held. scale: [K] length of a step of strength 1 (None: 1). hold: names that every edit leaves alone, beside what a
    request holds; a target is never held against itself. A request's prompt and region are for other editors.
    """

    generator: Generator
    directions: Tensor
    names: tuple[str, ...]
    space: Space
    rows: tuple[int, ...] | None = None
    scale: Tensor | None = None
    hold: tuple[str, ...] = ()
    targets: Sequence[str] = field(default=None)  # type: ignore[assignment]
    signed: ClassVar[bool] = True
    per_code: ClassVar[bool] = False

    def __post_init__(self) -> None:
        space = Space(self.space)
        object.__setattr__(self, "space", space)
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "targets", self.names if self.targets is None else tuple(self.targets))
        if len(self.names) != len(self.directions) or (self.scale is not None and self.scale.shape != (len(self.names),)):
            raise InputError(f"{len(self.directions)} directions need as many names and scales")
        shape = self.generator.info.spaces.get(space)
        if shape is None:
            raise InputError(f"{self.generator.info.name} has no space {space}")
        if tuple(self.directions.shape[1:]) not in {shape, shape[-1:]}:
            raise InputError(f"directions in {space} have the shape {list(shape)}, not {list(self.directions.shape[1:])}")
        if self.rows is not None:
            if not space.layered or self.directions.dim() == 3:
                raise InputError(f"rows are for directions [K, D] in a layered space, not for {space}")
            if not self.rows or not all(0 <= row < shape[0] for row in self.rows):
                raise InputError(f"{self.generator.info.name} has the rows 0 to {shape[0] - 1}, not {list(self.rows)}")
        for name in (*self.targets, *self.hold):
            self._index(name)

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise unknown("direction", name, self.names)
        return self.names.index(name)

    def step(self, request: Request) -> Tensor:
        """What strength 1 adds to a code, [D] or [L, D]. Raises InputError for a target or a held name without a direction."""
        if request.target not in self.targets:
            raise unknown("target", request.target, self.targets)
        index = self._index(request.target)
        held = [self._index(name) for name in dict.fromkeys((*self.hold, *request.hold)) if name != request.target]
        direction = self.directions[index]
        if held:
            direction = project_off(direction, self.directions[held])
        return direction if self.scale is None else direction * self.scale[index]

    def path(self, codes: Codes, requests: Sequence[Request], *, seed: int = 0) -> DirectionPath:
        """The straight path of the requests, which add up. `seed` is not used: nothing here is drawn."""
        if not requests:
            raise InputError("an edit needs at least one request")
        codes = codes if codes.space == PLUS.get(self.space) else self.generator.convert(codes, self.space)
        step = sum(self.step(request) for request in requests).to(codes.values)
        if codes.space.layered and step.dim() == 1:
            placed = step.new_zeros(codes.values.shape[1:])
            placed[slice(None) if self.rows is None else list(self.rows)] = step
            step = placed
        return DirectionPath(codes, step)

    def state(self) -> dict[str, Tensor]:
        """This editor as tensors, without the generator."""
        card = {"names": self.names, "space": self.space, "rows": self.rows, "hold": self.hold, "targets": self.targets}
        scale = {} if self.scale is None else {"scale": self.scale}
        return {"directions": self.directions, **scale, "card": pack_json(card)}

    @classmethod
    def from_state(cls, generator: Generator, state: dict[str, Tensor]) -> DirectionEditor:
        """The editor of a stored state, on this generator."""
        card = unpack_json(state["card"])
        rows = None if card["rows"] is None else tuple(card["rows"])
        names, hold = tuple(card["names"]), tuple(card["hold"])
        scale = None if "scale" not in state else torch.as_tensor(state["scale"])
        directions = torch.as_tensor(state["directions"])
        return cls(generator, directions, names, Space(card["space"]), rows, scale, hold, tuple(card["targets"]))


def restore_directions(context: FitContext, state: dict[str, Tensor]) -> Fitted:
    """`Method.restore` for every method whose fit is a DirectionEditor."""
    tables = unpack_json(state["tables"]) if "tables" in state else {}
    return Fitted(editor=DirectionEditor.from_state(context.generator, state), tables=tables)
