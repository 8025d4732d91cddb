"""What a run shows while it works: two bars in a terminal, plain lines elsewhere, nothing for a library call."""

from __future__ import annotations

import sys
import time
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

# Seconds between two plain lines of one cell.
PLAIN_INTERVAL = 15.0


class Progress(Protocol):
    """Told by the engine what happens. Units are fits and cells; a running unit counts in steps of its own and in pictures."""

    def plan(self, total: int) -> None: ...

    def begin(self, label: str) -> None: ...

    def step(self, done: int, total: int) -> None: ...

    def pictures(self, count: int) -> None: ...

    def end(self, outcome: str) -> None: ...

    def close(self) -> None: ...


class Silent:
    """Says nothing."""

    def plan(self, total: int) -> None:
        pass

    def begin(self, label: str) -> None:
        pass

    def step(self, done: int, total: int) -> None:
        pass

    def pictures(self, count: int) -> None:
        pass

    def end(self, outcome: str) -> None:
        pass

    def close(self) -> None:
        pass


class _Counting(Silent):
    """Keeps the numbers that both displays show."""

    total = done = made = 0
    label = ""
    started = 0.0

    def plan(self, total: int) -> None:
        self.total, self.done = total, 0

    def begin(self, label: str) -> None:
        self.label, self.made, self.started = label, 0, time.monotonic()

    def pictures(self, count: int) -> None:
        self.made += count

    @property
    def rate(self) -> str:
        seconds = time.monotonic() - self.started
        return f"{self.made / seconds:.0f} pictures/s" if self.made and seconds > 0.2 else ""


class Lines(_Counting):
    """One line when a fit or cell ends, and now and then one while it runs."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self._said = stream, 0.0

    def begin(self, label: str) -> None:
        super().begin(label)
        self._said = self.started

    def step(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._said < PLAIN_INTERVAL or not done:
            return
        self._said = now
        left = (now - self.started) / done * (total - done)
        self._print(f"{self.label}: {done}/{total}, {self.rate}, about {left:.0f} s left")

    def end(self, outcome: str) -> None:
        self.done += 1
        self._print(f"{self.label}: {outcome}{', ' + self.rate if self.rate else ''}")

    def _print(self, text: str) -> None:
        print(f"[{self.done:>{len(str(self.total))}}/{self.total}] {text}", file=self.stream, flush=True)


class Bars(_Counting):
    """A bar for all fits and cells, one for the running one with its throughput and time left."""

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[rate]}"),
        )  # fmt: skip
        self.bars = RichProgress(*columns, console=console, redirect_stdout=False)
        self._all: TaskID | None = None
        self._one: TaskID | None = None

    def plan(self, total: int) -> None:
        super().plan(total)
        self._all = self.bars.add_task("fits and cells", total=total, rate="")
        self._one = self.bars.add_task("", total=None, rate="", visible=False)
        self.bars.start()

    def begin(self, label: str) -> None:
        super().begin(label)
        if self._one is not None:
            self.bars.reset(self._one, total=None, description=label, visible=True, rate="")

    def step(self, done: int, total: int) -> None:
        if self._one is not None:
            self.bars.update(self._one, completed=done, total=total, rate=self.rate)

    def pictures(self, count: int) -> None:
        super().pictures(count)
        if self._one is not None:
            self.bars.update(self._one, rate=self.rate)

    def end(self, outcome: str) -> None:
        self.done += 1
        if not outcome.startswith(("ok", "found")):
            self.bars.console.print(f"{self.label}: {outcome}", highlight=False, markup=False)
        if self._all is not None:
            self.bars.update(self._all, completed=self.done)

    def close(self) -> None:
        if self._one is not None:
            self.bars.update(self._one, visible=False)
        self.bars.stop()


def make_progress(stream: TextIO | None = None) -> Progress:
    """Bars where the stream is a terminal, plain lines otherwise."""
    stream = stream or sys.stderr
    console = Console(file=stream)
    return Bars(console) if console.is_terminal else Lines(stream)
