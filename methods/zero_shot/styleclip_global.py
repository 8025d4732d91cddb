"""StyleCLIP's global directions: from a text to a direction in the style space, once for all pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Codes, Space
from bench.errors import InputError, UnsupportedError, unknown
from bench.generators.base import Generator
from methods.base import FitContext, Fitted, Method, Request, unpack_json
from methods.editors import DirectionPath, project_off
from methods.guided import guide_of, passes_of
from methods.zero_shot.styleclip_relevance import boundary, measure_relevance, population, style_channels
from methods.zero_shot.templates import Templates, TextPairs, templates_for


class TextDirections:
    """Edits along what a text says. Strength 1 moves the channel that is most relevant to it by one standard deviation.

    relevance: [S, D]; std: [S]; beta: the threshold. A request's target is an attribute with prompts; with a prompt of its own
    the edit goes toward that (strengths above 0) and the target may be any name. hold: attributes whose directions are projected
    off, as conditional manipulation does; that is not the paper's.
    """

    signed: ClassVar[bool] = True
    per_code: ClassVar[bool] = False
    prompts: ClassVar[bool] = True

    def __init__(
        self, generator: Generator, texts: TextPairs, relevance: Tensor, std: Tensor, beta: float, targets: Sequence[str]
    ) -> None:
        self.generator, self.texts, self.relevance, self.std, self.beta = generator, texts, relevance, std, beta
        self.targets = tuple(one for one in targets if bool(self.channels(one).any()))

    def channels(self, target: str, prompt: str | None = None) -> Tensor:
        """How far each channel goes, [S], in its standard deviations; all 0 where none is relevant enough."""
        return boundary(self.relevance, self.texts.step(target, prompt), self.beta)

    def largest(self, target: str, prompt: str | None = None) -> float:
        """The largest relevance of a channel to the text, before the threshold."""
        return float((self.relevance.double() @ self.texts.step(target, prompt)).abs().max())

    def step(self, request: Request) -> Tensor:
        """What strength 1 adds to codes of s, [S].

        Raises InputError for a target that is no attribute with prompts, where there is no prompt; UnsupportedError where no
        channel is relevant enough to the text.
        """
        if request.prompt is None and request.target not in self.targets:
            raise unknown("target", request.target, self.targets)
        moved = self.channels(request.target, request.prompt)
        if not bool(moved.any()):
            text = request.prompt or request.target
            most = self.largest(request.target, request.prompt)
            raise UnsupportedError(f"no style channel is relevant to '{text}': the largest is {most:.3f}, beta {self.beta:g}")
        held = [self.channels(name) for name in request.hold if name != request.target]
        held = [one for one in held if bool(one.any())]
        if held:
            moved = project_off(moved, torch.stack(held)) * moved.norm()
        return moved * self.std

    def path(self, codes: Codes, requests: Sequence[Request], *, seed: int = 0) -> DirectionPath:
        """The straight path in s of the requests, which add up. Nothing is drawn."""
        if not requests:
            raise InputError("an edit needs at least one request")
        codes = self.generator.convert(codes, Space.S)
        return DirectionPath(codes, sum(self.step(request) for request in requests).to(codes.values))

    def state(self) -> dict[str, Tensor]:
        """Relevance and spreads: texts are read anew, so that one fit serves all prompts."""
        return {"relevance": self.relevance, "std": self.std}


class StyleCLIPGlobal(Method):
    """Global directions. What each style channel does is measured once for a generator, then any text becomes a direction.

    The defaults are those of the paper and its code; spreads of channels are taken over the bank (100,000 samples there).
    """

    name = "styleclip_global"
    approach = "zero_shot"
    citation = "Patashnik, Wu, Shechtman, Cohen-Or, Lischinski: StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery, ICCV 21"
    needs = frozenset({"text_image"})

    class Options(Method.Options):
        """beta: channels whose relevance to the text is less stay as they are; more of it changes less beside the target. Its
        scale is that of cosines in the guide's space: by chance about 1 / sqrt(its dimension).

        images: pairs of pictures for each channel, of the bank's first codes; alpha: the channel is set to its mean less and plus
        so many standard deviations. resolution: layers up to that many pixels. templates: what texts are averaged over (auto: of
        ImageNet for a CLIP, else plain openers). neutral: the text that a prompt without an attribute is set against (None: the
        mean of all prompts of the domain).
        """

        beta: float = Field(0.13, ge=0, le=1)
        images: int = Field(100, ge=1)
        alpha: float = Field(5.0, gt=0)
        resolution: int = Field(128, ge=4)
        templates: Templates = "auto"
        neutral: str | None = None

    @property
    def space(self) -> str:
        """Edits move in s."""
        return str(Space.S)

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        reason = super().supports(info, domain)
        if reason is None and info.architecture == "stylegan":
            reason = f"in {info.name} s holds shifts beside scales: single channels are of StyleGAN2, which has scales alone"
        if reason is None and not len(style_channels(info, self.options.resolution)):
            reason = f"{info.name} does not say which entries of s feed its feature maps up to {self.options.resolution} px"
        if reason is None and not any(all(one.prompts) for one in domain.attributes):
            reason = f"the attributes of {domain.name} have no prompts"
        return reason

    def fit(self, context: FitContext) -> Fitted:
        o = self.options
        if o.images > len(context.bank):
            raise InputError(f"{o.images} images are more than the {len(context.bank)} codes of the bank")
        styles = context.bank.codes(Space.S)
        mean, std = population(styles)
        channels = style_channels(context.generator.info, o.resolution)

        def measure() -> dict[str, Tensor]:
            guide, passes = guide_of(context, "text_image"), passes_of(context)
            return {"relevance": measure_relevance(passes, guide, styles[: o.images], channels, mean, std, o.alpha)}

        # The bank's keeper knows generator, guides and codes: fits that differ in beta alone share the measurement.
        share = getattr(context.bank, "share", None)
        name = f"styleclip-relevance-{self.version}-{o.images}-{o.alpha:g}-{o.resolution}"
        relevance = torch.as_tensor((measure() if share is None else share(name, measure))["relevance"])
        editor = self._editor(context, relevance, std)
        live = int(relevance.any(1).sum())
        lines = [self._line(context, editor, target, live) for target in context.targets if editor.texts.attribute(target)]
        return Fitted(editor=editor, tables={"channels": lines})

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        editor = self._editor(context, torch.as_tensor(state["relevance"]), torch.as_tensor(state["std"]))
        return Fitted(editor=editor, tables=unpack_json(state["tables"]))

    def _editor(self, context: FitContext, relevance: Tensor, std: Tensor) -> TextDirections:
        guide = guide_of(context, "text_image")
        texts = TextPairs(guide, context.domain, templates_for(guide, self.options.templates), self.options.neutral)
        targets = [one for one in context.targets if texts.attribute(one)]
        return TextDirections(context.generator, texts, relevance, std, self.options.beta, targets)

    def _line(self, context: FitContext, editor: TextDirections, target: str, live: int) -> dict[str, Any]:
        moved = editor.channels(target)
        line: dict[str, Any] = {
            "attribute": target, "channels": int((moved != 0).sum()), "of": live, "largest_relevance": editor.largest(target),
            "beta": self.options.beta, "images": self.options.images, "templates": len(editor.texts.templates),
            "guide": editor.texts.guide.name,
        }  # fmt: skip
        if line["channels"]:
            top = int(moved.abs().argmax())
            layer = next(one for one in context.generator.info.layers if one.styles and one.styles[0] <= top < one.styles[1])
            line |= {"layer": layer.name, "channel": top - layer.styles[0], "style": top, "side": int(moved[top].sign())}
        return line
