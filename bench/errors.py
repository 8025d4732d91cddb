"""Errors that a user can act on. The command line prints them as one line and exits with `exit_code`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LatentbenchError(Exception):
    """Base class: the message says what is wrong and what to do, in one line."""

    exit_code = 2


class InputError(LatentbenchError):
    """A name, a file, a value or a setting that cannot be used."""


class SpaceError(LatentbenchError):
    """A conversion between latent spaces that mathematics does not allow."""


class UnsupportedError(LatentbenchError):
    """A method, metric or task cannot run on this generator or domain; the cell is recorded as skipped."""


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a list, with the nearest names that are."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"
    return InputError(f"unknown {kind} '{name}': {hint}")
