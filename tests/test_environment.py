"""What a green run on the build machine proves about the environment it ran in."""

import os
from importlib import metadata

import pytest


@pytest.mark.skipif(not os.environ.get("CI"), reason="a user's torch may well be a CUDA build")
def test_the_build_machine_tests_the_cpu_build_of_torch():
    import torch

    assert torch.version.cuda is None


def test_the_installed_distribution_carries_weights_suites_and_templates():
    try:
        names = {str(f) for f in metadata.files("latentbench") or ()}
    except metadata.PackageNotFoundError:
        pytest.skip("run from the source folder")
    if not any(name.startswith("bench/") and name.endswith(".py") for name in names):
        pytest.skip("installed as a link to the source folder")
    for name in (
        "bench/suites/quick.yaml",
        "bench/generators/weights/heads_stylegan2.safetensors",
        "bench/generators/weights/heads_stylegan2.json",
        "bench/domains/heads/weights/heads-id.safetensors",
        "leaderboards/templates/report.md.j2",
    ):
        assert name in names
