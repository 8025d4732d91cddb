"""The catalogue of published weights: a page of YAML, checked when it is read."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import yaml

from bench.errors import InputError, unknown
from bench.suite import checked

FILE = Path(__file__).with_name("catalogue.yaml")

# The formats that entries may have, and what a file of each begins with.
PICKLE, ARCHIVE = b"\x80", b"PK\x03\x04"
MAGIC: dict[str, tuple[bytes, ...]] = {
    "stylegan2-ada-pickle": (PICKLE,),
    "tensorflow-pickle": (PICKLE,),
    "torch": (ARCHIVE, PICKLE),
    "torchscript": (ARCHIVE,),
    "safetensors": (),  # begins with a length; `verify` looks at what follows
}

Text = Annotated[str, pydantic.Field(min_length=1)]


class Wheel(pydantic.BaseModel):
    """A file inside a wheel of a package registry: the wheel is opened as an archive and never installed."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    requirement: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9.]+$")]
    member: Text


class Entry(pydantic.BaseModel):
    """One file of weights.

    role: what the network is for. domain: what its pictures are of (generators). address: where its authors publish it, as
    written in the place that `seen` names. wheel: instead of an address. by_hand: the host answers browsers only. file: its name
    at hand. place: whose cache it lies in (see places.py). bytes, sha256: only where somebody has seen the file; megabytes: what
    its publisher says. sha256_start: what a name such as vgg16-397923af.pth says of the hash.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    name: str
    role: Literal["generator", "judge"]
    description: Text
    domain: str = ""
    architecture: Text
    resolution: Annotated[int, pydantic.Field(ge=4)] | None = None
    format: Literal["stylegan2-ada-pickle", "tensorflow-pickle", "torch", "torchscript", "safetensors"]
    licence: Text
    file: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
    address: Annotated[str, pydantic.Field(pattern=r"^https?://\S+$")] | None = None
    wheel: Wheel | None = None
    seen: Text
    by_hand: bool = False
    place: Literal["weights", "torch-hub", "facenet", "clip", "huggingface"] = "weights"
    repository: str = ""
    bytes: Annotated[int, pydantic.Field(ge=1)] | None = None
    megabytes: Annotated[float, pydantic.Field(gt=0)] | None = None
    sha256: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    sha256_start: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{8}$")] | None = None

    @pydantic.model_validator(mode="after")
    def _one_source(self) -> Entry:
        if (self.address is None) == (self.wheel is None):
            raise ValueError("an entry has an address or a wheel, and not both")
        if self.wheel is not None and (self.sha256 is None or self.bytes is None):
            raise ValueError("a file out of a wheel needs its sha256 and its bytes")
        if self.role == "generator" and not (self.domain and self.resolution):
            raise ValueError("a generator needs a domain and a resolution")
        if bool(self.repository) != (self.place == "huggingface"):
            raise ValueError("a repository is what the place huggingface needs, and no other")
        return self

    @property
    def source(self) -> str:
        """The address, or the wheel by name and version, for messages."""
        return self.address if self.wheel is None else f"{self.wheel.requirement} of the package registry"

    @property
    def command(self) -> str:
        return f"latentbench fetch {self.name}"


class _Catalogue(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    version: Annotated[int, pydantic.Field(ge=1)]
    entries: Annotated[dict[str, dict], pydantic.Field(min_length=1)]


@cache
def load_catalogue(path: Path = FILE) -> dict[str, Entry]:
    """All entries by name. Raises InputError, in one line, for a file that is no catalogue or an entry that cannot be."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the catalogue {path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InputError(f"the catalogue {path} is not well-formed YAML: {error}") from error
    if not isinstance(data, dict):
        raise InputError(f"the catalogue {path} is a mapping with version and entries")
    whole = checked(_Catalogue, data, f"catalogue {path.name}")
    return {
        name: checked(Entry, {"name": name, **fields}, f"catalogue {path.name}, {name}") for name, fields in whole.entries.items()
    }


def entry(name: str) -> Entry:
    """The entry of that name. Raises InputError, with the nearest names, where there is none."""
    known = load_catalogue()
    if name not in known:
        raise unknown("weights", name, known)
    return known[name]
