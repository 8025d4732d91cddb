"""One file over HTTP: resumed where it broke off, and never taken for whole when it is not."""

from __future__ import annotations

import errno
import http.client
import json
import shutil
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import InputError
from bench.fetch.progress import Bytes
from bench.fetch.verify import is_page

BLOCK = 1 << 18
# Seconds without a byte before a connection counts as broken, and how often a broken one is taken up again without gain.
TIMEOUT, PATIENCE = 30.0, 2
# What a connection that breaks under way raises.
BROKEN = (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


class FetchError(InputError):
    """A file that could not be had from where it is published: its host, the network or the registry.

    advice: what to try before getting it by hand.
    """

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class Stale(Exception):
    """What was kept of a file does not belong to what the host has now: start again."""


@dataclass
class Partial:
    """What is there of a file so far, and what the host said of the whole: its length, and a tag that changes when it does."""

    path: Path

    @property
    def done(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def _card(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def read(self) -> dict:
        try:
            return dict(json.loads(self._card.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return {}  # without a card that can be read, what is there cannot be trusted and is fetched again

    def write(self, card: dict) -> None:
        self._card.write_text(json.dumps(card), encoding="utf-8")

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self._card.unlink(missing_ok=True)


def download(address: str, partial: Partial, progress: Bytes, *, size: int | None = None) -> None:
    """Bring `partial` to the whole of what lies at an address, going on from what is there of it.

    size: its bytes, where they are known. Raises FetchError: no connection, a refusal of the host, a web page in place of a file,
    a length other than promised. What has arrived is kept for the next time, except where it cannot belong to the file.
    """
    if partial.done and partial.read().get("address") != address:
        partial.drop()
    idle = 0
    while True:
        before = partial.done
        try:
            with _writable(partial.path):
                _pull(address, partial, progress, size)
            return
        except Stale:
            partial.drop()
        except BROKEN as error:
            if partial.done <= before:
                idle += 1
            if idle > PATIENCE:
                total = partial.read().get("total") or "unknown many"
                broke = f"{address} broke off after {partial.done} of {total} bytes ({_said(error)})"
                raise FetchError(broke, "run it again to go on there, or ") from error


def _pull(address: str, partial: Partial, progress: Bytes, size: int | None) -> None:
    """One request, from the first byte that is missing to the end."""
    done, card = partial.done, partial.read()
    if done and done == card.get("total"):
        return
    with _ask(address, done, card.get("tag")) as answer:
        if done and answer.status == 206:
            start, total = _range(answer.headers.get("Content-Range", ""))
            if start != done or card.get("total") not in (None, total) or (total is not None and done > total):
                raise Stale
        else:  # the whole file: the host does not resume, or has another file now
            done, total = 0, _length(answer)
        if size is not None and total not in (None, size):
            raise FetchError(f"{address} has {total} bytes, and the catalogue says {size}: it is not the file that was published")
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        tag = None if tag and tag.startswith("W/") else tag  # a weak tag does not promise equal bytes
        partial.path.parent.mkdir(parents=True, exist_ok=True)
        _check_space(partial.path.parent, (total or size or 0) - done)
        partial.write({"address": address, "tag": tag, "total": total})
        progress.begin(done, total)
        with partial.path.open("ab" if done else "wb") as file:
            while block := answer.read(BLOCK):
                if not file.tell() and is_page(block[:512]):
                    raise FetchError(f"{address} answers with a web page in place of the file: its host wants a browser")
                file.write(block)
                progress.step(file.tell())
    if total is not None and partial.done != total:
        raise http.client.IncompleteRead(b"", total - partial.done)


def _ask(address: str, start: int, tag: str | None) -> http.client.HTTPResponse:
    headers = {"User-Agent": "latentbench", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if tag:
            headers["If-Range"] = tag
    # Some hosts send from address to address, and know who asks by the cookies that they set on the way.
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    try:
        return opener.open(urllib.request.Request(address, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and start:
                raise Stale from error
            raise FetchError(f"{address} answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise FetchError(f"{address} cannot be reached ({_said(error.reason)})") from error
    except TimeoutError as error:
        raise FetchError(f"{address} does not answer within {TIMEOUT:g} s") from error


def _range(text: str) -> tuple[int, int | None]:
    """First byte and total of 'bytes 5-9/10'. Raises Stale where it says neither."""
    span, _, total = text.removeprefix("bytes ").partition("/")
    start = span.partition("-")[0]
    if not start.isdecimal():
        raise Stale
    return int(start), int(total) if total.isdecimal() else None


def _length(answer: http.client.HTTPResponse) -> int | None:
    said = answer.headers.get("Content-Length", "")
    return int(said) if said.isdecimal() else None


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(f"{folder} has {free / 1e6:.0f} MB left, and {needed / 1e6:.0f} MB are needed: free space")


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    """What a file system refuses, as a line that says what to do."""
    try:
        yield
    except BROKEN:  # most of these are OSErrors too, of the network
        raise
    except OSError as error:
        what = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or error
        raise InputError(f"{path.parent} cannot be written ({what}): free space or set LATENTBENCH_CACHE") from error


def _said(error: object) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
