"""The papers that ship with the package. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path

from bench.errors import InputError
from bench.suite import checked, parse_yaml
from leaderboards.claims.model import Paper


def parse_paper(text: str, source: str) -> Paper:
    """A paper from YAML text; `source` names it in errors. Raises InputError, in one line, for whatever is wrong with it."""
    data = parse_yaml(text, source)
    if not isinstance(data, dict):
        raise InputError(f"{source}: a paper is a mapping with id, title, authors, venue, arxiv, system, setting and claims")
    return checked(Paper, data, source)


def load_papers(files: Iterable[Path]) -> tuple[Paper, ...]:
    """Papers from files named after their ids, those of this benchmark itself last. Raises InputError."""
    found = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the paper {file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
        paper = parse_paper(text, file.name)
        if paper.id != file.stem:
            raise InputError(f"{file.name}: its id is {paper.id}: name the file {paper.id}.yaml")
        found.append(paper)
    return tuple(sorted(found, key=lambda paper: (paper.system == "own", paper.id)))


@cache
def papers() -> tuple[Paper, ...]:
    """All papers of the package."""
    folder = resources.files("leaderboards") / "published"
    return load_papers(sorted(Path(str(file)) for file in folder.iterdir() if file.name.endswith(".yaml")))


def find_paper(name: str) -> Paper:
    """The paper of that id. Raises InputError, with all that there are, where there is none."""
    known = {paper.id: paper for paper in papers()}
    if name not in known:
        raise InputError(f"unknown paper '{name}'; there are: {', '.join(known)}")
    return known[name]
