"""One row of the tidy results table: one number, and everything needed to know what it means. This module imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

Status = Literal["ok", "skipped", "unreached", "error"]


@dataclass(frozen=True)
class Record:
    """A measured number, or why there is none.

    point: where it was read: 'grid' (at `strength`), 'effect_0.5', 'effect_1' (at equal judged effect, in sigma) or 'summary'.
    attribute: the attribute measured where it is not the target. headline: it counts in the ranking.
    ci_low, ci_high: 95 % interval; ci_over: what was resampled ('codes', 'codes+fits').
    n, n_failed: samples behind the value, and those that the judge could not read.
    """

    suite: str = ""
    suite_version: int = 0
    protocol_hash: str = ""
    task: str = ""
    generator: str = ""
    generator_sha: str = ""
    domain: str = ""
    method: str = ""
    method_version: int = 0
    approach: str = ""
    variant: str = ""
    fit_seed: str = ""
    space: str = ""
    codes_source: str = "sampled"
    target: str = ""
    sign: str = ""
    attribute: str = ""
    strength: float | None = None
    point: str = ""
    metric: str = ""
    metric_version: int = 1
    headline: bool = False
    judge: str = ""
    judge_sha: str = ""
    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_over: str = ""
    n: int = 0
    n_failed: int = 0
    unit: str = ""
    higher_is_better: bool | None = None
    status: Status = "ok"
    reason: str = ""
    seed: int = 0
    seconds: float | None = None
    peak_mb: float | None = None
    device: str = "cpu"
    code_version: str = ""


COLUMNS: tuple[str, ...] = tuple(f.name for f in fields(Record))

# Columns that differ between two runs of the same suite and seed.
VOLATILE = frozenset({"seconds", "peak_mb"})
