"""What a download shows: a bar in a terminal, now and then a line elsewhere, nothing for a library call."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn

# Seconds between two plain lines.
INTERVAL = 5.0


class Bytes:
    """Told how far a file is; says nothing."""

    def begin(self, done: int, total: int | None) -> None:
        """A request starts with `done` bytes at hand, of `total` where the host says so."""

    def step(self, done: int) -> None:
        """So many bytes are at hand now."""

    def say(self, text: str) -> None:
        """A line between."""

    def close(self) -> None:
        """The file is whole, or given up."""


class Lines(Bytes):
    """One line at the start, one every few seconds, one at the end."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self.name, self.stream = name, stream
        self.done, self.total, self._said = 0, None, 0.0

    def begin(self, done: int, total: int | None) -> None:
        self.done, self.total, self._said = done, total, time.monotonic()
        self.say(f"{'going on after' if done else 'fetching'} {_megabytes(done, total)}" if done or total else "fetching")

    def step(self, done: int) -> None:
        self.done = done
        if time.monotonic() - self._said >= INTERVAL or done == self.total:
            self._said = time.monotonic()
            self.say(_megabytes(done, self.total))

    def say(self, text: str) -> None:
        print(f"{self.name}: {text}", file=self.stream, flush=True)


class Bar(Bytes):
    """A bar with throughput and time left."""

    def __init__(self, name: str, console: Console) -> None:
        columns = (
            TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn(),
            TextColumn("left"), TimeRemainingColumn(),
        )  # fmt: skip
        self.name, self.bar = name, Progress(*columns, console=console, redirect_stdout=False)
        self._task: TaskID | None = None

    def begin(self, done: int, total: int | None) -> None:
        if self._task is None:
            self.bar.start()
            self._task = self.bar.add_task(self.name, total=total, completed=done)
        self.bar.update(self._task, completed=done, total=total)

    def step(self, done: int) -> None:
        if self._task is not None:
            self.bar.update(self._task, completed=done)

    def say(self, text: str) -> None:
        self.bar.console.print(f"{self.name}: {text}", highlight=False, markup=False)

    def close(self) -> None:
        self.bar.stop()


def make_bytes(name: str, stream: TextIO | None = None) -> Bytes:
    """A bar where the stream is a terminal, plain lines otherwise."""
    stream = stream or sys.stderr
    console = Console(file=stream)
    return Bar(name, console) if console.is_terminal else Lines(name, stream)


def _megabytes(done: int, total: int | None) -> str:
    return f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
