"""Published: directions that a paper released, for the generator that they were released for."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pydantic
import torch
from pydantic import field_validator
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Space
from bench.errors import InputError, unknown
from methods.base import FitContext, Fitted, Method
from methods.directions_io import Direction, direction_files, read_card, read_directions
from methods.editors import PLUS, DirectionEditor, component_count, restore_directions


class Published(Method):
    """Released directions as they are: a strength is in their own unit, standard deviations where they come with them.

    Nothing is fitted, and nothing here knows whether the directions belong to this generator: only their dimensions are checked,
    and, where a card says it, whether the weights are the same (in the fit's table).
    """

    name = "published"
    approach = "published"
    citation = "the directions' own"

    class Options(Method.Options):
        """path: a file, or a folder of files. match: patterns of files' or directions' names, e.g. 'stylegan_ffhq_*_w_*'.

        space: where codes move (None: what the files say, else w). layers: 'a:b', the rows that move, b excluded (None: what the
        files say, else all). names: what a direction is called there -> the attribute that it edits here. hold: attributes that
        every edit leaves alone (conditional manipulation). content: what the files hold; it is computed.
        """

        path: str
        match: tuple[str, ...] = ("*",)
        space: Space | None = None
        layers: str | None = None
        names: dict[str, str] = {}
        hold: tuple[str, ...] = ()

        @field_validator("path")
        @classmethod
        def _there(cls, value: str) -> str:
            if not Path(value).expanduser().exists():
                raise ValueError(f"there is no file or folder {value}")
            return value

        @field_validator("match", mode="before")
        @classmethod
        def _one_or_many(cls, value: object) -> object:
            return (value,) if isinstance(value, str) else value

        @field_validator("layers")
        @classmethod
        def _rising(cls, value: str | None) -> str | None:
            first, colon, last = (value or "0:1").partition(":")
            if not (colon and first.isdecimal() and last.isdecimal() and int(first) < int(last)):
                raise ValueError(f"layers are 'a:b' with a below b, not {value!r}")
            return value

        # A part of the options, so that a fit of other files is another fit.
        @pydantic.computed_field
        @cached_property
        def content(self) -> str:
            """The first digits of a SHA-256 over the files and their card."""
            path, digest = Path(self.path).expanduser(), hashlib.sha256()
            for file in direction_files(path):
                digest.update(f"{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
            digest.update(repr(read_card(path)).encode())
            return digest.hexdigest()[:12]

    @property
    def path(self) -> Path:
        return Path(self.options.path).expanduser()

    @property
    def variant(self) -> str:
        """The name of the path without the folders it lies in, what it holds, and the options that differ from the defaults."""
        chosen = self.options.model_dump(exclude_defaults=True, mode="json", exclude={"path", "content"})
        parts = [f"path={self.path.name}", f"content={self.options.content}"]
        for key, value in chosen.items():
            listed = [f"{one}>{other}" for one, other in value.items()] if isinstance(value, dict) else value
            parts.append(f"{key}={'+'.join(listed) if isinstance(listed, list) else listed}")
        return ",".join(parts)

    @property
    def space(self) -> str:
        return str(self._space)

    @cached_property
    def _space(self) -> Space:
        """Where codes move: with rows of their own, directions in w move in w+."""
        known = {one.space for one in self._found if one.space is not None}
        space = self.options.space or (known.pop() if len(known) == 1 else Space.W)
        rows = self.options.layers or any(one.rows is not None or one.values.dim() == 2 for one in self._found)
        return PLUS.get(space, space) if rows else space

    @cached_property
    def _found(self) -> list[Direction]:
        """The directions of the chosen space, under the names they have here. Raises InputError where they do not go together."""
        options = self.options
        layered = options.space is not None and options.space.layered
        found = read_directions(self.path, options.match, layered=layered)
        if options.space is not None:
            wanted = {None, options.space, *(row for row, plus in PLUS.items() if plus == options.space)}
            kept = [one for one in found if one.space in wanted]
            if not kept:
                raise InputError(f"{self.path} holds directions of {_spaces(found)}, and none of {options.space}")
            found = kept
        elif len({one.space for one in found} - {None}) > 1:
            raise InputError(f"{self.path} holds directions of {_spaces(found)}: choose with the option space or match")
        known = [one.name for one in found]
        for name in options.names:
            if name not in known:
                raise unknown("direction", name, known)
        names = [options.names.get(name, name) for name in known]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            files = " and ".join(one.file for one, name in zip(found, names, strict=True) if name == twice[0])
            raise InputError(f"{self.path} holds two directions named {twice[0]} ({files}): choose with the option match")
        return [replace(one, name=name) for name, one in zip(names, found, strict=True)]

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        shape = info.spaces.get(self._space)
        if shape is None:
            return f"{info.name} has no space {self._space}"
        for one in self._found:
            given = tuple(one.values.shape)
            if given not in (shape, shape[-1:]):
                own = f"the direction {one.name} ({one.file}) has the shape {list(given)}"
                return f"{own}, and codes in {self._space} of {info.name} have {list(shape)}"
            beyond = [row for row in self._rows(one) or () if row >= shape[0]]
            if beyond:
                own = f"the direction {one.name} ({one.file}) moves the layer {beyond[0]}"
                return f"{own}, and {info.name} has the layers 0 to {shape[0] - 1}"
        return None

    def _rows(self, one: Direction) -> tuple[int, ...] | None:
        if self.options.layers is None:
            return one.rows
        first, last = map(int, self.options.layers.split(":"))
        return tuple(range(first, last))

    def fit(self, context: FitContext) -> Fitted:
        info, found = context.generator.info, self._found
        reason = self.supports(info, context.domain)
        if reason:
            raise InputError(reason)
        if all(one.name.isdecimal() for one in found):  # components: as many as every unsupervised method offers
            found = found[: component_count(context.budget, len(found))]
        rows = {self._rows(one) for one in found}
        flat = all(one.values.dim() == 1 for one in found)
        if flat and len(rows) == 1:
            directions, shared = torch.stack([one.values for one in found]), rows.pop()
        else:  # each moves layers of its own: zeros stand in the others
            directions, shared = torch.stack([_placed(one, self._rows(one), info.spaces[self._space]) for one in found]), None
        editor = DirectionEditor(
            context.generator,
            directions,
            tuple(one.name for one in found),
            self._space,
            rows=shared,
            scale=torch.tensor([one.scale for one in found]),
            hold=self.options.hold,
        )
        return Fitted(editor=editor, tables={"published": [self._line(one, context) for one in found]})

    def _line(self, one: Direction, context: FitContext) -> dict[str, object]:
        card = read_card(self.path)
        same = None if card is None or "generator_sha" not in card else card["generator_sha"] == context.generator.fingerprint
        rows = self._rows(one)
        return {
            "direction": one.name, "file": one.file, "length": float(one.values.norm()), "scale": one.scale,
            "layers": "all" if rows is None else "+".join(map(str, rows)), "same_weights": same,
        }  # fmt: skip

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return restore_directions(context, state)


def _placed(one: Direction, rows: tuple[int, ...] | None, shape: tuple[int, ...]) -> Tensor:
    """A direction as [L, D], zero in the rows that it does not move."""
    whole = one.values.expand(shape) if one.values.dim() == 1 else one.values
    if rows is None:
        return whole.clone()
    mask = torch.zeros(shape[0], 1)
    mask[list(rows)] = 1
    return whole * mask


def _spaces(found: list[Direction]) -> str:
    return " and ".join(sorted({str(one.space or "an unnamed space") for one in found}))
