"""Progress: plain lines elsewhere, bars in a terminal, with what was done, how fast, and how long it still takes."""

import io
import time

from rich.console import Console

from bench.progress import Bars, Lines, make_progress


def work(progress) -> None:
    progress.plan(2)
    for label, outcome in (("toy: fit axis", "ok, 0.1 s"), ("toy: shift axis", "error: it broke")):
        progress.begin(label)
        progress.started -= 2.0  # as if it had begun two seconds ago
        progress.step(0, 4)
        progress.pictures(100)
        progress.step(1, 4)
        progress.end(outcome)
    progress.close()


def test_lines_count_and_tell_throughput():
    stream = io.StringIO()
    work(make_progress(stream))
    assert isinstance(make_progress(stream), Lines)
    first, second = stream.getvalue().splitlines()
    assert first.startswith("[1/2] toy: fit axis: ok, 0.1 s, ") and first.endswith(" pictures/s")
    assert second.startswith("[2/2] toy: shift axis: error: it broke")


def test_a_long_cell_says_how_long_it_still_takes():
    stream = io.StringIO()
    lines = Lines(stream)
    lines.plan(1)
    lines.begin("toy: shift axis")
    lines.started = lines._said = time.monotonic() - 30
    lines.pictures(300)
    lines.step(1, 4)
    lines.step(2, 4)  # too soon after the last line
    assert stream.getvalue() == "[0/1] toy: shift axis: 1/4, 10 pictures/s, about 90 s left\n"


def test_bars_show_both_levels():
    stream = io.StringIO()
    bars = Bars(Console(file=stream, force_terminal=True, width=160))
    work(bars)
    text = stream.getvalue()
    assert "fits and cells" in text and "2/2" in text and "toy: shift axis: error: it broke" in text and "ok, 0.1 s" not in text
