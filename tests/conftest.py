"""What every test is kept from leaving behind."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small work on a busy machine: threads that wait for one another cost more than they give."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _denormals_are_numbers():
    """Runs flush denormal numbers to zero for speed, a setting of the whole process that the next test must not inherit."""
    yield
    torch.set_flush_denormal(False)
