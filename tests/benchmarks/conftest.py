"""Prints what benchmarks are for: the ratios and other figures of `extra_info`, which pytest-benchmark's table leaves out."""

from __future__ import annotations


def pytest_terminal_summary(terminalreporter, config):
    """One line a benchmark. `ratio`: the reference's least time over ours in the same run; above 1, ours is faster."""
    session = getattr(config, "_benchmarksession", None)
    told = [one for one in getattr(session, "benchmarks", ()) if one.extra_info]
    if told:
        terminalreporter.section("figures")
    for one in told:
        figures = ", ".join(f"{name} {_short(value)}" for name, value in one.extra_info.items())
        terminalreporter.write_line(f"{one.name}: {figures}")


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
