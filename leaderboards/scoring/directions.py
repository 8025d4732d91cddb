"""The suite that scores directions from files: through the editing task, beside the floor and, where there is one, the bound."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic
import yaml

from bench.cards import DomainInfo, GeneratorInfo
from bench.checkpoints.names import is_path
from bench.errors import InputError, unknown
from bench.library import compose
from bench.records import Record
from bench.registry import Registry
from bench.suite import MethodChoice, Suite, checked
from leaderboards.scoring.folders import shown
from leaderboards.vocabulary import ARROWS, HEADLINES, label, number, record_text, title, with_interval

if TYPE_CHECKING:
    from bench.runner import RunResult

# The method that reads directions from files.
FILES = "published"
FLOOR, BOUND = "random", "oracle"
TASK = "editing"
# The space with one vector a code that a layered one repeats.
FLAT = {"z+": "z", "w+": "w", "p+": "p", "s": "w"}


def choices(given: Sequence[str]) -> list[MethodChoice]:
    """Methods of 'random,interfacegan' and '{interfacegan: {space: z}}'. Raises InputError for what is neither."""
    out = []
    for text in given:
        try:
            if text.lstrip().startswith("{"):
                out.append(MethodChoice.model_validate(yaml.safe_load(text)))
            else:
                out += [MethodChoice(name=name.strip()) for name in text.split(",") if name.strip()]
        except (yaml.YAMLError, pydantic.ValidationError) as error:
            raise InputError(f"'{text}' is no method: a name, or '{{name: {{option: value}}}}'") from error
    return out


def renamed(given: Sequence[str]) -> dict[str, str]:
    """'Smiling=smile' as {'Smiling': 'smile'}. Raises InputError for another form."""
    out = {}
    for text in given:
        theirs, equals, ours = text.partition("=")
        if not (equals and theirs.strip() and ours.strip()):
            raise InputError(f"--name {text}: write THEIRS=ATTRIBUTE, such as Smiling=smile")
        out[theirs.strip()] = ours.strip()
    return out


def network(generator: str, domain: str | None, registry: Registry) -> str | dict[str, Any]:
    """The generator as a suite names it. Raises InputError for an unknown one, and a file without a domain."""
    try:
        entry = yaml.safe_load(generator) if generator.startswith("{") else generator
    except yaml.YAMLError as error:
        raise InputError(f"'{generator}' is no generator: a name, a file, or '{{path: FILE, part: NAME}}'") from error
    if isinstance(entry, str) and entry in registry.names("generators"):
        if domain is not None:
            raise InputError(f"{entry} is a registered generator, whose domain is known: leave --domain out")
        return entry
    if isinstance(entry, str):
        if not is_path(entry):
            said = unknown("generator", entry, registry.names("generators"))
            raise InputError(f"{said}; a checkpoint's file is named with its ending or its folder")
        entry = {"path": entry}
    if domain is not None:
        entry = {**entry, "domain": domain}
    if not entry.get("domain"):
        known = ", ".join(registry.names("domains"))
        raise InputError(f"what are the pictures of {shown(entry.get('path'))}? Say it with --domain: {known}, or a YAML page")
    return entry


def cards(entry: str | dict[str, Any], registry: Registry) -> tuple[GeneratorInfo, DomainInfo]:
    """What is known of the generator and of its domain. Raises InputError where either cannot be loaded."""
    from bench.generators.load import load_generator
    from leaderboards.scoring.score_pairs import find_domain

    if isinstance(entry, str):
        info = load_generator(entry, registry=registry).info
        return info, find_domain(info.domain, registry).info
    domain = find_domain(entry["domain"], registry).info
    path = Path(str(entry.get("path", ""))).expanduser()
    return load_generator(path, domain=domain.name, part=entry.get("part"), registry=registry).info, domain


def directions_suite(
    directions: Path,
    entry: str | dict[str, Any],
    registry: Registry,
    *,
    options: Mapping[str, Any],
    targets: Sequence[str] = (),
    against: Sequence[MethodChoice] = (),
    alone: bool = False,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> tuple[Suite, list[str]]:
    """The suite, and what to tell the user of it. options: of the method that reads files. settings: of the editing task.

    targets: by default the attributes that directions are named after, or all that the domain has where they are numbers. Raises
    InputError for directions that cannot be read, do not fit the generator or have none of the targets.
    """
    info, domain = cards(entry, registry)
    reader = registry.load("methods", FILES)
    given = {"path": str(directions), **options}
    checked(reader.Options, given, f"--directions {shown(directions)}")
    method = reader(**given)
    reason = method.supports(info, domain)
    if reason:
        raise InputError(reason)
    names = [one.name for one in method._found]
    chosen, notes = _targets(names, targets, domain)
    flat = FLAT.get(method.space, method.space)
    methods: list[Any] = [{FILES: given}, *against]
    if not alone:
        asked = {one.name for one in against}
        # In the space of the directions themselves: another space has other odds.
        floor = {"space": flat} if flat != registry.load("methods", FLOOR).Options().space else {}
        methods += [{FLOOR: floor}] if FLOOR not in asked else []
        bound = registry.load("methods", BOUND)().supports(info, domain)
        methods += [BOUND] if BOUND not in asked and bound is None else []
    task = {"targets": list(chosen), **(settings or {})}
    suite = compose({"name": "score", "generators": [entry], "methods": methods, "tasks": {TASK: task}, "seed": seed}, registry)
    if all(name.isdecimal() for name in names) and len(names) > suite.budget:
        notes.append(f"of {len(names)} components the first {suite.budget} are scored, as many as every other method offers")
    return suite, notes


def _targets(names: Sequence[str], targets: Sequence[str], domain: DomainInfo) -> tuple[list[str], list[str]]:
    for target in targets:
        domain.attribute(target)
    if all(name.isdecimal() for name in names):
        every = list(domain.names)
        return (list(targets), []) if targets else (every, [f"components, judged on all attributes of {domain.name} (--target)"])
    known = [name for name in domain.names if name in names]
    asked = [name for name in targets or known if name in known]
    strange = sorted({name for name in names if name not in domain.names})
    if not asked:
        held, wanted = (", ".join(shown(one) for one in some[:12]) for some in (names, targets or domain.names))
        raise InputError(f"the directions are named {held}, and none is {wanted}: say which is which, --name THEIRS=ATTRIBUTE")
    notes = [f"not scored, no attribute of {domain.name}: {', '.join(map(shown, strange[:12]))} (--name)"] if strange else []
    return list(targets) or asked, notes


# What the terminal shows.


def terminal(result: RunResult, folder: Path, yours: str) -> list[str]:
    """The ranking of editing.csv, then the user's own headlines by target, with judges, n and intervals."""
    from leaderboards.compare.text import plain_table

    records = [r for r in result.records if r.headline]
    ranked = _ranking(folder / f"{TASK}.csv", yours)
    lines = plain_table(ranked) if len(ranked) > 1 else []
    mine = [r for r in records if r.method == FILES and r.target]
    rows: dict[tuple[str, str], dict[str, Record]] = {}
    for r in mine:
        rows.setdefault((r.target, r.sign), {})[r.metric] = r
    table = [["target", "sign", *map(_title, HEADLINES), "n", "n failed", "note"]]
    for (target, sign), found in rows.items():
        cells = [record_text(found.get(name)) for name in HEADLINES]
        some = found.values()
        why = next((r.reason for r in some if r.status != "ok"), "")
        table.append([target, sign, *cells, str(max(r.n for r in some)), str(max(r.n_failed for r in some)), why])
    if len(table) > 1:
        lines += ["", f"{yours}, by target:", *plain_table(table)]
    judges = sorted({f"{title(r.metric)}: {r.judge}" for r in records if r.judge})
    effects = sorted({r.point.removeprefix("effect_") for r in mine if r.point.startswith("effect_")})
    read = f"read where the judge sees {effects[0]} sigma of the target (reach: anywhere up to the edge); " if effects else ""
    return [*lines, "", f"{read}intervals of 95 % over codes; judges: {'; '.join(judges) or 'none'}"]


def _title(metric: str) -> str:
    return f"{title(metric)} {ARROWS[metric in ('identity', 'reach')]}"


def _ranking(path: Path, yours: str) -> list[list[str]]:
    """Rows of a leaderboard's file; none where nothing was ranked."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    table = [["rank", "entry", "average rank", *map(_title, HEADLINES), "unreached"]]
    for row in found:
        parse = lambda key, row=row: float(row[key]) if row.get(key) else None  # noqa: E731
        name = yours if row["method"] == FILES else label((row["method"], row["variant"]))
        bound = f" ({row['bound']})" if row["bound"] else ""
        cells = [with_interval(parse(one), parse(f"{one}_low"), parse(f"{one}_high")) for one in HEADLINES]
        average = number(parse("mean_rank"))
        table.append([row["rank"], f"{name}{bound}", average, *cells, f"{row['unreached']} of {row['asked']}"])
    return table
