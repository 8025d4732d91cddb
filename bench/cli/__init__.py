"""The command line `latentbench`, also `python -m bench`. Each verb is a file; what a verb needs it imports when it runs."""

from bench.cli.app import app, main

__all__ = ["app", "main"]
