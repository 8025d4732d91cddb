"""What a green run on the build machine proves about the environment it ran in."""

import os
from importlib import metadata

import pytest


@pytest.mark.skipif(not os.environ.get("CI"), reason="a user's torch may well be a CUDA build")
def test_the_build_machine_tests_the_cpu_build_of_torch():
    import torch

    assert torch.version.cuda is None


def test_the_installed_distribution_carries_weights_suites_and_templates():
    names = {str(f) for f in metadata.files("latentbench") or ()}
    assert "bench/suites/quick.yaml" in names or any(n.endswith("direct_url.json") for n in names)
