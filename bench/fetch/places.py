"""Where weights lie: latentbench's own cache, or the cache of the library that uses them."""

from __future__ import annotations

import os
from pathlib import Path

from bench.cache import cache_folder
from bench.fetch.catalogue import Entry

OFF = ("", "0", "false", "no", "off")


def offline() -> bool:
    """Whether LATENTBENCH_OFFLINE forbids to open a socket."""
    return os.environ.get("LATENTBENCH_OFFLINE", "").strip().lower() not in OFF


def lock_file() -> Path:
    """Where the hashes of what was fetched are kept."""
    return cache_folder() / "latentbench.lock.json"


def place(entry: Entry) -> Path:
    """Where `fetch` puts an entry's file: where its library finds it by itself, as far as that is a plain folder."""
    return places(entry)[0]


def places(entry: Entry) -> list[Path]:
    """Where an entry's file may lie, the place that `fetch` uses first."""
    own = cache_folder() / "weights" / entry.file
    if entry.place == "torch-hub":  # torch.hub, and so torchvision and lpips
        return [_torch_home() / "hub" / "checkpoints" / entry.file, own]
    if entry.place == "facenet":  # facenet-pytorch leaves `hub` out
        return [_torch_home() / "checkpoints" / entry.file, own]
    if entry.place == "clip":
        return [own, Path("~/.cache/clip").expanduser() / entry.file]
    if entry.place == "huggingface":  # its cache is a tree of links by commit: read, not written
        repository = entry.repository.replace("/", "--")
        own = own.with_name(repository) / entry.file  # files of one name lie in many repositories
        return [own, *sorted((_hub_cache() / f"models--{repository}" / "snapshots").glob(f"*/{entry.file}"))]
    return [own]


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def _torch_home() -> Path:
    named = os.environ.get("TORCH_HOME")
    return Path(named).expanduser() if named else _user_cache() / "torch"


def _hub_cache() -> Path:
    named = os.environ.get("HF_HUB_CACHE")
    if named:
        return Path(named).expanduser()
    home = os.environ.get("HF_HOME")
    return (Path(home).expanduser() if home else _user_cache() / "huggingface") / "hub"
