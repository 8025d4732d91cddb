"""How long fits take as their samples grow: `python -m bench.fit_times SUITE --banks 2048 8192 32768 --out FOLDER`.

Times differ from run to run, so that they are no records: they lie in a file of their own beside a run's results, which the
report shows.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from bench.cell import Fit, Workbench
from bench.clock import Clock
from bench.costs import WatchedBank, costed_fit
from bench.errors import UnsupportedError
from bench.plan import make_plan
from bench.registry import Registry
from bench.store import Store
from bench.suite import Suite, load_suite

FILE = "fit-times.csv"


@dataclass(frozen=True)
class FitTime:
    """One fit. bank: codes of the fit stream. seconds: of the fit alone, the bank and its guide scores lay ready.

    draws: whether it read the bank at all; a method that does not takes the same time whatever the bank is. reason: why there
    is no time.
    """

    generator: str
    method: str
    variant: str
    bank: int
    seconds: float | None
    draws: bool
    threads: int
    device: str
    reason: str = ""


class _Alone(WatchedBank):
    """The fit stream of a fit that finds nothing that other fits of its generator measured."""

    share = None


def fit_times(
    suite: Suite,
    banks: Sequence[int],
    *,
    registry: Registry | None = None,
    store: Store | None = None,
    device: str = "cpu",
    batch: int = 64,
    tell: Callable[[str], None] = lambda line: None,
) -> list[FitTime]:
    """The time of one fit (seed 0) of every method of the suite on every generator, at each size of the fit stream.

    Fits are made anew, without the store and from no checkpoint; the bank's codes and scores come from the store. Raises
    InputError for a suite that cannot be run.
    """
    import torch

    found = []
    for size in banks:
        smaller = suite.model_copy(update={"bank": size, "fit_seeds": 1})
        bench = Workbench(smaller, registry or Registry(), store or Store(), device=device, batch=batch)
        for fit in make_plan(bench).fits:
            card = bench.card(fit)
            seconds, draws, reason = _time(bench, fit)
            one = FitTime(fit.generator, card.name, card.variant, size, seconds, draws, torch.get_num_threads(), device, reason)
            tell(f"{one.generator}: {one.method} {one.variant} on {size}: {reason or f'{seconds:.2f} s'}")
            found.append(one)
    return found


def _time(bench: Workbench, fit: Fit) -> tuple[float | None, bool, str]:
    """Seconds, whether the bank was read, and why there is no time."""
    context = bench.fit_context(fit, bench.passes(bench.place(fit.generator), Clock()))
    for space in bench.place(fit.generator).generator.info.spaces:
        context.bank.codes(space)
    _ = context.bank.scores
    try:
        _, cost = costed_fit(bench.method(fit.method), replace(context, folder=None), _Alone)
    except UnsupportedError as error:
        return None, False, str(error)
    # A bank may be too small for a method in any way of its own; the others are timed all the same.
    except Exception as error:
        return None, False, " ".join(f"{type(error).__name__}: {error}".split())
    return cost.seconds, cost.read, ""


def as_csv(found: Sequence[FitTime]) -> str:
    """The times as CSV, one a row."""
    text = io.StringIO()
    table = csv.DictWriter(text, [one.name for one in fields(FitTime)], lineterminator="\n")
    table.writeheader()
    table.writerows({**asdict(one), "seconds": "" if one.seconds is None else f"{one.seconds:.3f}"} for one in found)
    return text.getvalue()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="How long fits take as their samples grow.")
    parser.add_argument("suite")
    parser.add_argument("--banks", type=int, nargs="+", default=[2048, 8192, 32_768])
    parser.add_argument("--generators", nargs="+", help="Some of the suite's (default: all).")
    parser.add_argument("--out", type=Path, required=True, help="A folder of results.")
    options = parser.parse_args()
    suite = load_suite(options.suite)
    if options.generators:
        suite = suite.model_copy(update={"generators": tuple(options.generators)})
    found = fit_times(suite, options.banks, tell=print)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / FILE).write_text(as_csv(found), encoding="utf-8")


if __name__ == "__main__":
    main()
