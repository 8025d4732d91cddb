"""`latentbench doctor`: what there is to work with, and what is broken."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from importlib import import_module, metadata
from pathlib import Path
from typing import Annotated

import typer

from bench.versions import version

# Packages that judges of real pictures need beside the required ones.
OPTIONAL = ("torchvision", "facenet-pytorch", "lpips", "clean-fid", "open-clip-torch")


def doctor(
    device: Annotated[str, typer.Option(help="The device to try.")] = "cpu",
    check: Annotated[bool, typer.Option("--check", help="Read all weights at hand and compare their hashes.")] = False,
) -> int:
    """Tell versions, device, cache and weights. The exit code is 1 when something that every run needs is broken."""
    broken: list[str] = []
    _say("latentbench", f"{version('latentbench') or 'run from its source folder'}, Python {sys.version.split()[0]}")
    _packages(broken)
    _torch(device, broken)
    _say("torchvision", _torchvision())
    _cache(broken)
    _weights(check)
    for problem in broken:
        _say("BROKEN", problem)
    typer.echo("all that a run needs is here" if not broken else f"{len(broken)} broken")
    return 1 if broken else 0


def _say(what: str, text: str) -> None:
    typer.echo(f"{what + ':':<14}{text}")


def _packages(broken: list[str]) -> None:
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in metadata.requires("latentbench") or ()] if version("latentbench") else []
    required = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    found = {one.name: version(one.name) for one in required}
    for one in required:
        if not found[one.name]:
            broken.append(f"{one.name} is not installed: pip install '{one}'")
        elif not one.specifier.contains(found[one.name], prereleases=True):
            broken.append(f"{one.name} {found[one.name]} is installed, and {one.specifier} is needed: pip install '{one}'")
    names = [one.name for one in required] or ["torch", "numpy", "scipy", "scikit-learn", "pandas", "safetensors", "pydantic"]
    _say("packages", ", ".join(f"{name} {version(name) or 'absent'}" for name in names))
    _say("for judges", ", ".join(f"{name} {version(name) or 'absent'}" for name in OPTIONAL))


def _torch(device: str, broken: list[str]) -> None:
    try:
        import torch
    # A torch that is broken fails in many ways, and this is the place to say so.
    except Exception as error:
        broken.append(f"torch cannot be imported ({type(error).__name__}: {error})")
        return
    from bench.environment import use_device
    from bench.errors import InputError

    cuda = f"CUDA {torch.version.cuda}, {torch.cuda.device_count()} devices" if torch.version.cuda else "a build without CUDA"
    _say("torch", f"{torch.__version__}, {cuda}, {torch.get_num_threads()} threads of {os.cpu_count()} processors")
    try:
        _say("device", f"{use_device(device)} works")
    except InputError as error:
        broken.append(str(error))


def _torchvision() -> str:
    """How torchvision is."""
    if not version("torchvision"):
        return "absent"
    try:
        from bench.torchvision_shim import ensure_torchvision, library_loads

        own = library_loads()
        ensure_torchvision()
        import_module("torchvision")
    # Its own library may be built for another torch, which shows in any way while it is imported.
    except Exception as error:
        return f"cannot be imported ({type(error).__name__}: {' '.join(str(error).split())})"
    state = "its own library loads" if own else "its library is built for another torch; its nms is done in plain torch instead"
    return f"{version('torchvision')}: {state}"


def _cache(broken: list[str]) -> None:
    from bench.cache import cache_folder
    from bench.fetch.places import offline

    folder = cache_folder()
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"\0")
    except OSError as error:
        broken.append(f"nothing can be written to the cache {folder} ({error.strerror or error}): set LATENTBENCH_CACHE")
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    used, free = sum(path.stat().st_size for path in files), shutil.disk_usage(there).free
    _say("cache", f"{folder}, {used / 1e6:.0f} MB in {len(files)} files; {free / 1e9:.1f} GB of disk left")
    _say("offline", "yes: LATENTBENCH_OFFLINE is set, no socket is opened" if offline() else "no")


def _weights(check: bool) -> None:
    from bench.errors import LatentbenchError
    from bench.fetch import cached, load_catalogue
    from bench.fetch.lock import read_lock, unchanged
    from bench.fetch.places import places
    from bench.fetch.verify import check_file

    here = 0
    for name, one in load_catalogue().items():
        path: Path | None = next((path for path in places(one) if path.is_file()), None)
        if path is None:
            continue
        here += 1
        try:
            known = unchanged(name, path)
            if check:
                cached(name)
                same = check_file(path, one, str(path)) == read_lock()[name]["sha256"]
                state = "verified" if same else "DAMAGED: it is not what was fetched"
            else:
                state = "verified when fetched" if known else "not verified yet: --check does"
        except LatentbenchError as error:
            state = f"DAMAGED: {error}"
        _say("weights", f"{name} at {path} ({state})")
    _say("weights", f"{here} of {len(load_catalogue())} of the catalogue are at hand: latentbench fetch --list")
