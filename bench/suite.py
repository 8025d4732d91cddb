"""Suites: a page of YAML that says which generators, methods and tasks, with which sizes and seeds. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Hashable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pydantic
import yaml

from bench.checkpoints.names import is_path
from bench.errors import InputError, unknown

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

Model = TypeVar("Model", bound=pydantic.BaseModel)


class MethodChoice(pydantic.BaseModel):
    """A method and its options. In YAML: a name, {name: options}, or {name: NAME, options: {...}, fit_seeds: N}.

    fit_seeds: how many fits of it, where it is fewer than the suite's: a method that draws nothing is the same every time.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    name: str
    options: dict[str, Any] = {}
    fit_seeds: Annotated[int, pydantic.Field(ge=1)] | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and set(value) - {"name", "options", "fit_seeds"}:
            if len(value) != 1:
                raise ValueError("a method is a name or {name: {option: value}}")
            name, options = next(iter(value.items()))
            if options is not None and not isinstance(options, dict):
                raise ValueError(f"the options of {name} are a mapping, not {options!r}")
            return {"name": name, "options": options or {}}
        return value


class GeneratorFile(pydantic.BaseModel):
    """A generator's checkpoint. part: which network of the file, where it holds several.

    domain: what its pictures are of, a registered name or a YAML file (bench/domains/prompted.py).
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    path: Annotated[str, pydantic.Field(min_length=1)]
    domain: str | None = None
    part: str | None = None

    def seen_from(self, folder: Path) -> GeneratorFile:
        """The same file; a relative path that leads to a file from that folder on is taken from there."""
        given = {"path": self.path, "domain": self.domain}
        there = {key: folder / Path(value).expanduser() for key, value in given.items() if value}
        return self.model_copy(update={key: str(path) for key, path in there.items() if path.is_file()})


class Suite(pydantic.BaseModel):
    """What is compared. Unknown keys are refused.

    generators: names. In YAML, an entry may also be a checkpoint's path or {path, domain, name, part}: it goes to `checkpoints`
    under its name, which is the file's stem where none is given.

    metrics: the metrics that go into the results (None: all of each task's). fit_seeds: how many fits of each method, each on
    its own fit stream. bank: codes of the fit stream. budget: components that every unsupervised method offers.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, pydantic.Field(pattern=NAME)]
    version: Annotated[int, pydantic.Field(ge=1)] = 1
    description: str = ""
    generators: Annotated[tuple[str, ...], pydantic.Field(min_length=1)]
    checkpoints: dict[str, GeneratorFile] = {}
    methods: Annotated[tuple[MethodChoice, ...], pydantic.Field(min_length=1)]
    tasks: Annotated[dict[str, dict[str, Any]], pydantic.Field(min_length=1)]
    metrics: Annotated[tuple[str, ...], pydantic.Field(min_length=1)] | None = None
    fit_seeds: Annotated[int, pydantic.Field(ge=1)] = 1
    seed: Annotated[int, pydantic.Field(ge=0)] = 0
    bank: Annotated[int, pydantic.Field(ge=16, le=1_000_000)] = 8192
    budget: Annotated[int, pydantic.Field(ge=1)] = 24

    @pydantic.field_validator("tasks", mode="before")
    @classmethod
    def _empty_settings(cls, value: Any) -> Any:
        return {name: {} if task is None else task for name, task in value.items()} if isinstance(value, dict) else value

    @pydantic.model_validator(mode="before")
    @classmethod
    def _files(cls, value: Any) -> Any:
        """Move the files among the generators to `checkpoints`."""
        known = isinstance(value, dict) and isinstance(value.get("generators"), (list, tuple))
        if not (known and isinstance(value.get("checkpoints", {}), dict)):
            return value  # the fields say what is wrong
        names, files = [], dict(value.get("checkpoints", {}))
        for entry in value["generators"]:
            if isinstance(entry, str) and entry not in files and is_path(entry):
                entry = {"path": entry}
            if isinstance(entry, dict):
                name, file = _file(entry)
                if name in files:
                    raise ValueError(f"generators lists {name} twice: give one of the files another name")
                files[name], entry = file, name
            names.append(entry)
        return {**value, "generators": names, "checkpoints": files}

    @pydantic.model_validator(mode="after")
    def _no_strangers(self) -> Suite:
        stray = sorted(self.checkpoints.keys() - set(self.generators))
        if stray:
            raise ValueError(f"checkpoints has {stray[0]}, which generators does not list")
        return self

    def fits_of(self, method: int) -> int:
        """How many fits of the method of that number."""
        own = self.methods[method].fit_seeds
        return self.fit_seeds if own is None else min(own, self.fit_seeds)

    @property
    def registered(self) -> tuple[str, ...]:
        """The generators that are no files of the suite's own."""
        return tuple(name for name in self.generators if name not in self.checkpoints)

    def seen_from(self, folder: Path) -> Suite:
        """The suite with its files where they lie from that folder on; those that do not lie there are left as they are."""
        if not self.checkpoints:
            return self
        return self.model_copy(update={"checkpoints": {name: one.seen_from(folder) for name, one in self.checkpoints.items()}})

    @pydantic.model_validator(mode="after")
    def _no_duplicates(self) -> Suite:
        methods = [f"{one.name} {one.options}" if one.options else one.name for one in self.methods]
        for kind, names in (("generators", self.generators), ("methods", methods), ("metrics", self.metrics or ())):
            twice = sorted({name for name in names if list(names).count(name) > 1})
            if twice:
                raise ValueError(f"{kind} lists {twice[0]} twice")
        return self


def _file(entry: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name of a generator given as a mapping, and what makes its GeneratorFile. Raises ValueError for anything else."""
    if not isinstance(entry.get("path"), str):
        raise ValueError("a generator is a name, a checkpoint's path, or {path: FILE, domain: NAME, name: NAME, part: NAME}")
    stray = sorted(str(key) for key in entry.keys() - {"path", "domain", "name", "part"})
    if stray:
        raise ValueError(f"a generator's file has no key '{stray[0]}': it has path, domain, name and part")
    name = entry.get("name") or Path(entry["path"]).stem
    if not (isinstance(name, str) and re.fullmatch(NAME, name)):
        raise ValueError(f"{name!r:.60} cannot name a generator in tables: give the file {entry['path']} a plain name")
    return name, {key: value for key, value in entry.items() if key != "name"}


def shipped() -> dict[str, Path]:
    """The suites that ship with the package, by name."""
    folder = resources.files("bench.suites")
    return {Path(str(file)).stem: Path(str(file)) for file in folder.iterdir() if file.name.endswith(".yaml")}


def load_suite(source: str | Path | Suite) -> Suite:
    """A suite by its shipped name or from a YAML file (a path with a folder or a .yaml / .yml ending).

    Raises InputError, in one line, for an unknown name, a file that cannot be read, malformed YAML and wrong values.
    """
    if isinstance(source, Suite):
        return source
    path = Path(source)
    if path.suffix not in (".yaml", ".yml") and path.name == str(source):
        known = shipped()
        if str(source) not in known:
            raise unknown("suite", str(source), known)
        path = known[str(source)]
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"no suite file {path}; the shipped suites are: {', '.join(sorted(shipped()))}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the suite {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return parse_suite(text, str(path)).seen_from(path.parent)


def parse_suite(text: str, source: str) -> Suite:
    """A suite from YAML text; `source` names it in errors."""
    data = parse_yaml(text, source)
    if not isinstance(data, dict):
        raise InputError(f"{source}: a suite is a mapping with name, generators, methods and tasks")
    return checked(Suite, data, source)


def parse_yaml(text: str, source: str) -> Any:
    """Plain values of YAML text. Raises InputError with the place where it is not well-formed or gives a key twice."""
    try:
        # _Loader is a SafeLoader: it builds plain values and nothing else.
        return yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{source}{where}: not well-formed YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{source}: not well-formed YAML: {' '.join(str(error).split())}") from error


def checked(model: type[Model], data: dict[str, Any], where: str) -> Model:
    """The model of `data`, or an InputError that names the place and what is wrong with it in one line."""
    try:
        return model(**data)
    except pydantic.ValidationError as error:
        problems = [_problem(one, model) for one in error.errors(include_url=False)]
        raise InputError(f"{where}: {'; '.join(problems)}") from error


def _problem(error: Any, model: type[pydantic.BaseModel]) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
        return str(unknown("key", place, model.model_fields))
    message = error["msg"].removeprefix("Value error, ")
    shown = "" if error["type"] in ("missing", "value_error") else f" (got {error['input']!r:.60})"
    return f"{place + ': ' if place else ''}{message}{shown}"


# libyaml's parser where PyYAML was built with it: ten times as fast, and all papers' claims are YAML.
_Safe: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):
    """A safe loader that refuses a key given twice, which YAML would silently let the last win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key '{key}' is given twice", key_node.start_mark)
            seen.add(key if isinstance(key, Hashable) else repr(key))
        return super().construct_mapping(node, deep)
