"""What the report says of a task beside its ranking. A page reads a results folder and nothing else.

    def page(results: Results, generator: str, board: Board | None) -> tuple[str, dict[str, bytes]]

gives the Markdown of one generator (parts headed '### ...') and files to lie beside the report (plots, tables) by relative path.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaderboards.folder import Results
    from leaderboards.tables import Board

# By task. The editing task's own parts are in the report's template; its page holds the rest.
PAGES = {
    "editing": "leaderboards.pages.editing",
    "inversion": "leaderboards.pages.inversion",
    "representation": "leaderboards.pages.representation",
    "sampling": "leaderboards.pages.sampling",
    "naming": "leaderboards.pages.naming",
    "dissection": "leaderboards.pages.dissection",
    "text": "leaderboards.pages.text",
    "validity": "leaderboards.pages.validity",
}


def page_of(task: str, results: Results, generator: str, board: Board | None) -> tuple[str, dict[str, bytes]]:
    """Text and files of a task's page; nothing for a task without one, or a generator on which nothing of it was measured."""
    measured = any(results.groups(task, generator))
    return import_module(PAGES[task]).page(results, generator, board) if task in PAGES and measured else ("", {})
