"""What every test is kept from leaving behind."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _denormals_are_numbers():
    """Runs flush denormal numbers to zero for speed, a setting of the whole process that the next test must not inherit."""
    yield
    torch.set_flush_denormal(False)
