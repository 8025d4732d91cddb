"""Weights that others trained: a catalogue of them, and the ways to have them at hand. Imports no torch."""

from bench.fetch.at_hand import cached, ensure, fetch
from bench.fetch.catalogue import Entry, entry, load_catalogue

__all__ = ["Entry", "cached", "ensure", "entry", "fetch", "load_catalogue"]
