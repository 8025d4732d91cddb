"""Sigma of every attribute for picture pairs, and the unedited pictures that realism compares with: where both come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bench.bank import stream_ids
from bench.domains.base import Domain
from bench.errors import InputError
from bench.generators.base import Generator
from bench.passes import CHUNK, Passes
from bench.registry import Registry
from bench.tasks.editing.pool import spread
from bench.tasks.editing.protocol import is_binary
from leaderboards.scoring.folders import common_side, content, pictures_in, read, shown
from leaderboards.scoring.pairs import Panel, Readings, measure

# Codes of a generator that stands as the reference, as the editing task takes by default.
CODES = 512
# With fewer pictures sigma itself is uncertain by more than 9 %, 1 / sqrt(2 (n - 1)), and every change in sigma with it.
ENOUGH = 64

ONE_CLASS = "twice the mean's distance from the judge's border"


@dataclass(frozen=True)
class Reference:
    """Unedited pictures of the domain as judges see them. source: what they are; sha: their content. side: in px.

    scores: [M, A] in the panel's order, or None; features: [M, D], or None.
    """

    source: str
    sha: str
    side: int
    scores: np.ndarray | None
    features: np.ndarray | None


@dataclass(frozen=True)
class Spread:
    """sigma: [A], inf where an attribute never changes. rules: how each was made; source: of which pictures; n: how many.

    doubt: attribute -> why its sigma is not to be trusted far.
    """

    sigma: np.ndarray
    rules: tuple[str, ...]
    source: str
    n: int
    doubt: dict[str, str]


def own_spread(readings: Readings, panel: Panel, domain: Domain) -> Spread | None:
    """Sigma over the pairs' own before pictures; None where there are fewer than two to read."""
    if "attributes" not in panel.judges:
        return None
    return spread_of(readings.before["attributes"], panel, domain, "the before pictures")


def spread_of(scores: np.ndarray, panel: Panel, domain: Domain, source: str) -> Spread | None:
    """Sigma of scores [M, A]; None where fewer than two rows can be read.

    The editing task's rule: the standard deviation, or for a binary attribute the distance of the judged class means. Sampled
    pictures hold both classes; pictures that somebody chose for an edit often hold one (faces without glasses). Then sigma is
    twice the distance of its mean logit from 0, the border that the judge decides by: 0.5 sigma leads to the border, as it does
    with two classes (design of the protocol, section 'Effect'), where the scatter within one class would make any edit look huge.
    """
    readable = scores[np.isfinite(scores).all(1)]
    if len(readable) < 2:
        return None
    sigma, rules, doubt = [], [], {}
    if len(readable) < ENOUGH:
        uncertain = 100 / (2 * (len(readable) - 1)) ** 0.5
        doubt = dict.fromkeys(panel.names, f"sigma is of {len(readable)} pictures and uncertain by {uncertain:.0f} %")
    for name, column in zip(panel.names, readable.T, strict=True):
        found, rule = spread(torch.from_numpy(column), is_binary(domain.info.attribute(name)))
        if rule.startswith("one class"):
            found, rule = max(2 * abs(float(column.mean())), found), ONE_CLASS
            doubt[name] = f"{source} are judged to be of one class: sigma is {rule}"
        if rule == "constant":
            doubt[name] = f"it never changes among {source}, so that no change of it counts"
        sigma.append(found)
        rules.append(rule)
    return Spread(np.array(sigma), tuple(rules), source, len(readable), doubt)


def load_reference(
    name: str, registry: Registry, domain: Domain, panel: Panel, passes: Passes, device: torch.device, seed: int
) -> Reference:
    """The reference that the user names: a registered generator of the domain (CODES of its codes) or a folder of pictures.

    Raises InputError where it is neither, or a generator of something else.
    """
    if name in registry.names("generators"):
        found = registry.load("generators", name)
        generator = (found if isinstance(found, Generator) else found()).to(device)
        if generator.info.domain != domain.info.name:
            raise InputError(f"--reference {name} makes pictures of {generator.info.domain}, and not of {domain.info.name}")
        return _sampled(generator, panel, passes, device, seed)
    if not Path(name).expanduser().is_dir():
        known = ", ".join(registry.names("generators"))
        raise InputError(f"--reference {shown(name)} is no folder of pictures and no generator ({known})")
    paths = sorted(pictures_in(Path(name).expanduser(), "--reference").values())
    side = common_side(paths)
    parts = [measure(panel, read(paths[i : i + CHUNK], side), passes) for i in range(0, len(paths), CHUNK)]
    return _reference(f"{len(paths)} pictures of {shown(name)}", content(paths), side, parts)


def _sampled(generator: Generator, panel: Panel, passes: Passes, device: torch.device, seed: int) -> Reference:
    maker = Passes(generator, device=device, clock=passes.clock)
    codes = generator.sample(stream_ids("reference", CODES), seed=seed)
    parts = [measure(panel, maker.synthesize(codes[i : i + CHUNK]), passes) for i in range(0, CODES, CHUNK)]
    name, side = generator.info.name, generator.info.resolution
    return _reference(f"{CODES} pictures of {name}, seed {seed}", generator.fingerprint, side, parts)


def _reference(source: str, sha: str, side: int, parts: Sequence[dict[str, torch.Tensor]]) -> Reference:
    kinds = [key for key in ("attributes", "features") if key in parts[0]]
    whole = {key: torch.cat([part[key] for part in parts]).double().numpy() for key in kinds}
    features = whole.get("features")
    kept = None if features is None else features[np.isfinite(features).all(1)]
    return Reference(source, sha, side, whole.get("attributes"), kept)
