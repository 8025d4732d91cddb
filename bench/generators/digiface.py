"""`digiface-dcgan`: the face DCGAN that the package gan-face-generate carries, trained on DigiFace-1M by its author (MIT)."""

from __future__ import annotations

from bench.fetch import ensure
from bench.generators.base import Generator
from bench.generators.load import load_checkpoint

NAME = "digiface-dcgan"


def digiface_dcgan() -> Generator:
    """The generator of the registry: 64 px, z of 100. UnsupportedError where its weights can not be had."""
    return load_checkpoint(ensure(NAME), domain="digiface", name=NAME)
