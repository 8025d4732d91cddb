"""Where files are kept between runs: results of computations, and weights that were fetched. Imports no torch."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """LATENTBENCH_CACHE, or the user's cache folder."""
    named = os.environ.get("LATENTBENCH_CACHE")
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("latentbench"))
