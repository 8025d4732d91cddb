"""StyleFlow: a conditional continuous normalising flow over codes given attributes, for edits in sequence and for sampling."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Space
from bench.domains.base import Network
from bench.errors import InputError, UnsupportedError, unknown
from bench.streams import stream_seed
from methods.base import FitContext, Fitted, Method, unpack_json
from methods.editors import PLUS
from methods.supervised.styleflow_conditions import Conditions
from methods.supervised.styleflow_editing import FlowEditor, Trained, grid
from methods.supervised.styleflow_flow import ConditionalFlow
from methods.supervised.styleflow_sampling import FlowSampler
from methods.supervised.styleflow_training import (
    TRAININGS,
    Training,
    density_row,
    held_out_density,
    linear_density,
    train_flow,
)

# The share of the bank's codes on which the likelihood is measured and no weight is trained, and the most of them.
HELD_OUT, MOST_HELD_OUT = 1 / 16, 512
# The space of one vector behind each layered one: the flow sees one row at a time.
SINGLE = {plus: single for single, plus in PLUS.items()}


class StyleFlow(Method):
    """A flow from N(0, I) to the bank's codes under the guide's scores of their pictures.

    Every attribute that the guide scores is a condition, or those of the options; scores are standardised over the bank (a
    logit, too: the paper's service gives probabilities). In w+ an edit changes the rows of 'rows'; all rows learn from w, as the
    published training repeats one code in all of them. Strength 1 is one standard deviation of the guide's score; the published
    interface multiplies wanted changes by a gain of each attribute, which comparisons at equal judged effect undo.
    """

    name = "styleflow"
    approach = "supervised"
    citation = (
        "Abdal, Zhu, Mitra, Wonka: StyleFlow: Attribute-conditioned Exploration of StyleGAN-Generated Images using Conditional "
        "Continuous Normalizing Flows, ACM TOG 2021"
    )
    needs = frozenset({"attributes"})
    produces = frozenset({"editor", "sampler"})

    class Options(Method.Options):
        """Defaults are the paper's.

        space: w+ (edits by rows), or one vector a code: w, z. rows: paper, those of w+ that the paper names, scaled to the
        generator's depth (all, where it names none), or all. attributes: the conditions (None: all that the guide scores).
        training: paper, which takes hours on a CPU, or small (see Training and TRAININGS). widths to adjoint: what differs from
        it (None: nothing). edit_steps: of rk4, which encodes and decodes in edits and samples.
        """

        space: Space = Space.W_PLUS
        rows: Literal["paper", "all"] = "paper"
        attributes: tuple[str, ...] | None = None
        training: Literal["paper", "small"] = "paper"
        widths: tuple[int, ...] | None = None
        blocks: int | None = Field(None, ge=1)
        epochs: int | None = Field(None, ge=1)
        batch: int | None = Field(None, ge=2)
        learning_rate: float | None = Field(None, gt=0)
        anneal: bool | None = None
        solver: Literal["dopri5", "rk4", "midpoint"] | None = None
        tolerance: float | None = Field(None, gt=0)
        steps: int | None = Field(None, ge=1)
        adjoint: bool | None = None
        edit_steps: int = Field(8, ge=1)

        @property
        def trained(self) -> Training:
            """The training, with what was chosen otherwise."""
            chosen = {one.name: getattr(self, one.name) for one in fields(Training)}
            return replace(TRAININGS[self.training], **{name: value for name, value in chosen.items() if value is not None})

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        reason = super().supports(info, domain)
        single = self._single
        if reason is None and (single.layered or single not in info.spaces):
            reason = f"a flow over one vector a code cannot edit in {self.options.space} of {info.name}"
        if reason is None and info.n_labels:
            reason = f"{info.name} draws classes, which the flow does not know"
        return reason

    @property
    def _single(self) -> Space:
        return SINGLE.get(self.options.space, self.options.space)

    def fit(self, context: FitContext) -> Fitted:
        options, guide = self.options, _guide(context)
        names = list(context.bank.names)
        codes, scores = context.bank.codes(self._single).values, context.bank.scores.to(context.generator.device)
        if not bool(codes.isfinite().all()):
            raise InputError("some codes of the bank are not finite")
        for target in context.targets:
            if target not in names:
                raise unknown("attribute of the guide", target, names)
        wanted = names if options.attributes is None else [*dict.fromkeys((*options.attributes, *context.targets))]
        columns = [names.index(name) for name in wanted if name in names]
        read = scores[:, columns].isfinite().all(1)
        if int(read.sum()) * 2 < len(codes):
            raise InputError(f"the guide could read {int(read.sum())} of the bank's {len(codes)} pictures: too few to learn from")
        kinds = {attribute.name: attribute.kind == "binary" for attribute in context.domain.attributes}
        conditions = Conditions.of(scores[read], names, wanted, kinds)
        attributes, codes = conditions.standard(scores[read], names), codes[read].float()
        trained, rows = self._trained(codes, attributes, conditions, context.seed)
        rows[0]["unreadable"] = int((~read).sum())
        tables = {"likelihood": rows, "training": [{**asdict(self.options.trained), "codes": len(codes)}]}
        targets = tuple(target for target in context.targets if target in conditions.names)
        return self._fitted(context, guide, trained, targets, tables)

    def _trained(
        self, codes: Tensor, attributes: Tensor, conditions: Conditions, seed: int
    ) -> tuple[Trained, list[dict[str, Any]]]:
        """Train on all codes but the last ones, and measure on those."""
        training = self.options.trained
        held = min(MOST_HELD_OUT, max(2, int(len(codes) * HELD_OUT)))
        train, test = (slice(None, len(codes) - held), slice(len(codes) - held, None))
        # Weights are drawn by torch's global generator, which is left as it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed("styleflow-init", seed) % 2**63)
            flow = ConditionalFlow(codes.shape[1], training.widths, len(conditions.names), training.blocks).to(codes)
        losses = train_flow(flow, codes[train], attributes[train], training=training, seed=seed)
        trained = Trained(flow.requires_grad_(False), conditions, attributes, grid(self.options.edit_steps))
        density = held_out_density(flow, codes[test], attributes[test], seed)
        normal = linear_density((codes[train], attributes[train]), (codes[test], attributes[test]))
        # The same codes under another's attributes: what the flow has learned of attributes is the difference.
        astray = held_out_density(flow, codes[test], attributes[test].roll(1, 0), seed)
        error = self._round_trip(trained, codes[test], attributes[test])
        rows = [
            {**density_row("flow", density), "round_trip_error": error, "train_nats": -losses[-1]},
            density_row("flow, another code's attributes", astray),
            density_row("normal, mean linear in the attributes", normal),
        ]
        return trained, rows

    @staticmethod
    def _round_trip(trained: Trained, codes: Tensor, attributes: Tensor) -> float:
        """The largest relative error of a code that was encoded and decoded under its own attributes."""
        with torch.no_grad():
            back = trained.decode(trained.encode(codes, attributes), attributes)
        return float(((back - codes).norm(dim=1) / codes.norm(dim=1)).max())

    def _fitted(self, context: FitContext, guide: Network, trained: Trained, targets: tuple[str, ...], tables: dict) -> Fitted:
        by_rows = self.options.rows == "paper"
        editor = FlowEditor(context.generator, guide, trained, self.options.space, targets, by_rows)
        return Fitted(editor=editor, sampler=FlowSampler(trained, self._single), tables=tables)

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        trained = Trained.from_state(state, context.generator.device)
        tables = unpack_json(state["tables"]) if "tables" in state else {}
        return self._fitted(context, _guide(context), trained, tuple(unpack_json(state["targets"])), tables)


def _guide(context: FitContext) -> Network:
    """The guide of attributes. Raises UnsupportedError where the fit has none: nothing else says what a code's attributes are."""
    if "attributes" not in context.guides:
        raise UnsupportedError(f"domain {context.domain.name} has no guide for attributes, which scores codes before an edit")
    return context.guides["attributes"]
