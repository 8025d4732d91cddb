"""Work over processes: each has its part of the threads, and one is none."""

from copy import copy

import pytest
import torch
from threadpoolctl import threadpool_info

from bench.cell import Workbench
from bench.errors import InputError
from bench.workers import shared_out


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    yield 5
    torch.set_num_threads(before)


def test_threads_are_shared_out_and_come_back(threads):
    with shared_out(2) as pool:
        assert [pool.submit(torch.get_num_threads).result() for _ in range(2)] == [2, 2]
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == threads


def test_there_is_always_a_thread(threads):
    with shared_out(7) as pool:
        assert pool.submit(torch.get_num_threads).result() == 1
        libraries = pool.submit(threadpool_info).result()
        assert libraries and {one["num_threads"] for one in libraries} == {1}


def test_one_works_here_and_none_is_refused(threads):
    with shared_out(1) as pool:
        assert pool is None and torch.get_num_threads() == threads
    with pytest.raises(InputError, match="1 process or more, not 0"), shared_out(0):
        pass


def test_jobs_of_one_run_share_a_workbench(toys):
    """What a process has loaded serves all jobs of a run, and another run has another."""
    one, other = (Workbench(toys.toy_suite(), toys.toy_registry(), None) for _ in range(2))
    # A copy is made as a process makes what comes to it, by __reduce__.
    came = [copy(each) for each in (one, one, other)]
    assert came[0] is came[1] is not came[2] and came[2].suite == one.suite
