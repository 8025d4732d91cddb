"""Claims of papers as data (leaderboards/published), decided by what was measured."""

from leaderboards.claims.evaluate import Decision, evaluate
from leaderboards.claims.library import find_paper, papers
from leaderboards.claims.model import Claim, Paper
from leaderboards.claims.readings import Source

__all__ = ["Claim", "Decision", "Paper", "Source", "evaluate", "find_paper", "papers"]
