"""Domains by words: attributes are pairs of prompts, and two CLIPs that were trained apart guide and judge.

So any generator has attributes and a text-image network without training a classifier. A page of YAML::

    name: bedrooms
    attributes:
      - {name: lighting, prompts: [a dark bedroom, a brightly lit bedroom]}
      - {name: wood, prompts: [a bedroom, a bedroom with wooden walls], description: wood on the walls}
    guide: clip-vit-b-32
    judge: {weights: clips/laion.safetensors, architecture: ViT-B-16, pretrained: laion2b_s34b_b88k}

Either CLIP reads both attributes and texts. Catalogued ones are fetched (`latentbench fetch NAME`); files of one's own are seen
from the page's folder. What is not at hand skips the cells that need it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import torch
from torch import nn

from bench.cards import Attribute, DomainInfo
from bench.domains.base import Domain, Network
from bench.errors import InputError, unknown
from bench.networks.clip_ import Clip, ClipTextImage
from bench.networks.clip_files import ClipChoice, load_clip
from bench.suite import NAME, checked, parse_yaml

SUFFIXES = (".yaml", ".yml")
# Networks that have more than this share of their numbers in common were not trained apart; a table of positions may be the same.
SHARED = 0.01
Words = Annotated[str, pydantic.Field(min_length=1)]


class Prompted(pydantic.BaseModel):
    """One attribute. prompts: (without it, with it). kind: continuous (its unit is its spread over samples), or binary, where the
    two prompts are classes and equal odds are the border between them."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, pydantic.Field(pattern=NAME)]
    prompts: tuple[Words, Words]
    kind: Literal["continuous", "binary"] = "continuous"
    description: str = ""


class DomainFile(pydantic.BaseModel):
    """The page. guide, judge: the CLIPs. perceptual, features: judges beside, which are skipped where not fetched."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, pydantic.Field(pattern=NAME)]
    attributes: Annotated[tuple[Prompted, ...], pydantic.Field(min_length=1)]
    guide: ClipChoice = ClipChoice(name="clip-vit-b-32")
    judge: ClipChoice = ClipChoice(name="open-clip-vit-b-16-laion2b")
    perceptual: Literal["lpips-alex", "lpips-vgg", "lpips-squeeze"] = "lpips-alex"
    features: Literal["inception-v3-cleanfid"] = "inception-v3-cleanfid"

    @pydantic.model_validator(mode="after")
    def _apart(self) -> DomainFile:
        guide, judge = self.guide, self.judge
        if guide.label == judge.label:
            raise ValueError(f"{guide.label} cannot both guide and judge")
        if guide.weights is not None and guide.weights == judge.weights:
            raise ValueError(f"the file {guide.weights} cannot both guide and judge")
        if guide.kind is not None and guide.kind == judge.kind:
            raise ValueError(f"{judge.label} cannot judge: {guide.label}, the guide, is {' of '.join(guide.kind)} too")
        names = [one.name for one in self.attributes]
        if len(set(names)) != len(names):
            raise ValueError(f"attributes lists a name twice: {', '.join(names)}")
        return self


def is_domain_file(domain: str | None) -> bool:
    """Whether this names a page of YAML and not a registered domain."""
    return domain is not None and Path(domain).suffix.lower() in SUFFIXES


class PromptedDomain(Domain):
    """The domain of a page. folder: what the page's files are seen from. load_clip: gives the CLIP of (choice, folder)."""

    def __init__(
        self, page: DomainFile, folder: Path = Path(), load_clip: Callable[[ClipChoice, Path], Clip] = load_clip
    ) -> None:
        super().__init__()
        attributes = tuple(
            Attribute(one.name, one.kind, prompts=one.prompts, description=one.description) for one in page.attributes
        )
        guides, judges = (dict.fromkeys(("attributes", "text_image"), one.label) for one in (page.guide, page.judge))
        judges |= {"perceptual": page.perceptual, "features": page.features}
        self.info = DomainInfo(page.name, attributes, guides, judges)
        self.page, self.folder, self.load_clip = page, folder, load_clip

    def load(self, name: str) -> Network:
        """The network of that name.

        Raises UnsupportedError where it is not at hand, InputError where the page does not name it, its file is another one, or
        guide and judge have weights in common.
        """
        if name == self.page.perceptual:
            from bench.networks.lpips_ import load_lpips

            return load_lpips(name.removeprefix("lpips-"))
        if name == self.page.features:
            from bench.networks.inception import load_inception

            return load_inception()
        choices = {one.label: one for one in (self.page.guide, self.page.judge)}
        if name not in choices:
            raise unknown(f"network of {self.info.name}", name, choices)
        network = ClipTextImage(name, self.load_clip(choices.pop(name), self.folder), self.info)
        for other in choices:
            if other in self._networks and shared_weights(network, self._networks[other]) > SHARED:
                raise InputError(f"{name} and {other} have weights in common: a guide never judges")
        return network


def shared_weights(one: nn.Module, other: nn.Module) -> float:
    """The share of the smaller network's parameters in tensors that the other has too, under whatever name, 0 to 1.

    They are compared in half precision, in which weights are often kept. Those of one repeated value say nothing.
    """
    sizes = [_digests(network) for network in (one, other)]
    least = min(sum(some.values()) for some in sizes)
    return sum(sizes[0][digest] for digest in sizes[0].keys() & sizes[1].keys()) / least if least else 0.0


def _digests(network: nn.Module) -> dict[bytes, int]:
    """The elements of each parameter of a network, by the hash of its values."""
    found = {}
    for value in network.parameters():
        half = value.detach().half().cpu().contiguous()
        if bool((half != half.flatten()[0]).any()):
            found[hashlib.sha256(half.view(-1).view(torch.uint8).numpy()).digest()] = value.numel()
    return found


def load_domain(path: str | Path) -> PromptedDomain:
    """The domain of a YAML file. Raises InputError where it cannot be read or does not say what a page says."""
    path = Path(path).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"no domain file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the domain file {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    data = parse_yaml(text, f"the domain file {path} cannot be read")
    if not isinstance(data, dict):
        raise InputError(f"the domain file {path} is not a mapping of keys to values")
    return PromptedDomain(checked(DomainFile, data, str(path)), path.parent)
