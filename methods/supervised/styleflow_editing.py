"""StyleFlow's edits: encode a code under its own attributes, change one of them, decode (Abdal et al. 2021, section 5).

Joint reverse encoding: a guide scores the picture of the code, and the flow takes (code, scores) to a prior code. Conditional
forward editing: the prior code is decoded under the changed scores. Edit-specific subset selection: in w+ only the target's rows
take the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench.codes import Codes, Space
from bench.domains.base import Network
from bench.errors import InputError, unknown
from bench.generators.base import Generator
from bench.passes import Passes
from methods.base import Edit, Request, pack_json, unpack_json
from methods.editors import PLUS
from methods.supervised.styleflow_conditions import Conditions, edit_rows
from methods.supervised.styleflow_flow import ConditionalFlow, Solver

# Rows of codes that go through the flow at a time, always so many: a row's value depends on no other row (see Trained.solver).
ROWS = 64


@dataclass(frozen=True)
class Trained:
    """A trained flow with what stands around it.

    contexts: [M, C] the conditions of the bank's codes, for samples. solver: of edits and samples. It has a fixed grid: an
    adaptive solver chooses its steps for the batch as a whole, so that a code's edit would depend on the codes beside it.
    """

    flow: ConditionalFlow
    conditions: Conditions
    contexts: Tensor
    solver: Solver

    def encode(self, codes: Tensor, context: Tensor) -> Tensor:
        """Prior codes [N, D] of codes [N, D] under contexts [N, C]."""
        return _by_rows(lambda x, c: self.flow.encode(x, c, solver=self.solver)[0], codes, context)

    def decode(self, prior: Tensor, context: Tensor) -> Tensor:
        """The inverse of encode, up to the solver's error."""
        return _by_rows(lambda y, c: self.flow.decode(y, c, solver=self.solver)[0], prior, context)

    def state(self) -> dict[str, Tensor]:
        flow = {f"flow/{name}": tensor for name, tensor in self.flow.state_dict().items()}
        conditions, solver = self.conditions, self.solver
        card = {"names": conditions.names, "binary": conditions.binary, "solver": solver.name, "steps": solver.steps}
        return {**flow, **conditions.state(), "contexts": self.contexts, "flow_card": pack_json(card)}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], device: torch.device) -> Trained:
        """What `state` packed, on a device."""
        card, prefix = unpack_json(state["flow_card"]), "flow/"
        found = {name.removeprefix(prefix): torch.as_tensor(one) for name, one in state.items() if name.startswith(prefix)}
        flow = ConditionalFlow.from_state(found).to(device).requires_grad_(False)
        conditions = Conditions.from_state(state, card["names"], card["binary"])
        contexts = torch.as_tensor(state["contexts"]).to(device)
        return cls(flow, conditions, contexts, grid(card["steps"], card["solver"]))


def grid(steps: int, name: str = "rk4") -> Solver:
    """The solver of edits and samples. Gradients go through its own operations, so that they reach attributes and strengths."""
    return Solver(name, steps=steps, adjoint=False)


def _by_rows(function: Callable[[Tensor, Tensor], Tensor], values: Tensor, context: Tensor) -> Tensor:
    """function(values [ROWS, D], context [ROWS, C]) over all rows; the last chunk repeats its last row."""
    parts = []
    for start in range(0, len(values), ROWS):
        rows = list(range(start, min(start + ROWS, len(values))))
        padded = rows + rows[-1:] * (ROWS - len(rows))
        parts.append(function(values[padded], context[padded])[: len(rows)])
    return torch.cat(parts)


@dataclass(frozen=True)
class FlowPath:
    """Edits one after another. start: codes, in one vector or in rows. context: [N, C] of the guide.

    columns, rows: of each request; rows are those of a layered code that it changes, None where a code is one vector. first: the
    first request's reverse encoding. Each request moves its attribute by the strength, in standard deviations of the guide's
    score, and the next one encodes the code that came out under the changed attributes, as the paper's sequential edits do;
    pictures are not scored again.
    """

    trained: Trained
    start: Codes
    context: Tensor
    columns: tuple[int, ...]
    rows: tuple[tuple[int, ...] | None, ...]
    first: tuple[Tensor, Tensor]

    def at(self, strength: float | Tensor) -> Edit:
        """The edit at a strength: a number, or one per code [N]. Raises InputError for another shape.

        What is added to a code is the difference of two decodings, that under the changed attributes and that under its own, so
        that the solver's error cancels and strength 0 changes no bit.
        """
        values, context = self.start.values, self.context
        moved = torch.as_tensor(strength).to(values)
        if moved.shape not in {(), (len(values),)}:
            raise InputError(f"{len(values)} codes need one strength or as many, got shape {list(moved.shape)}")
        for i, (column, rows) in enumerate(zip(self.columns, self.rows, strict=True)):
            prior, same = self.first if i == 0 else reversed_codes(self.trained, values, context, rows)
            after = context.clone()
            after[:, column] = context[:, column] + moved
            step = self.trained.decode(prior, after.repeat_interleave(len(prior) // len(after), 0)) - same
            values, context = added(values, step, rows), after
        return Edit(self.start.with_values(values))


def selected(values: Tensor, rows: tuple[int, ...] | None) -> Tensor:
    """The vectors that an edit moves, [N * R, D]: a code's own, or its chosen rows; one of these where all are the same."""
    if rows is None:
        return values
    chosen = values[:, list(rows)]
    # Samples of w+ repeat w: what a row becomes depends on nothing else, so that one of them stands for all.
    chosen = chosen[:, :1] if bool((chosen == chosen[:, :1]).all()) else chosen
    return chosen.flatten(0, 1)


def added(values: Tensor, step: Tensor, rows: tuple[int, ...] | None) -> Tensor:
    """Values with the step [N * R, D] added to the rows it was made for."""
    if rows is None:
        return values + step
    whole = torch.zeros_like(values)
    whole[:, list(rows)] = step.view(len(values), -1, values.shape[-1]).expand(-1, len(rows), -1)
    return values + whole


def reversed_codes(trained: Trained, values: Tensor, context: Tensor, rows: tuple[int, ...] | None) -> tuple[Tensor, Tensor]:
    """Joint reverse encoding of the vectors that an edit moves: their prior codes, and what these decode to unchanged."""
    chosen = selected(values, rows)
    repeated = context.repeat_interleave(len(chosen) // len(context), 0)
    prior = trained.encode(chosen, repeated)
    return prior, trained.decode(prior, repeated)


@dataclass(frozen=True)
class FlowEditor:
    """Edits through a conditional flow. space: one vector a code (w, z), or w+ by rows; codes are converted to it first.

    targets: attributes on offer. by_rows: whether edits in w+ change the paper's rows of their attribute alone. What a request
    holds is held by nature, as the flow is conditioned on it; an attribute that it does not know cannot be.
    """

    generator: Generator
    guide: Network
    trained: Trained
    space: Space
    targets: Sequence[str]
    by_rows: bool = True
    signed: ClassVar[bool] = True
    per_code: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in self.targets:
            self.trained.conditions.column(name)

    def path(self, codes: Codes, requests: Sequence[Request], *, seed: int = 0) -> FlowPath:
        """The path of the requests. Scores the codes' pictures. `seed` is not used: nothing here is drawn.

        Raises InputError for no request, an unknown target, and an attribute to hold that the flow is not conditioned on.
        """
        if not requests:
            raise InputError("an edit needs at least one request")
        for request in requests:
            if request.target not in self.targets:
                raise unknown("target", request.target, self.targets)
            for name in request.hold:
                self.trained.conditions.column(name)
        codes = codes if codes.space == PLUS.get(self.space) else self.generator.convert(codes, self.space)
        columns = tuple(self.trained.conditions.column(request.target) for request in requests)
        rows = tuple(self._rows(request.target, codes) for request in requests)
        context = self.context(codes)
        with torch.no_grad():
            first = reversed_codes(self.trained, codes.values, context, rows[0])
        return FlowPath(self.trained, codes, context, columns, rows, first)

    def _rows(self, target: str, codes: Codes) -> tuple[int, ...] | None:
        if not codes.space.layered:
            return None
        count = codes.values.shape[1]
        return edit_rows(target, count) if self.by_rows else tuple(range(count))

    def context(self, codes: Codes) -> Tensor:
        """The standardised guide scores [N, C] of the pictures of codes, from passes in fixed chunks."""
        passes = Passes(self.generator, device=codes.values.device)
        scores = passes.read({"attributes": self.guide}, codes)["attributes"]
        return self.trained.conditions.standard(scores, self.guide.names).to(codes.values)

    def state(self) -> dict[str, Tensor]:
        return {**self.trained.state(), "targets": pack_json(list(self.targets))}
