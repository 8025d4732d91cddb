"""The editing task's page: what is measured beside the headlines, and what fits have found out about the generator."""

from __future__ import annotations

from leaderboards.folder import Results
from leaderboards.pages import fits
from leaderboards.pages.beside import beside
from leaderboards.tables import Board


def page(results: Results, generator: str, board: Board | None) -> tuple[str, dict[str, bytes]]:
    """Markdown and plots of one generator."""
    found, files = fits.page(results, generator, board)
    return "\n\n".join(part for part in (beside(results, generator), found) if part), files
