"""Scores two folders of pictures: matching, judging, numbers, files."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.domains.base import Domain
from bench.domains.prompted import is_domain_file, load_domain
from bench.environment import code_version, describe, peak_mb, use_device
from bench.passes import CHUNK
from bench.progress import Progress, Silent
from bench.registry import Registry
from bench.store import key_hash
from bench.tasks.editing.regions import classes_of
from leaderboards.scoring import page
from leaderboards.scoring.folders import Pair, common_side, content, counted, match, shown
from leaderboards.scoring.numbers import LEVEL, REPLICATES, VERSION, Question, columns, records
from leaderboards.scoring.pairs import Panel, find_panel, judging, read_pairs
from leaderboards.scoring.spread import Reference, Spread, load_reference, own_spread, spread_of


def find_domain(name: str, registry: Registry) -> Domain:
    """A registered domain, or that of a YAML page. Raises InputError where there is none."""
    if is_domain_file(name):
        return load_domain(name)
    found = registry.load("domains", name)
    return found if isinstance(found, Domain) else found()


@dataclass(frozen=True)
class Asked:
    """Two folders that fit together, and what is asked of them. side: of every picture, in px. target: '' for none."""

    domain: Domain
    before: str
    after: str
    pairs: list[Pair]
    side: int
    target: str = ""
    sign: int = 1


def asked(domain_name: str, before: Path, after: Path, registry: Registry, *, target: str = "", sign: int = 1) -> Asked:
    """The folders, matched and checked by names and headers. Raises InputError for all bad input that can be seen like that."""
    domain = find_domain(domain_name, registry)
    if target:
        domain.info.attribute(target)
    pairs = match(before, after)
    side = common_side([path for one in ("before", "after") for path in (getattr(pair, one) for pair in pairs)])
    return Asked(domain, shown(before), shown(after), pairs, side, target, sign)


def score_pairs(
    given: Asked,
    registry: Registry,
    *,
    reference: str | None = None,
    device: str = "cpu",
    seed: int = 0,
    progress: Progress | None = None,
) -> page.Scored:
    """Judge the pairs. reference: a folder of unedited pictures or a generator, which sets sigma and what realism compares with.

    Raises InputError for a reference that is neither, a device that is not there, and a picture that turns out to be damaged.
    """
    start, progress = time.perf_counter(), progress or Silent()
    domain, pairs, target, sign = given.domain, given.pairs, given.target, given.sign
    on = use_device(device)
    panel, passes = find_panel(domain, on), judging(on)
    question = Question(target, sign, seed)
    progress.plan(1)
    progress.begin(f"{domain.info.name}: {counted(len(pairs), 'pair')}")

    def on_pairs(done: int) -> None:
        progress.pictures(2 * CHUNK)
        progress.step(done, len(pairs))

    try:
        known = None
        if reference is not None:
            known = load_reference(reference, registry, domain, panel, passes, on, seed)
        readings = read_pairs(pairs, given.side, panel, passes, _region(domain, panel, target), on_pairs=on_pairs)
        spread = _spread(readings, panel, domain, known)
        made = columns(readings, panel, spread, question)
        found = records(readings, panel, spread, known, question, given.side)
        progress.end(f"ok, {time.perf_counter() - start:.1f} s")
    finally:
        progress.close()
    originals = content([pair.before for pair in pairs])
    protocol = {
        "task": "pairs", "version": VERSION, "before": originals, "target": target, "sign": sign, "seed": seed, "level": LEVEL,
        "replicates": REPLICATES, "domain": domain.info.name,
        "judges": {one: [net.name, net.fingerprint] for one, net in panel.judges.items()},
        "sigma": None if spread is None else [spread.source, [float(f"{one:.9g}") for one in spread.sigma]],
        "reference": None if known is None else known.sha,
    }  # fmt: skip
    common: dict[str, Any] = {
        "suite": "score", "suite_version": 1, "protocol_hash": key_hash(protocol), "task": "pairs", "generator": "pictures",
        "generator_sha": originals, "domain": domain.info.name, "method": "given", "method_version": 1, "approach": "given",
        "codes_source": "pictures", "seed": seed, "seconds": time.perf_counter() - start, "peak_mb": peak_mb(),
        "device": on.type, "code_version": code_version(),
    }  # fmt: skip
    found = [replace(record, **common) for record in found]
    return page.Scored(domain.info.name, given.before, given.after, readings, made, found, panel, spread, describe(on))


def _spread(readings: Any, panel: Panel, domain: Domain, known: Reference | None) -> Spread | None:
    if known is not None and known.scores is not None:
        found = spread_of(known.scores, panel, domain, known.source)
        if found is not None:
            return found
    return own_spread(readings, panel, domain)


def _region(domain: Domain, panel: Panel, target: str) -> list[int] | str:
    """Where the target's change belongs, or why locality cannot be told."""
    if "segmentation" not in panel.judges:
        return panel.missing["segmentation"]
    if not target:
        return "no target is named: --target says what the edit was to change, and so where"
    return classes_of(domain.info, [target]) or f"the domain names no region of {target}"
