"""StyleCLIP's latent optimisation: every code is moved until its picture says what the text says, and stays near what it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Codes, Space
from bench.domains.base import Network, TextImageNetwork
from bench.errors import InputError, UnsupportedError, unknown
from bench.generators.base import Generator
from bench.passes import chunks
from methods.base import Edit, FitContext, Fitted, Method, Request, unpack_json
from methods.guided import guide_of
from methods.inversion.adam import Adam
from methods.inversion.optimise import projector


@dataclass(frozen=True)
class TextLoss:
    """1 - cos(picture, text) + l2 * |w - w_s|^2 + id * (1 - cos(identity, identity_s)), for every row (equation 1).

    The squared distance is summed over the whole code, as in the authors' code. generator: makes the pictures. text: [D].
    """

    generator: Generator
    guide: TextImageNetwork
    identity: Network | None
    l2_lambda: float
    id_lambda: float

    def identities(self, codes: Codes) -> Tensor | None:
        """Unit vectors [N, D] of the codes' pictures, None without an identity term."""
        if self.identity is None:
            return None
        return self.identity.measure(self.generator.synthesize(codes))["identity"]

    def __call__(self, codes: Codes, start: Tensor, before: Tensor | None, text: Tensor) -> Tensor:
        """[N]: a row's own picture and code alone decide it."""
        images = self.generator.synthesize(codes)
        total = 1 - self.guide.encode_image(images) @ text
        total = total + self.l2_lambda * (codes.values - start).square().flatten(1).sum(1)
        if before is not None and self.identity is not None:
            total = total + self.id_lambda * (1 - (self.identity.measure(images)["identity"] * before).sum(1))
        return total


class PromptOptimiser:
    """Moves codes of w+ toward a prompt, each by itself. Strength 1 is the optimised code, between it and 0 lies a line.

    An attribute is asked for by its positive prompt, and below strength 0 by its negative one, which is another optimisation. A
    request's own prompt has no opposite: below 0 its line goes on backwards. Nothing can be held.
    """

    signed: ClassVar[bool] = True
    per_code: ClassVar[bool] = True
    prompts: ClassVar[bool] = True

    def __init__(self, loss: TextLoss, domain: DomainInfo, targets: Sequence[str], steps: int, learning_rate: float) -> None:
        self.loss, self.steps, self.learning_rate = loss, steps, learning_rate
        self.pairs = {one.name: one.prompts for one in domain.attributes if all(one.prompts)}
        self.targets = tuple(one for one in targets if one in self.pairs)

    def path(self, codes: Codes, requests: Sequence[Request], *, seed: int = 0) -> OptimisedPath:
        """The path of the requests, each one begun where the one before it ended. Nothing is drawn.

        Raises InputError for no request and an unknown target, UnsupportedError for attributes to hold.
        """
        if not requests:
            raise InputError("an edit needs at least one request")
        for one in requests:
            if one.hold:
                raise UnsupportedError("latent optimisation has no way to hold attributes: it knows one text")
            if one.prompt is None and one.target not in self.targets:
                raise unknown("target", one.target, self.targets)
        with torch.no_grad():
            start = self.loss.generator.convert(codes, Space.W_PLUS)
        return OptimisedPath(self, start, tuple(requests))

    def end(self, start: Codes, requests: Sequence[Request], side: int) -> Tensor:
        """The optimised codes' values [N, L, D] of one side (+1 or -1)."""
        values = start.values
        for one in requests:
            here = start.with_values(values)
            if one.prompt is None:
                values = self.optimised(here, self.pairs[one.target][side > 0])
            else:
                values = values + side * (self.optimised(here, one.prompt) - values)
        return values

    def optimised(self, codes: Codes, prompt: str) -> Tensor:
        """Values [N, L, D] after all steps, from chunks of a fixed size: a row does not depend on the others."""
        device, out = self.loss.generator.device, torch.empty_like(codes.values)
        text = self.loss.guide.encode_text([prompt])[0].to(device)
        for part, index in chunks(len(codes)):
            out[part] = self._chunk(codes[index].to(device), text)[: part.stop - part.start].to(out)
        return out

    def _chunk(self, codes: Codes, text: Tensor) -> Tensor:
        start = codes.values.detach().clone()
        with torch.no_grad():
            before = self.loss.identities(codes)
        values = start.clone().requires_grad_()
        adam = Adam(values)
        with torch.enable_grad():
            for step in range(self.steps):
                # Summed, not averaged: a row's gradient must not know how many others there are.
                total = self.loss(codes.with_values(values), start, before, text).sum()
                (gradient,) = torch.autograd.grad(total, [values])
                adam.step(gradient, self.learning_rate * projector(step / self.steps))
        return values.detach()


@dataclass(frozen=True)
class OptimisedPath:
    """The line from each code to its optimised one, and another to that of the opposite prompt; each is found when first asked
    for."""

    editor: PromptOptimiser
    codes: Codes
    requests: tuple[Request, ...]
    _ends: dict[int, Tensor] = field(default_factory=dict)

    def at(self, strength: float | Tensor) -> Edit:
        """The edit at a strength: a number, or one per code [N]. Raises InputError for another shape."""
        start = self.codes.values
        each = torch.as_tensor(strength, dtype=start.dtype, device=start.device)
        if each.dim() and each.shape != start.shape[:1]:
            raise InputError(f"{len(start)} codes need one strength or as many, got shape {list(each.shape)}")
        each = each.expand(len(start)).view(-1, 1, 1)
        values = start
        for side in (1, -1):
            if bool((side * each > 0).any()):
                values = values + (side * each).clamp(min=0) * (self._end(side) - start)
        return Edit(self.codes.with_values(values))

    def _end(self, side: int) -> Tensor:
        if side not in self._ends:
            self._ends[side] = self.editor.end(self.codes, self.requests, side)
        return self._ends[side]


class StyleCLIPOptimization(Method):
    """Latent optimisation. The defaults are those of the authors' code, whose identity term is off; their examples use 0.005."""

    name = "styleclip_optimization"
    approach = "zero_shot"
    citation = "Patashnik, Wu, Shechtman, Cohen-Or, Lischinski: StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery, ICCV 21"
    needs = frozenset({"text_image"})

    class Options(Method.Options):
        """l2_lambda: of the squared distance to the code, summed over all of w+ (18 x 512 numbers in the paper).

        id_lambda: of the identity term; above 0 it needs a guide for identity. steps, learning_rate: of Adam, whose rate rises in
        the first 5 % of the steps and falls in the last 25 %.
        """

        l2_lambda: float = Field(0.008, ge=0)
        id_lambda: float = Field(0.0, ge=0)
        steps: int = Field(300, ge=1, le=100_000)
        learning_rate: float = Field(0.1, gt=0)

    @property
    def space(self) -> str:
        """Codes move in w+."""
        return str(Space.W_PLUS)

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        reason = super().supports(info, domain)
        if reason is None and self.options.id_lambda and "identity" not in domain.guides:
            reason = f"domain {domain.name} has no guide for identity, and id_lambda is {self.options.id_lambda:g}"
        if reason is None and not any(all(one.prompts) for one in domain.attributes):
            reason = f"the attributes of {domain.name} have no prompts"
        return reason

    def fit(self, context: FitContext) -> Fitted:
        """Nothing is fitted: the work is done for every code."""
        guides = [guide_of(context, "text_image").name]
        if self.options.id_lambda:
            guides.append(guide_of(context, "identity").name)
        return self._fitted(context, [{"guides": ", ".join(guides), **self.options.model_dump(mode="json")}])

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return self._fitted(context, unpack_json(state["tables"])["optimisation"])

    def _fitted(self, context: FitContext, lines: list[dict]) -> Fitted:
        o = self.options
        identity = guide_of(context, "identity") if o.id_lambda else None
        loss = TextLoss(context.generator, guide_of(context, "text_image"), identity, o.l2_lambda, o.id_lambda)
        editor = PromptOptimiser(loss, context.domain, context.targets, o.steps, o.learning_rate)
        return Fitted(editor=editor, tables={"optimisation": lines})
