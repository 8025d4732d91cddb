"""Domains by words: attributes are pairs of prompts, and two CLIPs that were trained apart guide and judge.

So any generator has attributes without training a classifier. A page of YAML::

    name: bedrooms
    attributes:
      - {name: lighting, prompts: [a dark bedroom, a brightly lit bedroom]}
      - {name: wood, prompts: [a bedroom, a bedroom with wooden walls], description: wood on the walls}
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from bench.cards import Attribute, DomainInfo
from bench.domains.base import Domain, Network
from bench.errors import InputError, unknown
from bench.suite import NAME, checked, parse_yaml

SUFFIXES = (".yaml", ".yml")
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
    """The page. guide, judge: catalogued CLIPs. perceptual, features: judges beside, which are skipped where not fetched."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, pydantic.Field(pattern=NAME)]
    attributes: Annotated[tuple[Prompted, ...], pydantic.Field(min_length=1)]
    guide: str = "clip-vit-b-32"
    judge: str = "open-clip-vit-b-32-laion2b"
    perceptual: Literal["lpips-alex", "lpips-vgg", "lpips-squeeze"] = "lpips-alex"
    features: Literal["inception-v3-cleanfid"] = "inception-v3-cleanfid"

    @pydantic.model_validator(mode="after")
    def _apart(self) -> DomainFile:
        if self.guide == self.judge:
            raise ValueError(f"{self.guide} cannot both guide and judge")
        names = [one.name for one in self.attributes]
        if len(set(names)) != len(names):
            raise ValueError(f"attributes lists a name twice: {', '.join(names)}")
        return self


def is_domain_file(domain: str | None) -> bool:
    """Whether this names a page of YAML and not a registered domain."""
    return domain is not None and Path(domain).suffix.lower() in SUFFIXES


class PromptedDomain(Domain):
    """The domain of a page. load_clip: gives the CLIP of a catalogued name."""

    def __init__(self, page: DomainFile, load_clip: Callable | None = None) -> None:
        super().__init__()
        attributes = tuple(
            Attribute(one.name, one.kind, prompts=one.prompts, description=one.description) for one in page.attributes
        )
        judges = {"attributes": page.judge, "perceptual": page.perceptual, "features": page.features}
        self.info = DomainInfo(page.name, attributes, {"attributes": page.guide}, judges)
        self.page, self.load_clip = page, load_clip

    def load(self, name: str) -> Network:
        """The network of that name. UnsupportedError where it was not fetched; InputError where the page does not name it."""
        if name == self.page.perceptual:
            from bench.networks.lpips_ import load_lpips

            return load_lpips(name.removeprefix("lpips-"))
        if name == self.page.features:
            from bench.networks.inception import load_inception

            return load_inception()
        if name not in (self.page.guide, self.page.judge):
            raise unknown(f"network of {self.info.name}", name, (self.page.guide, self.page.judge))
        from bench.networks.clip_ import ClipAttributes, load_clip

        return ClipAttributes(name, (self.load_clip or load_clip)(name), self.info)


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
    return PromptedDomain(checked(DomainFile, data, str(path)))
