"""Work shared out over processes of this machine, each with its part of the threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import torch
from threadpoolctl import threadpool_limits

from bench.errors import InputError


def limit_threads(threads: int) -> None:
    """At most so many threads in this process, of torch and of the libraries behind numpy, scipy and scikit-learn."""
    torch.set_num_threads(threads)
    threadpool_limits(threads)


@contextmanager
def shared_out(workers: int) -> Iterator[Executor | None]:
    """An executor of so many processes for `run_suite`; None for one: work then runs in this process.

    Each process has its part of the threads, and so has this one meanwhile: numbers depend on how many there are, so that keys
    and reports name them. Two processes of one thread do about twice as much as one process of two. Raises InputError for fewer
    than one.
    """
    if workers < 1:
        raise InputError(f"work is shared out over 1 process or more, not {workers}")
    if workers == 1:
        yield None
        return
    before = torch.get_num_threads()
    threads = max(1, before // workers)
    # Fresh processes: a fork of one whose torch has started threads may hang.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=limit_threads, initargs=(threads,))
    torch.set_num_threads(threads)
    try:
        yield pool
    finally:
        torch.set_num_threads(before)
        pool.shutdown(cancel_futures=True)
