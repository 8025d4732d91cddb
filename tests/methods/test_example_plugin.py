"""The example that CONTRIBUTING.md shows is a method that works."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path

import pytest
import torch

from bench.errors import InputError
from methods.base import Request

FOLDER = Path(__file__).parent / "example_plugin"


@pytest.fixture
def method():
    """The class that the example's entry point names, loaded as its package would be."""
    entries = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]["entry-points"]["latentbench.methods"]
    module_name, _, attribute = entries["mean_difference"].partition(":")
    spec = importlib.util.spec_from_file_location(module_name, FOLDER / f"{module_name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, attribute)


def test_the_example_finds_the_true_directions(method, context, toy):
    ctx = context(toy(z_dim=12, linear=True), n=4000)
    assert ((method().fit(ctx).editor.directions * ctx.generator.truth).sum(1) > 0.95).all()


def test_the_example_keeps_the_seam(method, context, codes, domain):
    ctx = context(targets=("age",))
    one = method(space="z")
    fitted = one.fit(ctx)
    again = one.restore(ctx, fitted.state())
    before = codes(ctx.generator)
    path = again.editor.path(before, [Request("age")])
    assert torch.equal(path.at(0).codes.values, before.values)
    assert torch.equal(path.at(1).codes.values, fitted.editor.path(before, [Request("age")]).at(1).codes.values)
    assert one.supports(ctx.generator.info, domain) is None
    with pytest.raises(InputError, match="unknown attribute of the guide 'agee': did you mean age"):
        method().fit(context(targets=("agee",)))
