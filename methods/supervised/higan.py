"""HiGAN: boundaries of confident samples, moved layer by layer; re-scoring verifies which layers carry which attribute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Codes, Space
from bench.errors import InputError, unknown
from bench.streams import normal_rows, stream_rng, stream_seed
from methods.base import FitContext, Fitted, Method, unpack_json
from methods.code_streams import CodeStreams, code_space
from methods.editors import PLUS, in_rows, unit
from methods.guided import attribute_scores, guide_of
from methods.supervised.higan_layers import LayeredEditor, layer_groups, row_strengths
from methods.supervised.higan_verify import Verified, layer_table, level_table, verified
from methods.supervised.interfacegan import Boundary, train_boundary


class HiGAN(Method):
    """One boundary per attribute in w (z, where there is no w), and an edit in the rows of w+ that carry the attribute.

    The scenes' levels of the paper (layout, objects, attributes, colour scheme) have no counterpart on other pictures: on heads,
    pose and shape, parts, expression, and colour and light stand in for them (higan_verify.LEVELS). Re-scoring is by the guide,
    on codes that no boundary was trained on.
    """

    name = "higan"
    approach = "supervised"
    citation = "Yang, Shen, Zhou: Semantic Hierarchy Emerges in Deep Generative Representations for Scene Synthesis, IJCV 2021"
    needs = frozenset({"attributes"})

    class Options(Method.Options):
        """Defaults are the paper's: 2000 codes a side of 500,000, 2000 codes verified by a move of 2.

        chosen_num_or_ratio: codes a side, as share (at most 1) or count. split_ratio: the share that trains. C: the SVM's.
        rows: auto (the layers that verification finds), all, or row numbers of w+. layers: what is verified, the paper's four
        groups of layers scaled to this depth, or every row alone. share: a layer is edited where what it does beyond a random
        direction is at least this part of the strongest layer's. verify_codes: 0 leaves verification out. shift: of the
        verification, in units of w. hold: attributes that every edit leaves alone (projection before rows are chosen).
        """

        chosen_num_or_ratio: float = Field(0.004, gt=0)
        split_ratio: float = Field(0.7, gt=0, lt=1)
        C: float = Field(1.0, gt=0)
        rows: Literal["auto", "all"] | tuple[int, ...] = "auto"
        layers: Literal["groups", "rows"] = "groups"
        share: float = Field(0.5, gt=0, le=1)
        verify_codes: int = Field(2000, ge=0)
        shift: float = Field(2.0, gt=0)
        hold: tuple[str, ...] = ()

        @model_validator(mode="after")
        def _rows_need_verification(self) -> Any:
            if self.rows == "auto" and self.verify_codes < 2:
                raise ValueError("rows: auto takes at least 2 verify_codes: without them name rows, or all")
            if isinstance(self.rows, tuple) and (not self.rows or len(set(self.rows)) != len(self.rows)):
                raise ValueError("rows are numbers of w+ rows, each once")
            return self

    @property
    def space(self) -> str:
        """Edits move in w+."""
        return str(Space.W_PLUS)

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        plus = _spaces(info)[1]
        if plus not in info.spaces:
            return f"{info.name} has no space with a code for each layer, so that none can be edited alone"
        count = info.spaces[plus][0]
        if isinstance(self.options.rows, tuple) and not all(0 <= row < count for row in self.options.rows):
            return f"{info.name} has the rows 0 to {count - 1}, not {list(self.options.rows)}"
        return None if "attributes" in domain.guides else f"domain {domain.name} has no guide for attributes"

    def fit(self, context: FitContext) -> Fitted:
        options, info = self.options, context.generator.info
        names, known = tuple(dict.fromkeys((*context.targets, *options.hold))), tuple(context.bank.names)
        for name in names:
            if name not in known:
                raise unknown("attribute of the guide", name, known)
        single, plus = _spaces(info)
        boundaries = self._boundaries(context, single, names, known)
        directions = torch.from_numpy(np.stack([one.normal for one in boundaries])).float()
        strengths = row_strengths(context.generator, single, plus)
        tables: dict[str, list[dict[str, Any]]] = {
            "boundary_accuracy": [
                {"attribute": name, "train": one.train, "validation": one.validation, "n": len(context.bank)}
                for name, one in zip(names, boundaries, strict=True)
            ]
        }
        chosen = {name: self._fixed_rows(len(strengths)) for name in context.targets}
        if options.verify_codes:
            found = self._verified(context, directions, strengths)
            if options.rows == "auto":
                chosen = {one.attribute: one.rows(options.share) for one in found}
            guide = guide_of(context, "attributes").name
            tables["layerwise_rescoring"] = layer_table(found, chosen, info, context.domain.name, guide)
            tables["layer_levels"] = level_table(found, context.domain.name)
        placement = torch.zeros(len(names), len(strengths))
        for index, name in enumerate(names):
            for row in chosen.get(name, ()):  # a held attribute is edited in no row
                placement[index, row] = strengths[row]
        shape = info.spaces[plus]
        placed = directions if directions.shape[1] == shape[1] else in_rows(directions, shape)
        editor = LayeredEditor(
            context.generator, placed, names, plus, hold=options.hold, targets=tuple(context.targets), placement=placement
        )
        return Fitted(editor=editor, tables=tables)

    def _boundaries(self, context: FitContext, space: Space, names: Sequence[str], known: Sequence[str]) -> list[Boundary]:
        values = context.bank.codes(space).values.double().cpu().numpy()
        scores = context.bank.scores.double().cpu().numpy()
        settings = {name: getattr(self.options, name) for name in ("chosen_num_or_ratio", "split_ratio")}
        found = []
        for name in names:
            rng = stream_rng("higan", context.seed, name)
            try:
                found.append(train_boundary(values, scores[:, known.index(name)], rng=rng, c=self.options.C, **settings))
            except InputError as error:
                raise InputError(f"no boundary for {name}: {error}") from error
        return found

    def _fixed_rows(self, count: int) -> tuple[int, ...]:
        rows = self.options.rows
        return rows if isinstance(rows, tuple) else tuple(range(count))

    def _verified(self, context: FitContext, directions: Tensor, strengths: Tensor) -> list[Verified]:
        """Re-score every target in all rows, then in each group of layers alone, beside random directions of the same length."""
        options, generator = self.options, context.generator
        single, plus = _spaces(generator.info)
        count, known = options.verify_codes, list(context.bank.names)
        start = CodeStreams(generator, single, context.seed, "higan").codes("verify", 0, count)
        with torch.no_grad():
            start = generator.convert(start, plus)
        rows = tuple(range(len(strengths)))
        groups = layer_groups(len(rows)) if options.layers == "groups" else [(f"row {row}", (row,)) for row in rows]
        edits = [("all", rows), *groups]  # the edit of all rows comes first, as in the official code, and is no candidate

        def scored(steps: Tensor) -> np.ndarray:
            """Scores [1 + groups, N, A] after steps [D] or [N, D] in all rows and in each group."""
            steps = steps.to(start.values) * options.shift
            return np.stack([attribute_scores(context, moved(start, steps, some, strengths)).double() for _, some in edits])

        before = attribute_scores(context, start).double().numpy()
        drawn = normal_rows(torch.arange(count), directions.shape[1], seed=stream_seed("higan-random", context.seed))
        random = scored(unit(drawn))  # another direction for every code, so that no single one sets the level of chance
        spread = np.nanstd(context.bank.scores.double().cpu().numpy(), 0)
        found = []
        for index, target in enumerate(context.targets):
            column = known.index(target)
            after = scored(directions[index])[:, :, column]
            found.append(verified(target, before[:, column], after, random[:, :, column], spread[column], edits))
        return found

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        tables = unpack_json(state["tables"]) if "tables" in state else {}
        return Fitted(editor=LayeredEditor.from_state(context.generator, state), tables=tables)


def _spaces(info: GeneratorInfo) -> tuple[Space, Space]:
    """Where boundaries lie, and its space of one code a layer."""
    single = code_space(Space.W, info)
    return single, PLUS[single]


def moved(codes: Codes, steps: Tensor, rows: Sequence[int], strengths: Tensor) -> Codes:
    """Codes [N, L, d] plus steps ([D], or [N, D] of their own) times each row's strength, in `rows` alone."""
    weight = torch.zeros_like(strengths)
    weight[list(rows)] = strengths[list(rows)]
    return codes.with_values(codes.values + in_rows(steps, codes.values.shape[1:]) * weight.to(codes.values)[:, None])
