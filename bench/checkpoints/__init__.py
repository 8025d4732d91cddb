"""Published checkpoints, read as data: nothing that comes with them is ever executed. This package's root imports no torch."""
