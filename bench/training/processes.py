"""Training on several CPU processes: settings of the process, and what the trainer needs of the others.

Two processes of one thread each share a machine with other programs far better than one process of two threads, whose threads
wait for each other in busy loops.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

# From malloc.h of the GNU C library.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_memory() -> None:
    """Let the C library keep freed feature maps for the next step, instead of giving them back and faulting them in again."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 natively; without it bfloat16 is slower than float32."""
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


class Group:
    """The processes of one training; alone (size 1) every exchange does nothing."""

    def __init__(self, rank: int, size: int, rendezvous: Path | None = None) -> None:
        self.rank, self.size = rank, size
        if size > 1:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
            dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=size)

    def add(self, gradient: Tensor) -> Pending:
        """Start to sum a tensor over the processes, in place; wait for it before reading."""
        return Pending(dist.all_reduce(gradient, async_op=True) if self.size > 1 else None)

    def broadcast(self, tensor: Tensor) -> Tensor:
        """Everybody's tensor becomes that of process 0."""
        if self.size > 1:
            dist.broadcast(tensor, 0)
        return tensor

    def barrier(self) -> None:
        if self.size > 1:
            dist.barrier()

    def close(self) -> None:
        if self.size > 1:
            dist.destroy_process_group()


class Pending:
    """A sum on its way."""

    def __init__(self, work: dist.Work | None) -> None:
        self.work = work

    def wait(self) -> None:
        if self.work is not None:
            self.work.wait()
