"""What a text means to a text-image guide: averaged over prompt templates, and as a step from one text to another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.cards import Attribute, DomainInfo
from bench.domains.base import TextImageNetwork
from bench.errors import UnsupportedError

# Openers that any domain's pictures bear; they are ours. A text keeps its own article.
PLAIN = (
    "{}", "a picture of {}", "a photo of {}", "a portrait of {}", "an image of {}", "this is {}", "a rendering of {}",
)  # fmt: skip
Templates = Literal["auto", "imagenet", "plain", "none"]
ARTICLE = re.compile(r"^(an?|the)\s+", re.IGNORECASE)
# No language has it: a guide that takes it for an unknown word has a vocabulary, and does not read by letters.
NO_WORD = "qqxzvj"


def imagenet_templates() -> tuple[str, ...]:
    """CLIP's prompt templates for ImageNet (Radford et al. 2021), as open_clip has them: the prompt bank of StyleCLIP.

    Raises UnsupportedError where open_clip is not installed.
    """
    from bench.networks.clip_ import import_open_clip

    return tuple(one("{}") for one in import_open_clip().OPENAI_IMAGENET_TEMPLATES)


def filled(template: str, text: str) -> str:
    """A template with a text. The article of a template gives way to that of the text: 'a photo of a {}' and 'an old man'."""
    if ARTICLE.match(text):
        template = re.sub(r"\b(an?|the) \{\}", "{}", template)
    return template.format(text)


def templates_for(guide: TextImageNetwork, which: Templates) -> tuple[str, ...]:
    """The templates that a guide's texts are averaged over, those with a word that it does not know left out.

    auto: CLIP's own for a guide that reads by letters, as CLIP does, and PLAIN for one with a vocabulary. none: the bare text.
    """
    if which == "auto":
        which = "plain" if guide.unknown_words(NO_WORD) else "imagenet"
    every = {"imagenet": imagenet_templates, "plain": lambda: PLAIN, "none": lambda: ("{}",)}[which]()
    known = tuple(one for one in every if not guide.unknown_words(one.format("")))
    if not known:
        raise UnsupportedError(f"{guide.name} knows the words of none of the {which} templates: choose others")
    return known


@torch.no_grad()
def text_feature(guide: TextImageNetwork, text: str, templates: Sequence[str]) -> Tensor:
    """Unit vector [D] float64 on the CPU of a text: the mean over templates of its unit vectors, at length 1."""
    rows = guide.encode_text([filled(one, text) for one in templates]).double().cpu()
    return F.normalize(F.normalize(rows, dim=1).mean(0), dim=0)


def text_step(source: Tensor, target: Tensor) -> Tensor:
    """Unit vector [D] from the source's feature to the target's. Raises UnsupportedError where the guide takes both for one."""
    step = target - source
    if not step.norm() > 1e-9:
        raise UnsupportedError("the guide reads both texts as one and the same: there is no direction between them")
    return step / step.norm()


class TextPairs:
    """Texts of a request, for one guide and domain. neutral: what a prompt without an attribute is set against.

    Without one it is the mean over all prompts of the domain, which says nothing in particular.
    """

    def __init__(self, guide: TextImageNetwork, domain: DomainInfo, templates: Sequence[str], neutral: str | None = None) -> None:
        self.guide, self.domain, self.templates, self.neutral = guide, domain, tuple(templates), neutral
        self._features: dict[str, Tensor] = {}

    def feature(self, text: str) -> Tensor:
        if text not in self._features:
            self._features[text] = text_feature(self.guide, text, self.templates)
        return self._features[text]

    def attribute(self, name: str) -> Attribute | None:
        """The attribute of that name, if the domain has it with both prompts."""
        return next((one for one in self.domain.attributes if one.name == name and all(one.prompts)), None)

    def step(self, target: str, prompt: str | None) -> Tensor:
        """The unit text direction [D] of a request.

        Without a prompt: from the attribute's negative prompt to its positive one. With one: from that of the attribute's two
        prompts which the guide finds less like it; where the target is no attribute, from the neutral text.
        """
        one = self.attribute(target)
        if one is None and prompt is None:
            raise UnsupportedError(f"{target} has no prompts: a text-image guide has nothing to read")
        if one is None:
            return text_step(self._neutral(), self.feature(prompt))
        negative, positive = (self.feature(text) for text in one.prompts)
        if prompt is None:
            return text_step(negative, positive)
        goal = self.feature(prompt)
        return text_step(negative if goal @ negative <= goal @ positive else positive, goal)

    def _neutral(self) -> Tensor:
        if self.neutral is not None:
            return self.feature(self.neutral)
        texts = [text for one in self.domain.attributes if all(one.prompts) for text in one.prompts]
        if not texts:
            raise UnsupportedError(f"the attributes of {self.domain.name} have no prompts: say what is neutral")
        return F.normalize(torch.stack([self.feature(text) for text in texts]).mean(0), dim=0)
