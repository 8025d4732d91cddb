"""What a run depends on beside its inputs: versions, threads, processor. It enters store keys and reports."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from bench.errors import InputError
from bench.versions import version

LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas", "safetensors")


def code_version() -> str:
    """The version of latentbench, '0+source' where it runs from a folder and is not installed."""
    return version("latentbench") or "0+source"


def use_device(name: str) -> torch.device:
    """The device of that name, with arithmetic set the way numbers are made. Raises InputError where it is not there."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    # torch says "cuda is not there" with an AssertionError or a RuntimeError, depending on its build.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"the device '{name}' cannot be used: {reason}") from error
    # Tiny numbers of dying activations make a CPU pass many times slower.
    torch.set_flush_denormal(True)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return device


def arithmetic(device: torch.device) -> dict[str, Any]:
    """What the last bits of a result depend on: part of every store key."""
    cpu = torch.backends.cpu.get_cpu_capability()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu
    libraries = {one: version(one) for one in ("numpy", "scipy", "scikit-learn")}
    return {"torch": torch.__version__, "device": device.type, "processor": name, "threads": torch.get_num_threads(), **libraries}


def describe(device: torch.device) -> dict[str, Any]:
    """The environment as the report prints it."""
    return {
        "command": command(),
        "code_version": code_version(),
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        **{one: version(one) for one in LIBRARIES},
    }


def command() -> str:
    """The command line of this process, without the place where the program lies."""
    program = Path(sys.argv[0]).stem
    return " ".join(["latentbench" if program == "__main__" else program, *sys.argv[1:]])


def git_commit() -> str:
    """The commit of this code, '+' after it where files have changed since; '' outside a checkout."""
    folder = Path(__file__).parent
    try:
        ask = lambda *args: subprocess.run(  # noqa: E731
            ["git", "-C", str(folder), *args], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()
        if not ask("ls-files", "--error-unmatch", Path(__file__).name):
            return ""
        return ask("rev-parse", "--short=12", "HEAD") + ("+" if ask("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def reset_peak() -> None:
    """Let `peak_mb` count from here on, where the system can (Linux); elsewhere it goes on counting from the start."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """The most memory that this process has held since `reset_peak`, in MB; where the system cannot say, since its start."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
